package ha

import "time"

// guard kills a server that may take writes and has lost the right to (S1).
//
// Most of the work is not done here: the guard process freezes the server when
// the permit ends, and thaws it when the permit is extended, without this
// decision. What is decided here is when a freeze, or a lost right, becomes a kill.
//
// While the cluster is paused the operator has taken over.
func guard(o Observation) (Plan, bool) {
	if !o.MayWrite() || o.HandsOff() {
		return Plan{}, false
	}
	r, leadership := o.Right, o.Leadership()
	mayWin := leadership == Nobody && !o.Server.Frozen && !(o.unstopped() && !o.namedByHand()) && (o.Server.Answering || o.Server.Starting || o.Job.Work != NoWork)
	switch {
	case leadership == Theirs: // an answer: not one more instruction
		if foreign(o) {
			return Plan{}, false // another cluster's server is refused, not touched (B-053)
		}
		return do(Overtaken, KillServer{}), true
	case leadership == Ours && (r.Guarded || r.Left > 0):
		return Plan{}, false
	case mayWin && (r.Guarded && r.Free || o.founding()):
		return Plan{}, false // the race decides; a running primary may have the lead at once
	case !r.Guarded:
		return do(PermitOver, KillServer{}), true
	case leadership == Nobody && o.Server.Frozen:
		// Nobody can tell on which timeline it is, so it cannot take the lead again.
		return do(FrozenWithoutLead, KillServer{}), true
	}
	// A restarted agent has to hear first where it stands. The guard keeps to the
	// deadline that it has meanwhile.
	if o.Memory.Awake < o.Store.Settings.RetryTimeout || mayWin && r.FreeIn < Idle {
		return Plan{}, false
	}
	if leadership == Nobody && o.Store.View.Initialize.SystemID() == "" {
		return Plan{}, false // a server that is just being taken over from elsewhere
	}
	if leadership == Unknown {
		return do(StoreAwayTooLong, KillServer{}), true
	}
	return do(PermitOver, KillServer{}), true
}

// HandsOff reports that the server is left alone, whatever it may write: the cluster is
// paused (B-503, B-508). But a server that stands still since its right to write has ended
// was not left by the operator as it is, and nobody can tell on which timeline it is: a
// pause does not let it go before it leads again. Nor does a start of this agent's go on
// beside another leader.
func (o *Observation) HandsOff() bool {
	leadership := o.Leadership()
	held := o.Server.Frozen && leadership != Ours ||
		o.Job.Work == StartingPrimary && !o.Server.Answering && leadership == Theirs
	return o.Store.Settings.Pause && !held
}

// founding reports that this agent has just created the cluster and nobody has led
// it yet: no other member can have a copy of this server.
func (o *Observation) founding() bool {
	return o.Last.Work == Bootstrapping && !o.Last.Failed && !o.Store.View.Status.Known
}

// firm reports that this node leads and holds a permit, so that its server may
// begin to take writes.
func (o *Observation) firm() bool { return o.Right.Leading && o.Right.Left > 0 }

// Patience is how long the pass may wait for the store before guard has to look
// again. Very long where nothing hangs on it.
func (o *Observation) Patience() time.Duration {
	if !o.MayWrite() || o.Store.Settings.Pause || o.Right.Guarded {
		return Idle
	}
	return o.Right.Left
}

// MayWrite reports that the server can be acknowledging commits, or can begin to
// at any moment. A server whose role is not known counts, and so does a standby for which
// the guard is armed: somebody has asked for its promotion, perhaps an earlier life of
// this agent, and nothing takes that back. It ends recovery whenever it is let run.
func (o *Observation) MayWrite() bool {
	switch o.Job.Work {
	case StartingPrimary, Promoting:
		return true
	case Bootstrapping:
		return false // no leader, no clients: the cluster is not there yet
	case StoppingServer:
		// With its log closed it only drains its archive. But a guard that is slow to hear
		// of that must not take it for the word about the server that is started next.
		if o.Job.Shutdown.LSN != 0 && o.Job.Purpose != ForRestart {
			return false
		}
	}
	return o.Server.Running && (o.Server.Role != Standby || o.Server.Armed)
}

// away is what to do while the store is out of reach. A leader goes on: the other
// members carry its permit (L3).
func away(o Observation) Plan {
	s := o.Store.Settings
	switch {
	case o.Right.Leading && o.Server.Running && o.Server.Role == Standby && o.Server.Answering && o.Right.MayPromote && !o.Right.Barred && !s.Pause && o.promotesAlone():
		return o.promotion()
	case o.Server.Running && o.Server.Role != Standby && !s.Pause:
		return keepSlotsAway(o, wait(StoreAway, s.LoopWait))
	case o.crashedLeader() && o.firm() && !o.Right.Barred && !s.Pause:
		return do(CrashRestart, StartPrimary{}) // the permit holds, so nobody else can lead
	case o.crashedLeader() && o.Right.Leading && o.Right.Over < s.GiveUp() && !o.Right.Barred && !s.Pause:
		return wait(NoPermit, soon)
	case o.restarting() && !o.Server.Running && !o.Server.WasPrimary && o.Server.Directory == Data && !o.startFailedLately():
		return do(Restarting, StartStandby{Upstream: o.Server.Upstream}) // it was no different before
	case o.demotedOffline():
		return do(StoreAwayTooLong, StartStandby{}) // for readers (B-158)
	default:
		return keepSlotsAway(o, wait(StoreAway, s.LoopWait))
	}
}

// promotesAlone reports that a promotion needs nothing of the store. In synchronous mode
// the sync key has to be written first, and be what it was: an agent that was restarted
// meanwhile, and has seen no key yet, would have commits wait for nobody (S2).
func (o *Observation) promotesAlone() bool {
	return o.Store.View.Revision > 0 && o.Store.Settings.Synchronous == ""
}

// keepSlotsAway goes on with the slots by the last view, where failsafe mode tells of
// the leader's: they would hold back more and more log (B-090, B-353).
func keepSlotsAway(o Observation, plan Plan) Plan {
	if !o.Store.Settings.Failsafe || o.Server.Directory != Data || o.Store.View.Revision == 0 {
		return plan
	}
	return keepSlots(o, plan)
}

// crashedLeader reports that the primary of the leading member is down.
func (o *Observation) crashedLeader() bool {
	return o.Server.Directory == Data && o.Server.Unfinished == NoWork && !o.Server.Running &&
		o.Server.WasPrimary && !o.startFailedLately()
}

// demotedOffline reports that a primary is down for want of a right to write:
// stopped by this agent, or killed by the guard after it had been frozen for ttl.
func (o *Observation) demotedOffline() bool {
	stopped := o.Last.Work == StoppingServer && o.Last.Purpose == ForDemotion
	given := o.Server.WasPrimary && o.Right.Left == 0 && o.Right.Over >= o.Store.Settings.GiveUp()
	return (stopped || given) && !o.Server.Running && o.Server.Directory == Data && o.Server.Unfinished == NoWork &&
		!o.Store.Settings.Pause && !o.startFailedLately()
}

// startFailedLately reports that the last start failed a moment ago: a server
// that cannot start must not be started in a tight circle.
func (o Observation) startFailedLately() bool {
	if o.restarting() && o.Last.Count <= o.Order.After {
		return false // a person has asked since, and need not wait
	}
	return o.Last.started() && o.Last.Failed && o.Last.Ago < retryPause
}

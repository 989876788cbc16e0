package ha

import "time"

// stopReserve is kept of the grip's last seconds: a fast stop that is not over
// by then ends with a kill, before the lease can have ended.
const stopReserve = time.Second

// guard stops a server that may take writes when the right to is ending (S1).
//
// The right hangs on the lease. It counts from before the last confirmed renewal
// was sent, so it ends here before the store can give the key to somebody else.
// While the cluster is paused the operator has taken over (B-503, B-508).
func guard(o Observation) (Plan, bool) {
	if !o.MayWrite() || o.Store.Settings.Pause {
		return Plan{}, false
	}
	switch o.Leadership() {
	case Theirs: // an answer: not one more instruction
		if foreign(o) {
			return Plan{}, false // another cluster's server is refused, not touched (B-053)
		}
		return do(Overtaken, KillServer{}), true
	case Nobody: // the race decides; a running primary may have it at once
		founded := o.Store.View.Initialize.SystemID() != ""
		if founded && o.Job.Work == NoWork && o.Server.Role == Primary && !o.Server.Answering && !o.Server.Starting {
			// It does not say on which timeline it is, so it cannot take the key, and
			// without the key nothing keeps another member from being promoted.
			return do(GripLost, KillServer{}), true
		}
		return Plan{}, false
	}
	reclaiming := o.Leadership() == Ours && o.Store.View.Leader.Lease != o.Store.LeaseID
	unheard := o.Leadership() == Unknown && o.Store.LeaseID == 0
	if (reclaiming || unheard) && o.Memory.Awake < o.Store.Settings.RetryTimeout {
		return Plan{}, false // a restarted agent hears the store and moves the key to its lease first
	}
	why := GripLost
	if o.Leadership() == Unknown {
		why = StoreAwayTooLong
	}
	switch {
	case o.Store.Grip <= stopReserve:
		return do(why, KillServer{}), true
	case o.firm():
		return Plan{}, false
	case o.Job.Work == NoWork:
		return do(why, Stop{Mode: Fast, For: ForDemotion, Within: o.Store.Grip - stopReserve}), true
	case o.Job.Work == StoppingServer:
		return Plan{}, false // under way; the kill above is its limit
	default: // starting or promoting: nothing there is worth a clean stop
		return do(why, KillServer{}), true
	}
}

// firm reports that the lease holds long enough for a server to begin taking
// writes: guard would stop it at once otherwise.
func (o Observation) firm() bool { return o.Store.Grip > o.Store.Settings.RetryTimeout }

// Patience is how long the pass may wait for the store before guard has to look
// again. Very long where nothing hangs on it.
func (o Observation) Patience() time.Duration {
	if !o.MayWrite() || o.Store.Settings.Pause {
		return Idle
	}
	if o.firm() {
		return o.Store.Grip - o.Store.Settings.RetryTimeout
	}
	return max(o.Store.Grip-stopReserve, 0)
}

// MayWrite reports that the server can be acknowledging commits, or can begin to
// at any moment. A server whose role is not known counts.
func (o Observation) MayWrite() bool {
	switch o.Job.Work {
	case StartingPrimary, Promoting:
		return true
	case Bootstrapping:
		return false // no leader, no clients: the cluster is not there yet
	case StoppingServer:
		if o.Job.Shutdown.LSN != 0 {
			return false // its log is closed; it only drains its archive
		}
	}
	return o.Server.Running && o.Server.Role != Standby
}

// away is what to do while the store is out of reach.
func away(o Observation) Plan {
	s := o.Store.Settings
	switch {
	case o.Server.Running && o.Server.Role != Standby && !s.Pause:
		return wait(StoreAway, max(o.Store.Grip-s.RetryTimeout, soon))
	case o.crashedLeader() && o.firm() && !s.Pause:
		// The lease still holds, so nobody else can lead: writes need not wait
		// for the store.
		return do(CrashRestart, StartPrimary{})
	case o.demotedOffline():
		return do(StoreAwayTooLong, StartStandby{}) // for readers (B-158)
	default:
		return wait(StoreAway, s.LoopWait)
	}
}

// crashedLeader reports that the primary of the leading member is down.
func (o Observation) crashedLeader() bool {
	return o.Server.Directory == Data && o.Server.Unfinished == NoWork && !o.Server.Running &&
		o.Server.WasPrimary && !o.startFailedLately()
}

// demotedOffline reports that this agent stopped its primary because the store
// was away.
func (o Observation) demotedOffline() bool {
	return !o.Server.Running && o.Server.Directory == Data && o.Server.Unfinished == NoWork &&
		o.Last.Work == StoppingServer && o.Last.Purpose == ForDemotion && !o.Store.Settings.Pause
}

// startFailedLately reports that the last start failed a moment ago: a server
// that cannot start must not be started in a tight circle.
func (o Observation) startFailedLately() bool {
	return (o.Last.Work == StartingPrimary || o.Last.Work == StartingStandby) && o.Last.Failed && o.Last.Ago < retryPause
}

package ha

import (
	"slices"
	"time"

	"matriarch/internal/cluster"
)

// Decide says what this node does next. It reads nothing but its argument, so
// equal observations give equal plans.
func Decide(o Observation) Plan {
	if plan, stop := guard(o); stop {
		// Alone: nothing comes before the end of a right, neither a renewal that
		// waits for a silent store, and fails, nor files to be written.
		return plan
	}
	plan := upkeep(o, withSchedule(o, forRestart(o, decide(o))))
	if plan.LookAgain > 0 && o.Right.Leading && o.Right.Unarmed && !o.Store.Settings.Pause {
		plan.LookAgain = min(plan.LookAgain, soon) // the guard is being armed, and the others shall know
	}
	if end := o.Patience(); end > 0 && plan.LookAgain > 0 {
		plan.LookAgain = min(plan.LookAgain, end) // without a guard this is who stops the server
	}
	return plan
}

// decide is the order in which things matter, once guard has made sure that
// whatever takes writes has the right to.
func decide(o Observation) Plan {
	leadership := o.Leadership()
	switch {
	case o.Stopping:
		return end(o)
	case o.Job.Work != NoWork:
		return whileBusy(o, busy(o))
	case o.barredPrimary():
		return do(Barred, Stop{Mode: Immediate, For: ForDemotion}) // B-273
	case !o.Store.Current:
		if plan, ok := restarted(o); ok {
			return plan
		}
		if o.succeeded() {
			return comeBack(o)
		}
		return away(o)
	case o.Store.Settings.StandbyCluster:
		return wait(Unsupported, o.Store.Settings.LoopWait)
	}
	if plan, ok := ordered(o); ok {
		return plan
	}
	switch {
	case o.Server.Directory != Data || o.Server.Unfinished != NoWork:
		return undirected(o)
	case foreign(o):
		return notOurs(o)
	case o.Store.View.Initialize.SystemID() == "" && leadership == Nobody && !o.ledByAnother():
		return uninitialized(o)
	case !o.Server.Running:
		return down(o)
	case leadership == Ours:
		return lead(o)
	case o.Contested():
		return race(o)
	default:
		return follow(o)
	}
}

func do(why Reason, actions ...Action) Plan { return Plan{Why: why, Do: actions} }

func wait(why Reason, d time.Duration) Plan { return Plan{Why: why, LookAgain: d} }

// soon is how long to wait for something that sends no event: a server that is
// starting, a leader that is being promoted, a peer that is catching up.
const soon = 100 * time.Millisecond

// retryPause is how long failed work rests before it is tried again.
const retryPause = 5 * time.Second

// upkeep adds what every pass does besides its decision: the lease, the dynamic
// configuration, this member's own key.
func upkeep(o Observation, plan Plan) Plan {
	if o.hurried() {
		if plan.LookAgain > 0 {
			plan.LookAgain = min(plan.LookAgain, o.Store.Settings.RetryTimeout/2-o.Store.Leaderless) // then the rest is due
		}
		return plan
	}
	if plan.Why == NoPermit && o.awaited() && !o.renewalDue() {
		return plan
	}
	var first, last []Action
	switch {
	case o.renewalDue() && o.urgent(plan) && (o.Store.LeaseID != 0 || !slices.Contains(plan.Do, Action(Acquire{}))):
		last = append(last, Renew{})
	case o.renewalDue():
		first = append(first, Renew{})
	}
	if o.Store.Current && o.Store.View.Config.Valid && o.Store.View.Config.Modified != o.Store.Applied && !foreign(o) {
		first = append(first, ApplyConfig{Document: o.Store.View.Config.Document, Modified: o.Store.View.Config.Modified})
	}
	if o.Store.Current {
		if m := o.member(); o.worthPutting(m) && !o.returning(plan) {
			last = append(last, PutMember{Member: m})
		}
	}
	if n := len(plan.Do); n > 0 {
		if _, quits := plan.Do[n-1].(Quit); quits { // the last word of a member comes before its end
			last, plan.Do = append(last, plan.Do[n-1]), plan.Do[:n-1]
			if !o.Store.Current {
				first = nil // nobody would hear it: a store that stays away must not keep a node from its end
			}
		}
	}
	quiet := len(plan.Do) == 0
	if ask, due := o.askFailsafe(); due {
		first = append([]Action{ask}, first...) // before what waits for a silent store, and fails
	}
	plan.Do = append(append(first, plan.Do...), last...)
	if plan.LookAgain == 0 && quiet {
		plan.LookAgain = o.Store.Settings.LoopWait
	}
	if plan.LookAgain > 0 {
		plan.LookAgain = min(plan.LookAgain, o.nextRenewal())
	}
	return plan
}

// hurried reports that clients wait for this member to take the lead or to leave it
// to another: nothing else may cost time, above all no wait for a store that has
// just lost a member as well. It does not last: a lead that stays open is no reason
// to let one's own key go.
func (o *Observation) hurried() bool {
	return o.Contested() && o.Store.Leaderless < o.Store.Settings.RetryTimeout/2 && o.Server.Running && o.Store.LeaseID != 0 &&
		o.Store.View.Initialize.SystemID() != "" && !o.Stopping
}

// awaited reports that this member has won the lead and is about to be promoted: clients
// wait, and its own key can wait for that.
func (o *Observation) awaited() bool {
	return o.Store.Current && o.Server.Role == Standby && o.Memory.Led < o.Store.Settings.RetryTimeout/2 && o.Store.LeaseID != 0
}

// returning reports one of the short steps on the way back to a leader: its log is read, the
// server is stopped for a repair, a rewind begins. The member's own key waits for the next
// pass. A node whose network is back often finds etcd in an election, which its own member
// brings about, and a write holds each step up until it is given up.
func (o *Observation) returning(p Plan) bool {
	if o.Leadership() != Theirs {
		return false
	}
	if o.Job.Work == StoppingServer {
		return o.Job.Purpose == ForRepair && o.Job.Running < o.Store.Settings.RetryTimeout/2
	}
	return slices.ContainsFunc(p.Do, func(a Action) bool {
		stop, stops := a.(Stop)
		_, reads := a.(ReadLog)
		_, rewinds := a.(Rewind)
		return reads || rewinds || stops && stop.For == ForRepair
	})
}

// urgent reports that the plan has what must not wait for the store: what writers wait
// for, the way back to a leader, for a store that a node has just found again may be
// electing still, and while the store is away the readers of a server that was stopped
// for that, and the slots, which failsafe mode goes on with (B-353).
func (o *Observation) urgent(p Plan) bool {
	return slices.ContainsFunc(p.Do, func(a Action) bool {
		switch a.(type) {
		case Acquire, Release, PrePromote, Promote, StartPrimary, Stop, Rewind:
			return true
		case StartStandby, CreateSlot, DropSlot, AdvanceSlot:
			return !o.Store.Current
		}
		return false
	})
}

// renewPause is the least time between two tries to renew: a store that is away
// must not keep the pass busy with waiting for it.
const renewPause = time.Second

func (o *Observation) renewalDue() bool {
	if o.Store.RenewTry < renewPause || o.succeeded() { // then it would wait for the store's election, and the way back with it
		return false
	}
	return o.Store.LeaseID == 0 || o.Store.LeaseAge >= o.Store.Settings.LoopWait
}

// nextRenewal is how long the pass may rest before the lease wants it again. One that
// renews has the lease in order when it rests: what fails ends the pass, and the agent
// comes back by itself. A store that is silent already is asked again soon, or a lease
// would end for an outage that is over.
func (o *Observation) nextRenewal() time.Duration {
	switch {
	case o.renewalDue() && !o.Store.Silent:
		return o.Store.Settings.LoopWait
	case o.Store.LeaseID == 0:
		return renewPause
	}
	return max(o.Store.Settings.LoopWait-o.Store.LeaseAge, renewPause-o.Store.RenewTry, soon)
}

// foreign reports that the data directory belongs to another cluster than the
// one that the store knows.
func foreign(o Observation) bool {
	id := o.Store.View.Initialize.SystemID()
	return id != "" && cluster.ValidSystemID(o.Server.SystemID) && o.Server.SystemID != id
}

// notOurs refuses a directory of another cluster and does not touch it (B-053).
func notOurs(o Observation) Plan {
	if o.Store.Settings.Pause {
		if o.Leadership() == Ours {
			return do(PausedReleasing, Release{})
		}
		return wait(Paused, o.Store.Settings.LoopWait)
	}
	if o.Leadership() == Ours && o.Server.Running && o.Server.Role != Standby {
		// The identity was changed under a leading primary. Without an agent it
		// must not run on: others will lead (S1).
		return do(NotOurCluster, Stop{Mode: Fast, For: ForDemotion})
	}
	return do(NotOurCluster, Quit{Fault: "the data directory has system identifier " + o.Server.SystemID +
		", but the cluster in the store is " + o.Store.View.Initialize.SystemID() +
		": point data_dir at another directory, or scope at another cluster"})
}

package ha

import (
	"slices"
	"time"

	"matriarch/internal/cluster"
)

// Order is what an operator asked of this node's server: at most one at a time, and
// kept in the agent's memory alone. It is there until its work is over, not only
// until it is answered.
type Order struct {
	Task       Task
	Conditions Conditions
	Timeout    time.Duration // of a restart: for the start; 0: primary_start_timeout
	Force      bool          // of a reinitialisation: other work is broken off for it
	FromLeader bool          // of a reinitialisation: the copy is made from the leader

	Age     time.Duration // since it came
	TakenUp bool          // its work has begun
	Since   time.Duration // since it was taken up
	After   int           // how many works had ended by then
	Told    bool          // who asked has an answer
}

// Task is what is asked for.
type Task int

// The tasks.
const (
	NoTask Task = iota
	ToRestart
	ToReinitialize
)

func (t Task) String() string { return [...]string{"nothing", "restart", "reinitialize"}[t] }

// Conditions are those of a restart; each counts if it is set (B-690).
type Conditions struct {
	Role    cluster.Role
	Below   int // server_version_num must be less
	Pending bool
}

// Schedule is a restart for later, kept like an order. The zero value: none.
type Schedule struct {
	At        time.Time
	Started   time.Time // since when the server ran when it was asked for
	Published []byte    // as the member key shows it
}

// Outcome is what whoever gave the order is told.
type Outcome int

// The outcomes. After Begun and StillStarting the order goes on; the others end it.
const (
	Done Outcome = iota
	Begun
	StillStarting
	StartedInVain
	NotMet       // its conditions
	OtherWork    // is under way
	NoLeaderSeen // so there is nothing to copy
	LeadsItself
	Impossible // nothing was done: this server could not be started again, or not be copied
)

func (o Outcome) String() string {
	return [...]string{"done", "begun", "the server is still starting", "the server could not be started", "the conditions are not met",
		"other work is under way", "there is no leader", "this member leads", "not possible now"}[o]
}

// The actions on orders.
type (
	// TakeUp marks the order as begun.
	TakeUp struct{}

	// Answer tells whoever gave the order. Work is what is under way instead.
	Answer struct {
		Outcome Outcome
		Work    Work
	}

	// OrderScheduled makes an order of the scheduled restart, which is due.
	OrderScheduled struct{}

	// DropSchedule forgets the scheduled restart.
	DropSchedule struct{}
)

func (TakeUp) action()         {}
func (Answer) action()         {}
func (OrderScheduled) action() {}
func (DropSchedule) action()   {}

func say(why Reason, outcome Outcome) (Plan, bool) { return do(why, Answer{Outcome: outcome}), true }

// ordered decides what an operator asked for, while no work is under way. ok is
// false when there is nothing to be done for it now but what is done anyhow.
func ordered(o Observation) (Plan, bool) {
	switch {
	case foreign(o):
		return Plan{}, false
	case o.Order.Task == ToReinitialize:
		return reinitialize(o)
	case o.restarting():
		return restarted(o)
	case o.Order.Task == ToRestart:
		return restart(o)
	}
	return Plan{}, false
}

// restart begins one: a stop, and then what brings a server back that is down
// (B-700 to B-702). A primary keeps the lead meanwhile, and its permit; without one it
// is not stopped, since it could not be started again (S1).
func restart(o Observation) (Plan, bool) {
	switch {
	case o.Server.Directory != Data || o.Server.Unfinished != NoWork:
		return say(RestartRefused, Impossible)
	case !o.meets(o.Order.Conditions):
		return say(RestartRefused, NotMet)
	case !o.Server.Running:
		return do(Restarting, TakeUp{}), true
	case o.Server.Frozen, o.hurried():
		return Plan{}, false // it runs on, or somebody leads, in a moment
	case o.MayWrite() && o.Leadership() != Ours:
		return say(RestartRefused, Impossible)
	case o.MayWrite() && !o.firm():
		return wait(NoPermit, soon), true
	case o.onDuty() && o.Order.Age < 2*o.Store.Settings.LoopWait:
		return wait(Restarting, soon), true
	}
	// What the checkpoint writes while clients still write, the one of the shutdown
	// need not.
	return do(Restarting, Stop{Mode: Fast, For: ForRestart, Checkpoint: o.Server.Answering}, TakeUp{}), true
}

// meets reports that the conditions of a restart are met.
func (o Observation) meets(c Conditions) bool {
	return (c.Role == "" || c.Role == o.Role()) && (c.Below == 0 || o.Server.Version > 0 && o.Server.Version < c.Below) &&
		(!c.Pending || len(o.Server.PendingRestart) > 0)
}

// restarted looks for the end of a restart.
func restarted(o Observation) (Plan, bool) {
	if !o.restarting() {
		return Plan{}, false
	}
	limit, ended := o.startLimit(), o.Last.Count > o.Order.After
	started := ended && o.Last.started()
	overdue := o.Last.Ago >= limit && o.Order.Since >= limit
	switch {
	case started && o.Server.Running && o.Server.Answering:
		return say(Restarted, Done)
	case started && !o.Server.Running && o.Last.Failed,
		ended && !started && o.Server.Running && o.Last.Work == StoppingServer, // it would not stop
		!o.Server.Running && overdue:
		return say(RestartFailed, StartedInVain)
	case o.Server.Running && overdue && !o.Order.Told:
		return say(Restarting, StillStarting)
	}
	return Plan{}, false
}

// restarting reports that the server is being restarted for an operator: it is down,
// if it is, because it was stopped for that, and is started also while paused (B-512).
func (o *Observation) restarting() bool { return o.Order.Task == ToRestart && o.Order.TakenUp }

// startLimit is how long a primary may take to start before the lead is handed over
// (B-032). The zero that asks for a failover instead of a crash restart does not
// speak of restarts that a person asks for.
func (o Observation) startLimit() time.Duration {
	limit := o.Store.Settings.PrimaryStartTimeout
	if o.restarting() && o.Order.Timeout > 0 {
		limit = o.Order.Timeout
	}
	if o.restarting() && limit == 0 {
		limit = cluster.DefaultSettings().PrimaryStartTimeout
	}
	return limit
}

// reinitialize throws the data away and has it copied anew (B-316). The check of S4,
// another member of this cluster running as leader, is made before the server is
// stopped, and again before anything is removed.
func reinitialize(o Observation) (Plan, bool) {
	switch o.Leadership() {
	case Ours:
		return say(ReinitializeRefused, LeadsItself)
	case Nobody, Unknown:
		return say(ReinitializeRefused, NoLeaderSeen)
	}
	leader, _ := o.Store.View.LeaderMember()
	from := upstream(leader, "")
	switch id := o.Store.View.Initialize.SystemID(); {
	case from.Host == "":
		return say(ReinitializeRefused, NoLeaderSeen)
	case o.Log.Leader != from.Member, o.Log.Age > min(o.Order.Age, logFresh):
		return do(Reinitializing, ReadLog{From: from}), true
	case o.Log.Failed, !o.Log.Primary, !cluster.ValidSystemID(id), o.Log.SystemID != id:
		return say(ReinitializeRefused, Impossible)
	case o.Server.Running:
		stop := Stop{Mode: Immediate, For: ForReinitialize, Within: o.Store.Settings.RetryTimeout} // B-315
		return do(Reinitializing, stop, TakeUp{}, Answer{Outcome: Begun}), true
	}
	if !o.Order.FromLeader {
		from = o.copySource()
	}
	return do(Reinitializing, BaseBackup{From: from, Wipe: true, Builtin: o.Order.FromLeader}, Answer{Outcome: Done}), true
}

// whileBusy adds to the decision about work that is under way what becomes of an
// order meanwhile.
func whileBusy(o Observation, plan Plan) Plan {
	order := o.Order
	var tell Answer
	switch rest := o.startLimit() - o.Job.Running; {
	case order.Task == NoTask:
		return plan
	case !order.TakenUp && order.Task == ToReinitialize && order.Force && o.Leadership() == Theirs:
		return do(Reinitializing, CancelJob{}).lookAgainIn(soon)
	case !order.TakenUp:
		tell = Answer{Outcome: OtherWork, Work: o.Job.Work}
	case order.Told || !o.restarting() || !o.Job.starts():
		return plan
	case rest > 0:
		return plan.lookAgainIn(min(rest, plan.LookAgain))
	default:
		tell = Answer{Outcome: StillStarting}
	}
	plan.Do = slices.Concat([]Action{tell}, plan.Do)
	return plan
}

func (p Plan) lookAgainIn(d time.Duration) Plan {
	p.LookAgain = d
	return p
}

// forRestart marks the starts that belong to a restart: who was asked for one, and
// whoever tells others of it, sees by that that it was no other start.
func forRestart(o Observation, plan Plan) Plan {
	if !o.restarting() {
		return plan
	}
	for i, action := range plan.Do {
		switch a := action.(type) {
		case StartPrimary:
			a.For = ForRestart
			plan.Do[i] = a
		case StartStandby:
			a.For = ForRestart
			plan.Do[i] = a
		}
	}
	return plan
}

// withSchedule looks after the restart that is kept for later (B-691): nothing is due in
// pause, without a leader, or while long work is under way. It is dropped when the
// server was restarted meanwhile, and when its time has long passed (B-670).
func withSchedule(o Observation, plan Plan) Plan {
	s := o.Store.Settings
	led := o.Leadership() == Ours || o.Leadership() == Theirs
	if o.Schedule.At.IsZero() || s.Pause || !o.Store.Current || !led || !o.Server.Answering || o.Stopping ||
		o.Job.Work != NoWork || o.Order.Task != NoTask || plan.long() {
		return plan
	}
	switch due := o.Schedule.At.Sub(o.Wall); {
	case !o.Server.Started.Equal(o.Schedule.Started), -due > s.LoopWait*3/2:
		plan.Do = append(plan.Do, DropSchedule{})
	case due > 0:
		if plan.LookAgain > 0 || len(plan.Do) == 0 {
			plan.LookAgain = min(plan.restFor(s), due)
		}
	default:
		plan.Do, plan.LookAgain = append(plan.Do, OrderScheduled{}), 0
	}
	return plan
}

// restFor is how long the plan rests at the latest.
func (p Plan) restFor(s cluster.Settings) time.Duration {
	if p.LookAgain > 0 {
		return p.LookAgain
	}
	return s.LoopWait
}

// long reports that the plan begins long work, or brings the server down.
func (p Plan) long() bool {
	return slices.ContainsFunc(p.Do, func(a Action) bool {
		switch a.(type) {
		case Bootstrap, BaseBackup, Rewind, StartPrimary, StartStandby, Promote, Stop, KillServer, Quit, Release:
			return true
		}
		return false
	})
}

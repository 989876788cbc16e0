package agent

import (
	"slices"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/ha"
	"matriarch/internal/wal"
)

// Failsafe carries failsafe mode's questions and promises (B-540 to B-553). None of
// its calls waits for anything.
type Failsafe interface {
	// Ask asks all the others, API URL by name. answered is called once, when all have
	// answered or had their time.
	Ask(others map[string]string, call cluster.FailsafeCall, answered func([]cluster.FailsafeAnswer))

	// Abstain promises that this node does not take over before. False: it leads, or
	// has asked the store for the lead.
	Abstain(until time.Time) bool

	// Promised says until when no member of Patroni's takes the lead; zero: one of
	// them has not promised it.
	Promised(until time.Time)
}

// carry is what is remembered of failsafe mode. The REST API and the rounds of
// questions change it beside the passes.
type carry struct {
	record cluster.FailsafeRecord
	began  time.Time // of the last round
	asking bool
	denied bool // the last round was, and it was said
}

// observeFailsafe gives the view as failsafe mode has it.
func (a *Agent) observeFailsafe(now time.Time, s ha.Store) (cluster.View, ha.Failsafe) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.carry
	return c.record.Over(s.View, s.Settings, a.cfg.Me.Name, now), ha.Failsafe{Asking: c.asking, Age: since(now, c.began)}
}

// FailsafeActive reports that failsafe mode carries this node's leader (B-552).
func (a *Agent) FailsafeActive() bool {
	now := a.cfg.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.latest.Observation.Right
	stands := r.Leading && r.Left == 0 // what others have accepted does not help it
	return !stands && a.carry.record.Active(a.latest.Observation.Store.Settings, now)
}

// forgetFailsafe ends it for a leader that has the store, or is about to be
// promoted. What Patroni's members have promised to it lasts as long as they said.
func (a *Agent) forgetFailsafe() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.carry.record.Clear()
}

// AcceptFailsafe answers a primary that has lost the store (B-545). Accepted is a
// promise not to race for ttl, so it is refused by a node that leads, can be taking
// writes, or may be about to: each is looked at anew, for the last pass may be over
// for a while. The position is how far this node's log goes; 0: not known.
//
// A caller with a permit does not count on the promise: this node is bound by what it
// acknowledges, and a leader that is lost has to be succeeded at once (L1).
func (a *Agent) AcceptFailsafe(call cluster.FailsafeCall) (wal.LSN, bool) {
	now := a.cfg.Now()
	a.mu.Lock()
	o := a.latest.Observation
	a.mu.Unlock()
	o.Job, _ = a.cfg.Server.Work(now)
	ttl := o.Store.Settings.TTL
	switch {
	case a.cfg.Failsafe == nil, ttl == 0: // no pass has been made
		return 0, false
	case o.MayWrite(), o.Right.Leading, o.Job.Work == ha.Bootstrapping, call.Name == o.Me.Name:
		return 0, false
	case !call.Permit && !a.cfg.Failsafe.Abstain(now.Add(ttl)):
		return 0, false
	}
	a.mu.Lock()
	news := !a.carry.record.Active(o.Store.Settings, now)
	a.carry.record.Heard(call, now)
	a.mu.Unlock()
	if news {
		a.log.Warn("a primary has lost the store, and goes on in failsafe mode: this member does not take over", "leader", call.Name)
	}
	a.Wake()
	return max(o.Server.Received, o.Server.Replayed), true
}

// askFailsafe begins a round. Its end is no matter of this pass.
func (a *Agent) askFailsafe(now time.Time, o ha.Observation, act ha.AskFailsafe) {
	if a.cfg.Failsafe == nil {
		return
	}
	a.mu.Lock()
	a.carry.began, a.carry.asking = now, true
	a.mu.Unlock()
	a.cfg.Failsafe.Ask(act.Others, act.Call, func(answers []cluster.FailsafeAnswer) {
		a.judgeFailsafe(now, o.Store.Settings, act, answers)
		a.Wake()
	})
}

// judgeFailsafe takes the end of a round that was begun at an instant. A promise
// counts from there, for each member counts from when it heard, which was later.
func (a *Agent) judgeFailsafe(began time.Time, s cluster.Settings, ask ha.AskFailsafe, answers []cluster.FailsafeAnswer) {
	needed := ask.Needed
	must := map[string]string{}
	for _, name := range needed {
		must[name] = ""
	}
	positions, granted := cluster.FailsafeGranted(must, answers)
	a.mu.Lock()
	a.carry.asking = false
	held := a.latest.Observation.Right.Left > 0
	leads, was := a.latest.Observation.Right.Leading, a.carry.record.Active(s, began)
	said := a.carry.denied
	a.carry.denied = leads && !granted
	var until time.Time
	switch {
	case !leads: // the record may be another leader's by now
	case granted:
		a.carry.record.Granted(positions, began)
		until = a.carry.record.Until(s)
	default:
		a.carry.record.Clear() // B-548
	}
	a.mu.Unlock()
	if ask.Mixed {
		a.cfg.Failsafe.Promised(until)
	}
	switch {
	case !ask.Mixed && leads && granted && !was && held:
		a.log.Warn("the store is out of reach: failsafe mode")
	case leads && granted && !was:
		a.log.Warn("the store is out of reach, and all members of Patroni's accept that this one goes on leading", "members", needed)
	case leads && !granted && !said:
		a.log.Error("the store is out of reach, and not all members of Patroni's accept that this one goes on leading: the right to write ends with the lease",
			"members", withheld(needed, answers))
	}
}

// withheld are those whose acceptance is needed and did not come.
func withheld(needed []string, answers []cluster.FailsafeAnswer) []string {
	return slices.DeleteFunc(slices.Clone(needed), func(name string) bool {
		return slices.ContainsFunc(answers, func(a cluster.FailsafeAnswer) bool { return a.Member == name && a.Accepted })
	})
}

package sim

import (
	"time"

	"matriarch/internal/dcs"
	"matriarch/internal/permit"
)

// Some holes are open for a moment only: between a request and its answer, or between
// two heartbeats. A fault at a time by lot hardly ever falls into it. So a scene waits
// for a moment in what goes on between the agents and the store, and strikes then.

// moment is a transaction on the electorate key, as it leaves an agent or as it has
// just been applied, before its answer and the watches' news leave the store.
type moment struct {
	applied       bool
	by            *host
	takes         bool // the leader key changes hands
	before, after permit.Electorate
}

// adds reports that a member comes into the electorate by it.
func (m moment) adds() bool {
	for _, name := range m.after.Members {
		if !m.had(name) {
			return true
		}
	}
	return false
}

// had reports whether a member was in the electorate before.
func (m moment) had(name string) bool { return named(m.before.Members, name) }

func named(members []string, name string) bool {
	for _, m := range members {
		if m == name {
			return true
		}
	}
	return false
}

// ambush waits for a moment and strikes once.
type ambush struct {
	fits   func(moment) bool
	strike func(moment)
}

// counted is told of every put of the sync key. Where a standby comes into it by that, the
// next scene that waits for it goes on.
func (w *World) counted() {
	before, after := w.syncKey, w.etcd.snapshot().View().Sync
	w.syncKey = after
	leader := w.host(after.Leader)
	if leader == nil || len(w.countedNext) == 0 {
		return
	}
	for _, name := range after.Standbys {
		if h := w.host(name); h != nil && !before.Includes(name) {
			strike := w.countedNext[0]
			w.countedNext = w.countedNext[1:]
			w.after(0, func() { strike(leader, h) })
			return
		}
	}
}

// observed lets ambushes strike. They do so after what is under way in this instant:
// nothing that was sent in it has arrived by then.
func (w *World) observed(txn dcs.Txn, applied bool, before permit.Electorate) {
	if len(w.ambushes) == 0 {
		return
	}
	m := moment{applied: applied, before: before}
	put := false
	for _, op := range txn.Then {
		switch {
		case op.Key == permit.Key && !op.Delete:
			m.after, put = permit.ParseElectorate(op.Data)
		case op.Key == dcs.KeyLeader:
			m.takes = !op.Delete
		}
	}
	m.takes = m.takes && m.after.Leader != before.Leader
	if m.by = w.host(m.after.Leader); !put || m.by == nil {
		return
	}
	for i, a := range w.ambushes {
		if a.fits(m) {
			w.ambushes = append(w.ambushes[:i:i], w.ambushes[i+1:]...)
			w.after(0, func() { a.strike(m) })
			return
		}
	}
}

// electorate is what the store holds of it.
func (w *World) electorate() permit.Electorate { return permit.Look(w.etcd.snapshot()).Electorate }

// scene is a fault of several steps. When it is over, nothing of it is left.
type scene struct {
	w     *World
	over  bool
	heals []func()
}

func (w *World) scene() *scene { return &scene{w: w} }

// end takes back what the scene has done. Steps that were to come are void.
func (s *scene) end() {
	s.over = true
	for len(s.heals) > 0 { // one may begin what the next one ends
		heal := s.heals[0]
		s.heals = s.heals[1:]
		heal()
	}
}

// until keeps how to take a step back.
func (s *scene) until(heal func()) { s.heals = append(s.heals, heal) }

// after plans a step.
func (s *scene) after(d time.Duration, step func()) {
	s.w.after(d, func() {
		if !s.over {
			step()
		}
	})
}

// await plans a step for a moment.
func (s *scene) await(fits func(moment) bool, strike func(moment)) {
	s.w.ambushes = append(s.w.ambushes, ambush{fits: fits, strike: func(m moment) {
		if !s.over {
			strike(m)
		}
	}})
}

// apart cuts a host off from others: both ways, or one way by lot. The step can be
// taken back before the scene ends.
func (s *scene) apart(h *host, from string, far func(machine int) bool) (heal func()) {
	there, back := true, true
	switch s.w.lot.IntN(4) {
	case 0:
		there = false
	case 1:
		back = false
	}
	s.w.tell("FAULT   %s: cut off from %s, there %v, back %v", h.name, from, there, back)
	m := h.machine
	cut := s.w.cut(func(a, b int) bool { return there && a == m && far(b) || back && b == m && far(a) })
	healed := false
	once := func() {
		if !healed {
			healed = true
			cut()
		}
	}
	s.until(once)
	return once
}

// etcds are the machines that a host has etcd on, beside its own; hosts those of the
// other hosts.
func (s *scene) etcds(h *host) func(int) bool {
	return func(m int) bool { return m != h.machine && s.w.etcdOn(m) != nil }
}

func (s *scene) hosts(h *host) func(int) bool {
	return func(m int) bool { return m != h.machine && s.w.machines[m].host != nil }
}

func (s *scene) only(h *host) func(int) bool { return func(m int) bool { return m == h.machine } }

// awaitCounted plans a step for when a standby comes into the sync key.
func (s *scene) awaitCounted(strike func(leader, standby *host)) {
	s.w.countedNext = append(s.w.countedNext, func(leader, standby *host) {
		if !s.over {
			strike(leader, standby)
		}
	})
}

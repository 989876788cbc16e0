package sim

import (
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
)

// timedTable is what goes wrong where faults wait for their moment.
var timedTable = []fault{
	{name: "a member joins unheard", weight: 12, begin: (*World).joinUnheard},
	{name: "a leader comes back while it is succeeded", weight: 12, begin: (*World).comeBack},
	{name: "the permit grows unheard", weight: 12, begin: (*World).growUnheard},
	{name: "the permit shrinks unheard", weight: 8, begin: (*World).shrinkUnheard},
	{name: "the electorate is emptied", weight: 12, begin: (*World).emptyElectorate},
	{name: "a new leader is not heard by all", weight: 10, begin: (*World).leadUnheard},
	{name: "an answer is lost", weight: 6, begin: (*World).loseAnswer},
	{name: "agent restarts as it takes over", weight: 6, begin: (*World).restartInTakeover},
	{name: "agent killed", weight: 4, begin: (*World).killAgent},
	{name: "agent stopped", weight: 4, begin: (*World).stopAgent},
	{name: "host suspended", weight: 3, begin: (*World).suspendHost},
	{name: "host cut off", weight: 6, begin: (*World).cutHost},
	{name: "links cut", weight: 4, begin: (*World).cutLinks},
	{name: "store cut off", weight: 4, begin: (*World).cutStore},
	{name: "etcd leader changes", weight: 2, begin: (*World).changeLeader},
	{name: "etcd slow", weight: 3, begin: (*World).slowEtcd},
	{name: "network lossy", weight: 2, begin: (*World).lossyNetwork},
	{name: "network slow", weight: 2, begin: (*World).slowNetwork},
	{name: "watch late", weight: 2, begin: (*World).lateWatch},
	{name: "machines busy", weight: 2, begin: (*World).busyMachines},
	{name: "switchover requested", weight: 3, begin: (*World).requestSwitchover},
	{name: "permit changed", weight: 3, begin: (*World).changePermit},
}

// length is the permit's as it is configured.
func (w *World) length() time.Duration {
	s, _ := w.dynamic["permit"].(float64)
	return time.Duration(s * float64(time.Second))
}

// part is a duration by lot, in hundredths of the permit's length.
func (w *World) part(least, most int) time.Duration {
	return w.between(w.length()*time.Duration(least)/100, w.length()*time.Duration(most)/100)
}

// standbys are the hosts whose agents may be restarted by a scene.
func (w *World) standbys() (all []*host) {
	for _, h := range w.hosts {
		if h != w.leader() && h.agent.runs() && h.guard.stopped == 0 {
			all = append(all, h)
		}
	}
	return all
}

// restart ends a host's agent, and begins it again at the end of the scene at the
// latest.
func (s *scene) restart(h *host, after time.Duration, change func()) {
	p := h.agent
	p.kill()
	p.stopping = true
	change()
	start := func() {
		p.stopping = false
		p.begin()
	}
	s.after(after, start)
	s.until(start)
}

// joinUnheard has a member silent until it is out of the electorate, and back again.
// As the put that takes it in is applied, the leader is cut off from the store, and
// from that member: it may succeed now, and the leader has not been told (P3, P5).
func (w *World) joinUnheard() func() {
	all := w.standbys()
	if len(all) == 0 {
		return nil
	}
	h, s := all[w.lot.IntN(len(all))], w.scene()
	w.tell("FAULT %s: is to join unheard", h.name)
	s.restart(h, w.part(170, 400), func() {})
	s.await(func(m moment) bool { return m.applied && !m.takes && m.adds() }, func(m moment) {
		s.apart(m.by, "etcd", s.etcds(m.by))
		for _, name := range m.after.Members {
			if !m.had(name) {
				s.apart(m.by, name, s.only(w.host(name)))
			}
		}
	})
	return s.end
}

// comeBack cuts the leader off until another one has sent a takeover, which a slow
// store keeps waiting. Then it is back, and its heartbeats are (P4).
func (w *World) comeBack() func() {
	leader := w.leader()
	if leader == nil || leader.guard.stopped != 0 {
		return nil
	}
	s := w.scene()
	w.etcdSlow = w.part(20, 150)
	w.tell("FAULT %s: is to come back while it is succeeded, by an etcd that is up to %v late", leader.name, w.etcdSlow)
	s.until(func() { w.etcdSlow = 0 })
	s.apart(leader, "etcd", s.etcds(leader))
	back := s.apart(leader, "the others", s.hosts(leader))
	s.await(func(m moment) bool { return !m.applied && m.takes && m.by != leader }, func(moment) {
		s.after(w.upTo(w.etcdSlow/2), func() {
			w.tell("FAULT   %s: is back", leader.name)
			back()
		})
	})
	return s.end
}

// growUnheard makes the permit longer. As the leader has learnt of it, and asks to
// write it into the electorate, it is cut off from the store and from one of those who
// wait for the shorter one (P9).
func (w *World) growUnheard() func() {
	lengths := []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second}
	length := lengths[w.lot.IntN(len(lengths))]
	if length <= w.length() || !w.etcd.works() || w.systemID == "" {
		return w.setPermit(300 * time.Millisecond)
	}
	s := w.scene()
	w.tell("FAULT the permit is to grow unheard")
	s.await(func(m moment) bool { return !m.applied && !m.takes && m.after.Permit > m.before.Permit }, func(m moment) {
		s.apart(m.by, "etcd", s.etcds(m.by))
		if n := len(m.before.Members); n > 0 {
			name := m.before.Members[w.lot.IntN(n)]
			s.apart(m.by, name, s.only(w.host(name)))
		}
	})
	w.setPermit(length)
	return s.end
}

// shrinkUnheard makes a long permit short, and cuts the leader off soon after the others
// have heard the short one: they have to wait for the long one (P9).
func (w *World) shrinkUnheard() func() {
	leader := w.leader()
	if w.length() < time.Second || leader == nil {
		return w.setPermit(2 * time.Second)
	}
	s := w.scene()
	w.tell("FAULT the permit is to shrink unheard")
	w.setPermit(300 * time.Millisecond)
	s.after(w.upTo(300*time.Millisecond), func() {
		s.apart(leader, "etcd", s.etcds(leader))
		s.apart(leader, "the others", s.hosts(leader))
	})
	return s.end
}

// emptyElectorate has a person tag all standbys so that nobody may succeed, and take
// the tags back, one after the other. As the leader asks to take the first one in, it
// is cut off from the store: anyone may succeed until that is applied, and it never
// is (P6).
func (w *World) emptyElectorate() func() {
	all := w.standbys()
	if len(all) < 2 || len(all) < len(w.hosts)-1 || w.set.NoFail != "" {
		return nil
	}
	s := w.scene()
	w.tell("FAULT nobody is to succeed for a while")
	tagged := func(h *host, nofailover bool) func() {
		return func() {
			if h.tags = (cluster.Tags{}); nofailover {
				h.tags["nofailover"] = true
			}
		}
	}
	for _, h := range all {
		s.restart(h, w.upTo(50*time.Millisecond), tagged(h, true))
		s.until(func() {
			if h.tags.Nofailover() {
				s.restart(h, 0, tagged(h, false))
			}
		})
	}
	s.await(func(m moment) bool { return m.applied && !m.takes && len(m.after.Members) == 0 }, func(m moment) {
		d := w.part(20, 150)
		for _, h := range all {
			s.after(d, func() { s.restart(h, 0, tagged(h, false)) })
			d += w.part(5, 150)
		}
		s.await(func(m moment) bool { return !m.applied && !m.takes && m.adds() && len(m.before.Members) == 0 }, func(m moment) {
			s.apart(m.by, "etcd", s.etcds(m.by))
		})
	})
	return s.end
}

// leadUnheard asks for a switchover, and cuts the new leader off from the store and from
// one of its electorate as soon as it leads (P8).
func (w *World) leadUnheard() func() {
	s := w.scene()
	w.tell("FAULT the next leader is not to be heard by all")
	s.await(func(m moment) bool { return m.takes && m.applied && len(m.after.Members) > 0 }, func(m moment) {
		name := m.after.Members[w.lot.IntN(len(m.after.Members))]
		s.apart(m.by, name, s.only(w.host(name)))
		s.after(w.upTo(60*time.Millisecond), func() { s.apart(m.by, "etcd", s.etcds(m.by)) })
	})
	w.requestSwitchover()
	return s.end
}

// loseAnswer cuts one off from the store as what it has asked for is applied.
func (w *World) loseAnswer() func() {
	s := w.scene()
	takes := w.chance(2)
	w.tell("FAULT the answer to the next put is to be lost, a takeover's %v", takes)
	s.await(func(m moment) bool { return m.applied && m.takes == takes }, func(m moment) {
		back := s.apart(m.by, "etcd", s.etcds(m.by))
		s.after(w.part(10, 300), back)
	})
	return s.end
}

// restartInTakeover kills an agent as its takeover leaves it, or as it is applied.
func (w *World) restartInTakeover() func() {
	s := w.scene()
	applied := w.chance(2)
	w.tell("FAULT the next to take over is to restart, its takeover applied %v", applied)
	s.await(func(m moment) bool { return m.takes && m.applied == applied && m.by.guard.stopped == 0 }, func(m moment) {
		w.tell("FAULT   %s: agent killed", m.by.name)
		s.restart(m.by, w.part(0, 100), func() {})
	})
	return s.end
}

// setPermit writes another length into the configuration.
func (w *World) setPermit(length time.Duration) func() {
	if !w.etcd.works() || w.systemID == "" {
		return nil
	}
	w.tell("FAULT the permit is to be %v", length)
	w.permit = min(w.permit, length)
	w.longest = max(w.longest, length)
	w.dynamic["permit"] = length.Seconds()
	_, _ = w.etcd.apply(dcs.Txn{Then: []dcs.Op{{Key: dcs.KeyConfig, Data: cluster.EncodeJSON(w.dynamic)}}}, 0)
	return nil
}

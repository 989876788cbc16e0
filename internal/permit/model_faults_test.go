package permit

import (
	"bytes"
	"time"

	"matriarch/internal/dcs"
)

// store is linearizable: what arrives is applied at once.
type store struct {
	w        *world
	revision int64
	values   map[string]dcs.Value
	owner    string           // whose lease the leader key hangs on
	leases   map[string]int64 // until, real
	seen     View
	seenAt   int64
}

func (s *store) expire() {
	if _, ok := s.values[dcs.KeyLeader]; ok && s.w.now > s.leases[s.owner] {
		s.w.log("the leader key's lease ends")
		s.remove(dcs.KeyLeader)
	}
}

func (s *store) remove(key string) {
	delete(s.values, key)
	s.revision++
	s.watched()
}

func (s *store) view() View {
	s.expire()
	if s.seenAt != s.revision {
		s.seen, s.seenAt = Look(dcs.Snapshot{Revision: s.revision, Values: s.values}), s.revision
	}
	return s.seen
}

func (s *store) apply(from string, txn dcs.Txn) (Answer, int64) {
	return s.applyUnder(from, from, txn)
}

func (s *store) applyUnder(from, lease string, txn dcs.Txn) (Answer, int64) {
	s.expire()
	for _, c := range txn.If {
		v, there := s.values[c.Key]
		holds := v.Modified == c.Modified
		if c.Absent {
			holds = !there
		} else if c.Equals != nil {
			holds = bytes.Equal(v.Data, c.Equals)
		}
		if !holds {
			return No, 0
		}
	}
	s.revision++
	for _, op := range txn.Then {
		if op.Delete {
			delete(s.values, op.Key)
			continue
		}
		if op.Leased {
			if before, ok := s.values[dcs.KeyLeader]; ok && string(before.Data) == from {
				s.w.moves++
			} else {
				s.w.takeovers++
			}
			if s.owner = lease; lease == from {
				s.leases[from] = s.w.now + int64(s.w.ttl)
			}
		}
		value := dcs.Value{Data: op.Data, Modified: s.revision}
		if op.Leased {
			value.Lease = 1
		}
		s.values[op.Key] = value
	}
	s.w.log("store: %d by %s: leader %s, electorate %s", s.revision, from, s.values[dcs.KeyLeader].Data, s.values[Key].Data)
	s.watched()
	return Yes, s.revision
}

// watched tells every mirror.
func (s *store) watched() {
	v := s.view()
	if s.w.drivers != nil {
		s.w.drivers.watched()
		return
	}
	for _, h := range s.w.hosts {
		s.w.send("store", h.name, 0, func() { h.node.See(v, s.w.clock(h)) })
	}
}

// fault befalls a host, and the next one is drawn.
func (w *world) fault(h *host) {
	if w.calm {
		return
	}
	w.after(300*time.Millisecond+w.upTo(4*time.Second), func() { w.fault(h) })
	if w.dry && w.rnd.IntN(2) == 0 {
		until := w.now + int64(w.upTo(8*time.Second))
		w.cut[[2]string{h.name, "store"}], w.cut[[2]string{"store", h.name}] = until, until
		w.log("%s and store are cut off from each other", h.name)
		return
	}
	switch n := w.rnd.IntN(100); {
	case n < 30:
		h.stalled = w.now + int64(w.upTo(3*w.length))
		w.log("%s stalls", h.name)
	case n < 65:
		w.cutOff(h)
	case n < 85:
		adopt := h.hasKept && w.rnd.IntN(4) > 0
		w.log("%s: the agent restarts, adopts %v", h.name, adopt)
		h.stalled = 0
		w.start(h, adopt)
	case n < 92:
		w.log("%s reboots", h.name)
		h.promoted, h.hasKept, h.deadline = false, false, 0
		h.booted, h.stalled = w.now, 0
		if w.drivers != nil {
			h.record = 0 // the guard had it
		}
		w.start(h, false)
	default:
		w.release(h)
	}
}

// cutOff cuts some of a host's links, one way or both.
func (w *world) cutOff(h *host) {
	ends := []string{"store"}
	for _, o := range w.hosts {
		ends = append(ends, o.name)
	}
	spared := 4
	if w.dry {
		spared = 8
	}
	for _, end := range ends {
		if end == h.name || w.rnd.IntN(10) < spared {
			continue
		}
		until := w.now + int64(w.upTo(5*time.Second))
		if w.rnd.IntN(10) < 8 {
			w.cut[[2]string{h.name, end}] = until
			w.log("%s is cut off from %s", end, h.name)
		}
		if w.rnd.IntN(10) < 8 {
			w.cut[[2]string{end, h.name}] = until
			w.log("%s is cut off from %s", h.name, end)
		}
	}
}

// release: the server is stopped, then the leader gives up.
func (w *world) release(h *host) {
	if w.drivers != nil {
		w.drivers.release(h)
		return
	}
	if _, leads := h.node.Leading(); !leads || w.now < h.stalled {
		return
	}
	h.promoted, h.hasKept, h.deadline = false, false, 0
	w.releases++
	w.log("%s gives up", h.name)
	txn, ok := h.node.Release(w.clock(h))
	if !ok {
		return
	}
	life := h.life
	w.send(h.name, "store", 0, func() {
		answer, revision := w.store.apply(h.name, txn.Txn)
		w.send("store", h.name, life, func() { h.node.Answered(txn.ID, answer, revision, w.clock(h)) })
	})
}

// reconfigure changes the permit's length; the hosts hear of it one by one.
func (w *world) reconfigure() {
	if w.calm {
		return
	}
	w.after(w.upTo(12*time.Second), w.reconfigure)
	lengths := []time.Duration{Shortest, 500 * time.Millisecond, Default, 2 * time.Second}
	w.length = lengths[w.rnd.IntN(len(lengths))]
	w.longer = max(w.longer, w.length)
	w.latency(w.length)
	w.log("the permit's length is to be %v", w.length)
	length := w.length
	for _, h := range w.hosts {
		w.after(w.upTo(time.Second), func() {
			h.length = length
			w.setLength(h)
		})
	}
}

func (w *world) setLength(h *host) {
	if h.node != nil {
		h.node.SetLength(h.length)
	}
}

// heal ends all faults.
func (w *world) heal() {
	w.calm = true
	for _, h := range w.hosts {
		w.run(max(w.now, h.stalled)) // wakes as it would have
	}
	w.era++
	clear(w.cut)
	for _, h := range w.hosts {
		h.length = w.length
		w.want(h)
		w.setLength(h)
	}
	w.log("faults have ended")
}

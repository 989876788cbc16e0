package permit

import (
	"slices"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/dcs"
)

// patroni is a member of Patroni's: it takes the leader key the moment it is absent,
// and its server takes writes for as long as its lease runs, by its own clock.
type patroni struct {
	listed boottime.Instant // when our members were first seen to know of it; 0: not yet
	races  bool
	held   int64 // the lease under which it leads
	seen   View
	gaveUp int64 // the newest term that it has released
	asked  bool  // an answer is awaited
}

// slack is how long before the end of the lease Patroni stops its server: it gives
// up after loop_wait and retry_timeout, of which ttl has room for two.
func (m *manned) slack() time.Duration { return m.w.ttl / 6 }

// change makes the host a member of Patroni's, or ours again.
func (ds *drivers) change(h *host) {
	w, m := ds.w, ds.of[h]
	h.life++
	w.changes++
	if m.patroni == nil {
		w.log("%s becomes Patroni's", h.name)
		h.promoted, h.hasKept, h.deadline, h.record, h.orphan = false, false, 0, 0, false // stopped with its guard
		m = &manned{drivers: ds, h: h, patroni: &patroni{}}
		ds.of[h], h.node = m, nil
		ds.listed = append(ds.listed, h.name)
		w.store.revision++
		ds.watched()
		m.renew()
		m.raceOrWait()
		return
	}
	// The server runs on, and is stopped at the end of Patroni's lease unless our
	// agent has come to its leader key by then.
	w.log("%s becomes ours, its server promoted: %v", h.name, h.promoted)
	ds.listed = slices.DeleteFunc(ds.listed, func(name string) bool { return name == h.name })
	m.patroni = nil
	h.hasKept, h.orphan = false, h.promoted
	w.store.revision++
	ds.watched()
	ds.start(h, false)
}

// raceOrWait is Patroni's loop. A new member copies its data from the leader first,
// which takes longer than it takes ours to hear of it: that they have is awaited.
func (m *manned) raceOrWait() {
	p := m.patroni
	m.later(m.w.ttl/6, m.raceOrWait)
	if !p.races {
		switch now := m.clock(); {
		case !m.known():
			p.listed = 0
		case p.listed == 0:
			p.listed = now
		case now > p.listed.Add(2*m.w.longer):
			p.races = true
			m.w.log("%s joins", m.h.name)
		}
	}
	p.askAll(m)
	m.ask(func() func() {
		see := m.shown()
		return func() { p.see(m, see()) }
	})
}

// known reports whether whoever of ours leads knows of Patroni's members, and a
// restart would.
func (m *manned) known() bool {
	for _, h := range m.w.hosts {
		o := m.of[h]
		if o.d == nil {
			continue
		}
		if s := o.d.State(o.clock()); !s.Mixed || s.Leading && !o.d.record.mixed || h.hasKept && !h.kept.Mixed && h.kept.Revision > 0 {
			return false
		}
	}
	return true
}

// see takes what the store shows.
func (p *patroni) see(m *manned, s Sight) {
	if p == nil || s.View.At < p.seen.At {
		return
	}
	p.seen = s.View
	h := m.h
	switch v := s.View; {
	case v.Leader == h.name && v.Term <= p.gaveUp:
		p.drop(m)
	case v.Leader == h.name && s.LeaderLease == m.lease && m.clock() < m.leaseEnd:
		p.lead(m)
	case v.Leader != "" && h.promoted && v.Leader != h.name:
		h.promoted = false // demotes
	case v.Leader == "" && p.races && !p.asked && m.lease != 0 && m.mayRace():
		p.take(m)
	}
}

func (p *patroni) take(m *manned) {
	p.asked = true
	lease := m.lease
	txn := dcs.Txn{
		If:   []dcs.Condition{{Key: dcs.KeyLeader, Absent: true}},
		Then: []dcs.Op{{Key: dcs.KeyLeader, Data: []byte(m.h.name), Leased: true}},
	}
	m.ask(func() func() {
		answer, term := m.commit(lease, txn)
		return func() {
			if answer == Yes && m.lease == lease && term > p.gaveUp {
				p.lead(m)
			}
		}
	})
	m.later(m.w.ttl/6, func() { p.asked = false })
}

func (p *patroni) lead(m *manned) {
	h := m.h
	if end := m.leaseEnd.Add(-m.slack()); !h.promoted && m.clock() < end {
		h.promoted, p.held, h.deadline = true, m.lease, end
		m.w.patronis++
		m.w.log("%s is promoted by Patroni", h.name)
		m.w.check()
	}
}

func (p *patroni) renewed(m *manned) {
	h := m.h
	switch {
	case !h.promoted:
	case p.held != m.lease || m.clock() >= h.deadline:
		h.promoted = false // it has lost the key, or given up before
	default:
		h.deadline = max(h.deadline, m.leaseEnd.Add(-m.slack()))
		m.w.check()
	}
}

// release is a clean stop: the server first.
func (p *patroni) release(m *manned) {
	h := m.h
	if !h.promoted || m.w.now < h.stalled {
		return
	}
	h.promoted = false
	m.w.log("%s is stopped by Patroni", h.name)
	p.gaveUp = p.seen.Term
	p.drop(m)
}

// drop deletes the leader key, again and again until it is seen to be gone.
func (p *patroni) drop(m *manned) {
	txn := dcs.Txn{
		If:   []dcs.Condition{{Key: dcs.KeyLeader, Modified: p.seen.Term}},
		Then: []dcs.Op{{Key: dcs.KeyLeader, Delete: true}},
	}
	m.ask(func() func() { m.commit(0, txn); return func() {} })
}

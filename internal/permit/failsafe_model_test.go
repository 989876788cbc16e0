package permit

import (
	"slices"
	"time"
)

// Failsafe mode in the model: leaders of ours ask Patroni's members, and leaders of
// Patroni's ask everybody, by lot, whether the store is silent or not. What was
// accepted is remembered over a restart: Patroni's agent does not start without the
// store, and then asks all members for a living primary before it races.

// round asks hosts, and ends when all have accepted or after a while.
func (m *manned) round(whom []string, accept func(o *manned) bool, ended func(all bool)) {
	left, over := len(whom), false
	end := func(all bool) {
		if !over {
			over = true
			ended(all)
		}
	}
	life := m.h.life
	for _, name := range whom {
		o := m.w.host(name)
		m.w.send(m.h.name, name, 0, func() {
			accepted := accept(m.of[o])
			m.w.send(name, m.h.name, life, func() {
				if left--; !accepted {
					end(false)
				} else if left == 0 {
					end(true)
				}
			})
		})
	}
	m.later(m.w.ttl/3, func() { end(false) })
}

// askPatronis is a round of a leader of ours.
func (m *manned) askPatronis() {
	whom := slices.DeleteFunc(slices.Clone(m.listed), func(name string) bool { return name == m.h.name })
	s := m.d.State(m.clock())
	if m.asking || !s.Leading || !s.Mixed || len(whom) == 0 || !m.w.calm && m.w.rnd.IntN(3) > 0 {
		return
	}
	m.asking = true
	began := m.clock()
	m.round(whom, (*manned).accept, func(all bool) {
		m.asking = false
		if !all {
			m.d.Promised(0, m.clock())
			return
		}
		m.d.Promised(began.Add(m.w.ttl), m.clock())
		if p := m.d.permit(); p > m.d.mix.end.Add(-leaseMargin) && p > m.clock() {
			m.w.carried++
			m.w.log("%s goes on by a promise", m.h.name)
		}
	})
}

// accept is a member's answer: not to take the leader key for ttl, by its own clock.
func (m *manned) accept() bool {
	until := m.clock().Add(m.w.ttl)
	if m.d != nil {
		if !m.d.Abstain(until, m.clock()) {
			return false
		}
	} else if m.h.promoted {
		return false
	}
	m.h.abstains = max(m.h.abstains, m.h.real(until))
	return true
}

// askAll is a round of a leader of Patroni's: it goes on without its lease.
func (p *patroni) askAll(m *manned) {
	h := m.h
	if m.asking || !h.promoted || m.clock() >= h.deadline || !m.w.calm && m.w.rnd.IntN(3) > 0 {
		return
	}
	var whom []string
	for _, o := range m.w.hosts {
		if o != h {
			whom = append(whom, o.name)
		}
	}
	m.asking = true
	began, term := m.clock(), p.seen.Term
	m.round(whom, (*manned).accept, func(all bool) {
		m.asking = false
		end := began.Add(m.w.ttl - m.slack())
		if all && m.patroni == p && h.promoted && m.clock() < h.deadline && term == p.seen.Term && end > h.deadline {
			h.deadline = end
			m.w.carried++
			m.w.log("%s goes on in failsafe mode", h.name)
			m.w.check()
		}
	})
}

// mayRace reports that this host has promised nobody to wait.
func (m *manned) mayRace() bool { return m.w.now >= m.h.abstains }

// abstainAgain gives a restarted agent what it has promised before.
func (m *manned) abstainAgain() {
	if left := time.Duration(m.h.abstains - m.w.now); left > 0 {
		m.d.abstains = m.clock().Add(left + left/100)
	}
}

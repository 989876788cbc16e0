package permit

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/dcs"
)

// drivers are the hosts of a world whose nodes are led by Drivers, with leases as the
// store grants them; and hosts of Patroni's, which race by the lease alone.
type drivers struct {
	w       *world
	of      map[*host]*manned
	granted int64
	listed  []string // Patroni's members in the store
}

// manned is the agent of a host: ours, or Patroni's.
type manned struct {
	*drivers
	h *host
	d *Driver // nil: Patroni's

	lease    int64 // as this agent knows it
	leaseEnd boottime.Instant
	next     int64 // real, of the next tick
	pass     bool  // one is on its way
	asking   bool  // a failsafe round is under way

	patroni *patroni
}

func (m *manned) clock() boottime.Instant { return m.w.clock(m.h) }

// later does something in this life of the agent.
func (m *manned) later(d time.Duration, do func()) {
	life := m.h.life
	m.w.after(d, func() { m.w.arrive(m.h.name, life, do) })
}

// ask sends a request to the store; answer gets back what it says, if it does.
func (m *manned) ask(at func() func()) {
	life := m.h.life
	m.w.send(m.h.name, "store", 0, func() {
		answer := at()
		m.w.send("store", m.h.name, life, answer)
	})
}

// start begins a life of our agent.
func (ds *drivers) start(h *host, adopt bool) {
	m := ds.of[h]
	if m != nil && m.patroni != nil {
		m.leaseEnd, m.patroni.asked, m.patroni.listed = 0, false, 0 // the host's clock may be another
		m.renew()
		m.raceOrWait()
		return
	}
	m = &manned{drivers: ds, h: h}
	ds.of[h] = m
	o := Options{Me: h.name, Length: h.length, TTL: ds.w.ttl, Hands: m}
	if h.records {
		o.Term, o.SaveTerm = h.record, m.saveTerm
	}
	m.d = NewDriver(o, m.clock())
	h.node = m.d.node
	ds.w.want(h)
	if adopt {
		kept := h.kept
		if ds.w.rnd.IntN(2) == 0 {
			kept = Kept{Term: kept.Term}
		}
		ds.w.adoptions++
		ds.w.log("%s adopts %+v", h.name, kept)
		m.d.Adopt(kept, h.deadline, m.clock())
	}
	m.abstainAgain()
	m.renew()
	m.decide()
}

func (m *manned) saveTerm(term int64) error {
	if m.fails() {
		return errors.New("no guard")
	}
	m.h.record = term
	return nil
}

func (m *manned) fails() bool { return !m.w.calm && m.w.rnd.IntN(20) == 0 }

// The hands.

func (m *manned) Send(member string, hb Heartbeat) {
	o := m.of[m.w.host(member)]
	life := m.h.life
	m.w.send(m.h.name, member, 0, func() {
		if o := m.of[o.h]; o.d != nil {
			ack := o.d.Heartbeat(hb, o.clock())
			m.w.send(member, m.h.name, life, func() { m.d.Acked(ack, m.clock()) })
		}
	})
}

func (m *manned) Commit(w Write) {
	lease, answered := m.lease, false
	say := func(a Answer, revision int64) {
		if !answered {
			answered = true
			m.d.Answered(w.ID, a, revision, m.clock())
		}
	}
	m.ask(func() func() {
		answer, revision := m.commit(lease, w.Txn)
		return func() { say(answer, revision) }
	})
	m.later(m.h.length/2, func() { say(Unknown, 0) })
}

// commit is the store's part.
func (m *manned) commit(lease int64, txn dcs.Txn) (Answer, int64) {
	leased := slices.ContainsFunc(txn.Then, func(op dcs.Op) bool { return op.Leased })
	if leased && !m.alive(lease) {
		return No, 0
	}
	return m.w.store.applyUnder(m.h.name, strconv.FormatInt(lease, 10), txn)
}

func (ds *drivers) alive(lease int64) bool {
	return ds.w.now <= ds.w.store.leases[strconv.FormatInt(lease, 10)]
}

func (m *manned) Read() {
	answered := false
	m.ask(func() func() {
		see := m.shown()
		return func() {
			if !answered {
				answered = true
				s := see()
				m.d.See(s, m.clock())
				m.d.Learned(s.View, m.clock())
			}
		}
	})
	m.later(time.Second, func() {
		if !answered {
			answered = true
			m.d.ReadFailed(m.clock())
		}
	})
}

func (m *manned) Keep(k Kept, leading bool) error {
	if m.fails() {
		return errors.New("no guard")
	}
	m.h.kept, m.h.hasKept = k, leading
	return nil
}

// Deadline: the worst guard keeps to what it was told before.
func (m *manned) Deadline(until boottime.Instant) {
	if m.h.orphan {
		m.h.orphan, m.h.deadline = false, 0
	}
	if until > m.h.deadline {
		m.h.deadline = until
		m.w.check()
	}
}

func (m *manned) Changed() { m.wake() }

// shown is what the store shows now, for when it arrives.
func (m *manned) shown() func() Sight {
	v := m.w.store.view()
	owner, _ := strconv.ParseInt(m.w.store.owner, 10, 64)
	if v.Leader == "" {
		owner = 0
	}
	mixed := len(m.listed) > 0 && !slices.Equal(m.listed, []string{m.h.name})
	return func() Sight {
		return Sight{View: v, Current: true, Lease: m.lease, LeaseEnd: m.leaseEnd, LeaderLease: owner, Mixed: mixed}
	}
}

// watched tells every mirror.
func (ds *drivers) watched() {
	for _, h := range ds.w.hosts {
		m := ds.of[h]
		if m == nil {
			continue
		}
		see := m.shown()
		ds.w.send("store", h.name, 0, func() {
			switch m := ds.of[h]; {
			case m.d != nil:
				s := see()
				s.Lease, s.LeaseEnd = m.lease, m.leaseEnd
				m.d.See(s, m.clock())
			default:
				m.patroni.see(m, see())
			}
		})
	}
}

// renew keeps the lease; at times a new one is asked for, as when the ttl changes.
func (m *manned) renew() {
	m.later(m.w.ttl/4, m.renew)
	sent, lease := m.clock(), m.lease
	fresh := !m.w.calm && m.w.rnd.IntN(30) == 0
	m.ask(func() func() {
		m.w.store.expire()
		if lease == 0 || fresh || !m.alive(lease) {
			m.granted++
			lease = m.granted
		}
		m.w.store.leases[strconv.FormatInt(lease, 10)] = m.w.now + int64(m.w.ttl)
		see := m.shown()
		return func() {
			if lease < m.lease {
				return
			}
			m.lease, m.leaseEnd = lease, sent.Add(m.w.ttl)
			if m.d != nil {
				m.d.See(see(), m.clock())
			} else {
				m.patroni.renewed(m)
				m.patroni.see(m, see())
			}
		}
	})
}

// wake makes a pass soon.
func (m *manned) wake() {
	if !m.pass {
		m.pass = true
		m.later(time.Millisecond+m.w.upTo(10*time.Millisecond), m.decide)
	}
}

// decide is a pass of our agent.
func (m *manned) decide() {
	m.pass = false
	if m.d == nil {
		return
	}
	if s := m.d.State(m.clock()); s.Free && !s.Leading && (m.w.calm || m.w.rnd.IntN(4) > 0) {
		m.d.Stand(s.Key, m.clock())
	}
	m.d.Passed(m.clock())
	m.askPatronis()
	m.later(m.w.ttl/6, m.wake)
}

// settle follows every event of a host.
func (ds *drivers) settle(h *host) {
	m := ds.of[h]
	if m.d == nil {
		return
	}
	now := m.clock()
	switch s := m.d.State(now); {
	case !s.Leading && now >= h.deadline:
		h.promoted, h.orphan = false, false // killed while frozen
	case s.Leading && s.MayPromote && !h.promoted:
		h.promoted = true
		ds.w.promotions++
		ds.w.log("%s is promoted in term %d", h.name, s.Term)
		ds.w.check()
	}
	m.tick()
}

// tick arms the next one.
func (m *manned) tick() {
	at := m.h.real(m.d.Tick(m.clock())) + int64(time.Microsecond) // the clocks' rounding
	if m.next > m.w.now && m.next <= at {
		return
	}
	m.next = at
	m.later(time.Duration(at-m.w.now), func() {
		if m.next == at {
			m.next = 0
		}
	})
}

func (ds *drivers) release(h *host) {
	w := ds.w
	if w.patroni && w.rnd.IntN(2) == 0 {
		ds.change(h)
		return
	}
	m := ds.of[h]
	if m.patroni != nil {
		m.patroni.release(m)
		return
	}
	if !m.d.State(m.clock()).Leading || w.now < h.stalled {
		return
	}
	h.promoted, h.deadline = false, 0
	w.releases++
	w.log("%s gives up", h.name)
	m.d.Release(nil, m.clock())
	ds.settle(h)
}

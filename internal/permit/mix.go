package permit

import (
	"slices"
	"time"

	"matriarch/internal/boottime"
)

// leaseMargin is how long before the end of the lease the permit ends, when a member
// of Patroni's may take the leader key as soon as it is gone: it covers clocks that
// run at different rates (2,200 ppm of 30 s are 66 ms) and the time until the last
// process of the server stands still.
const leaseMargin = 500 * time.Millisecond

// mix is what is known of Patroni's members, who race by the lease alone, and of the
// lease that the leader key hangs on.
type mix struct {
	mixed  bool
	others map[string]bool // members that said so in their last acknowledgement
	lease  int64           // of the leader key, while it is ours
	end    boottime.Instant
	away   bool // the mirror is not current: others know better

	promised boottime.Instant // until then Patroni's members have promised not to race; 0: not
}

// see takes the mirror's word. Patroni's member is forgotten only while the leader
// key is safe on our lease: one that is not listed after an outage of the store may
// be there again before the leader key is.
func (m *mix) see(me string, s Sight) {
	m.away = !s.Current
	ours := s.View.Leader == me && s.LeaderLease != 0
	if s.Mixed || s.Current && (ours && s.LeaderLease == s.Lease || !ours && s.View.Leader != "") {
		m.mixed = s.Mixed
	}
	switch {
	case !ours:
		m.lease, m.end = 0, 0
	case s.LeaderLease == s.Lease:
		m.lease, m.end = s.Lease, s.LeaseEnd
	case m.lease == 0:
		m.lease = s.LeaderLease // of an earlier life of the agent
	case m.lease != s.LeaderLease:
		m.lease, m.end = s.LeaderLease, 0
	}
}

func (m *mix) acked(ack Ack) {
	if m.others == nil {
		m.others = map[string]bool{}
	}
	m.others[ack.Member] = ack.Mixed
}

// adopt goes by the record until the mirror is seen; one that says nothing might
// have left Patroni's members out. The guard's deadline was within the lease.
func (m *mix) adopt(k Kept, deadline boottime.Instant, sighted bool) {
	m.end = later(m.end, deadline.Add(leaseMargin))
	if !sighted {
		m.mixed, m.away = k.Mixed || k.Revision == 0, true
	}
}

// mixed reports whether the permit ends with the lease.
func (d *Driver) mixed() bool {
	if d.mix.mixed {
		return true
	}
	h := d.node.holder
	if !d.mix.away || h == nil {
		return false
	}
	// The word of a member that need not acknowledge is of long ago: it may have become
	// Patroni's itself, and have left.
	return slices.ContainsFunc(h.demanded(), func(m string) bool { return d.mix.others[m] })
}

// permit is by when the server must have stopped taking writes.
func (d *Driver) permit() boottime.Instant {
	p := d.node.Permit()
	if p == 0 || !d.mixed() {
		return p
	}
	return max(min(p, d.mix.safe()), 0)
}

// safe is the instant until which no member of Patroni's can have taken the leader
// key: the lease runs, or all have promised in failsafe mode.
func (m *mix) safe() boottime.Instant { return later(m.end, m.promised).Add(-leaseMargin) }

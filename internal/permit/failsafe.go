package permit

import (
	"matriarch/internal/boottime"
)

// Failsafe mode is Patroni's word for what peers are here: a leader goes on without
// the store if all members accept that. With members of Patroni's in the scope both
// sides of it count, for they know of no electorate.

// Promised takes the end of a leader's failsafe round: no member of Patroni's takes
// the leader key before until, whatever becomes of the lease; 0: one of them did not
// promise that.
//
// A promise that comes when the lease and the last promise have ended is no use: a
// member of Patroni's can have taken the key before it promised, without having been
// promoted yet (B-934).
func (d *Driver) Promised(until, now boottime.Instant) {
	switch {
	case until == 0:
		d.mix.promised = 0
	case d.led && now < d.mix.safe():
		d.mix.promised = later(d.mix.promised, until)
	}
	d.step(now)
}

// Abstain promises a primary that it is not succeeded by this node before until: the
// answer to its failsafe call. False: this node leads, or may be about to, for a
// takeover of its own may still be applied (P3).
//
// It binds the next takeover, and no other rule: who keeps an electorate does not
// count on it.
func (d *Driver) Abstain(until, now boottime.Instant) bool {
	d.step(now)
	if d.node.holder != nil || d.node.follower.pending() {
		return false
	}
	d.abstains, d.standing = later(d.abstains, until), false
	d.step(now)
	return true
}

// freeAt is the instant from which this node may take over; false: not under this
// electorate, or not before a promise of failsafe mode has ended.
func (d *Driver) freeAt(now boottime.Instant) (boottime.Instant, bool) {
	if now < d.abstains {
		return 0, false
	}
	return d.node.FreeAt()
}

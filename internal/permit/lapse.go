package permit

import "matriarch/internal/boottime"

// Beside members of Patroni's a leader stands still when its lease has ended. It may
// be cut off from the store alone: then its heartbeats go on, and would hold those
// who acknowledge them for as long as that lasts, and there would be no primary if
// Patroni's members do not take over.

// lapsed reports that a heartbeat is of a leader whose lease has ended, as the store
// shows: its server stands still. It is not acknowledged, and so the quiet period
// begins. A leader that sees the store puts its key again in less than that.
//
// Without members of Patroni's the key may be gone, and the leader goes on. And so it
// may when it was promised something in failsafe mode.
func (d *Driver) lapsed(hb Heartbeat, now boottime.Instant) bool {
	s := d.sight
	gone := s.View.Leader == "" && s.View.At >= hb.Term // it was there at the revision that is the term
	return d.sighted && s.Current && s.Mixed && gone && now >= d.abstains
}

// refuse answers a heartbeat, and promises nothing.
func (d *Driver) refuse(hb Heartbeat) Ack {
	ack := Ack{Member: d.o.Me, Of: hb.Term, Sequence: hb.Sequence, Position: d.here, Mixed: d.sight.Mixed}
	ack.Term, ack.Leader = d.node.Term()
	return ack
}

// noteLapse keeps since when this leader has stood still for the end of its lease.
func (d *Driver) noteLapse(now boottime.Instant) {
	switch {
	case !d.led || !d.mixed() || now < d.mix.safe():
		d.still = 0
	case d.still == 0:
		d.still = now
	}
}

// holds reports whether this leader's heartbeats may hold the others. It cannot know
// what they see of Patroni's members; when it has stood still for ttl its server is
// ended by its guard, and it keeps nobody waiting any more.
func (d *Driver) holds(now boottime.Instant) bool { return d.still == 0 || now < d.still.Add(d.o.TTL) }

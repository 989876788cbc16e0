package permit

import "matriarch/internal/boottime"

// watched is what this node has noticed of the present leader.
type watched struct {
	name     string
	revision int64            // of the electorate key
	since    boottime.Instant // when either was last seen to change
	beat     boottime.Instant // its newest acknowledged heartbeat; 0: none
	suspect  bool
	position Position
}

// follow turns to the leader of the newest term. A change of the key is a sign of
// life as well: the leader's store heartbeat, the only one that a member outside the
// electorate ever gets.
func (l *watched) follow(d *Driver, now boottime.Instant) {
	v := d.node.follower.view
	_, name := d.node.Term()
	if name == "" {
		name = v.Leader
	}
	if name != l.name {
		*l = watched{name: name, revision: v.Revision, since: now}
	}
	if v.Revision != l.revision {
		l.revision, l.since, l.suspect = v.Revision, now, false
	}
}

// heard takes an acknowledged heartbeat: the leader is alive.
func (l *watched) heard(d *Driver, hb Heartbeat, now boottime.Instant) {
	l.follow(d, now)
	l.beat, l.position, l.suspect = now, hb.Position, false
}

// overdueAt is when the leader will have been silent for half a permit; 0: no
// heartbeats are expected, for the leader is Patroni's or this member is not in the
// electorate.
func (d *Driver) overdueAt() boottime.Instant {
	f := d.node.follower
	if d.led || !f.seen || f.view.Revision == 0 || f.view.patronis() || !f.inElectorate() {
		return 0
	}
	return later(d.leader.since, d.leader.beat).Add(f.length() / 2)
}

// outward is what the agent is woken for when it changes.
type outward struct {
	leading, mayPromote, releasing, free, overdue, suspect, expired, unarmed bool
}

// report wakes the agent.
func (d *Driver) report(now boottime.Instant) {
	if o := d.look(now); o != d.outward {
		d.outward = o
		d.hands().Changed()
	}
}

func (d *Driver) look(now boottime.Instant) outward {
	o := outward{leading: d.led, releasing: !d.node.Released(), unarmed: d.node.saysUnarmed()}
	if d.led {
		o.expired = now >= d.permit()
		o.mayPromote = d.node.MayPromote(now) && !o.expired && d.onRecord()
		return o
	}
	o.suspect = d.leader.suspect
	at := d.overdueAt()
	o.overdue = at != 0 && (now >= at || o.suspect)
	if at, ok := d.freeAt(now); ok {
		o.free = now >= at && !d.node.follower.stale
	}
	return o
}

// State is what the agent decides by.
func (d *Driver) State(now boottime.Instant) State {
	o := d.look(now)
	s := State{Key: d.node.follower.view.Revision, Leading: o.leading, MayPromote: o.mayPromote, Releasing: o.releasing, Free: o.free,
		Unarmed: o.unarmed, Suspect: o.suspect, Overdue: o.overdue, Mixed: d.mixed(), Permit: d.permit()}
	if h := d.node.holder; h != nil {
		s.Term, s.Electorate, s.Positions = h.term, h.known, d.node.Positions()
		return s
	}
	s.Term, _ = d.node.Term()
	s.Electorate, s.LedLast = d.node.follower.view.Electorate, d.node.follower.ledLast()
	s.Heard, s.LeaderPosition = d.leader.beat, d.leader.position
	if at, ok := d.freeAt(now); ok {
		s.FreeAt = later(at, 1) // not 0, which says that it will not be
	}
	return s
}

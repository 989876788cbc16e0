package permit

import (
	"slices"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/dcs"
)

// See takes what the mirror shows after it has changed, or this node's lease has.
func (d *Driver) See(s Sight, now boottime.Instant) {
	if s.View.At == 0 && !s.Current {
		return // it was never read
	}
	if d.sighted && s.View.At < d.sight.View.At {
		return // the mirror never goes back: it was looked at before
	}
	fresh := !d.sighted || s.View.At > d.sight.View.At || !s.View.same(&d.sight.View)
	d.standing = d.standing && s.View.Revision == d.sight.View.Revision // see Stand
	d.mix.see(d.o.Me, s)
	d.sight, d.sighted = s, true
	if fresh { // the same again is no answer to a No; see Runner.look
		d.node.See(s.View, now)
	}
	d.step(now)
}

// Heartbeat answers another leader's.
func (d *Driver) Heartbeat(hb Heartbeat, now boottime.Instant) Ack {
	if d.lapsed(hb, now) {
		return d.refuse(hb)
	}
	ack := d.node.Heartbeat(hb, d.here, now)
	ack.Mixed = d.sight.Mixed
	if ack.Accepted {
		d.leader.heard(d, hb, now)
		if !d.saveTerm(now) {
			ack.Accepted = false // the promise is kept all the same
		}
	}
	d.step(now)
	return ack
}

// Lost is evidence that a leader is gone: its heartbeat connection was closed or
// reset, or the server lost its replication connection to it.
func (d *Driver) Lost(leader string, now boottime.Instant) {
	d.leader.follow(d, now)
	if leader != "" && leader == d.leader.name {
		d.leader.suspect = true
	}
	d.step(now)
}

// Acked takes a member's answer to a heartbeat.
func (d *Driver) Acked(ack Ack, now boottime.Instant) {
	d.mix.acked(ack)
	d.node.Acked(ack, now)
	d.step(now)
}

// Answered takes the store's answer to a transaction; revision is the commit's, for
// Yes.
func (d *Driver) Answered(id int64, a Answer, revision int64, now boottime.Instant) {
	if a == No && !d.led {
		d.standing = false // the world is not as the agent saw it
	}
	d.node.Answered(id, a, revision, now)
	if d.node.Released() {
		d.also = nil
	}
	d.step(now)
}

// Learned takes what was read from the store's leader.
func (d *Driver) Learned(v View, now boottime.Instant) {
	d.reading, d.readAt = false, now.Add(d.pause())
	d.node.Learn(v, now)
	d.step(now)
}

// ReadFailed says that a read has failed. It is repeated in a while.
func (d *Driver) ReadFailed(now boottime.Instant) {
	d.reading, d.readAt = false, now.Add(d.node.length/4)
	d.step(now)
}

// Position is what heartbeats and acknowledgements say of this server from now on.
func (d *Driver) Position(p Position) { d.here, d.rested = p, 0 }

// Promotion says which timeline a takeover would begin, see Node.
func (d *Driver) Promotion(timeline uint32) {
	d.rested = 0
	d.node.Promotion(timeline)
}

// Want says who should be in the electorate while this node leads, see Node; nil: that
// is not known, and what was said before holds.
func (d *Driver) Want(members []string, sole bool) {
	if members != nil {
		d.rested = 0
		d.node.Want(members, sole)
	}
}

// Unarmed says whether the electorate has to say so while this node leads, see Node.
func (d *Driver) Unarmed(unarmed bool, key int64) {
	d.rested = 0
	d.node.Unarmed(unarmed, key)
}

// SetLength changes the permit's length on a running cluster.
func (d *Driver) SetLength(length time.Duration) {
	d.rested = 0
	d.node.SetLength(length)
}

// SetTTL changes the lease's.
func (d *Driver) SetTTL(ttl time.Duration) { d.o.TTL, d.rested = ttl, 0 }

// Stand takes over, as soon as the rules allow, and repeats it until an answer comes.
// The agent calls it in each pass in which it means to: a pass without ends it.
//
// It is for the electorate as the agent saw it, State.Key, and ends with it. Whoever has
// led meanwhile, and been lost as well, has a log of its own and has said for whom its
// commits wait: whether to take over from that one has to be decided anew (S2, S6).
func (d *Driver) Stand(key int64, now boottime.Instant) {
	d.stood = true
	if !d.led && key == d.node.follower.view.Revision {
		d.standing = true
	}
	d.step(now)
}

// Release gives the leader key up: the server has stopped taking writes before. also
// is written in the same transaction. It is repeated until the store has confirmed
// it; State says when. False: there is nothing to give up.
func (d *Driver) Release(also []dcs.Op, now boottime.Instant) bool {
	w, ok := d.node.Release(now)
	if !ok {
		return false
	}
	d.also, d.led, d.standing = slices.Clone(also), false, false
	d.guard(now)
	d.send(w, now)
	d.step(now)
	return true
}

// Passed says that the decision loop has finished a pass.
func (d *Driver) Passed(now boottime.Instant) {
	d.passed = now
	d.standing = d.standing && d.stood
	d.stood = false
	d.step(now)
}

// Adopt goes on where an earlier life of the agent has ended: the guard has its
// record, and its server runs under the guard's deadline.
func (d *Driver) Adopt(k Kept, deadline, now boottime.Instant) {
	d.node.Adopt(k, deadline, now)
	d.mix.adopt(k, deadline, d.sighted)
	d.record.kept, d.record.term, d.record.revision, d.record.mixed = something, k.Term, k.Revision, k.Mixed
	d.step(now)
}

// adoptPatronis takes up a leader key under this node's own name that was put
// without the electorate: Patroni's agent led here before this one was started in
// its place. The first put gives the permit. Until its answer comes the server stands
// still, if it runs: from the moment at which the put is applied others may take over
// after the quiet period, and nobody but the guard stops what Patroni has promoted.
func (d *Driver) adoptPatronis(now boottime.Instant) {
	f := d.node.follower
	if d.node.holder != nil || !d.node.Released() || !f.informed || !f.seen {
		return
	}
	v := f.view
	if v.Leader != d.o.Me || v.Term < f.term || v.Term <= d.node.gaveUp {
		return
	}
	if left := v.Term > v.Revision || v.Electorate.Released && v.governed(); left {
		d.told = 0
		d.hands().Deadline(0)
	}
	switch {
	case v.Term > v.Revision: // what this node has put of late is not known
		d.node.Adopt(Kept{Term: v.Term}, 0, now)
	case v.Electorate.Released && v.governed(): // retired by a member: nothing older can be applied
		d.node.Adopt(Kept{Term: v.Term, Revision: v.Revision, Electorate: v.Electorate}, 0, now)
	}
}

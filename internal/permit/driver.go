package permit

import (
	"slices"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/dcs"
)

// Driver keeps a Node going: it says when a heartbeat is due, when the store is to be
// written or read, and what the guard must know, and leaves the doing to its Hands.
// It keeps the order that Node demands of its callers.
//
// It is a stepper too: no goroutine, no clock, and not safe for concurrent use; the
// Runner is the loop around it for a real agent. Tick is called at the latest at the
// instant that it returned last, and again after any other call, which may have
// brought that instant closer.
type Driver struct {
	o    Options
	node *Node
	here Position

	sight   Sight
	sighted bool // the mirror was seen in this life
	mix     mix

	abstains boottime.Instant // promised in failsafe mode: no takeover before

	passed   boottime.Instant // the decision loop's last pass
	nextBeat boottime.Instant
	beaten   boottime.Instant // the last heartbeat
	led      bool             // at the end of the last step
	still    boottime.Instant // since when the lease has been over beside Patroni's members; 0: it is not

	reading bool // a read has no outcome yet
	readAt  boottime.Instant

	standing bool // the agent wants to take over: a takeover is repeated, not waited for (P4)
	stood    bool // it said so since its last pass
	tried    boottime.Instant
	also     []dcs.Op // written with the release

	record  record
	leader  watched
	told    boottime.Instant // the guard's deadline
	outward outward

	acted  bool             // the present step has used its hands
	rested boottime.Instant // a step at this instant has not, and nothing was said since; 0: not so
}

// NewDriver starts a node's part with its agent. Nothing is done before Tick.
func NewDriver(o Options, now boottime.Instant) *Driver {
	d := &Driver{o: o, node: New(o.Me, o.Length, o.Term, now), passed: now}
	d.record.saved = o.Term
	d.leader.since = now
	return d
}

// Tick does what is due, and returns when it is to be called again. It mostly comes
// right after another call, whose step has left nothing to do at the same instant.
func (d *Driver) Tick(now boottime.Instant) boottime.Instant {
	if d.rested == 0 || d.rested != now {
		d.step(now)
	}
	return d.next(now)
}

// hands are used by steps, and one that has used them may have something to follow.
func (d *Driver) hands() Hands {
	d.acted = true
	return d.o.Hands
}

// step is the end of every call: whatever came in may have something to follow.
func (d *Driver) step(now boottime.Instant) {
	d.acted, d.rested = false, 0
	d.adoptPatronis(now)
	d.leader.follow(d, now)
	_, leads := d.node.Leading()
	if leads && !d.led {
		d.beaten, d.nextBeat = 0, now // the first permit runs already, and needs all members from here on (P8)
		d.standing = false
	}
	if !leads {
		d.mix.promised = 0 // it was given to a primary
	}
	d.led = leads
	d.noteLapse(now)
	d.keepRecord(now)
	d.guard(now)
	d.read(now)
	if d.alive(now) {
		d.beat(now)
	}
	d.write(now)
	d.report(now)
	if !d.acted {
		d.rested = now // whatever is said to the driver without a step takes it back
	}
}

// alive reports whether the decision loop still finishes its passes. A hung agent
// must not stay leader for ever.
func (d *Driver) alive(now boottime.Instant) bool { return now < d.passed.Add(d.o.TTL) }

// beatEvery is the time between two heartbeats. A leader whose permit has been over
// for half of its length is perhaps heard and hears nothing: its heartbeats give it no
// permit, and would keep every member from taking over for ever (L1). It goes on so
// rarely that a quiet period, and some time to take over, fit in between.
func (d *Driver) beatEvery(now boottime.Instant) time.Duration {
	if p := d.node.Permit(); p != 0 && now > p.Add(d.node.length/2) {
		return 2 * quiet(max(d.node.length, d.node.follower.length()))
	}
	return d.node.BeatEvery()
}

// beat sends the heartbeat, if it is due.
func (d *Driver) beat(now boottime.Instant) {
	every := d.beatEvery(now)
	switch {
	case d.nextBeat > now.Add(every):
		d.nextBeat = now // the permit is back
	case every > d.node.BeatEvery() && d.beaten != 0:
		d.nextBeat = d.beaten.Add(every)
	}
	if !d.led || now < d.nextBeat || !d.holds(now) {
		return
	}
	d.beaten = now
	hb, to := d.node.Beat(d.here, now)
	for _, m := range to {
		if m != d.o.Me {
			d.hands().Send(m, hb)
		}
	}
	// One that was late is not made up for.
	if d.nextBeat = d.nextBeat.Add(every); d.nextBeat < now.Add(every/2) {
		d.nextBeat = now.Add(every)
	}
}

// read asks for the store's content, if it is wanted.
func (d *Driver) read(now boottime.Instant) {
	if d.node.NeedRead() && !d.reading && now >= d.readAt {
		d.reading = true
		d.hands().Read()
	}
}

// guard tells the deadline when it has changed.
func (d *Driver) guard(now boottime.Instant) {
	if p := d.permit(); p != d.told {
		d.told = p
		d.hands().Deadline(p)
	}
}

// write sends what the node wants of the store: its own puts while the decision loop
// lives, a release in any case.
func (d *Driver) write(now boottime.Instant) {
	switch {
	case d.led && !d.alive(now):
	case d.led || !d.node.Released():
		if w, ok := d.node.Put(d.move(), now); ok {
			d.send(w, now)
		}
	case d.alive(now):
		d.takeOver(now)
		if w, ok := d.node.follower.Retire(now); ok {
			d.hands().Commit(w)
		}
		if w, ok := d.node.Disown(now); ok {
			d.hands().Commit(w)
		}
	}
}

// move reports whether the leader key hangs on another lease than this node has now.
func (d *Driver) move() bool {
	s := d.sight
	return d.led && s.View.Leader == d.o.Me && s.Lease != 0 && s.LeaderLease != s.Lease
}

// send sends a leader's transaction: first a restarted agent must be able to know of
// it, or, for a release, to know of nothing.
func (d *Driver) send(w Write, now boottime.Instant) {
	if !d.store(now) {
		d.node.Unsent(w.ID)
		return
	}
	if !d.led {
		w.Txn.Then = append(slices.Clone(w.Txn.Then), d.also...)
	}
	d.hands().Commit(w)
}

// takeOver sends a takeover, if the agent wants one and the rules allow it.
func (d *Driver) takeOver(now boottime.Instant) {
	if _, ok := d.freeAt(now); !ok {
		d.standing = false
	}
	if !d.standing || d.tried != 0 && now < d.tried.Add(d.pause()) {
		return
	}
	if d.record.kept != nothing && !d.store(now) {
		return // what is kept is of a term before
	}
	if w, ok := d.node.TakeOver(now); ok {
		d.tried = now
		d.hands().Commit(w)
	}
}

// pause is the least time between two tries of what fails at once.
func (d *Driver) pause() time.Duration { return d.node.length / 12 }

// next is when there is something to do, if nothing comes in until then.
func (d *Driver) next(now boottime.Instant) boottime.Instant {
	n := &next{now: now}
	if d.node.NeedRead() && !d.reading {
		n.consider(d.readAt)
	}
	n.consider(d.record.again)
	if l := d.node.leaving; l != nil && !d.node.Released() {
		l.due(n)
	}
	if d.led {
		n.consider(d.permit())
		if d.alive(now) {
			n.consider(d.nextBeat)
			d.node.holder.due(n)
		}
	} else {
		d.awaitLeader(n)
	}
	if n.at == 0 {
		return now.Add(idle)
	}
	return n.at
}

// awaitLeader is when a member has something to do.
func (d *Driver) awaitLeader(n *next) {
	n.consider(d.abstains)
	if at, ok := d.freeAt(n.now); ok {
		n.consider(at)
		if d.standing {
			n.consider(d.node.follower.retry)
			n.consider(d.tried.Add(d.pause()))
		}
	}
	n.consider(d.overdueAt())
	if d.alive(n.now) {
		n.consider(d.node.follower.RetireAt())
	}
}

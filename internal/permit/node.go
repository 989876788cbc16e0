package permit

import (
	"slices"
	"time"

	"matriarch/internal/boottime"
)

// Node is one node's right to write: a member's promises always, and a leader's
// permit while it leads. It is not safe for concurrent use; one goroutine owns it.
//
// Order that callers keep, because safety hangs on it:
//   - A Write is sent after it was returned, never kept for later, and its answer
//     is told under its ID. Before a Write of the leader is sent, Keep has been
//     stored where a restarted agent finds it, or the restart adopts without it.
//   - The server is promoted only when MayPromote says so, and the guard's
//     deadline is Permit from then on, whatever it becomes.
//   - Release is called when the server has stopped taking writes, not before.
type Node struct {
	me     string
	length time.Duration
	wanted []string // nil: not said yet
	sole   bool

	unarmed   bool   // see Unarmed
	toldArmed int64  // the revision for which that was said; 0: not in this life
	promotion uint32 // the number of the timeline that a takeover would begin; 0: none

	ids *ids
	omitted

	follower *Follower
	holder   *Holder
	leaving  *Holder // released; kept until the store has confirmed it
	gaveUp   int64   // the newest term that was released: a late answer does not bring it back
}

// New starts a node's part with its agent. permit is the configured length. term
// is the newest leader's term that this node has known, from a record that is
// written before a newer one is acknowledged; 0 without such a record, and then
// nothing is acknowledged before Learn.
func New(me string, permit time.Duration, term int64, now boottime.Instant) *Node {
	return newNode(me, permit, term, now, omitted{})
}

func newNode(me string, permit time.Duration, term int64, now boottime.Instant, o omitted) *Node {
	numbers := &ids{last: int64(now)}
	return &Node{me: me, length: permit, ids: numbers, omitted: o, follower: newFollower(me, term, now, numbers, o)}
}

// See takes what the mirror of the store shows.
func (n *Node) See(v View, now boottime.Instant) {
	n.follower.See(v, now)
	if n.leaving != nil {
		n.leaving.See(v, now)
	}
	if n.holder != nil {
		n.holder.See(v, now)
		n.settle(now)
		return
	}
	if w, ok := n.follower.wonUnanswered(); ok && n.Released() {
		n.lead(w, now)
	}
}

// Learn takes what was read from the store's leader since the agent started. Once
// is enough; more do no harm.
func (n *Node) Learn(v View, now boottime.Instant) {
	n.follower.informed = true
	n.See(v, now)
}

// NeedRead reports that the store should be read and Learn be told.
func (n *Node) NeedRead() bool {
	f := n.follower
	if n.holder != nil {
		return n.holder.NeedRead()
	}
	return !f.informed || !f.seen || f.stale || f.view.Revision < f.beyond || n.leaving != nil && n.leaving.stale
}

func (n *Node) lead(w won, now boottime.Instant) {
	if w.term <= n.gaveUp {
		return
	}
	n.leaving = nil
	n.holder = newHolder(n.me, w, n.length, n.follower.Promised(), now, n.ids, n.omitted)
	if n.wanted != nil {
		n.holder.Want(n.wanted, n.sole)
	}
	n.holder.unarmed = n.unarmed
}

// settle keeps the two sides of the node together after the leader's side changed.
func (n *Node) settle(now boottime.Instant) {
	if n.holder.over {
		n.holder = nil
		n.follower.LeaderNoMore(now)
		return
	}
	n.follower.learn(n.holder.term, n.me)
	n.follower.pass(n.holder.revision)
}

// Heartbeat answers another leader.
func (n *Node) Heartbeat(hb Heartbeat, here Position, now boottime.Instant) Ack {
	ack := n.follower.Heartbeat(hb, here, now)
	if n.holder != nil && ack.Accepted {
		n.holder.Overtaken()
		n.settle(now)
	}
	return ack
}

// Beat is the heartbeat to send now and to whom; nobody when this node does not
// lead. It is asked for every BeatEvery.
func (n *Node) Beat(here Position, now boottime.Instant) (Heartbeat, []string) {
	if n.holder == nil {
		return Heartbeat{}, nil
	}
	return n.holder.Beat(here, now)
}

// BeatEvery is the time between two heartbeats.
func (n *Node) BeatEvery() time.Duration { return n.length / 6 }

// Acked takes a member's answer to a heartbeat.
func (n *Node) Acked(ack Ack, now boottime.Instant) {
	if n.holder == nil {
		return
	}
	n.holder.Acked(ack, now)
	if ack.Leader != "" {
		n.follower.learn(ack.Term, ack.Leader)
	}
	n.settle(now)
}

// Put is the transaction that the leader's permit or electorate wants now, if any,
// or a release that has had no answer. It is asked for after every Beat, Acked, Answered and See. move: the leader key
// does not hang on the lease that this node has now.
func (n *Node) Put(move bool, now boottime.Instant) (Write, bool) {
	switch {
	case n.holder != nil:
		return n.holder.Put(move, now)
	case !n.Released() && !n.leaving.awaiting(now):
		return n.leaving.Release(now), true
	}
	return Write{}, false
}

// TakeOver is the transaction that makes this node the leader, if it may send one.
// Whether it should is not decided here.
func (n *Node) TakeOver(now boottime.Instant) (Write, bool) {
	if n.holder != nil {
		return Write{}, false
	}
	w, ok := n.follower.TakeOver(n.length, n.promotion, n.unarmed, now)
	if ok {
		// A release without an answer is not repeated: by the name alone it would
		// take the new term for the old one, moved to another lease.
		n.leaving = nil
	}
	return w, ok
}

// FreeAt is the instant from which TakeOver will give one, if nothing is heard
// until then; false if it will not.
func (n *Node) FreeAt() (boottime.Instant, bool) {
	if n.holder != nil {
		return 0, false
	}
	return n.follower.FreeAt()
}

// Answered takes the store's answer to a Write. revision is the commit's, for Yes.
func (n *Node) Answered(id int64, answer Answer, revision int64, now boottime.Instant) {
	if w, ok := n.follower.Answered(id, answer, revision, now); ok {
		if n.holder == nil {
			n.lead(w, now)
		} else {
			n.holder.confirm(w, n.follower.Promised(), now)
		}
		return
	}
	if n.leaving != nil {
		n.leaving.Answered(id, answer, revision, now)
	}
	if n.holder != nil {
		n.holder.Answered(id, answer, revision, now)
		n.settle(now)
	}
}

// Release gives the term up: nobody needs to wait. The server has stopped taking
// writes before. Put repeats it for as long as the answer is not known. False when
// there is nothing to give up.
func (n *Node) Release(now boottime.Instant) (Write, bool) {
	if n.holder == nil {
		return Write{}, false
	}
	n.leaving = n.holder
	n.leaving.over = true
	n.gaveUp = n.leaving.term
	n.settle(now)
	return n.leaving.Release(now), true
}

// Released reports that the store has confirmed the release, or holds another
// leader.
func (n *Node) Released() bool {
	l := n.leaving
	return l == nil || l.known.Released || l.overtaken || n.follower.term > l.term
}

// Permit is the instant by which this node's server must have stopped taking
// writes; in the past when it has no right to.
func (n *Node) Permit() boottime.Instant {
	if n.holder == nil {
		return 0
	}
	return n.holder.Permit()
}

// MayPromote reports whether the server may be promoted: the permit runs, and no
// promise to another leader does (P4, P8).
func (n *Node) MayPromote(now boottime.Instant) bool {
	return n.holder != nil && now >= n.holder.held && now < n.holder.Permit()
}

// Leading is this node's term while it holds the leader key; false: as far as it
// knows it does not.
func (n *Node) Leading() (term int64, ok bool) {
	if n.holder == nil {
		return 0, false
	}
	return n.holder.term, true
}

// Term is the newest term that this node knows, and its leader: what has to
// outlive the agent, see New.
func (n *Node) Term() (term int64, leader string) { return n.follower.term, n.follower.leader }

// Want says who should be in the electorate: every member that could take over.
// One that does not answer is left out until it does. sole: when that leaves nobody,
// nobody may take over, and this leader goes on without the store.
func (n *Node) Want(members []string, sole bool) {
	n.sole = sole
	n.wanted = slices.DeleteFunc(slices.Clone(members), func(m string) bool { return m == n.me })
	if n.holder != nil {
		n.holder.Want(n.wanted, n.sole)
	}
}

// Promotion says which timeline a takeover would begin, as far as this node knows; 0:
// none, for the server is a primary.
func (n *Node) Promotion(timeline uint32) { n.promotion = timeline }

// Unarmed says whether the electorate of this node's lead has to say that its guard is
// disarmed, or may be, as far as is known under the electorate key of that revision. The
// guard is disarmed only when State says that it does.
func (n *Node) Unarmed(unarmed bool, key int64) {
	n.unarmed, n.toldArmed = unarmed, key
	if n.holder != nil {
		n.holder.unarmed = unarmed
	}
}

// SetLength changes the permit's length on a running cluster (P9).
func (n *Node) SetLength(permit time.Duration) {
	n.length = permit
	if n.holder != nil {
		n.holder.SetLength(permit)
	}
}

// Positions are what the members last said of themselves, for a leader.
func (n *Node) Positions() map[string]Position {
	if n.holder == nil {
		return nil
	}
	return n.holder.Positions()
}

package permit

import (
	"slices"
	"time"

	"matriarch/internal/boottime"
)

// Follower keeps the promises of a member, and knows when it may take over.
//
// Order matters to its callers in one place: an acknowledgement is a promise from
// the moment Heartbeat returns it, so it may be sent late or lost, but no
// takeover that was allowed before it may be sent after it.
type Follower struct {
	me string
	omitted

	view     View // newest seen
	seen     bool
	beyond   int64 // the electorate key is known to have got this far
	term     int64 // newest known, and whose it is
	leader   string
	informed bool // no term was known before this agent started that is newer than term

	wait     boottime.Instant // the quiet period lasts until here (P2)
	promised boottime.Instant // the promises to leaders last until here (P4)
	start    boottime.Instant // of the agent's life
	born     boottime.Instant // the promises of an earlier one last until here
	to       int64            // newest term that was promised to
	longest  time.Duration    // the longest permit in the key's and leaders' words since the start

	sent  []write // own takeovers of late; see pending
	retry boottime.Instant
	stale bool // the store said No: it must be read
	ids   *ids

	foreign foreign // Patroni's leader
}

// newFollower starts a member's part with its agent. term is from a record that
// outlives the agent and is written before a newer term is acknowledged; without
// one it is 0, and nothing is acknowledged before Node.Learn.
func newFollower(me string, term int64, now boottime.Instant, i *ids, o omitted) *Follower {
	f := &Follower{me: me, term: term, omitted: o, ids: i, start: now}
	f.informed = term > 0 || !f.keeps(termsOutlive)
	if f.keeps(startIsQuiet) {
		// What was acknowledged before is forgotten. The first sight of the key will
		// tell for how long that can bind.
		f.born = now.Add(quiet(Default))
	}
	return f
}

// See takes a view from the mirror.
func (f *Follower) See(v View, now boottime.Instant) {
	if v.At < f.view.At {
		return
	}
	first := !f.seen
	changed := first || v.Revision != f.view.Revision
	f.view, f.seen, f.stale = v, true, false
	f.notice(now)
	f.pass(v.Revision)
	f.learn(v.Term, v.Leader)
	if !changed {
		return
	}
	f.longest = max(f.longest, v.Electorate.Permit)
	if first && f.keeps(startIsQuiet) {
		// What an earlier life acknowledged it did before this one began, and for a permit
		// as long as the key says, or one that had ended when the key was shortened (P9).
		f.born = f.start.Add(quiet(f.length()))
	}
	if first && f.keeps(startIsQuiet) || !first && f.keeps(changeIsQuiet) {
		f.quieten(now)
	}
}

// length is the longest permit that may be in use under the key as it was seen:
// the key is shortened only when no longer permit is left (P9).
func (f *Follower) length() time.Duration {
	if f.view.Revision == 0 || f.view.illegible() {
		return max(Default, f.longest)
	}
	return f.view.Electorate.Permit
}

// quieten begins the quiet period anew. It never ends earlier for that: what was
// promised for a longer permit is waited for (P9).
func (f *Follower) quieten(now boottime.Instant) {
	end := now.Add(quiet(f.length()))
	if f.keeps(waitLongest) {
		end = later(end, f.wait)
	}
	f.wait = end
}

// pass notes that the electorate key has got to a revision.
func (f *Follower) pass(revision int64) { f.beyond = max(f.beyond, revision) }

// pending reports whether a takeover of ours may still be applied: until the key
// has been seen beyond the revision that it compared (P3).
func (f *Follower) pending() bool {
	return slices.ContainsFunc(f.sent, func(w write) bool { return w.compared >= f.beyond })
}

// learn takes note of a term.
func (f *Follower) learn(term int64, leader string) {
	if term > f.term || term == f.term && f.leader == "" {
		f.term, f.leader = term, leader
	}
}

// Heartbeat answers a leader. An acknowledgement is a promise not to take over.
func (f *Follower) Heartbeat(hb Heartbeat, here Position, now boottime.Instant) Ack {
	f.pass(hb.Electorate)
	old := f.outdated(hb)
	f.learn(hb.Term, hb.Leader)
	ack := Ack{Member: f.me, Of: hb.Term, Sequence: hb.Sequence, Term: f.term, Leader: f.leader, Position: here}
	if !f.keeps(newestTermOnly) {
		ack.Term, ack.Leader = hb.Term, hb.Leader
	}
	switch {
	case !f.informed: // an older leader could be taken for the newest (P7)
	case old:
	case hb.Leader == f.me:
	case f.pending() && f.keeps(noAckWhileTaking):
	default:
		f.promise(hb, now)
		ack.Accepted = true
	}
	return ack
}

// outdated reports whether a heartbeat comes from a leader of the past (P7). The
// electorate key tells even when the leader key, and the term with it, is gone: at
// its revision its leader led, or had given up, and so nobody else of a term up to
// there leads any more.
func (f *Follower) outdated(hb Heartbeat) bool {
	v := f.view
	past := v.Revision >= hb.Term && !v.illegible() && (v.Electorate.Leader != hb.Leader || v.Electorate.Released)
	return hb.Term < f.term && f.keeps(newestTermOnly) || past && f.keeps(pastByKey) && f.keeps(newestTermOnly)
}

func (f *Follower) promise(hb Heartbeat, now boottime.Instant) {
	length := min(hb.Permit, longestPermit)
	f.longest = max(f.longest, length)
	end := now.Add(quiet(length))
	if !f.keeps(waitLongest) {
		f.wait = 0
	}
	if f.keeps(ackIsQuiet) {
		f.wait = later(f.wait, end)
	}
	if f.keeps(promiseHolds) {
		f.promised = later(f.promised, end)
	}
	f.to = max(f.to, hb.Term)
}

// longestPermit bounds what a leader can make a member promise, so that a
// mistaken number does not bind it for ever: a permit is at most ttl/3, and no
// ttl is an hour.
const longestPermit = time.Hour

// Promised is the instant from which no other leader's permit can rest on this
// node's word: it does not promote before (P4).
func (f *Follower) Promised() boottime.Instant {
	if f.released() && f.view.Revision > f.to {
		return 0 // the leader that was promised to has given up, and said so
	}
	return later(f.promised, f.born)
}

// released reports whether the newest known electorate has been given up, so that
// no permit is left under it.
func (f *Follower) released() bool {
	v := f.view
	return f.seen && v.Revision > 0 && v.Electorate.Released && v.Revision >= max(f.beyond, f.term)
}

package permit

import (
	"iter"
	"slices"
	"time"

	"matriarch/internal/boottime"
)

// Holder keeps the permit of a leader for one term.
//
// Who must acknowledge is not a list that it maintains: it is worked out from
// what may be in the electorate key, which is what was seen there and every put
// of ours that may still be applied. Whoever may race is so among those who must
// acknowledge (P3, P5), and a put of nobody makes peers count for nothing (P6).
type Holder struct {
	me string
	omitted

	term     int64
	known    Electorate // the electorate key as seen last, at this revision
	revision int64
	sent     []write // puts of late, by this life or one before; see puts
	ids      *ids
	lastPut  boottime.Instant
	awaited  int64 // the put whose answer is awaited; 0: none
	// blind: puts of an earlier life of this agent may still be applied and are
	// not known. Peers count for nothing until a put of this life has succeeded,
	// for that makes the revision that the older ones compare a thing of the past.
	blind bool
	at    int64 // newest snapshot
	taken int64 // revision of the term key; 0: there is none, or it was not seen
	sure  int64 // nobody else has led up to this revision
	gone  bool  // the leader key is absent: its lease ran out
	stray int64 // or somebody put another one by hand, at this revision; 0: nobody did
	stale bool  // the store said No: it must be read before the next put

	length  time.Duration // the permit's length as configured
	permit  boottime.Instant
	started boottime.Instant
	held    boottime.Instant // nothing is extended before: a promise to another leader (P4)
	over    bool             // nothing is extended any more

	overtaken bool // by another leader: there is nothing left to release

	wanted []string // who should be in the electorate
	sole   bool     // and with nobody in it nobody may take over

	unarmed bool // the key is to say so
	peers   map[string]*peer
	beats   []beat // sent of late, in order of sequence
	last    int64  // sequence
}

// peer is what a member last said.
type peer struct {
	sent     boottime.Instant // of the newest heartbeat that it acknowledged; 0: none
	length   time.Duration    // that heartbeat's permit
	refuses  bool
	position Position
}

// beat is a heartbeat under way.
type beat struct {
	sequence, term int64
	sent           boottime.Instant
	length         time.Duration
}

// newHolder starts a leader's part for a term whose leader key has been won.
func newHolder(me string, w won, length time.Duration, held, now boottime.Instant, i *ids, o omitted) *Holder {
	h := &Holder{me: me, omitted: o, term: w.term, known: w.electorate, revision: w.term, taken: w.taken, length: length,
		started: now, held: held, ids: i, last: int64(now), peers: map[string]*peer{}}
	if !h.keeps(promiseHolds) {
		h.held = 0
	}
	if h.blind = w.sent == 0; !h.blind {
		h.extend(w.sent, w.electorate.Permit, now) // the first permit is the takeover's (P8)
	}
	h.wanted = slices.Clone(w.electorate.Members)
	return h
}

// confirm tells which takeover won the term, after the mirror had already shown
// that one did.
func (h *Holder) confirm(w won, held, now boottime.Instant) {
	if h.term == w.term && h.revision == w.term {
		h.held, h.blind = held, false
		h.extend(w.sent, w.electorate.Permit, now)
	}
}

// Permit is the instant by which the server must have stopped taking writes.
func (h *Holder) Permit() boottime.Instant {
	if h.over {
		return 0
	}
	return h.permit
}

// extend counts from the send (P1). It is at most as long as every length that a
// candidate may have found in the key (P9).
func (h *Holder) extend(sent boottime.Instant, length time.Duration, now boottime.Instant) {
	if h.over || now < h.held {
		return
	}
	if !h.keeps(countFromSend) {
		sent = now
	}
	h.permit = later(h.permit, sent.Add(span(min(length, h.usable()))))
}

// usable is the longest permit that every candidate waits for, as far as the key
// tells it: a member that restarts forgets what it acknowledged, and goes by the
// key.
func (h *Holder) usable() time.Duration {
	length := h.length
	if !h.keeps(longerWhenPut) {
		return length
	}
	if h.revision > 0 {
		length = min(length, h.known.Permit)
	}
	for p := range h.puts() {
		length = min(length, p.electorate.Permit)
	}
	return length
}

// puts are those that may still be applied: the key has not been seen beyond the
// revision that they compared (P3).
func (h *Holder) puts() iter.Seq[write] {
	return func(yield func(write) bool) {
		for _, p := range h.sent {
			if p.compared >= h.revision && (h.keeps(mayStillApply) || p.id == h.awaited) && !yield(p) {
				return
			}
		}
	}
}

// demanded are the members whose acknowledgement the permit needs: all who may
// race now, or after a put that may still be applied. Sorted, and not to be changed: it
// mostly is the list of the electorate as it is known, and is asked for in every step.
func (h *Holder) demanded() []string {
	if !slices.ContainsFunc(h.sent, func(p write) bool { return p.compared >= h.revision }) && ascend(h.known.Members) {
		return h.known.Members // see puts
	}
	members := slices.Clone(h.known.Members)
	if h.keeps(demandThenPut) {
		for p := range h.puts() {
			members = append(members, p.electorate.Members...)
		}
	}
	if !h.keeps(putThenRelease) {
		for p := range h.puts() {
			members = slices.Clone(p.electorate.Members)
		}
	}
	slices.Sort(members)
	return slices.Compact(members)
}

// ascend reports that names are sorted, and none is there twice.
func ascend(names []string) bool {
	for i := 1; i < len(names); i++ {
		if names[i-1] >= names[i] {
			return false
		}
	}
	return true
}

// alone reports whether anyone may race, so that the permit hangs on the store
// alone (P6).
func (h *Holder) alone() bool {
	anyone := h.known.anyone()
	for p := range h.puts() {
		anyone = anyone || p.electorate.anyone()
	}
	return h.keeps(aloneByStore) && anyone || h.keeps(adoptWhole) && h.blind
}

// isSole reports that nobody may race but this leader, now and after every put that
// may still be applied. Only the leader that the key names may put the next one (P5),
// so nobody has to acknowledge, and the permit needs neither peers nor store.
func (h *Holder) isSole() bool {
	sole := h.known.Sole && h.known.Leader == h.me && !h.blind
	for p := range h.puts() {
		sole = sole && (p.electorate.Sole || !h.keeps(soleToTheEnd))
	}
	return sole
}

// Beat is the heartbeat to send now, and to whom: those whose acknowledgement is
// needed and those who are to join them.
func (h *Holder) Beat(here Position, now boottime.Instant) (Heartbeat, []string) {
	h.last++
	h.beats = slices.DeleteFunc(h.beats, func(b beat) bool { return b.sent.Add(2*b.length) < now })
	h.beats = append(h.beats, beat{sequence: h.last, term: h.term, sent: now, length: h.length})
	if h.isSole() {
		h.extend(now, h.length, now)
	}
	to := slices.Concat(h.demanded(), h.wanted)
	slices.Sort(to)
	return Heartbeat{Leader: h.me, Term: h.term, Sequence: h.last, Permit: h.length,
		Electorate: h.revision, Position: here}, slices.Compact(to)
}

// Acked takes a member's answer.
func (h *Holder) Acked(ack Ack, now boottime.Instant) {
	if ack.Term > h.term {
		if ack.Leader != h.me && ack.Leader != "" {
			h.Overtaken()
		}
		h.stale = true
	}
	p := h.peers[ack.Member]
	if p == nil {
		p = &peer{}
		h.peers[ack.Member] = p
	}
	p.position = ack.Position
	i := slices.IndexFunc(h.beats, func(b beat) bool { return b.sequence == ack.Sequence && b.term == ack.Of })
	if i < 0 {
		return
	}
	b := h.beats[i]
	if p.refuses = !ack.Accepted && b.sent >= p.sent; !ack.Accepted || b.sent < p.sent {
		return
	}
	p.sent, p.length = b.sent, b.length
	h.extendByPeers(now)
}

// extendByPeers: the oldest acknowledgement among all of the members counts, each
// for the length that its heartbeat carried.
func (h *Holder) extendByPeers(now boottime.Instant) {
	members := h.demanded()
	if h.alone() || len(members) == 0 && h.keeps(aloneByStore) {
		return
	}
	oldest, shortest, heard := now, h.length, 0
	for _, m := range members {
		p := h.peers[m]
		if p == nil || p.sent == 0 {
			if !h.keeps(demandWhole) {
				continue
			}
			return
		}
		heard++
		oldest = min(oldest, p.sent)
		if h.keeps(longerWhenAcked) {
			shortest = min(shortest, p.length)
		}
	}
	if heard > 0 {
		h.extend(oldest, shortest, now)
	}
}

// Overtaken ends the term: another leader is known.
func (h *Holder) Overtaken() { h.over, h.overtaken = true, true }

// Over reports that the term has ended, as far as this node knows.
func (h *Holder) Over() bool { return h.over }

// Positions are what the members last said of themselves.
func (h *Holder) Positions() map[string]Position {
	positions := make(map[string]Position, len(h.peers))
	for m, p := range h.peers {
		positions[m] = p.position
	}
	return positions
}

package permit

import (
	"slices"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/dcs"
)

// See takes what the store was seen to hold.
func (h *Holder) See(v View, now boottime.Instant) {
	if v.At < h.at || v.At < h.term {
		return
	}
	h.at, h.stale = v.At, false
	h.gone, h.stray = v.Leader == "", v.Stray
	switch {
	case v.Leader != "" && v.Leader != h.me, !h.unbroken(v, now) && h.keeps(takenIsKept):
		h.Overtaken()
	case v.Leader == h.me:
		h.term = max(h.term, v.Term) // moved to a new lease
	}
	switch {
	case v.Revision > h.revision && v.illegible():
		h.know(Electorate{Permit: h.known.Permit, Timeline: h.known.Timeline}, v.Revision)
	case v.Revision > h.revision:
		switch after := v.Revision > h.term; {
		case after && v.Electorate.Leader != h.me: // though its leader key may be gone again
			h.Overtaken()
		case after && v.Electorate.Released:
			h.over = true
		}
		h.know(v.Electorate, v.Revision)
	case v.Revision == 0 && h.revision > 0: // deleted by hand
		h.know(Electorate{Permit: h.known.Permit, Timeline: h.known.Timeline}, 0)
	}
	if !h.over {
		h.taken, h.sure = v.Taken, max(h.sure, v.At)
	}
}

// know takes the electorate key's content.
func (h *Holder) know(e Electorate, revision int64) { h.known, h.revision = e, revision }

// Overdue reports whether the store is wanted: the permit is a third of its
// length behind, a member refuses, or the key should say something else.
func (h *Holder) Overdue(now boottime.Instant) bool {
	if h.over {
		return false
	}
	length := h.usable()
	behind := func(d time.Duration) bool { return h.permit < now.Add(span(length)-d) }
	if behind(length/3) || behind(length/6) && h.refused() || h.gone || h.revision < h.term || h.blind || h.unmarked() {
		return true
	}
	var room [8]string // the answer is mostly no, and this is asked in every step
	return !h.nextIn(room[:0], now).Equal(h.known)
}

func (h *Holder) refused() bool {
	return slices.ContainsFunc(h.demanded(), func(m string) bool { return h.peers[m] != nil && h.peers[m].refuses })
}

// NeedRead reports that the store said No, or a member spoke of a newer term: it
// must be read before anything is put again.
func (h *Holder) NeedRead() bool { return h.stale && !h.over }

// Put is the store's heartbeat, and every change of the electorate. move also
// puts the leader key, under the lease that this node has now. False: there is
// nothing to send, or an answer is awaited.
func (h *Holder) Put(move bool, now boottime.Instant) (Write, bool) {
	move = move || h.gone
	if h.stale || !move && !h.Overdue(now) || h.over || h.awaiting(now) {
		return Write{}, false
	}
	e := h.next(now)
	if h.permit > now.Add(span(e.Permit)) && h.keeps(shorterAfterEnd) {
		return Write{}, false // a permit that the key would not speak of
	}
	ops := []dcs.Op{{Key: Key, Data: e.Encode()}}
	if move {
		ops = append(ops, dcs.Op{Key: dcs.KeyLeader, Data: []byte(h.me), Leased: true})
	}
	if h.unmarked() {
		ops = append(ops, dcs.Op{Key: TermKey, Data: []byte(h.me)})
	}
	return h.write(e, ops, move, now), true
}

// Release gives up the term: the leader key goes and nobody needs to wait. The
// server has stopped taking writes before this is called, and the permit is over
// with it. It may be called again.
func (h *Holder) Release(now boottime.Instant) Write {
	h.over = true
	e := h.known
	e.Leader, e.Released, e.Unarmed = h.me, true, false
	return h.write(e, []dcs.Op{{Key: Key, Data: e.Encode()}, {Key: dcs.KeyLeader, Delete: true}}, false, now)
}

func (h *Holder) write(e Electorate, ops []dcs.Op, moves bool, now boottime.Instant) Write {
	h.awaited, h.lastPut = h.ids.next(), now
	h.sent = slices.DeleteFunc(h.sent, func(p write) bool { return p.compared < h.revision && p.sent.Add(2*h.length) < now })
	h.sent = noted(h.sent, write{id: h.awaited, sent: now, compared: h.revision, electorate: e, leads: moves}, now.Add(-2*h.length))
	leader := dcs.Condition{Key: dcs.KeyLeader, Modified: h.term}
	if h.gone {
		leader = noLeader(h.stray, 0)
	}
	txn := dcs.Txn{If: []dcs.Condition{leader, electorateIs(h.revision)}, Then: ops}
	if h.gone {
		txn.If = append(txn.If, nobodyTookOver(h.taken))
	}
	if !h.keeps(compareRevision) {
		txn.If = txn.If[:1]
	}
	return Write{ID: h.awaited, Sent: now, Txn: txn}
}

// awaiting reports whether it is too early for another put: the newest was sent
// less than a quarter of a permit ago and has no answer, or less than a twelfth
// ago, so that a store that fails at once is not flooded.
func (h *Holder) awaiting(now boottime.Instant) bool {
	gap := h.length / 12
	if h.awaited != 0 {
		gap = h.length / 4
	}
	return h.lastPut != 0 && now < h.lastPut.Add(gap)
}

// next is the electorate as it should be.
func (h *Holder) next(now boottime.Instant) Electorate {
	return h.nextIn(make([]string, 0, len(h.known.Members)+len(h.wanted)), now)
}

// nextIn has room for its members.
func (h *Holder) nextIn(room []string, now boottime.Instant) Electorate {
	e := Electorate{Leader: h.me, Permit: h.length, Unarmed: h.unarmed, Timeline: h.known.Timeline}
	if h.keeps(shorterAfterEnd) && h.permit > now.Add(span(e.Permit)) && h.revision > 0 {
		e.Permit = max(e.Permit, h.known.Permit) // until the last longer permit has ended (P9)
	}
	e.Members = room
	for _, m := range h.known.Members {
		if slices.Contains(h.wanted, m) && !h.silent(m, now) {
			e.Members = append(e.Members, m)
		}
	}
	for _, m := range h.wanted {
		if !slices.Contains(h.known.Members, m) && m != h.me && h.answers(m, now) {
			e.Members = append(e.Members, m)
		}
	}
	switch e.Sole = h.sole && len(e.Members) == 0; {
	case e.Sole:
	case len(e.Members) == 0:
		// All are silent: the permit hangs on the store with them as without them. But
		// without them it would go on to when they are back and the store is not (P6, L3).
		e.Members = intersection(h.known.Members, h.wanted)
	}
	if !ascend(e.Members) {
		slices.Sort(e.Members)
		e.Members = slices.Compact(e.Members)
	}
	return e
}

// intersection are the members that are in both.
func intersection(a, b []string) (out []string) {
	for _, m := range a {
		if slices.Contains(b, m) {
			out = append(out, m)
		}
	}
	return out
}

// silent: nothing acknowledged for one and a half permits. It is then taken out of
// the electorate, so that the permit does not hang on the store for its sake.
func (h *Holder) silent(member string, now boottime.Instant) bool {
	since := h.started
	if p := h.peers[member]; p != nil {
		since = later(since, p.sent)
	}
	return now > since.Add(3*h.length/2)
}

// answers: a heartbeat of the last half permit was acknowledged.
func (h *Holder) answers(member string, now boottime.Instant) bool {
	p := h.peers[member]
	return p != nil && p.sent > 0 && now < p.sent.Add(h.length/2)
}

// Want says who should be in the electorate. Whoever does not answer is left out. sole:
// when that leaves nobody, nobody may take over.
func (h *Holder) Want(members []string, sole bool) { h.wanted, h.sole = slices.Clone(members), sole }

// SetLength changes the permit's length. It goes out with the next heartbeat and
// put, and is used as far as P9 lets it.
func (h *Holder) SetLength(length time.Duration) { h.length = length }

// Answered takes the store's answer to a put. After a No the caller reads the
// store and tells See.
func (h *Holder) Answered(id int64, answer Answer, revision int64, now boottime.Instant) {
	if id == h.awaited {
		h.awaited = 0
	}
	i := slices.IndexFunc(h.sent, func(p write) bool { return p.id == id })
	if i < 0 {
		return
	}
	p := h.sent[i]
	switch answer {
	case No: // an answer to this one alone: others may still be applied (P3)
		h.sent = refused(h.sent, i)
		h.stale = true
	case Yes:
		h.sure = max(h.sure, revision)
		if p.leads {
			h.term, h.gone = max(h.term, revision), false
		}
		if revision > h.revision {
			h.know(p.electorate, revision)
		}
		h.blind = false
		h.extend(p.sent, p.electorate.Permit, now)
	}
}

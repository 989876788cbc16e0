package permit

import (
	"slices"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/dcs"
)

// FreeAt is the instant from which this member may take over, if it hears nothing
// until then. False: not under the electorate as it was seen.
func (f *Follower) FreeAt() (boottime.Instant, bool) {
	v := &f.view // asked for in every step
	switch {
	case !f.seen || v.Revision < f.beyond: // the transaction would fail
		return 0, false
	case v.illegible():
		// Who must acknowledge the leader is not known, so nobody knows whether it must
		// be this member. The leader puts the key again; if it is lost as well, a person
		// who knows that it is puts one that says so (docs/operate.md).
		return 0, false
	case v.Revision == 0 && v.Taken > 0 && f.keeps(takenIsKept):
		return 0, false // deleted by hand: the same
	case v.Revision == 0 && v.Leader != "", v.Electorate.Released && v.Leader != "":
		return 0, false // a leader that keeps no electorate: Patroni
	case f.released():
		return 0, true
	case v.Leader != "" && !v.governed() && f.keeps(governedOnly):
		return 0, false
	case !f.inElectorate():
		return 0, false
	}
	wait := f.wait
	if f.keeps(promiseHolds) {
		wait = later(wait, f.promised)
	}
	return wait, true
}

// inElectorate reports whether this member may race: the members, and with none
// anyone (P6), unless the leader is the sole quorum. The leader that the key names may too, after the same wait, when
// it has lost its permit or its memory.
func (f *Follower) inElectorate() bool {
	e := &f.view.Electorate
	return e.anyone() || e.Leader == f.me || slices.Contains(e.Members, f.me) || !f.keeps(onlyElectorate)
}

// ledLast reports that the newest electorate is that of this node's own lead, and that
// no leader of a newer term is known. One of Patroni's leaves the electorate as it is, so
// that it has led is known only to those who saw its key, or saw it retired.
func (f *Follower) ledLast() bool {
	v := &f.view
	return f.seen && v.Revision > 0 && v.Revision >= max(f.beyond, f.term) && v.Electorate.Leader == f.me
}

// TakeOver is the transaction that makes this member the leader, if it may send
// one now. It is repeated rather than waited for (P4), every quarter of a permit.
// From here until the key is seen beyond it, nothing is acknowledged.
//
// promotion is the number of the timeline that it would begin, as far as is known
// here; 0: its server is a primary already. One that was claimed before is passed over.
//
// unarmed: its server runs on unguarded, for the cluster is paused.
func (f *Follower) TakeOver(length time.Duration, promotion uint32, unarmed bool, now boottime.Instant) (Write, bool) {
	if at, ok := f.FreeAt(); !ok || now < at || now < f.retry || f.stale {
		return Write{}, false
	}
	f.retry = now.Add(length / 4)
	after := f.view.Electorate.after(f.me, length)
	after.Unarmed = unarmed
	if promotion > 0 {
		after.Timeline = max(after.Timeline+1, promotion)
	}
	w := f.note(now, after)
	txn := dcs.Txn{
		If: []dcs.Condition{f.view.leaderIs(), electorateIs(f.view.Revision)},
		Then: []dcs.Op{
			{Key: dcs.KeyLeader, Data: []byte(f.me), Leased: true},
			{Key: Key, Data: w.electorate.Encode()},
			{Key: TermKey, Data: []byte(f.me)},
		},
	}
	if f.view.Revision == 0 {
		txn.If = append(txn.If, nobodyTookOver(f.view.Taken))
	}
	if !f.keeps(compareRevision) {
		txn.If = nil
	}
	return Write{ID: w.id, Sent: now, Txn: txn}, true
}

func (f *Follower) note(now boottime.Instant, e Electorate) write {
	w := write{id: f.ids.next(), sent: now, compared: f.view.Revision, electorate: e, leads: true, free: f.released()}
	f.sent = slices.DeleteFunc(f.sent, func(w write) bool { return w.compared < f.beyond })
	f.sent = noted(f.sent, w, now.Add(-2*max(e.Permit, f.length())))
	return w
}

// won is what a takeover has won.
type won struct {
	term       int64
	taken      int64
	electorate Electorate
	sent       boottime.Instant // 0: the transaction that won is not known
}

// Answered takes the store's answer to a takeover. After a No the caller reads
// the store and tells See.
func (f *Follower) Answered(id int64, answer Answer, revision int64, now boottime.Instant) (won, bool) {
	i := slices.IndexFunc(f.sent, func(w write) bool { return w.id == id })
	if i < 0 {
		return won{}, false
	}
	w := f.sent[i]
	if answer == No { // this one was not applied; others still may be (P3)
		f.sent = refused(f.sent, i)
		f.retry, f.stale = 0, true
	}
	if !f.keeps(mayStillApply) {
		f.sent = nil
	}
	if answer != Yes || f.term > revision || f.beyond > revision {
		return won{}, false // not won, or overtaken since
	}
	f.See(View{At: max(f.view.At, revision), Leader: f.me, Term: revision, Electorate: w.electorate, Revision: revision, Taken: revision}, now)
	if w.free && f.to < w.compared {
		f.promised, f.born = 0, 0 // nobody but the one who gave up was promised to
	}
	return won{term: revision, taken: revision, electorate: w.electorate, sent: w.sent}, true
}

// wonUnanswered reports a takeover of this agent's life that the view shows to
// have been applied though no answer has come. Which one it was, and whether an
// earlier life of this agent sent it, is not known: so it wins the key, and no
// permit.
func (f *Follower) wonUnanswered() (won, bool) {
	v := f.view
	if v.Leader != f.me || !v.governed() || v.Electorate.Released || v.Term < f.term || v.Revision < f.beyond {
		return won{}, false
	}
	tried := slices.ContainsFunc(f.sent, func(w write) bool { return w.compared < v.Revision })
	return won{term: v.Term, taken: v.Taken, electorate: v.Electorate}, tried
}

// LeaderNoMore begins a quiet period, for this node has just learnt that it leads
// no more (P2).
func (f *Follower) LeaderNoMore(now boottime.Instant) { f.quieten(now) }

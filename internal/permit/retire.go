package permit

import (
	"matriarch/internal/boottime"
	"matriarch/internal/dcs"
)

// foreign is a leader key of Patroni's, and since when it is seen.
type foreign struct {
	term  int64
	since boottime.Instant
	tried boottime.Instant
}

// patronis reports whether the present leader is Patroni's: it was put without the
// electorate, which is of a leader before it, or has been retired since. (Of ours,
// the one who gives up deletes its leader key in the same transaction.)
func (v *View) patronis() bool { return v.Leader != "" && (!v.governed() || v.Electorate.Released) }

// RetireAt is when Retire has something to put: this member has acknowledged nothing
// to the leader before Patroni's for so long that no permit can be left of it, even
// if that one did not know that Patroni races. 0: nothing to put.
func (f *Follower) RetireAt() boottime.Instant {
	if !f.seen || f.view.Leader == "" || f.view.governed() || f.view.erased() && f.keeps(takenIsKept) || f.view.Leader == f.me || f.pending() || f.foreign.term != f.view.Term {
		return 0
	}
	at := later(f.wait, f.foreign.since.Add(quiet(f.length())))
	if f.foreign.tried != 0 {
		at = later(at, f.foreign.tried.Add(quiet(f.length())))
	}
	return at
}

// Retire puts the electorate of the leader before Patroni's aside: the key then says
// that the leader is Patroni's and that nobody has to be waited for. So when Patroni's
// leader key goes, which is when its server takes no writes any more, any member may
// take over at once; and the members of old, who may be no more, are not asked.
//
// The leader key is compared, for under any other this would be wrong. An answer is
// not waited for: the mirror shows who put it.
func (f *Follower) Retire(now boottime.Instant) (Write, bool) {
	if at := f.RetireAt(); at == 0 || now < at {
		return Write{}, false
	}
	f.foreign.tried = now
	e := Electorate{Leader: f.view.Leader, Permit: f.length(), Released: true, Timeline: f.view.Electorate.Timeline}
	txn := dcs.Txn{
		If:   []dcs.Condition{f.view.leaderIs(), electorateIs(f.view.Revision)},
		Then: []dcs.Op{{Key: Key, Data: e.Encode()}},
	}
	return Write{ID: f.ids.next(), Sent: now, Txn: txn}, true
}

// notice keeps since when a leader key of Patroni's is seen.
func (f *Follower) notice(now boottime.Instant) {
	if f.view.patronis() && f.foreign.term != f.view.Term {
		f.foreign = foreign{term: f.view.Term, since: now}
	}
}

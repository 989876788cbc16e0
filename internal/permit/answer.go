package permit

import (
	"errors"
	"slices"

	"matriarch/internal/boottime"
	"matriarch/internal/dcs"
)

// Answer is what the store said to a transaction.
type Answer int

// The three answers. Unknown is not No: the transaction may still be applied.
const (
	Unknown Answer = iota
	Yes
	No
)

// AnswerOf tells the answer from the error of a commit.
func AnswerOf(err error) Answer {
	switch {
	case err == nil:
		return Yes
	case errors.Is(err, dcs.ErrConflict), errors.Is(err, dcs.ErrNoLease):
		return No // nothing was written
	}
	return Unknown
}

// Write is a transaction to send to the store, at once: what it wins counts from
// Sent. Its answer goes back under its ID.
type Write struct {
	ID   int64
	Sent boottime.Instant
	Txn  dcs.Txn
}

// write is a Write that may still be applied.
type write struct {
	id         int64
	sent       boottime.Instant
	compared   int64 // revision of the electorate key that it compares
	electorate Electorate
	leads      bool // puts the leader key as well
	free       bool // takes over from a leader that gave up
	more       bool // stands for earlier ones that were like it, too
}

// like reports that two do the same, if they are applied.
func (w write) like(o write) bool {
	return w.compared == o.compared && w.leads == o.leads && w.free == o.free && w.electorate.Permit == o.electorate.Permit && w.electorate.Equal(o.electorate)
}

// noted adds one to those that may still be applied. While the store is away the same is
// sent again every quarter of a permit, for hours, and none of it is forgotten: but of
// those like it whose answer would come too late to give anything the newest stands for
// all. A record of each would soon be more than the guard holds, and nothing is sent
// that is not on record.
func noted(sent []write, w write, late boottime.Instant) []write {
	sent = slices.DeleteFunc(sent, func(old write) bool {
		same := old.sent < late && old.like(w)
		w.more = w.more || same
		return same
	})
	return append(sent, w)
}

// refused takes out one that was not applied and will not be. Those that it stands for
// still may be, or have been (P3).
func refused(sent []write, i int) []write {
	if sent[i].more {
		sent[i].id = 0
		return sent
	}
	return slices.Delete(sent, i, i+1)
}

// ids numbers the transactions of a node.
type ids struct{ last int64 }

func (i *ids) next() int64 {
	i.last++
	return i.last
}

package permit

import (
	"errors"

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
}

// ids numbers the transactions of a node.
type ids struct{ last int64 }

func (i *ids) next() int64 {
	i.last++
	return i.last
}

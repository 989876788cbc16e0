// Package figures turns what a client saw of a cluster into the figures of the
// benchmark. It is arithmetic alone: no clock, no I/O.
package figures

import (
	"cmp"
	"slices"
	"time"
)

// Attempt is one row that a client tried to commit at one node.
type Attempt struct {
	ID    int64 // of the row; 0 where there was not even a connection to try it on
	Node  string
	Local bool // by the client inside the node's own network
	Sent  time.Time
	Done  time.Time // of the answer, or when the client gave up
	OK    bool      // the commit was acknowledged
}

// Gap is a time in which no commit was acknowledged.
type Gap struct{ Start, End time.Time }

// Length is how long the gap was.
func (g Gap) Length() time.Duration { return g.End.Sub(g.Start) }

// LongestGap is the write outage: the longest time without an acknowledged commit
// at any node that ended after from. It begins with an acknowledgement and ends
// with one, or with to. What clients inside a node see does not count.
func LongestGap(attempts []Attempt, from, to time.Time) Gap {
	longest := Gap{from, from}
	for _, g := range gaps(attempts, from, to) {
		if g.Length() > longest.Length() {
			longest = g
		}
	}
	return longest
}

// Paused is the sum of all gaps that are longer than least.
func Paused(attempts []Attempt, from, to time.Time, least time.Duration) time.Duration {
	var sum time.Duration
	for _, g := range gaps(attempts, from, to) {
		if g.Length() > least {
			sum += g.Length()
		}
	}
	return sum
}

func gaps(attempts []Attempt, from, to time.Time) []Gap {
	var acknowledged []time.Time
	for _, a := range attempts {
		if a.OK && !a.Local && !a.Done.After(to) {
			acknowledged = append(acknowledged, a.Done)
		}
	}
	slices.SortFunc(acknowledged, time.Time.Compare)
	var out []Gap
	previous := from
	for _, at := range append(acknowledged, to) {
		if at.After(from) {
			out = append(out, Gap{previous, at})
		}
		previous = at
	}
	return out
}

// LastLocal is when the last commit of a client inside its node was acknowledged.
// It is false where none was.
func LastLocal(attempts []Attempt) (time.Time, bool) {
	var last time.Time
	for _, a := range attempts {
		if a.Local && a.OK && a.Done.After(last) {
			last = a.Done
		}
	}
	return last, !last.IsZero()
}

// Lost counts the acknowledged rows that are not there any more: those of the
// clients outside, and those of clients inside a node.
func Lost(attempts []Attempt, there map[int64]bool) (outside, inside int) {
	for _, a := range attempts {
		switch {
		case !a.OK || there[a.ID]:
		case a.Local:
			inside++
		default:
			outside++
		}
	}
	return outside, inside
}

// Median is the middle of the values, the mean of the middle two where their
// number is even; 0 of none.
func Median[T cmp.Ordered](values []T, mean func(a, b T) T) T {
	var zero T
	if len(values) == 0 {
		return zero
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return mean(sorted[middle-1], sorted[middle])
}

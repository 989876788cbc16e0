package figures

import (
	"slices"
	"time"
)

// slow is how long a commit may take and still count as taken in passing. One that
// took longer waited for a server that stood still, and its two ends are known to
// be writable but not the time between.
const slow = 100 * time.Millisecond

// Dual is how long two nodes took writes at once.
type Dual struct {
	// Proven counts an instant for a node only between two acknowledged commits:
	// after the answer to the first and before the second was sent.
	Proven time.Duration
	// Possible counts an instant from the sending of the first to the answer to the
	// last of them. Where Proven is zero and this is not, an answer came late.
	Possible time.Duration
}

// DualWritable adds up the time in which two nodes or more took writes.
func DualWritable(attempts []Attempt) Dual {
	return Dual{Proven: overlap(spans(attempts, true)), Possible: overlap(spans(attempts, false))}
}

// span is a time in which a node took writes.
type span struct{ start, end time.Time }

// spans are the times in which each node took writes. Each writer is looked at by
// itself: what one is refused says nothing of another that reaches the server by
// another way.
func spans(attempts []Attempt, proven bool) map[string][]span {
	type writer struct {
		node  string
		local bool
	}
	by := map[writer][]Attempt{}
	for _, a := range attempts {
		w := writer{a.Node, a.Local}
		by[w] = append(by[w], a)
	}
	out := map[string][]span{}
	for w, list := range by {
		slices.SortFunc(list, func(a, b Attempt) int { return a.Sent.Compare(b.Sent) })
		out[w.node] = append(out[w.node], runs(list, proven)...)
	}
	return out
}

// runs are the unbroken rows of acknowledged commits of one writer.
func runs(list []Attempt, proven bool) []span {
	var out []span
	var open bool
	var s span
	end := func() {
		if open && s.end.After(s.start) {
			out = append(out, s)
		}
		open = false
	}
	for _, a := range list {
		if !a.OK || proven && open && a.Done.Sub(a.Sent) > slow {
			end()
		}
		if !a.OK {
			continue
		}
		switch {
		case !open && proven:
			s, open = span{a.Done, a.Sent}, true
		case !open:
			s, open = span{a.Sent, a.Done}, true
		case proven:
			s.end = a.Sent
		default:
			s.end = a.Done
		}
	}
	end()
	return out
}

// overlap is the time covered by the spans of two nodes or more.
func overlap(by map[string][]span) time.Duration {
	type edge struct {
		at    time.Time
		node  string
		delta int
	}
	var edges []edge
	for node, list := range by {
		for _, s := range list {
			edges = append(edges, edge{s.start, node, 1}, edge{s.end, node, -1})
		}
	}
	slices.SortFunc(edges, func(a, b edge) int { return a.at.Compare(b.at) })
	var sum time.Duration
	open := map[string]int{}
	for i, e := range edges {
		writable := 0
		for _, n := range open {
			if n > 0 {
				writable++
			}
		}
		if writable > 1 {
			sum += e.at.Sub(edges[i-1].at)
		}
		open[e.node] += e.delta
	}
	return sum
}

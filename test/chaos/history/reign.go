package history

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Reign is the time in which one node acknowledged on one timeline. A server that
// crashed and was restarted in place goes on with it.
type Reign struct {
	Node     string
	Timeline int
	Appends  int

	// First and Last bound it from inside: it had begun when the earliest answer was
	// there, and it had not ended before the latest acknowledgement can have been
	// given. Last can be before First, when all there is may have happened at once.
	First, Last time.Duration

	first, last Append
}

func (r Reign) String() string {
	return fmt.Sprintf("%s on timeline %d from %s to %s, %d appends", r.Node, r.Timeline, Instant(r.First), Instant(r.Last), r.Appends)
}

// Reigns are those that acknowledged anything, by timeline.
func Reigns(appends []Append) []Reign {
	type key struct {
		node     string
		timeline int
	}
	found := map[key]*Reign{}
	for _, a := range appends {
		if !a.Acknowledged {
			continue
		}
		k := key{a.Node, a.Timeline}
		r := found[k]
		if r == nil {
			r = &Reign{Node: a.Node, Timeline: a.Timeline, First: a.Done, Last: a.earliest(), first: a, last: a}
			found[k] = r
		}
		r.Appends++
		if a.Done < r.First {
			r.First, r.first = a.Done, a
		}
		if a.earliest() > r.Last {
			r.Last, r.last = a.earliest(), a
		}
	}
	var out []Reign
	for _, r := range found {
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b Reign) int {
		return cmp.Or(cmp.Compare(a.Timeline, b.Timeline), cmp.Compare(a.Node, b.Node))
	})
	return out
}

// Kind is what a violation of S1 consists in.
type Kind string

// Both mean that two servers took writes that cannot be one history.
const (
	SharedTimeline Kind = "two nodes acknowledged on the same timeline"
	Overlap        Kind = "a node acknowledged on an older timeline while a newer one was written"
)

// Violation is a proof, with the two appends that it rests on.
type Violation struct {
	Kind         Kind
	Older, Newer Reign
	Late, Early  Append        // the last of the older reign, the first of the newer one
	For          time.Duration // how long both acknowledged, at least
}

func (v Violation) String() string {
	return fmt.Sprintf("%s, for %s s at least: %s; %s; witnesses %s and %s", v.Kind, Instant(v.For), v.Older, v.Newer, v.Late, v.Early)
}

// Exclusion looks for two servers that acknowledged side by side.
//
// Each acknowledgement was given at an instant between Append.earliest and
// Append.Done. The reigns can have followed one another, in the order of their
// timelines, exactly if for each two of them the latest earliest of the older is
// not after the earliest Done of the newer: then some instant between the two
// separates them, and since timelines are in one order these instants agree with
// each other. Otherwise the older acknowledged after the newer had begun to.
func Exclusion(appends []Append) []Violation {
	var out []Violation
	reigns := Reigns(appends)
	for i, older := range reigns {
		for _, newer := range reigns[i+1:] {
			v := Violation{Older: older, Newer: newer, Late: older.last, Early: newer.first, For: max(0, older.Last-newer.First)}
			switch {
			case older.Timeline == newer.Timeline:
				v.Kind, v.For = SharedTimeline, max(0, min(older.Last, newer.Last)-max(older.First, newer.First))
			case older.Last > newer.First:
				v.Kind = Overlap
			default:
				continue
			}
			out = append(out, v)
		}
	}
	return out
}

// Gap is the longest time without an acknowledgement by anybody that ended after
// from and began before to. What was not over at to counts up to there.
func Gap(appends []Append, from, to time.Duration) time.Duration {
	var done []time.Duration
	for _, a := range appends {
		if a.Acknowledged {
			done = append(done, a.Done)
		}
	}
	slices.Sort(done)
	worst, previous := time.Duration(0), time.Duration(0)
	for _, d := range done {
		if d > from && previous < to {
			worst = max(worst, min(d, to)-previous)
		}
		previous = d
	}
	if previous < to {
		worst = max(worst, to-previous)
	}
	return worst
}

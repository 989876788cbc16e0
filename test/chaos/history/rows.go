package history

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Row is one element of the list as a server holds it.
type Row struct {
	Node     string
	Sequence int
	Timeline int // that the server said it was written on
}

func compare(a, b Row) int {
	return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Sequence, b.Sequence), cmp.Compare(a.Timeline, b.Timeline))
}

// Verdict is what became of the appends.
type Verdict struct {
	Acknowledged int
	Unanswered   int
	Lost         []Append // acknowledged, and not there
	Strange      []Row    // there, and never sent, or acknowledged on another timeline
}

// Judge compares a server's rows with the appends that were over before the rows
// were read. Rows beyond those (of appends under way) are said to be strange only
// if complete tells that no append was under way.
func Judge(appends []Append, rows []Row, complete bool) Verdict {
	type key struct {
		node     string
		sequence int
	}
	var v Verdict
	there := map[key]Row{}
	for _, r := range rows {
		there[key{r.Node, r.Sequence}] = r
	}
	for _, a := range appends {
		k := key{a.Node, a.Sequence}
		r, present := there[k]
		delete(there, k)
		switch {
		case !a.Acknowledged:
			v.Unanswered++
			continue
		case !present:
			v.Lost = append(v.Lost, a)
		case r.Timeline != a.Timeline:
			v.Strange = append(v.Strange, r)
		}
		v.Acknowledged++
	}
	if complete {
		for _, r := range there {
			v.Strange = append(v.Strange, r)
		}
	}
	slices.SortFunc(v.Strange, compare)
	return v
}

func (v Verdict) String() string {
	text := fmt.Sprintf("%d appends acknowledged, %d without an answer, %d lost", v.Acknowledged, v.Unanswered, len(v.Lost))
	if len(v.Lost) > 0 {
		text += " " + LostBy(v.Lost)
	}
	if len(v.Strange) > 0 {
		text += fmt.Sprintf(", %d strange rows, the first %+v", len(v.Strange), v.Strange[0])
	}
	return text
}

// LostBy tells by whom lost appends were acknowledged, and when.
func LostBy(lost []Append) string {
	var parts []string
	for _, r := range Reigns(lost) {
		parts = append(parts, fmt.Sprintf("%d of %s on timeline %d from %s to %s", r.Appends, r.Node, r.Timeline, Instant(r.First), Instant(r.Last)))
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

// Difference names rows that one server has and the other has not, at most five
// of each; empty when there are none.
func Difference(a, b []Row) string {
	var out []string
	for _, side := range []struct {
		name      string
		has, lack []Row
	}{{"only the first has", a, b}, {"only the second has", b, a}} {
		lack := map[Row]bool{}
		for _, r := range side.lack {
			lack[r] = true
		}
		extra := slices.DeleteFunc(slices.Clone(side.has), func(r Row) bool { return lack[r] })
		if len(extra) > 0 {
			slices.SortFunc(extra, compare)
			out = append(out, fmt.Sprintf("%s %d rows: %+v", side.name, len(extra), extra[:min(5, len(extra))]))
		}
	}
	return strings.Join(out, "; ")
}

package ctl

import (
	"fmt"
	"strings"
)

// span is a run of lines that both texts have: a[a:a+n] equals b[b:b+n].
type span struct{ a, b, n int }

// sameLines finds the runs that two texts share: the longest first, then the
// longest before and after it. For a configuration this reads better than the
// fewest changes do.
func sameLines(a, b []string) []span {
	places := map[string][]int{}
	for j, line := range b {
		places[line] = append(places[line], j)
	}
	var out []span
	var search func(alo, ahi, blo, bhi int)
	search = func(alo, ahi, blo, bhi int) {
		best := longest(a, places, alo, ahi, blo, bhi)
		if best.n == 0 {
			return
		}
		search(alo, best.a, blo, best.b)
		out = append(out, best)
		search(best.a+best.n, ahi, best.b+best.n, bhi)
	}
	search(0, len(a), 0, len(b))
	return append(out, span{len(a), len(b), 0})
}

// longest is the first of the longest common runs within the bounds.
func longest(a []string, places map[string][]int, alo, ahi, blo, bhi int) span {
	best := span{alo, blo, 0}
	ending := map[int]int{} // length of the run that ends at a line of b
	for i := alo; i < ahi; i++ {
		next := map[int]int{}
		for _, j := range places[a[i]] {
			if j < blo || j >= bhi {
				continue
			}
			n := ending[j-1] + 1
			next[j] = n
			if n > best.n {
				best = span{i - n + 1, j - n + 1, n}
			}
		}
		ending = next
	}
	return best
}

// change replaces a[alo:ahi] by b[blo:bhi].
type change struct{ alo, ahi, blo, bhi int }

// changes are what lies between the common runs.
func changes(a, b []string) []change {
	var out []change
	i, j := 0, 0
	for _, s := range sameLines(a, b) {
		if i < s.a || j < s.b {
			out = append(out, change{i, s.a, j, s.b})
		}
		i, j = s.a+s.n, s.b+s.n
	}
	return out
}

// contextLines stand before and after a change.
const contextLines = 3

// unifiedDiff is the difference of two texts with the headers that patronictl
// prints, which name no file; empty for equal ones.
func unifiedDiff(before, after string) []string {
	a, b := splitLines(before), splitLines(after)
	all := changes(a, b)
	if len(all) == 0 {
		return nil
	}
	out := []string{"--- ", "+++ "}
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].alo-all[n-1].ahi <= 2*contextLines {
			n++
		}
		out = append(out, hunk(a, b, all[:n])...)
		all = all[n:]
	}
	return out
}

func hunk(a, b []string, group []change) []string {
	first, last := group[0], group[len(group)-1]
	lead := min(contextLines, first.alo)
	tail := min(contextLines, len(a)-last.ahi)
	out := []string{fmt.Sprintf("@@ -%s +%s @@", lineRange(first.alo-lead, last.ahi+tail), lineRange(first.blo-lead, last.bhi+tail))}
	at := first.alo - lead
	keep := func(until int) {
		for ; at < until; at++ {
			out = append(out, " "+a[at])
		}
	}
	for _, c := range group {
		keep(c.alo)
		for _, line := range a[c.alo:c.ahi] {
			out = append(out, "-"+line)
		}
		for _, line := range b[c.blo:c.bhi] {
			out = append(out, "+"+line)
		}
		at = c.ahi
	}
	keep(last.ahi + tail)
	return out
}

// lineRange counts from 1; an empty range stands at the line before it.
func lineRange(from, to int) string {
	switch to - from {
	case 0:
		return fmt.Sprintf("%d,0", from)
	case 1:
		return fmt.Sprint(from + 1)
	}
	return fmt.Sprintf("%d,%d", from+1, to-from)
}

func splitLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// paintDiff makes added and removed lines stand out; their signs say the same.
func paintDiff(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		colour := map[byte]string{'-': "\x1b[33m", '+': "\x1b[36m", '@': "\x1b[1m"}[line[0]] // yellow and cyan: every eye tells them apart
		if colour == "" || i < 2 {
			out[i] = line
			continue
		}
		out[i] = colour + line + "\x1b[0m"
	}
	return out
}

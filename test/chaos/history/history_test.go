package history

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// acked is an acknowledged append, in milliseconds.
func acked(node string, timeline, sent, done int) Append {
	return Append{Node: node, Sequence: sent, Timeline: timeline, Sent: ms(sent), Done: ms(done), Acknowledged: true}
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// silentUntil is an append whose answer was not there at an instant.
func silentUntil(a Append, instant int) Append { a.Silent = ms(instant); return a }

func unanswered(a Append) Append { a.Acknowledged = false; return a }

func TestExclusion(t *testing.T) {
	for _, c := range []struct {
		name    string
		appends []Append
		want    Kind // empty: none
		lasted  int
	}{
		{"one node alone", []Append{acked("a", 1, 0, 5), acked("a", 1, 10, 15)}, "", 0},
		{"a hand-over", []Append{acked("a", 1, 0, 5), acked("b", 2, 10, 15), acked("b", 2, 20, 25)}, "", 0},
		{"a hand-over and back", []Append{acked("a", 1, 0, 5), acked("b", 2, 10, 15), acked("a", 3, 20, 25)}, "", 0},
		{"a restart in place", []Append{acked("a", 1, 0, 5), acked("a", 1, 5000, 5005)}, "", 0},
		{"answers that overlap can have been given one after the other",
			[]Append{acked("a", 1, 0, 100), acked("b", 2, 50, 90)}, "", 0},
		{"the old primary waited with an answer and gave it late",
			[]Append{silentUntil(acked("a", 1, 0, 5000), 4990), acked("b", 2, 1000, 1005)}, Overlap, 3985},
		{"the old primary may have given its answer before it fell silent",
			[]Append{acked("a", 1, 0, 5000), acked("b", 2, 1000, 1005)}, "", 0},
		{"the old primary takes one more", []Append{acked("a", 1, 0, 5), acked("b", 2, 10, 15), acked("a", 1, 20, 25)}, Overlap, 5},
		{"both all the time", []Append{acked("a", 1, 0, 5), acked("b", 2, 2, 7), acked("a", 1, 100, 105), acked("b", 2, 100, 105)}, Overlap, 93},
		{"one of the new in the midst of the old", []Append{acked("a", 1, 0, 5), acked("b", 2, 10, 15), acked("a", 1, 16, 30)}, Overlap, 1},
		{"the newer timeline was written first", []Append{acked("a", 3, 0, 5), acked("b", 2, 10, 15)}, Overlap, 5},
		{"two nodes give their timelines the same number", []Append{acked("a", 2, 0, 5), acked("b", 2, 10, 15)}, SharedTimeline, 0},
		{"what nobody answered proves nothing", []Append{acked("a", 1, 0, 5), acked("b", 2, 10, 15), unanswered(acked("a", 1, 20, 25))}, "", 0},
		{"a node that goes back to its own old timeline", []Append{acked("a", 1, 0, 5), acked("a", 2, 10, 15), acked("a", 1, 20, 25)}, Overlap, 5},
	} {
		found := Exclusion(c.appends)
		switch {
		case c.want == "" && len(found) > 0:
			t.Errorf("%s: %v", c.name, found)
		case c.want != "" && (len(found) != 1 || found[0].Kind != c.want || found[0].For != ms(c.lasted)):
			t.Errorf("%s: %v, not %s for %d ms", c.name, found, c.want, c.lasted)
		}
	}
}

// TestExclusionAgainstTruth draws runs of nodes that take turns, and judges them by
// what the clients see. In turn nothing may be found; when one acknowledgement of
// a reign is really given well after the next has begun, it must be.
func TestExclusionAgainstTruth(t *testing.T) {
	for seed := range uint64(2000) {
		lot := rand.New(rand.NewPCG(seed, 1))
		var appends []Append
		now := 0
		var ends []int
		reigns := 2 + lot.IntN(4)
		for r := range reigns {
			for range 1 + lot.IntN(10) {
				now += 1 + lot.IntN(20)
				a := acked([]string{"a", "b", "c"}[r%3], r+1, now-lot.IntN(50), now+lot.IntN(50))
				if lot.IntN(3) == 0 {
					a.Silent = ms(now - lot.IntN(5))
				}
				appends = append(appends, a)
			}
			ends = append(ends, now)
		}
		if v := Exclusion(appends); len(v) > 0 {
			t.Fatalf("seed %d: the nodes took turns: %v", seed, v)
		}
		late := lot.IntN(reigns - 1)
		at := ends[late+1] + 60
		appends = append(appends, acked([]string{"a", "b", "c"}[late%3], late+1, at-lot.IntN(5), at+lot.IntN(50)))
		if len(Exclusion(appends)) == 0 {
			t.Fatalf("seed %d: nobody sees that reign %d acknowledged at %d, the next had begun before %d", seed, late+1, at, ends[late+1])
		}
	}
}

func TestJudge(t *testing.T) {
	appends := []Append{acked("a", 1, 0, 5), acked("a", 1, 10, 15), unanswered(acked("a", 1, 20, 25)), acked("b", 2, 30, 35)}
	whole := []Row{{"a", 0, 1}, {"a", 10, 1}, {"b", 30, 2}}
	for _, c := range []struct {
		name     string
		rows     []Row
		complete bool
		lost     int
		odd      int
	}{
		{"all is there, the unanswered is not", whole, true, 0, 0},
		{"all is there, the unanswered as well", append([]Row{{"a", 20, 1}}, whole...), true, 0, 0},
		{"one is lost", whole[1:], true, 1, 0},
		{"a row that nobody sent", append([]Row{{"c", 1, 1}}, whole...), true, 0, 1},
		{"a row of an append under way", append([]Row{{"c", 1, 1}}, whole...), false, 0, 0},
		{"a row that was written on another timeline than was said", []Row{{"a", 0, 1}, {"a", 10, 3}, {"b", 30, 2}}, true, 0, 1},
	} {
		v := Judge(appends, c.rows, c.complete)
		if len(v.Lost) != c.lost || len(v.Strange) != c.odd || v.Acknowledged != 3 || v.Unanswered != 1 {
			t.Errorf("%s: %s", c.name, v)
		}
	}
}

func TestLostBy(t *testing.T) {
	got := LostBy([]Append{acked("a", 1, 0, 5), acked("a", 1, 10, 15), acked("b", 2, 30, 35)})
	for _, want := range []string{"2 of a on timeline 1", "1 of b on timeline 2"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
}

func TestDifference(t *testing.T) {
	one, other := []Row{{"a", 1, 1}, {"a", 2, 1}}, []Row{{"a", 1, 1}, {"a", 2, 2}}
	if d := Difference(one, one); d != "" {
		t.Errorf("equal sets differ: %s", d)
	}
	d := Difference(one, other)
	for _, want := range []string{"only the first has 1 rows", "only the second has 1 rows"} {
		if !strings.Contains(d, want) {
			t.Errorf("%q lacks %q", d, want)
		}
	}
}

func TestGap(t *testing.T) {
	appends := []Append{acked("a", 1, 0, 10), acked("b", 2, 3000, 3010), unanswered(acked("a", 1, 3015, 4000)), acked("b", 2, 5000, 5010)}
	for _, c := range []struct{ from, to, want int }{
		{0, 6000, 3000}, {3010, 6000, 2000}, {5010, 6000, 990}, {0, 1000, 990}, {20, 2000, 1990}, {5010, 9010, 4000},
	} {
		if got := Gap(appends, ms(c.from), ms(c.to)); got != ms(c.want) {
			t.Errorf("from %d to %d: %v, not %d ms", c.from, c.to, got, c.want)
		}
	}
}

package figures

import (
	"testing"
	"time"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

// steady are commits at a node from one instant to another, one each 10 ms, each
// answered after 2 ms.
func steady(node string, local bool, from, to int) []Attempt {
	var out []Attempt
	for ms := from; ms < to; ms += 10 {
		out = append(out, Attempt{ID: int64(ms) + 1, Node: node, Local: local, Sent: at(ms), Done: at(ms + 2), OK: true})
	}
	return out
}

func join(lists ...[]Attempt) []Attempt {
	var out []Attempt
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

func TestOutageIsTheLongestTimeWithoutAnAcknowledgement(t *testing.T) {
	cases := []struct {
		name     string
		attempts []Attempt
		want     int
	}{
		{"nothing happens", steady("n1", false, 0, 1000), 10},
		{"another node takes over", join(steady("n1", false, 0, 500), steady("n2", false, 800, 1000)), 310},
		{"a client inside a node does not count", join(steady("n1", false, 0, 500), steady("n1", true, 500, 800), steady("n2", false, 800, 1000)), 310},
		{"a pause before the fault does not count", join(steady("n1", false, -900, -500), steady("n1", false, 0, 1000)), 10},
		{"an outage that does not end lasts until now", steady("n1", false, 0, 500), 506},
		{"a refused commit is none", join(steady("n1", false, 0, 500), []Attempt{{Node: "n1", Sent: at(600), Done: at(602)}}, steady("n2", false, 800, 1000)), 310},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := LongestGap(c.attempts, at(100), at(998)).Length(); got != time.Duration(c.want)*time.Millisecond {
				t.Errorf("%v, want %d ms", got, c.want)
			}
		})
	}
}

func TestPausesAddUp(t *testing.T) {
	list := join(steady("n1", false, 0, 200), steady("n1", false, 500, 600), steady("n1", false, 800, 1000))
	if got := Paused(list, at(100), at(992), 100*time.Millisecond); got != 520*time.Millisecond {
		t.Errorf("%v, want 310 ms and 210 ms", got)
	}
}

func TestDualWritableTime(t *testing.T) {
	stuck := Attempt{ID: 1, Node: "n1", Sent: at(510), Done: at(900), OK: true}
	cases := []struct {
		name             string
		attempts         []Attempt
		proven, possible int
	}{
		{"one after the other", join(steady("n1", false, 0, 500), steady("n2", false, 800, 1000)), 0, 0},
		{"both at once", join(steady("n1", false, 0, 600), steady("n2", false, 400, 1000)), 590 - 402, 592 - 400},
		{"the old one, seen from inside", join(steady("n1", false, 0, 300), steady("n1", true, 0, 600), steady("n2", false, 400, 1000)), 590 - 402, 592 - 400},
		{"a refusal outside says nothing of inside", join(steady("n1", false, 0, 300), []Attempt{{Node: "n1", Sent: at(400), Done: at(450)}},
			steady("n1", true, 0, 600), steady("n2", false, 400, 1000)), 590 - 402, 592 - 400},
		{"two clients at one node are one node", join(steady("n1", false, 0, 600), steady("n1", true, 0, 600)), 0, 0},
		{"an answer that came late is possible, not proven", join(steady("n1", false, 0, 500), []Attempt{stuck}, steady("n2", false, 800, 1000)), 0, 100},
		{"a server that stood still was not writable meanwhile", join(steady("n1", false, 0, 500), []Attempt{stuck}, steady("n1", false, 910, 990),
			steady("n2", false, 800, 1000)), 980 - 900, 982 - 800},
		{"refused meanwhile", join(steady("n1", false, 0, 500), []Attempt{{Node: "n1", Sent: at(510), Done: at(512)}}, steady("n1", false, 900, 1000),
			steady("n2", false, 520, 600)), 0, 0},
		{"three at once count once", join(steady("n1", false, 0, 500), steady("n2", false, 0, 500), steady("n3", false, 0, 500)), 490 - 2, 492},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := DualWritable(c.attempts)
			want := Dual{time.Duration(c.proven) * time.Millisecond, time.Duration(c.possible) * time.Millisecond}
			if got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
}

func TestLostRowsAreThoseAcknowledgedAndGone(t *testing.T) {
	list := []Attempt{{ID: 1, OK: true}, {ID: 2, OK: true}, {ID: 3}, {ID: 4, OK: true, Local: true}, {ID: 5, OK: true, Local: true}}
	outside, inside := Lost(list, map[int64]bool{1: true, 5: true})
	if outside != 1 || inside != 1 {
		t.Errorf("%d outside, %d inside, want 1 and 1", outside, inside)
	}
}

func TestLastLocal(t *testing.T) {
	if _, ok := LastLocal(steady("n1", false, 0, 100)); ok {
		t.Error("a commit from outside counts as local")
	}
	last, ok := LastLocal(join(steady("n1", true, 0, 100), []Attempt{{Node: "n1", Local: true, Sent: at(200), Done: at(201)}}))
	if !ok || !last.Equal(at(92)) {
		t.Errorf("%v %v, want %v", last, ok, at(92))
	}
}

func TestMedian(t *testing.T) {
	mean := func(a, b int) int { return (a + b) / 2 }
	for _, c := range []struct {
		values []int
		want   int
	}{{nil, 0}, {[]int{3}, 3}, {[]int{9, 1, 5}, 5}, {[]int{1, 2, 8, 9}, 5}} {
		if got := Median(c.values, mean); got != c.want {
			t.Errorf("median of %v is %d, want %d", c.values, got, c.want)
		}
	}
}

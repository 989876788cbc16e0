package cases

import (
	"slices"
	"testing"
	"time"

	"matriarch/bench/rto/cluster"
	"matriarch/bench/rto/figures"
)

func TestASetupNamesOnlyCasesThatExist(t *testing.T) {
	var names []string
	for _, c := range All() {
		if slices.Contains(names, c.Name) {
			t.Errorf("%s is there twice", c.Name)
		}
		names = append(names, c.Name)
	}
	for _, s := range cluster.Setups() {
		for _, name := range s.Cases {
			if !slices.Contains(names, name) {
				t.Errorf("%v wants the case %q", s, name)
			}
		}
	}
}

func TestTheClientIsWatchedAtBothEndsOfAnOutage(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	within := func(event float64) func(from, to time.Time) int {
		return func(from, to time.Time) int {
			if at(event).Before(from) || at(event).After(to) {
				return 0
			}
			return 1
		}
	}
	outage := figures.Gap{Start: at(10), End: at(30)}
	short := figures.Gap{Start: at(10), End: at(10.01)}
	for _, c := range []struct {
		gap   figures.Gap
		event float64
		want  int
	}{{outage, 9.9, 1}, {outage, 10.1, 1}, {outage, 20, 0}, {outage, 29.9, 1}, {outage, 30.1, 1}, {outage, 9.7, 0}, {outage, 30.3, 0},
		{short, 9.9, 1}, {short, 10.005, 1}, {short, 10.2, 1}, {short, 10.3, 0}} {
		if got := atEnds(c.gap, 200*time.Millisecond, within(c.event)); got != c.want {
			t.Errorf("an event at %v s of %v: %d, want %d", c.event, c.gap.Length(), got, c.want)
		}
	}
}

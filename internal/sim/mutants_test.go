package sim

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	mutantSeeds = flag.Int("mutant-seeds", 0, "find every mutant within that many seeds; 0: a few quick ones within their own number")
	mutantOnly  = flag.String("mutant", "", "only mutants whose name contains this")
)

// mutantHours is how long a seed's cluster lives under dense faults.
const mutantHours = 0.2

// quickly are mutants that a test run has time for, and within how many seeds.
var quickly = map[string]int{
	"P1: the permit counts from the answer": 12,
	"P2: a restarted agent does not wait":   12,
	"P5: puts do not compare the revision":  12,
	"the guard does not freeze":             3,
	"nofailover is not kept to":             6,
	"a log that has parted is followed":     6,
}

// hunt looks for a mutant, and says how many seeds it took.
func hunt(m Mutant, most int) (found Result, seeds int, hours float64) {
	for seed := uint64(1); seed <= uint64(most); seed++ {
		set := Dense(seed, m)
		if *timedRun {
			set = Timed(seed, m)
		}
		w := NewWorld(seed, set)
		r := w.Simulate(mutantHours)
		hours += r.Hours
		// A rule of the permit that is left out shows as two primaries or as parted logs. A
		// worse candidate that was passed by (S6) is no proof of it.
		if r.Broken != "" && !(m.omits != nil && strings.HasPrefix(r.Broken, "S6")) {
			return r, int(seed), hours
		}
	}
	return Result{}, most, hours
}

// TestMutants leaves out, or does wrong, one thing at a time, and wants to see an
// invariant break. `make sim-mutants` prints the whole table.
func TestMutants(t *testing.T) {
	type row struct {
		text  string
		found bool
	}
	mutants := Mutants()
	rows := make([]row, len(mutants))
	var wait sync.WaitGroup
	turns := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, m := range mutants {
		most := *mutantSeeds
		if most == 0 {
			most = quickly[m.Name]
		}
		if most == 0 || !strings.Contains(m.Name, *mutantOnly) {
			continue
		}
		wait.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			start := time.Now()
			r, seeds, hours := hunt(m, most)
			rows[i] = row{fmt.Sprintf("%-64s  not found in %d seeds (%.1f h, %.0f s)", m.Name, seeds, hours, time.Since(start).Seconds()), false}
			if r.Broken != "" {
				rows[i] = row{fmt.Sprintf("%-64s %4d seeds %6.2f h %5.0f s   %.60s", m.Name, seeds, hours, time.Since(start).Seconds(), r.Broken), true}
			}
		})
	}
	wait.Wait()
	for _, r := range rows {
		switch {
		case r.text == "":
		case !r.found:
			t.Error(r.text)
		case testing.Verbose():
			fmt.Println(r.text)
		}
	}
}

package sim

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	firstSeed = flag.Uint64("seed", 1, "the first seed")
	seedCount = flag.Int("seeds", 0, "how many seeds; 0: what a test run has time for")
	hoursEach = flag.Float64("hours", 0, "how many hours each seed's cluster lives; 0: what a test run has time for")
	denseRun  = flag.Bool("dense", false, "faults follow on each other, without rest")
	timedRun  = flag.Bool("timed", false, "dense faults wait for their moment in what goes on between agents and store")
	byHandRun = flag.Bool("byhand", false, "a person takes a hand, in pauses too, under dense faults in every other seed")
	countRun  = flag.Bool("counted", false, "dense faults wait for a standby to count as synchronous")
	apart     = flag.Bool("apart", true, "under dense faults no two timelines get the same number, whatever the agents ask for")
	storyLen  = flag.Int("lines", 70, "how many lines of a story are shown")
	tellAll   = flag.Bool("tell", false, "tell the stories of all seeds")
	wordsAll  = flag.Bool("words", false, "the agents' logs as well")
)

func TestMain(m *testing.M) {
	flag.Parse()
	debug.SetGCPercent(800) // worlds are small, and make much garbage
	os.Exit(m.Run())
}

// kind is how faults come: now and then, close to each other, or in their moment. It
// is also the flag that asks for it.
type kind string

const (
	usually kind = ""
	densely kind = "-dense"
	timed   kind = "-timed"
	byHand  kind = "-byhand"
	counted kind = "-counted"
)

// asked is the kind that the flags ask for.
func asked() kind {
	switch {
	case *timedRun:
		return timed
	case *denseRun:
		return densely
	case *byHandRun:
		return byHand
	case *countRun:
		return counted
	}
	return usually
}

// settings are those of a seed in this run.
func (k kind) settings(seed uint64) Settings {
	switch k {
	case timed:
		return Timed(seed, Mutant{})
	case byHand:
		return ByHand(seed)
	case counted:
		return Counted(seed, Mutant{})
	case densely:
		set := Dense(seed, Mutant{})
		set.Apart = *apart
		return set
	}
	return Draw(seed)
}

// live runs one seed, in silence; one that broke something is run again, and tells.
func live(seed uint64, set Settings, hours float64) (Result, string) {
	w := NewWorld(seed, set)
	defer func() { w.End() }()
	w.telling, w.words = *tellAll, *wordsAll
	r := w.Simulate(hours)
	if r.Broken != "" && !*tellAll {
		w.End()
		w = NewWorld(seed, set)
		w.telling, w.words = true, *wordsAll
		if again := w.Simulate(hours); again != r {
			return r, fmt.Sprintf("the second run of seed %d came to something else: %+v", seed, again)
		}
	}
	return r, w.Story(*storyLen)
}

// TestSeeds lets clusters live through faults by lot. `make sim` runs it with more
// seeds and hours than a test run has time for.
func TestSeeds(t *testing.T) {
	if *seedCount > 0 {
		runSeeds(t, asked(), *seedCount, *hoursEach)
		return
	}
	t.Run("hours", func(t *testing.T) { runSeeds(t, usually, 12, 0.5) })
	t.Run("dense", func(t *testing.T) { runSeeds(t, densely, 8, 0.05) })
	t.Run("timed", func(t *testing.T) { runSeeds(t, timed, 8, 0.05) })
	t.Run("by hand", func(t *testing.T) { runSeeds(t, byHand, 12, 0.1) })
	t.Run("counted", func(t *testing.T) { runSeeds(t, counted, 8, 0.05) })
}

// TestSeedsThatBrokeSomething are worlds in which something was found, up to that moment.
func TestSeedsThatBrokeSomething(t *testing.T) {
	for _, c := range []struct {
		what   string
		faults kind
		seed   uint64
		hours  float64
	}{
		{"S1: a server is thawed in a promotion of its agent's last life", densely, 3000029, 0.075},
		{"S1: also long after", densely, 3000076, 0.17},
		{"S1: a guard is stopped as the agent's next life begins, which has no permit to look after", densely, 3001271, 0.225},
		{"S2: a takeover that was decided on under the leader before the last", timed, 4000080, 0.24},
		{"S2: a promotion before commits wait for whom they should", densely, 3000014, 0.49},
		{"L1: all wait for a candidate that is not in the electorate", densely, 3000323, 0.131},
		{"L1: all wait for a candidate that ends, and it waits to be let go", densely, 3000019, 0.28},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			if r, story := live(c.seed, c.faults.settings(c.seed), c.hours); r.Broken != "" {
				t.Errorf("%s\n%s", r.Broken, story)
			}
		})
	}
}

func runSeeds(t *testing.T, faults kind, count int, hours float64) {
	start := time.Now()
	results := make([]Result, count)
	var telling sync.Mutex
	var next, broken atomic.Int64
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) { // each world is one goroutine's
		wait.Go(func() {
			for i := next.Add(1) - 1; i < int64(count) && broken.Load() < 5; i = next.Add(1) - 1 {
				seed := *firstSeed + uint64(i)
				r, story := live(seed, faults.settings(seed), hours)
				results[i] = r
				if r.Broken != "" {
					broken.Add(1)
				}
				if *tellAll || r.Broken != "" { // at once: a long run may be worth breaking off
					telling.Lock()
					fmt.Printf("\nseed %d: %+v\n%s\n", seed, faults.settings(seed), story)
					telling.Unlock()
				}
			}
		})
	}
	wait.Wait()
	var total Result
	for _, r := range results {
		total.add(r)
		if r.Broken != "" {
			flags := fmt.Sprintf("-seed %d -seeds 1 -hours %v %s", r.Seed, hours, faults)
			if faults == densely {
				flags += fmt.Sprintf(" -apart=%v", *apart)
			}
			t.Errorf("seed %d: %s\nreplay: go test ./internal/sim -count=1 -run '^TestSeeds$' -args %s", r.Seed, r.Broken, flags)
		}
	}
	if testing.Verbose() || t.Failed() {
		fmt.Println(total.Report(count, time.Since(start)))
	}
	if total.Promotions < count/2 || total.Faults < count {
		t.Errorf("too little happened: %d faults, %d promotions", total.Faults, total.Promotions)
	}
}

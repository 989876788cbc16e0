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

// settingsOf are those of a seed in this run.
func settingsOf(seed uint64, dense bool) Settings {
	if *timedRun {
		return Timed(seed, Mutant{})
	}
	if dense {
		set := Dense(seed, Mutant{})
		set.Apart = *apart
		return set
	}
	return Draw(seed)
}

// live runs one seed, in silence; one that broke something is run again, and tells.
func live(seed uint64, set Settings, hours float64) (Result, string) {
	w := NewWorld(seed, set)
	w.telling, w.words = *tellAll, *wordsAll
	r := w.Simulate(hours)
	if r.Broken != "" && !*tellAll {
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
		runSeeds(t, *denseRun, *seedCount, *hoursEach)
		return
	}
	t.Run("hours", func(t *testing.T) { runSeeds(t, false, 12, 0.5) })
	t.Run("dense", func(t *testing.T) { runSeeds(t, true, 8, 0.05) })
}

func runSeeds(t *testing.T, dense bool, count int, hours float64) {
	start := time.Now()
	results, stories := make([]Result, count), make([]string, count)
	var next, broken atomic.Int64
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) { // each world is one goroutine's
		wait.Go(func() {
			for i := next.Add(1) - 1; i < int64(count) && broken.Load() < 5; i = next.Add(1) - 1 {
				seed := *firstSeed + uint64(i)
				results[i], stories[i] = live(seed, settingsOf(seed, dense), hours)
				if results[i].Broken != "" {
					broken.Add(1)
				}
			}
		})
	}
	wait.Wait()
	var total Result
	for i, r := range results {
		total.add(r)
		if *tellAll || r.Broken != "" {
			fmt.Printf("\nseed %d: %+v\n%s\n", r.Seed, settingsOf(r.Seed, dense), stories[i])
		}
		if r.Broken != "" {
			flags := fmt.Sprintf("-seed %d -seeds 1 -hours %v", r.Seed, hours)
			if *timedRun {
				flags += " -timed"
			} else if dense {
				flags += fmt.Sprintf(" -dense -apart=%v", *apart)
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

package sim

import (
	"flag"
	"fmt"
	"syscall"
	"testing"
	"time"
)

var (
	seedFirst = flag.Uint64("seed", 1, "the first seed")
	seedCount = flag.Int("seeds", 20, "how many seeds")
	hoursEach = flag.Float64("hours", 1, "the hours that each seed's cluster lives")
	tellAll   = flag.Bool("tell", false, "tell the whole story of the first seed")
	apart     = flag.Bool("apart", false, "timelines have different numbers whatever the agents say")
	wordsAll  = flag.Bool("words", false, "the agents' own words as well")
	denseRun  = flag.Bool("dense", false, "faults follow on each other")
	storyLen  = flag.Int("lines", 60, "how many lines of a story")
)

func TestSeeds(t *testing.T) {
	start := time.Now()
	var total Result
	var lived time.Duration
	for i := range uint64(*seedCount) {
		seed := *seedFirst + i
		set := Draw(seed)
		if *denseRun {
			set = dense(seed, Mutant{})
		}
		set.Apart = *apart
		w := NewWorld(seed, set)
		w.telling = *tellAll
		r := w.Simulate(*hoursEach)
		if testing.Verbose() {
			fmt.Printf("seed %d: %.2f h lived %v, %d passes %d steps, leapt %d/%d %+v\n", seed, r.Hours, r.Lived.Round(time.Second), r.Passes, r.Steps, w.leapt, r.Episodes, w.set)
		}
		total.Hours += r.Hours
		lived += r.Lived
		total.Faults += r.Faults
		total.Promotions += r.Promotions
		total.Freezes += r.Freezes
		total.Steps += r.Steps
		total.Passes += r.Passes
		total.Worst = max(total.Worst, r.Worst)
		total.AfterHeal = max(total.AfterHeal, r.AfterHeal)
		if r.Broken != "" || *tellAll {
			if !*tellAll {
				w = NewWorld(seed, set)
				w.telling, w.words = true, *wordsAll
				w.Simulate(*hoursEach)
			}
			fmt.Printf("seed %d %+v: %s\n%s\n", seed, w.set, r.Broken, w.Story(*storyLen))
			if r.Broken != "" {
				t.Errorf("seed %d: %s", seed, r.Broken)
			}
		}
	}
	took := time.Since(start)
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	fmt.Printf("cpu %v\n", time.Duration(u.Utime.Nano()+u.Stime.Nano()))
	fmt.Printf("%.1f h, lived %v, %d faults, %d promotions, %d freezes, %d steps, %d passes, worst %v, after heal %v, %v: %.0f h/min\n",
		total.Hours, lived.Round(time.Second), total.Faults, total.Promotions, total.Freezes, total.Steps, total.Passes, total.Worst, total.AfterHeal, took, total.Hours/took.Minutes())
}

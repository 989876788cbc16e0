package sim

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"
)

var (
	mutantSeeds = flag.Int("mutant-seeds", 0, "within how many seeds every mutant has to be found; 0: a few quick mutants only")
	mutantOnly  = flag.String("mutant", "", "only mutants whose name contains this")
)

// dense are the settings of a seed under faults that follow on each other.
func dense(seed uint64, m Mutant) Settings {
	s := Draw(seed)
	s.Dense, s.Mutant = true, m
	if m.tagsOff && s.NoFail == "" {
		s.NoFail = "n1"
	}
	if m.lagOff {
		s.MaxLag, s.RowBytes, s.LoopWait = 20000, 1000, 1
	}
	return s
}

func TestMutants(t *testing.T) {
	for _, m := range Mutants() {
		if !strings.Contains(m.Name, *mutantOnly) {
			continue
		}
		found := false
		start := time.Now()
		hours := 0.0
		for seed := uint64(1); seed <= uint64(*mutantSeeds); seed++ {
			w := NewWorld(seed, dense(seed, m))
			w.telling = *tellAll
			r := w.Simulate(*hoursEach)
			hours += r.Hours
			if r.Broken != "" {
				fmt.Printf("%-66s seed %4d, %6.2f h, %5.1fs: %.90s\n", m.Name, seed, hours, time.Since(start).Seconds(), r.Broken)
				if *tellAll {
					fmt.Println(w.Story(*storyLen))
				}
				found = true
				break
			}
		}
		if !found {
			fmt.Printf("%-66s NOT FOUND in %d seeds, %.2f h, %.1fs\n", m.Name, *mutantSeeds, hours, time.Since(start).Seconds())
		}
	}
}

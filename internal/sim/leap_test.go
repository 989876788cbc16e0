package sim

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// even is a world in which a quiet cluster goes in circles exactly: clocks agree,
// messages take the usual, and a loop_wait holds a whole number of heartbeats and of
// clients' writes.
func even() Settings {
	s := usual()
	s.Permit, s.Instant = 600*time.Millisecond, true
	return s
}

// TestALeapChangesNothing holds a world that leaps over quiet time against one that
// lives through all of it: the same faults find the same cluster, and the same comes
// of them at the same moments.
func TestALeapChangesNothing(t *testing.T) {
	seeds := uint64(5)
	leapt := 0
	for seed := range seeds {
		live := func(leaps bool) (*World, []told) {
			w := NewWorld(seed, even())
			w.leaps, w.telling = leaps, true
			w.Simulate(0.5)
			if w.broken != "" {
				t.Fatalf("seed %d: %s", seed, w.broken)
			}
			return w, outcome(w.lines)
		}
		quick, got := live(true)
		slow, want := live(false)
		leapt += quick.leapt
		if slow.leapt != 0 {
			t.Fatal("both worlds leapt")
		}
		n := min(len(got), len(want)) // the last pause may end in one of them only
		if n < len(want)-3 || n < len(got)-3 {
			t.Errorf("seed %d: %d lines with leaps, %d without", seed, len(got), len(want))
		}
		for i := range n {
			if !takeAlike(want[max(0, i-atOnce):], got[i]) && i < n-atOnce {
				t.Errorf("seed %d, line %d: with leaps\n  %v\nwithout\n  %v", seed, i, got[i], want[i])
				break
			}
		}
	}
	t.Logf("%d leaps", leapt)
	if leapt < int(seeds)*3 {
		t.Errorf("%d leaps only", leapt)
	}
}

// shift is by how much the agents' circles move against each other in the time that
// is leapt over: a pass that is woken is a tenth of a millisecond late.
const shift = 10 * time.Millisecond

// atOnce is how many lines may stand in another order: those of several agents that were
// woken by the same thing.
const atOnce = 4

// takeAlike finds a line among the first few, at the same moment, and takes it out.
func takeAlike(lines []told, line told) bool {
	for i, l := range lines[:min(len(lines), 2*atOnce+1)] {
		if l.text == line.text && (l.at-line.at).Abs() <= shift {
			lines[i].text = "taken"
			return true
		}
	}
	return false
}

// told is one line of a story.
type told struct {
	at   time.Duration // since the episode began
	text string
}

var positions = regexp.MustCompile(`[0-9]+@[0-9A-F]+/[0-9A-F]+|[0-9A-F]+/[0-9A-F]+|revision [0-9]+|term [0-9]+|lease [0-9]+`)

// outcome is the story without what a longer life makes larger: times count from the
// beginning of the episode, positions and revisions are left out, and which of an
// agent's writes it was that had no answer.
func outcome(lines []string) []told {
	var out []told
	start := 0.0
	for _, line := range lines {
		stamp, text, _ := strings.Cut(strings.TrimSpace(line), "s  ")
		at, _ := strconv.ParseFloat(stamp, 64)
		if strings.HasPrefix(text, "nothing happens") || strings.Contains(text, "an action failed") {
			continue
		}
		if strings.HasPrefix(text, "----") {
			start = at
		}
		out = append(out, told{time.Duration((at - start) * float64(time.Second)), positions.ReplaceAllString(text, "#")})
	}
	return out
}

// TestASeedIsReplayedBitForBit: everything that happens hangs on the seed.
func TestASeedIsReplayedBitForBit(t *testing.T) {
	for seed := range uint64(4) {
		live := func() (Result, string) {
			w := NewWorld(seed, Dense(seed, Mutant{}))
			w.set.Apart, w.telling, w.words = true, true, true
			r := w.Simulate(0.08)
			return r, strings.Join(w.lines, "\n")
		}
		first, story := live()
		second, again := live()
		if first != second || story != again {
			t.Errorf("seed %d: %+v and %+v", seed, first, second)
		}
		if first.Faults < 50 {
			t.Errorf("seed %d: %d faults only", seed, first.Faults)
		}
	}
}

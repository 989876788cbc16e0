package permit

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// seeds is how many runs a test makes, unless PERMIT_SEEDS says otherwise.
func seeds(t *testing.T, usual int) int {
	t.Helper()
	text := os.Getenv("PERMIT_SEEDS")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("PERMIT_SEEDS: %v", err)
	}
	return n
}

var designed = setting{guard: 0.95, faults: 25 * time.Second}

// tell replays a seed and tells its story.
func tell(t *testing.T, seed uint64, s setting, lines int) {
	t.Helper()
	s.trace = true
	w := newWorld(seed, s)
	w.run(w.now + int64(s.faults))
	if w.violation == "" {
		_, _ = progress(w)
	}
	story := w.story
	if len(story) > lines {
		story = story[len(story)-lines:]
	}
	t.Logf("seed %d:\n%s", seed, strings.Join(story, "\n"))
}

func TestS1AndProgressInRunsByLot(t *testing.T) {
	n := seeds(t, 400)
	var total world
	worst := time.Duration(0)
	for seed := range uint64(n) {
		w := newWorld(seed, designed)
		w.run(w.now + int64(designed.faults))
		if w.violation != "" {
			tell(t, seed, designed, 80)
			t.Fatalf("seed %d: S1: %s", seed, w.violation)
		}
		took, err := progress(w)
		if err != nil {
			tell(t, seed, designed, 60)
			t.Fatalf("seed %d: %v (permit %v, longest %v)", seed, err, w.length, w.longer)
		}
		worst = max(worst, took-quiet(w.longer))
		total.takeovers += w.takeovers
		total.releases += w.releases
		total.adoptions += w.adoptions
		total.moves += w.moves
		total.promotions += w.promotions
	}
	t.Logf("%d runs of %v: %d takeovers, %d promotions, %d releases, %d adoptions, %d moves of the leader key; "+
		"after the faults, a writer within permit + margin %+v", n, designed.faults, total.takeovers, total.promotions, total.releases,
		total.adoptions, total.moves, worst.Round(time.Millisecond))
	if total.promotions < 2*n || total.releases < n/4 || total.adoptions < n || total.moves < n/2 {
		t.Error("too little happened: the lots are drawn badly")
	}
}

// TestS1WithSoleLeaders: at times a leader lets nobody succeed it, and then needs
// neither a member nor the store.
func TestS1WithSoleLeaders(t *testing.T) {
	n, alone := seeds(t, 400), 0
	s := designed
	s.lone = true
	// 456: a leader reboots 2 ms before the faults end, and sees the store 0.4 s later.
	drawn := []uint64{456}
	for seed := range uint64(n) {
		drawn = append(drawn, seed)
	}
	for _, seed := range drawn {
		w := newWorld(seed, s)
		w.run(w.now + int64(s.faults))
		if w.violation != "" {
			tell(t, seed, s, 80)
			t.Fatalf("seed %d: S1: %s", seed, w.violation)
		}
		if _, err := progress(w); err != nil {
			tell(t, seed, s, 60)
			t.Fatalf("seed %d: %v (permit %v, longest %v)", seed, err, w.length, w.longer)
		}
		alone += w.alone
	}
	t.Logf("%d runs: %d extensions by a leader's own word", n, alone)
	if alone < 10*n {
		t.Error("too little happened: the lots are drawn badly")
	}
}

// progress ends the faults: within the longest permit + margin, and a little for
// the messages, somebody may write and goes on to. It returns when that was.
func progress(w *world) (time.Duration, error) {
	w.heal()
	from, limit := w.now, quiet(w.longer)+w.length/2+100*time.Millisecond
	var since time.Duration
	var writer *host
	for w.now < from+int64(limit+2*time.Second) {
		w.run(w.now + int64(5*time.Millisecond))
		if now := w.writer(); now == nil || now != writer {
			writer, since = now, time.Duration(w.now-from)
		}
	}
	switch {
	case w.violation != "":
		return since, fmt.Errorf("after the faults: %s", w.violation)
	case writer == nil || since > limit:
		return since, fmt.Errorf("%v after the faults ended the right was still lost", since)
	}
	return since, nil
}

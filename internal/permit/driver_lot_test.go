package permit

import (
	"fmt"
	"testing"
	"time"
)

func TestDriversKeepS1AndProgressInRunsByLot(t *testing.T) {
	s := designed
	s.driven = true
	total := byLot(t, s, 100, func(w *world) time.Duration { return w.longer + time.Second }) // L1
	if total.promotions < 200 || total.releases < 20 || total.adoptions < 60 || total.moves < 100 {
		t.Error("too little happened: the lots are drawn badly")
	}
}

// TestDriversBesidePatronisMembersKeepS1: Patroni's leader is succeeded only when its
// lease has ended.
func TestDriversBesidePatronisMembersKeepS1(t *testing.T) {
	s := designed
	s.driven, s.patroni = true, true
	total := byLot(t, s, 100, func(w *world) time.Duration { return 2*w.ttl + w.longer + time.Second })
	if total.promotions < 100 || total.changes < 150 || total.patronis < 60 || total.carried < 60 {
		t.Error("too little happened: the lots are drawn badly")
	}
}

func byLot(t *testing.T, s setting, usual int, limit func(*world) time.Duration) (total world) {
	n := seeds(t, usual)
	worst := time.Duration(0)
	for seed := range uint64(n) {
		w := newWorld(seed, s)
		w.run(w.now + int64(s.faults))
		took, err := time.Duration(0), error(nil)
		if w.violation != "" {
			err = fmt.Errorf("S1: %s", w.violation)
		} else {
			w.heal()
			took, err = writes(w, limit(w))
		}
		if err != nil {
			s.trace = true
			w := newWorld(seed, s)
			w.run(w.now + int64(s.faults))
			if w.violation == "" {
				w.heal()
				_, _ = writes(w, limit(w))
			}
			for _, line := range w.story[max(0, len(w.story)-80):] {
				t.Log(line)
			}
			t.Fatalf("seed %d: %v (permit %v, longest %v, ttl %v)", seed, err, w.length, w.longer, w.ttl)
		}
		worst = max(worst, took)
		total.takeovers += w.takeovers
		total.releases += w.releases
		total.adoptions += w.adoptions
		total.moves += w.moves
		total.promotions += w.promotions
		total.changes += w.changes
		total.patronis += w.patronis
		total.carried += w.carried
	}
	t.Logf("%d runs of %v: %d takeovers, %d promotions and %d by Patroni, %d changes between the two, %d releases, %d adoptions, "+
		"%d moves of the leader key, %d times carried by failsafe mode; after the faults, a writer within %v", n, s.faults, total.takeovers, total.promotions, total.patronis,
		total.changes, total.releases, total.adoptions, total.moves, total.carried, worst.Round(time.Millisecond))
	return total
}

// writes requires that somebody may write within a time after the faults, and goes on.
func writes(w *world, limit time.Duration) (took time.Duration, err error) {
	from := w.now
	var writer *host
	for w.now < from+int64(limit+3*time.Second) {
		w.run(w.now + int64(5*time.Millisecond))
		if now := w.writer(); now == nil || now != writer {
			writer, took = now, time.Duration(w.now-from)
		}
	}
	switch {
	case w.violation != "":
		return took, fmt.Errorf("after the faults: %s", w.violation)
	case writer == nil || took > limit:
		return took, fmt.Errorf("%v after the faults ended the right was still lost", took)
	}
	return took, nil
}

package sim

import (
	"testing"
	"time"

	"matriarch/internal/ha"
)

func usual() Settings {
	return Settings{Hosts: 3, Permit: time.Second, TTL: 30, LoopWait: 10, Retry: 10, MaxLag: 1048576, RowBytes: 200, Drift: 1000, Latency: 0.9, Calm: true, Rewind: true}
}

// TestThreeEmptyHostsMakeOneCluster is S5 without any fault, and what a settled
// cluster looks like.
func TestThreeEmptyHostsMakeOneCluster(t *testing.T) {
	w := NewWorld(1, usual())
	w.telling = true
	w.Begin()
	if !w.RunUntil(time.Minute, w.settled) {
		t.Fatalf("not settled: %s\n%s", w.broken, w.Story(60))
	}
	w.Run(30 * time.Second)
	if w.systems != 1 || w.broken != "" || w.worst > 10*time.Second {
		t.Errorf("initdb ran %d times; %s", w.systems, w.broken)
	}
	for _, h := range w.hosts {
		if n := len(h.server.disk.slots); n != 2 {
			t.Errorf("%s keeps %d slots, want one for each of the other two", h.name, n)
		}
	}
}

func TestEveryWorkIsCalledByItsName(t *testing.T) {
	for kind, want := range map[ha.Work]string{ha.NoWork: "nothing", ha.Preparing: "pre_promote", ha.StoppingServer: "stop", ha.CopyingSlots: "copy of logical slots"} {
		if got := workName(kind); got != want {
			t.Errorf("%d: %q, want %q", kind, got, want)
		}
	}
}

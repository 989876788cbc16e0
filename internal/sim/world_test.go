package sim

import (
	"testing"
	"time"
)

func usual() Settings {
	return Settings{Hosts: 3, Permit: time.Second, TTL: 30, LoopWait: 10, Retry: 10, MaxLag: 1048576, RowBytes: 200, Drift: 1000, Latency: 0.9, Calm: true, Rewind: true}
}

func TestThreeEmptyHostsMakeOneCluster(t *testing.T) {
	w := NewWorld(1, usual())
	w.telling, w.words = true, true
	w.Begin()
	ok := w.RunUntil(time.Minute, w.settled)
	t.Log("\n" + w.Story(200))
	if !ok {
		t.Fatal("not settled", w.broken)
	}
	n := w.steps
	p := w.passes
	start := time.Now()
	w.Run(time.Hour)
	t.Logf("%d steps, %d passes in %v", w.steps-n, w.passes-p, time.Since(start))
}

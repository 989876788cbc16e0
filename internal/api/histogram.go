package api

import (
	"sync"
	"time"
)

// Histogram counts durations by how long they were. It may be used by many
// goroutines at once.
type Histogram struct {
	limits []time.Duration // rising

	mu     sync.Mutex
	counts []uint64 // of those up to each limit and above the one before; the last one is of all beyond
	sum    time.Duration
}

// NewHistogram makes a histogram with these upper limits, which must rise.
func NewHistogram(limits ...time.Duration) *Histogram {
	return &Histogram{limits: limits, counts: make([]uint64, len(limits)+1)}
}

// Observe counts one duration.
func (h *Histogram) Observe(d time.Duration) {
	i := 0
	for i < len(h.limits) && d > h.limits[i] {
		i++
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[i]++
	h.sum += d
}

func (h *Histogram) read() (limits []time.Duration, counts []uint64, sum time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.limits, append([]uint64(nil), h.counts...), h.sum
}

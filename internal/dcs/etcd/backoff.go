package etcd

import (
	"context"
	"time"
)

// pauses are the waits between rounds of tries: doubling, bounded.
type pauses struct {
	next time.Duration
}

const (
	shortestPause = 50 * time.Millisecond
	// A network that is well again is to be noticed at once: a node that was cut off
	// comes back as fast as it hears of its successor.
	longestPause = 250 * time.Millisecond
)

// wait waits for the next pause. It reports false when ctx ended.
func (p *pauses) wait(ctx context.Context) bool {
	if p.next == 0 {
		p.next = shortestPause
	}
	timer := time.NewTimer(p.next)
	defer timer.Stop()
	p.next = min(2*p.next, longestPause)
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (p *pauses) reset() { p.next = 0 }

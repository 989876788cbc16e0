package client

import (
	"context"
	"sync"
	"time"
)

const (
	lagStep  = 5 * time.Millisecond // between two looks at the clock
	lagWorth = 2 * time.Millisecond // shorter ones are not kept
)

// lag watches how late this process gets to run: a timer that fires late here has
// fired late for the writers too, and what they saw is not the cluster's doing.
type lag struct {
	mu   sync.Mutex
	late []lateness
}

type lateness struct {
	at time.Time // when the process ran again
	by time.Duration
}

func (l *lag) watch(ctx context.Context) {
	timer := time.NewTimer(lagStep)
	defer timer.Stop()
	for {
		began := time.Now()
		timer.Reset(lagStep)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		now := time.Now()
		if by := now.Sub(began) - lagStep; by > lagWorth {
			l.mu.Lock()
			l.late = append(l.late, lateness{now, by})
			l.mu.Unlock()
		}
	}
}

func (l *lag) worst(from, to time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	var worst time.Duration
	for _, x := range l.late {
		if x.at.After(from) && x.at.Add(-x.by).Before(to) {
			worst = max(worst, x.by)
		}
	}
	return worst
}

func (l *lag) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.late = nil
}

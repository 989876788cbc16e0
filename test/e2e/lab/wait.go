package lab

import (
	"context"
	"testing"
	"time"
)

// Patience is how long anything that should be quick may take on a busy machine.
const Patience = 60 * time.Second

// pollPause is the pause between two looks at a condition.
const pollPause = 20 * time.Millisecond

// Eventually waits for a condition and fails the test when it does not come true
// in time. The condition says what it saw; the last of that is in the message.
func Eventually(t testing.TB, limit time.Duration, what string, condition func(ctx context.Context) (bool, string)) {
	t.Helper()
	every(t, pollPause, limit, what, condition)
}

func every(t testing.TB, pause, limit time.Duration, what string, condition func(ctx context.Context) (bool, string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	seen := "nothing yet"
	for {
		ok, now := condition(ctx)
		if ok {
			return
		}
		if ctx.Err() == nil { // an answer cut off by the deadline says nothing
			seen = now
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %v: %s; last seen: %s", limit, what, seen)
		}
	}
}

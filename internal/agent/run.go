package agent

import (
	"context"
	"errors"
	"sync"
	"time"

	"matriarch/internal/ha"
)

// Run steps on every event, and when a plan says so at the latest, until the node
// is at rest after Stop, or cannot go on (*Quit), or ctx ends. When ctx ends the
// server is left as it is.
//
// A change of the right to write, or to take the lead, breaks off the call of the
// store that the pass is waiting in: clients wait for what follows from it. So does what
// is heard of a store while that is away, for the way back to a leader begins with it, and
// the end of the server, or of work on it, for the next step of that way does.
func (a *Agent) Run(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	attending, stop := context.WithCancel(ctx)
	var attendant sync.WaitGroup
	attendant.Go(func() { a.attend(attending, changed) })
	defer attendant.Wait()
	defer stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		plan, err := a.Step(ctx, a.cfg.Now())
		var quit *Quit
		switch {
		case errors.Is(err, errEnded):
			return nil
		case errors.As(err, &quit):
			return err
		}
		timer.Reset(a.memory.pause(plan, err))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-a.wake:
		case <-timer.C:
		}
	}
}

// attend passes on that the right has changed, the store, or the server.
func (a *Agent) attend(ctx context.Context, changed chan<- struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.cfg.Right.Changed():
			a.breakOff()
		case <-a.cfg.Server.Changed():
			a.breakOff()
		case <-a.cfg.Store.Changed():
			if _, current := a.cfg.Store.Mirror(); !current {
				a.breakOff()
			}
		}
		select {
		case changed <- struct{}{}:
		default: // one is waiting already
		}
	}
}

// errUrgent is why a call of the store was broken off.
var errUrgent = errors.New("broken off, since something has changed that cannot wait for the store")

// storeCall is the context of one call of the store.
func (a *Agent) storeCall(ctx context.Context, limit time.Duration) (context.Context, func()) {
	ctx, cut := context.WithCancelCause(ctx)
	ctx, cancel := a.limit(ctx, limit)
	a.mu.Lock()
	a.cut = cut
	a.mu.Unlock()
	return ctx, func() {
		a.mu.Lock()
		a.cut = nil
		a.mu.Unlock()
		cancel()
		cut(nil)
	}
}

func (a *Agent) breakOff() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cut != nil {
		a.cut(errUrgent)
	}
}

// brokenOff tells that a call ended since it was broken off.
func brokenOff(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errUrgent) {
		return errors.Join(errUrgent, err)
	}
	return err
}

// The pauses after a pass that failed grow to failPauseMost; a pass that asks for
// another one at once gets it, but not without end: a decision that stands still
// must not take a whole core.
const (
	failPause       = 50 * time.Millisecond
	failPauseMost   = 2 * time.Second
	immediatePasses = 20
)

// pause is how long to wait for an event after this pass.
func (m *memory) pause(plan ha.Plan, err error) time.Duration {
	if err != nil {
		m.failures++
		pause := min(failPause<<min(m.failures, 10), failPauseMost)
		if plan.LookAgain > 0 { // the end of a lease does not wait for a pause to be over
			pause = min(pause, plan.LookAgain)
		}
		return pause
	}
	if m.failures > 0 {
		m.failures, m.failure = 0, ""
	}
	if plan.LookAgain > 0 {
		m.immediately = 0
		return plan.LookAgain
	}
	if m.immediately++; m.immediately > immediatePasses {
		return failPause
	}
	return 0
}

// Ended reports that Step's error is the agent's end, not an action that failed.
func Ended(err error) bool {
	var quit *Quit
	return errors.Is(err, errEnded) || errors.As(err, &quit)
}

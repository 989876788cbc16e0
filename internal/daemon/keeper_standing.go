package daemon

import (
	"context"
	"errors"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/fence"
)

// Standing is how the guard keeps the server, at one moment.
type Standing struct {
	Protection string // freezer, signals, adopted or off
	Armed      bool   // it freezes the server at the end of the permit
	Frozen     bool   // the server is frozen, or being frozen: it must not be asked
	Since      boottime.Instant

	Freezes    int           // since the guard was started
	FrozenTime time.Duration // of them all, the present one included
	LastLate   time.Duration // of the last freeze: its beginning after the deadline
	LastTook   time.Duration // and from there until every process stood still
}

// guarded is what is known of the server's standing from the guard's events.
type guarded struct {
	frozen bool
	since  boottime.Instant

	freezes    int
	total      time.Duration // of the freezes that have ended
	late, took time.Duration

	looked  deadline        // the last one at whose end the guard was looked after
	running context.Context // ends when the server is frozen
	stop    context.CancelFunc
}

var errFrozen = errors.New("the server is frozen")

// run makes it a server that runs.
func (s *guarded) run() {
	if s.running == nil || s.running.Err() != nil {
		s.running, s.stop = context.WithCancel(context.Background())
	}
	if s.frozen {
		s.total += boottime.Now().Sub(s.since)
	}
	s.frozen, s.since = false, 0
}

// freeze makes it one that does not, from then on.
func (s *guarded) freeze(since boottime.Instant) {
	if s.frozen {
		return
	}
	s.frozen, s.since = true, since
	s.stop()
}

// found takes over what a guard says that was connected to.
func (s *guarded) found(f fence.Status) {
	if f.Standing == fence.Running {
		s.run()
	} else {
		s.freeze(f.Since)
	}
	s.freezes, s.total, s.late, s.took = f.Freezes, f.FrozenTime, f.LastLate, f.LastTook
}

// Standing tells how the server is kept.
func (k *keeper) Standing() Standing {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := Standing{
		Protection: string(fence.Off), Armed: k.armed && !k.off, Frozen: k.state.frozen, Since: k.state.since,
		Freezes: k.state.freezes, FrozenTime: k.state.total, LastLate: k.state.late, LastTook: k.state.took,
	}
	if k.guard != nil {
		s.Protection = string(k.guard.Protection())
	}
	if s.Frozen {
		s.FrozenTime += boottime.Now().Sub(s.Since)
	}
	return s
}

// armedFor reports that the guard is armed, and has the server of that postmaster.
func (k *keeper) armedFor(pid int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.armed && !k.off && k.server == pid
}

// guarded reports that there is a guard, as far as is known: one that is still to be
// found, or that died a moment ago, counts.
func (k *keeper) guarded() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.off
}

// whileRunning is a context for a question to the server: it ends when the server is
// frozen, and has ended already if it is. Nobody waits for the answer of a server
// that does not run.
func (k *keeper) whileRunning(ctx context.Context) (context.Context, context.CancelFunc) {
	k.mu.Lock()
	running := k.state.running
	k.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	if running.Err() != nil {
		cancel(errFrozen) // at once, and not by a goroutine that comes later
	}
	release := context.AfterFunc(running, func() { cancel(errFrozen) })
	return ctx, func() {
		release()
		cancel(context.Canceled)
	}
}

// onChange is what to call when the server's standing has changed. To be set before
// anything is connected.
func (k *keeper) onChange(wake func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wake = wake
}

// listen takes in what the guard does, until its connection ends. What changes the
// server's standing wakes the agent.
func (k *keeper) listen(g *fence.Guard) {
	for e := range g.Events() {
		k.mu.Lock()
		if k.guard == g {
			k.note(e)
		}
		wake := k.wake
		k.mu.Unlock()
		switch e.Kind {
		case fence.WasFrozen:
			k.log.Warn("the guard has frozen the server", "why", string(e.Why), "late", e.Late, "took", e.Took)
		case fence.WasThawed:
			k.log.Warn("the guard has thawed the server", "paused", e.Took)
		case fence.IsKilled:
			k.log.Warn("the guard kills the server", "why", string(e.Why))
		}
		wake()
	}
	k.lose(g)
	k.mu.Lock()
	wake := k.wake
	k.mu.Unlock()
	wake() // the next pass finds the guard again, or another one
}

// note keeps what an event says. The mutex is held.
func (k *keeper) note(e fence.Event) {
	s := &k.state
	switch e.Kind {
	case fence.IsFreezing, fence.WasFrozen:
		if !s.frozen {
			s.freezes++
		}
		s.freeze(e.At.Add(-e.Took))
		if e.Kind == fence.WasFrozen {
			s.late, s.took = e.Late, e.Took
		}
	case fence.WasThawed:
		s.run()
	case fence.Exited:
		s.run()
		if k.server == e.Exit.PID {
			k.serverGone()
		}
	}
}

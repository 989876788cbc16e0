package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/fence"
	"matriarch/internal/postgres"
)

// keeper keeps the guard of this node's server: the process that stops the server
// at the end of the lease, also when this one is dead or frozen by then (S1).
//
// The guard outlives the agent. One that is found holds an earlier deadline, and
// keeps to it until a later one is told.
type keeper struct {
	socket string
	giveUp time.Duration
	log    *slog.Logger
	watch  sync.WaitGroup

	mu       sync.Mutex
	guard    *fence.Guard     // nil: not connected
	armed    bool             // as told last
	deadline boottime.Instant // the end of the lease less the margin; 0: the key is not ours
	off      bool             // no guard can be had; said already
}

// guardMargin is how long before the end of the lease the server is frozen: it
// covers clocks that run at different rates (2,200 ppm of 30 s are 66 ms) and the
// time until the last process stands still.
const guardMargin = 500 * time.Millisecond

func newKeeper(dataDir string, giveUp time.Duration, log *slog.Logger) *keeper {
	return &keeper{socket: filepath.Clean(dataDir) + ".guard", giveUp: giveUp, log: log}
}

// connect finds the guard, or starts one. The mutex is held.
func (k *keeper) connect(ctx context.Context) (*fence.Guard, error) {
	if k.guard != nil {
		return k.guard, nil
	}
	g, err := fence.Start(ctx, fence.Options{Socket: k.socket, GiveUp: k.giveUp, Output: os.Stderr})
	if err != nil {
		return nil, err
	}
	k.guard, k.off = g, false
	found := g.Found()
	k.armed = found.Armed // its deadline is its own affair, until we tell a later one
	k.log.Info("guard", "pid", found.GuardPID, "server", found.PID, "protection", string(found.Protection), "armed", found.Armed)
	k.watch.Go(func() { k.listen(g) })
	return g, nil
}

// listen logs what the guard does, until its connection ends.
func (k *keeper) listen(g *fence.Guard) {
	for e := range g.Events() {
		switch e.Kind {
		case fence.WasFrozen:
			k.log.Warn("the guard has frozen the server", "why", string(e.Why), "late", e.Late, "took", e.Took)
		case fence.WasThawed:
			k.log.Warn("the guard has thawed the server", "paused", e.Took)
		case fence.IsKilled:
			k.log.Warn("the guard kills the server", "why", string(e.Why))
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.guard == g {
		k.guard = nil
	}
}

// Launch starts the server as the guard's child. One that starts as a primary is
// guarded from its first instruction.
func (k *keeper) Launch(ctx context.Context, c postgres.Command) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	g, err := k.connect(ctx)
	if err != nil {
		return k.unguarded(c, err)
	}
	armed := c.Primary && k.deadline != 0
	pid, err := g.Launch(ctx, fence.Command{Path: c.Path, Args: c.Args, Env: c.Env, Dir: c.Dir, Stdout: c.Output, Stderr: c.Output,
		Armed: armed, Deadline: k.deadline})
	if err != nil {
		return 0, fmt.Errorf("launch the server by its guard: %w", err)
	}
	k.armed = armed
	return pid, nil
}

// unguarded starts the server as our own child, since a cluster without a guard is
// better than none; that it is so is said loudly.
func (k *keeper) unguarded(c postgres.Command, cause error) (int, error) {
	k.without(cause)
	process, err := os.StartProcess(c.Path, c.Args, &os.ProcAttr{
		Dir: c.Dir, Env: c.Env, Files: []*os.File{nil, c.Output, c.Output}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 0, err
	}
	k.watch.Go(func() { _, _ = process.Wait() }) // reaps it
	return process.Pid, nil
}

// Hold tells the guard how things stand: until when the lease holds (zero: the
// leader key is not ours), and whether the server may be a primary. A deadline
// that is not known anew is left as it is: whoever is in doubt does not extend.
func (k *keeper) Hold(ctx context.Context, pid int, mayWrite bool, until boottime.Instant) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.deadline = 0
	if until != 0 {
		k.deadline = until.Add(-guardMargin)
	}
	if pid == 0 || k.off {
		return // no server: the next one is guarded by its launch
	}
	err := k.hold(ctx, pid, mayWrite)
	switch {
	case err == nil:
	case k.guard == nil: // it is tried again at the next start of the server, not in every pass
		k.without(err)
	default:
		k.log.Error("the guard could not be told", "err", err)
		if errors.Is(err, fence.ErrGone) {
			k.guard = nil
		}
	}
}

// without says, once, that there is no guard.
func (k *keeper) without(cause error) {
	if !k.off {
		k.log.Error("the server runs without a guard: if this agent dies or hangs, nothing stops the server at the end of the lease", "err", cause)
	}
	k.off = true
}

func (k *keeper) hold(ctx context.Context, pid int, mayWrite bool) error {
	first := k.guard == nil
	g, err := k.connect(ctx)
	if err != nil {
		return err
	}
	if first && g.Found().PID != pid {
		k.armed = mayWrite && k.deadline != 0
		return g.Adopt(ctx, pid, k.armed, k.deadline)
	}
	switch {
	case mayWrite && k.deadline != 0:
		k.armed = true
		return g.Arm(ctx, k.deadline)
	case !mayWrite && k.armed:
		k.armed = false
		return g.Disarm(ctx)
	}
	return nil
}

// arm makes sure, before a promotion, that the guard is armed. Not knowing is no
// permission.
func (k *keeper) arm(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.off {
		return nil // said at the start of the server
	}
	g, err := k.connect(ctx)
	if err != nil {
		return fmt.Errorf("arm the guard: %w", err)
	}
	if k.deadline == 0 {
		return errors.New("arm the guard: the lease does not hold")
	}
	if err := g.Arm(ctx, k.deadline); err != nil {
		return fmt.Errorf("arm the guard: %w", err)
	}
	k.armed = true
	return nil
}

// close lets guard and server live on.
func (k *keeper) close() {
	k.mu.Lock()
	g := k.guard
	k.guard = nil
	k.mu.Unlock()
	if g != nil {
		if err := g.Close(); err != nil {
			k.log.Warn("the connection to the guard could not be closed", "err", err)
		}
	}
}

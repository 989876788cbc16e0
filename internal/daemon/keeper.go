package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/cluster"
	"matriarch/internal/config"
	"matriarch/internal/fence"
	"matriarch/internal/postgres"
)

// keeper keeps the guard of this node's server: the process that stops the server
// at the end of the permit, also when this one is dead or frozen by then (S1).
//
// Two sides use it. The agent's pass says in Hold whether the server may be a
// primary, and launches it; that may take long. The permit's goroutine says in
// Deadline until when it may write; that waits for nothing (keeper_deadline.go).
// What the guard does with the server is in Standing (keeper_standing.go), and what
// it keeps for our next life in Keep (keeper_record.go).
//
// The guard outlives the agent. One that is found holds an earlier deadline, and
// keeps to it until it is told another.
type keeper struct {
	socket string
	log    *slog.Logger
	watch  sync.WaitGroup // those who end with close
	news   chan struct{}  // a deadline is to be told
	quit   chan struct{}
	once   sync.Once

	children sync.WaitGroup // those who end with a server that has no guard, maybe after us

	// founding is set while a cluster is being created: its first server takes
	// writes before there is a leader, and so before there is a permit.
	founding atomic.Bool
	founded  atomic.Bool // and since it was

	turn    sync.Mutex // one slow call at a time: connect, launch, adopt, arm, disarm
	telling sync.Mutex // one deadline at a time, the newest last
	keeping sync.Mutex // one record at a time

	record []byte // kept last in this life; these three are of keeping
	kept   bool   // a record was kept, or removed, in this life
	sure   bool   // and the guard, if there is one, has exactly this

	mu     sync.Mutex // of what follows; nobody waits for anything with it in hand
	giveUp time.Duration
	guard  *fence.Guard  // nil: not connected
	off    bool          // no guard can be had; said already
	server int           // the postmaster that the guard has; 0: none
	gone   chan struct{} // closed when it has none any more
	armed  bool          // as told last
	// mayWrite: the server may be a primary, as the last pass has said.
	mayWrite bool
	until    deadline
	left     boottime.Instant // the deadline that the guard was found with
	heard    chan struct{}    // closed by the next deadline
	held     bool             // a pass of this life has said what follows
	state    guarded
	wake     func() // the agent
	kill9    func() // ends the server without a guard
}

func newKeeper(dataDir string, giveUp time.Duration, log *slog.Logger) *keeper {
	k := &keeper{
		socket: filepath.Clean(dataDir) + ".guard", giveUp: giveUp, log: log,
		news: make(chan struct{}, 1), quit: make(chan struct{}), heard: make(chan struct{}), gone: make(chan struct{}), wake: func() {}, kill9: func() {},
	}
	k.state.run()
	k.watch.Go(k.attend)
	return k
}

// connect finds the guard, or starts one. The turn is ours.
func (k *keeper) connect(ctx context.Context) (*fence.Guard, error) {
	if g := k.current(); g != nil {
		return g, nil
	}
	k.mu.Lock()
	giveUp := k.giveUp
	k.mu.Unlock()
	// Before the cluster is created there is no directory for the guard's socket: initdb
	// makes the missing ones, with this mode, and comes later.
	if err := os.MkdirAll(filepath.Dir(k.socket), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the guard's socket: %w", err)
	}
	g, err := fence.Start(ctx, fence.Options{Socket: k.socket, GiveUp: giveUp, Output: os.Stderr})
	if err != nil {
		return nil, err
	}
	found := g.Found()
	k.log.Info("guard", "pid", found.GuardPID, "server", found.PID, "protection", string(found.Protection), "armed", found.Armed,
		"freezer", found.Method, "priority", found.Priority)
	k.keeping.Lock()
	if err := k.keepAgain(ctx, g); err != nil {
		k.keeping.Unlock()
		return nil, errors.Join(err, g.Close())
	}
	k.mu.Lock()
	k.guard, k.off, k.server, k.armed, k.left = g, false, found.PID, found.Armed, found.Deadline
	k.state.found(found)
	k.mu.Unlock()
	k.keeping.Unlock()
	k.watch.Go(func() { k.listen(g) })
	k.tell()
	k.poke() // its deadline may be near
	return g, nil
}

// current is the guard that is connected, or nil.
func (k *keeper) current() *fence.Guard {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.guard
}

// began notes what the guard has now. Of a server that has ended already the guard's word
// may have been heard: there will be no other, and a start would wait for it for ever.
func (k *keeper) began(g *fence.Guard, pid int, armed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if g.Server() == pid {
		k.server, k.armed = pid, armed
	}
}

func (k *keeper) setArmed(armed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.armed = armed
}

// lose forgets a connection that has ended.
func (k *keeper) lose(g *fence.Guard) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.guard == g {
		k.guard = nil
		k.serverGone()
	}
}

// serverGone notes that the guard has no server. The mutex is held.
func (k *keeper) serverGone() {
	k.server, k.armed = 0, false
	close(k.gone)
	k.gone = make(chan struct{})
}

// gonePatience is how long a start waits for the guard's word that the last server is
// gone. The postmaster ends first, and each of its children may still be writing.
const gonePatience = 5 * time.Second

// awaitGone waits until the guard has no server. Its word is what counts: a start that
// came between the end of the postmaster and the end of the last of its children would
// be refused, and the lead handed on for it.
func (k *keeper) awaitGone(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, gonePatience)
	defer cancel()
	for {
		k.mu.Lock()
		server, gone := k.server, k.gone
		k.mu.Unlock()
		if server == 0 || k.current() == nil {
			return nil
		}
		select {
		case <-gone:
		case <-ctx.Done():
			return fmt.Errorf("wait until processes of server %d are gone: %w", server, ctx.Err())
		}
	}
}

// Launch starts the server as the guard's child. One that starts as a primary is
// guarded from its first instruction: without a permit in force it is frozen before
// it answers anybody. Whoever means to start one asks permitted first.
func (k *keeper) Launch(ctx context.Context, c postgres.Command) (int, error) {
	if err := k.awaitGone(ctx); err != nil { // before our turn, for which passes wait
		return 0, fmt.Errorf("launch the server by its guard: %w", err)
	}
	k.turn.Lock()
	defer k.turn.Unlock()
	g, err := k.connect(ctx)
	if err != nil {
		return k.unguarded(c, err)
	}
	armed := c.Primary && !k.founding.Load()
	// The guard knows the deadline before it has the server: what is sent with the
	// launch could have been taken back meanwhile.
	k.tell()
	pid, err := g.Launch(ctx, fence.Command{Path: c.Path, Args: c.Args, Env: c.Env, Dir: c.Dir, Stdout: c.Output, Stderr: c.Output, Armed: armed})
	if err != nil {
		return 0, fmt.Errorf("launch the server by its guard: %w", err)
	}
	k.began(g, pid, armed)
	k.poke()
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
	k.children.Go(func() { _, _ = process.Wait() }) // reaps it
	return process.Pid, nil
}

// without says, once, that there is no guard.
func (k *keeper) without(cause error) {
	k.mu.Lock()
	said := k.off
	k.off = true
	k.state.run() // if a guard has left it frozen, nobody can tell
	k.mu.Unlock()
	if !said {
		k.log.Error("the server runs without a guard: if this agent dies or hangs, nothing stops the server at the end of the permit", "err", cause)
	}
}

// Hold arms the guard when the server of that postmaster may be a primary, and
// disarms it when it may not, or when the cluster is paused. It also sees to it that
// there is a guard, and that the guard has the server: one that was running before
// us is adopted.
//
// A server that was found running and that no guard had is armed with the first word
// of a permit in this life, or before a takeover (armAhead), and not before: it would
// be frozen for a permit of which nothing is known yet. Until then the agent stops it
// if another member leads.
func (k *keeper) Hold(ctx context.Context, pid int, mayWrite bool) {
	k.turn.Lock()
	defer k.turn.Unlock()
	k.mu.Lock()
	off := k.off
	k.held, k.mayWrite = true, mayWrite
	k.mu.Unlock()
	if off { // a guard is tried again at the next start of the server, not in every pass
		k.holdAlone(pid, mayWrite)
		return
	}
	g, err := k.connect(ctx)
	if err != nil {
		k.without(err)
		k.holdAlone(pid, mayWrite)
		return
	}
	if pid == 0 {
		return // the next server is armed by its launch
	}
	if err := k.hold(ctx, g, pid, mayWrite); err != nil {
		k.log.Error("the guard could not be told", "err", err)
		if errors.Is(err, fence.ErrGone) {
			k.lose(g)
		}
	}
}

func (k *keeper) hold(ctx context.Context, g *fence.Guard, pid int, mayWrite bool) error {
	k.mu.Lock()
	server, armed, permitted := k.server, k.armed, k.until.said
	k.mu.Unlock()
	arm := mayWrite && (permitted || armed)
	if server != pid {
		arm = mayWrite && permitted
		k.tell()
		err := g.Adopt(ctx, pid, arm, 0)
		if err != nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			k.log.Debug("the server ended before the guard had it", "pid", pid, "err", err)
			return nil // it ended after the look: the next one sees that, and there is nothing to guard
		}
		if err != nil {
			return err
		}
		k.began(g, pid, arm)
		k.poke()
		return nil
	}
	switch {
	case arm && !armed:
		return k.armNow(ctx, g)
	case !arm && armed:
		if err := g.Disarm(ctx); err != nil {
			return err
		}
		k.setArmed(false)
	}
	return nil
}

// kill has the guard end the server: stopped first, so that no process of it answers
// a client while its neighbours are being killed. It is false where the guard could
// not do it.
func (k *keeper) kill(ctx context.Context) bool {
	k.mu.Lock()
	g, server := k.guard, k.server
	k.mu.Unlock()
	if g == nil || server == 0 {
		return false
	}
	err := g.Kill(ctx)
	if err != nil {
		k.log.Warn("the guard could not kill the server", "err", err)
	}
	return err == nil
}

// giveUp is how long the guard keeps a frozen server.
func giveUp(dynamic map[string]any, e config.Effective) time.Duration {
	s, _, err := cluster.ReadSettings(dynamic)
	if err != nil {
		return e.TTL
	}
	return s.GiveUp()
}

// patience tells it to the guard.
func (k *keeper) patience(ctx context.Context, giveUp time.Duration) {
	k.mu.Lock()
	g, same := k.guard, k.giveUp == giveUp
	k.giveUp = giveUp
	k.mu.Unlock()
	if g == nil || same {
		return
	}
	if err := g.SetGiveUp(ctx, giveUp); err != nil {
		k.log.Error("the guard could not be told how long it keeps a frozen server", "err", err)
	}
}

// close lets guard and server live on.
func (k *keeper) close() {
	k.once.Do(func() { close(k.quit) })
	k.mu.Lock()
	g := k.guard
	k.guard = nil
	k.mu.Unlock()
	if g != nil {
		if err := g.Close(); err != nil {
			k.log.Warn("the connection to the guard could not be closed", "err", err)
		}
	}
	k.watch.Wait()
}

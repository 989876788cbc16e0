package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/config"
	"matriarch/internal/ha"
	"matriarch/internal/postgres"
	"matriarch/internal/wal"
)

// hands are the agent's hands on this node's PostgreSQL: they translate between
// the decisions' words and package postgres, and run one piece of long work at a
// time beside the passes.
type hands struct {
	pg      *postgres.Server
	keeper  *keeper
	warden  *warden
	clock   boottime.Clock
	log     *slog.Logger
	now     func() time.Time
	changed chan struct{}

	// effective is called with every configuration that was accepted.
	effective func(config.Effective)

	base context.Context // ends the work when the daemon ends
	wait sync.WaitGroup

	mu       sync.Mutex
	local    *config.Config
	job      *job
	last     ha.Finished
	lastAt   time.Time
	logical  *logicalSlots
	proofs   *slotProofs
	upstream ha.Upstream // whom we told the server to follow; unknown after our restart
	reloads  int         // how often the server was told to read its files
	look     lookCache
}

// job is the work under way.
type job struct {
	work       ha.Work
	purpose    ha.Purpose
	upstream   ha.Upstream
	began      time.Time
	cancel     context.CancelFunc
	handOver   bool // it was cancelled for one
	killed     bool // a start that was cancelled: it left no server behind
	progress   string
	shutdown   wal.Point
	checkpoint wal.LSN   // of the shutdown
	closed     time.Time // when the two were known
	optime     wal.LSN
}

var errWorking = errors.New("other work is under way")

func newHands(base context.Context, pg *postgres.Server, k *keeper, w *warden, local *config.Config, log *slog.Logger, clock boottime.Clock) *hands {
	h := &hands{pg: pg, keeper: k, warden: w, clock: clock, log: log, now: clock.Now, base: base, local: local, changed: make(chan struct{}, 1)}
	h.logical, h.proofs = newLogicalSlots(h), newSlotProofs(h)
	pg.LaunchBy(k)
	k.onChange(h.notify)
	w.changed = h.notify
	k.onOverdue(h.Kill)
	h.wait.Go(h.forward)
	return h
}

// forward passes on the server's own word that something changed.
func (h *hands) forward() {
	for {
		select {
		case <-h.base.Done():
			return
		case <-h.pg.Changed():
			h.notify()
		}
	}
}

func (h *hands) notify() {
	select {
	case h.changed <- struct{}{}:
	default: // one is waiting already
	}
}

// Changed tells that the server ended or that work did.
func (h *hands) Changed() <-chan struct{} { return h.changed }

// close waits for the work and lets go of the server without stopping it.
func (h *hands) close() {
	h.wait.Wait()
	h.keeper.close()
	h.pg.Close()
}

// Hold tells the guard, and the watchdog behind it, whether the server may be a
// primary.
func (h *hands) Hold(ctx context.Context, mayWrite bool) {
	h.mu.Lock()
	pid := h.look.pid
	founding := h.job != nil && h.job.work == ha.Bootstrapping
	h.mu.Unlock()
	h.keeper.Hold(ctx, pid, mayWrite)
	if !founding { // it ends with a primary, for which the device counts already
		h.warden.hold(mayWrite, h.keeper.Standing().Frozen)
	}
}

// Work is the long work under way and the outcome of the last.
func (h *hands) Work(now time.Time) (ha.Job, ha.Finished) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := h.last
	last.Ago = now.Sub(h.lastAt)
	j := h.job
	if j == nil {
		return ha.Job{}, last
	}
	job := ha.Job{Work: j.work, Purpose: j.purpose, Running: now.Sub(j.began), Upstream: j.upstream,
		Progress: j.progress, Shutdown: j.shutdown, Optime: j.optime, Checkpoint: j.checkpoint}
	if j.shutdown.LSN > 0 {
		job.Closed = now.Sub(j.closed)
	}
	return job, last
}

// Cancel ends the work under way; its end is announced as that of any work.
func (h *hands) Cancel(why ha.Purpose) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.job != nil {
		h.job.handOver = h.job.handOver || why == ha.ForHandOver
		h.job.cancel()
	}
}

// killTimeout bounds the wait for a killed server. The signals are sent at once;
// only processes in an uninterruptible sleep live on after them.
const killTimeout = 2 * time.Second

// guardKillTimeout is how long the guard has for it: some milliseconds are the rule,
// and one that hangs must not keep us from doing it ourselves.
const guardKillTimeout = 300 * time.Millisecond

// Kill ends every process of the server, by the guard if it can. What it leaves,
// such as an archive command of its own session, ends after that.
func (h *hands) Kill() {
	h.Cancel(ha.ForNothing)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(h.base), killTimeout)
	defer cancel()
	byGuard, done := context.WithTimeout(ctx, guardKillTimeout)
	h.keeper.kill(byGuard)
	done()
	if err := h.pg.KillAll(ctx); err != nil {
		h.log.Error("the server could not be killed", "err", err)
	}
}

// Begin starts long work and returns.
func (h *hands) Begin(action ha.Action) error {
	ctx, cancel := context.WithCancel(h.base)
	j := &job{began: h.now(), cancel: cancel}
	run := h.plan(j, action)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.job != nil {
		cancel()
		return fmt.Errorf("begin %T: %w", action, errWorking)
	}
	h.job = j
	h.logical.halt()
	if j.work != ha.Preparing { // the promotion is still to tell of them
		h.proofs.forget()
	}
	h.wait.Go(func() {
		defer cancel()
		h.finish(j, run(ctx))
	})
	return nil
}

// finish publishes how the work ended.
func (h *hands) finish(j *job, err error) {
	postgres.TakeUmask(h.pg.Config().DataDir) // it may have made the directory
	if h.gaveWay(j, err) {
		h.log.Info("the start as primary was broken off for a hand-over")
		err = nil
	}
	if err != nil {
		h.log.Error("work ended with an error", "work", workName(j.work), "took", h.now().Sub(j.began).Round(time.Millisecond), "err", err)
	} else {
		h.log.Info("work is done", "work", workName(j.work), "took", h.now().Sub(j.began).Round(time.Millisecond))
	}
	h.mu.Lock()
	h.last = ha.Finished{
		Count: h.last.Count + 1, Work: j.work, Purpose: j.purpose, Failed: err != nil,
		From: j.upstream.Member, Shutdown: j.shutdown, Optime: j.optime,
		// A rewind that was refused would be refused again; after any other failure
		// it is tried again, or the marker in its way says that it broke off.
		Hopeless: j.work == ha.Rewinding && errors.Is(err, postgres.ErrRewindRefused) ||
			errors.Is(err, errNotPlaceable) && !errors.Is(err, postgres.ErrLogToCome),
	}
	h.lastAt, h.job = h.now(), nil
	h.look.forget()
	h.mu.Unlock()
	h.notify()
}

// gaveWay makes the stop of a hand-over of a start that was cancelled for one.
func (h *hands) gaveWay(j *job, err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	gave := err != nil && j.work == ha.StartingPrimary && j.handOver && j.killed
	if gave {
		j.work, j.purpose = ha.StoppingServer, ha.ForHandOver
	}
	return gave
}

// report keeps the progress of a copy for the member key. Every tenth of the way is
// logged and wakes the agent.
func (h *hands) report(j *job) func(string) {
	return func(text string) {
		h.mu.Lock()
		news := tenth(text) != tenth(j.progress) || j.progress == ""
		j.progress = text
		h.mu.Unlock()
		if news {
			h.log.Info("work goes on", "work", workName(j.work), "progress", text)
			h.notify()
		}
	}
}

// tenth cuts the last digit off a percentage: "47%" and "42%" are both "4".
func tenth(percent string) string {
	if len(percent) < 2 {
		return percent
	}
	return percent[:len(percent)-2]
}

func workName(w ha.Work) string {
	return map[ha.Work]string{
		ha.Bootstrapping: "bootstrap", ha.Copying: "base backup", ha.Rewinding: "rewind", ha.StartingPrimary: "start as primary",
		ha.CopyingSlots: "copy of logical slots", ha.StartingStandby: "start as standby", ha.Preparing: "pre_promote", ha.Promoting: "promotion", ha.StoppingServer: "stop",
	}[w]
}

// Checkpoint writes a checkpoint in the background; its end wakes the agent.
func (h *hands) Checkpoint() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.look.checkpointing {
		return
	}
	h.look.checkpointing = true
	h.wait.Go(func() {
		err := h.pg.Checkpoint(h.base)
		if err != nil && h.base.Err() == nil {
			h.log.Warn("the checkpoint after the promotion failed", "err", err)
		}
		h.mu.Lock()
		h.look.checkpointing = false
		h.mu.Unlock()
		h.notify()
	})
}

// MakeSegment makes the next segment of a standby's log in the background.
func (h *hands) MakeSegment(after wal.Point) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.look.segmentOf == after.Timeline {
		return
	}
	h.look.segmentOf = after.Timeline
	h.wait.Go(func() {
		if err := h.pg.MakeSegment(h.base, after); err != nil && h.base.Err() == nil {
			h.log.Warn("the next segment of the log was not made ahead; a hand-over will take longer", "err", err)
		}
	})
}

// Configure combines the dynamic configuration with the local one and gives the
// result to the server.
func (h *hands) Configure(ctx context.Context, dynamic map[string]any) error {
	h.mu.Lock()
	local := h.local
	h.mu.Unlock()
	e, problems := config.Combine(dynamic, local)
	for _, p := range problems {
		if p.Severity == config.Error {
			return fmt.Errorf("combine the dynamic configuration with the local one: %s", p)
		}
		h.log.Warn("dynamic configuration: " + p.String())
	}
	for _, text := range unusedDynamic(dynamic) {
		h.log.Warn("dynamic configuration: " + text)
	}
	h.keeper.patience(ctx, giveUp(dynamic, e))
	h.warden.reload(watchdogSettings(local, e))
	h.pg.Reconfigure(serverConfig(local, e.Postgresql))
	h.effective(e)
	if h.pg.Directory() != postgres.HasControl {
		return nil // everything is written when the server starts
	}
	if err := saveDynamic(e.Postgresql.DataDir, dynamic, e); err != nil {
		h.log.Warn("the dynamic configuration could not be kept in the data directory", "err", err)
	}
	return h.tellServer(ctx, false)
}

// tellServer has the server read its files, if they have changed or in any case.
func (h *hands) tellServer(ctx context.Context, always bool) error {
	told, err := h.pg.Reload(ctx, always)
	if told {
		h.reloaded()
	}
	return err
}

// settling is how long a server may take to read its files: after that it is asked
// which settings wait for a restart. Patroni waits as long (compat/config.md §1.5).
const settling = time.Second

// reloaded counts what the callbacks are told of, and wakes the agent now, for what we
// know by ourselves, and when the server has read its files.
func (h *hands) reloaded() {
	h.mu.Lock()
	h.reloads++
	h.mu.Unlock()
	h.notify()
	h.wait.Go(func() {
		timer := time.NewTimer(settling)
		defer timer.Stop()
		select {
		case <-h.base.Done():
		case <-timer.C:
			h.notify()
		}
	})
}

// MoveAside renames the directory of a creation that failed.
func (h *hands) MoveAside(ctx context.Context) error { return h.pg.MoveAside(ctx) }

// Follow changes the upstream of the running standby.
func (h *hands) Follow(ctx context.Context, upstream ha.Upstream) error {
	changed, err := h.pg.Follow(ctx, fromHA(upstream))
	if err != nil {
		return err
	}
	if changed {
		h.reloaded()
	}
	h.setUpstream(upstream)
	return nil
}

func (h *hands) setUpstream(u ha.Upstream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.upstream = u
}

func fromHA(u ha.Upstream) postgres.Upstream {
	return postgres.Upstream{Name: u.Member, Host: u.Host, Port: u.Port, Database: u.Database, Slot: u.Slot, Feedback: u.Feedback}
}

// ReadLog asks the leader's server whether it is primary and for its history. Where our
// own log ends is found out beside it, if that is not plain.
func (h *hands) ReadLog(ctx context.Context, from ha.Upstream) ha.LeaderLog {
	mine := make(chan wal.Point, 1)
	go func() { mine <- h.crashEnd(ctx) }()
	out := h.leaderLog(ctx, from)
	out.Mine = <-mine
	return out
}

// crashEnd is where the log of a primary ends that crashed; zero: it is no such server,
// or it is not known.
func (h *hands) crashEnd(ctx context.Context) wal.Point {
	end, err := h.pg.CrashEnd(ctx)
	switch {
	case err == nil:
		h.log.Info("the log of the crashed primary was read to its end", "end", end.String())
	case errors.Is(err, postgres.ErrEndUnknown):
		h.log.Info("only recovery can tell where the log ends", "err", err)
	}
	return end
}

func (h *hands) leaderLog(ctx context.Context, from ha.Upstream) ha.LeaderLog {
	out := ha.LeaderLog{Leader: from.Member, Failed: true}
	server := fromHA(from)
	primary, err := h.pg.IsPrimary(ctx, server)
	if err == nil {
		var id postgres.Identity
		if id, err = h.pg.ReplicationIdentify(ctx, server); err == nil {
			out.SystemID = id.SystemID
			out.History, err = h.pg.TimelineHistory(ctx, server, id.At.Timeline)
		}
	}
	if err != nil {
		h.log.Info("the leader's log could not be read", "from", from.Member, "err", err)
		return out
	}
	out.Failed, out.Primary = false, primary
	return out
}

// SetStandbyNames says for whom commits wait.
func (h *hands) SetStandbyNames(ctx context.Context, names ha.SetStandbyNames) error {
	h.log.Info("commits wait for other standbys", "synchronous_standby_names", names.Value, "from the configuration", names.Users)
	return h.pg.SetStandbyNames(ctx, names.Value, names.Users)
}

// CreateSlot makes a slot; a logical one beside the passes.
func (h *hands) CreateSlot(ctx context.Context, slot ha.CreateSlot) error {
	if slot.Plugin != "" {
		h.logical.create(slot)
		return nil
	}
	ctx, done := h.keeper.whileRunning(ctx)
	defer done()
	return h.pg.CreateSlot(ctx, slot.Name)
}

// DropSlot removes a slot.
func (h *hands) DropSlot(ctx context.Context, name string) error {
	ctx, done := h.keeper.whileRunning(ctx)
	defer done()
	return h.pg.DropSlot(ctx, name)
}

// AdvanceSlot lets a slot give up the log before a position; a logical one beside the
// passes.
func (h *hands) AdvanceSlot(ctx context.Context, slot ha.AdvanceSlot) error {
	if slot.Database != "" {
		h.logical.advance(slot)
		return nil
	}
	ctx, done := h.keeper.whileRunning(ctx)
	defer done()
	return h.pg.AdvanceSlot(ctx, slot.Name, slot.To)
}

// signalFile reports whether a file of that name lies in the data directory.
func signalFile(dataDir, name string) bool {
	_, err := os.Stat(filepath.Join(dataDir, name))
	return err == nil
}

package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"matriarch/internal/ha"
	"matriarch/internal/postgres"
	"matriarch/internal/wal"
)

// plan names the work that an action stands for and gives the function that does
// it.
func (h *hands) plan(j *job, action ha.Action) func(context.Context) error {
	switch a := action.(type) {
	case ha.Bootstrap:
		j.work = ha.Bootstrapping
		return h.bootstrap
	case ha.BaseBackup:
		j.work, j.upstream = ha.Copying, a.From
		return func(ctx context.Context) error { return h.copy(ctx, j, a) }
	case ha.Rewind:
		j.work, j.upstream = ha.Rewinding, a.From
		return func(ctx context.Context) error { return h.pg.Rewind(ctx, fromHA(a.From), h.report(j)) }
	case ha.StartPrimary:
		j.work, j.purpose = ha.StartingPrimary, a.For
		return func(ctx context.Context) error { return h.startPrimary(ctx, j) }
	case ha.StartStandby:
		j.work, j.purpose, j.upstream = ha.StartingStandby, a.For, a.Upstream
		return func(ctx context.Context) error { return h.startStandby(ctx, a.Upstream) }
	case ha.PrePromote:
		j.work = ha.Preparing
		return h.pg.PrePromote
	case ha.Promote:
		j.work = ha.Promoting
		h.proofs.warn()
		return func(ctx context.Context) error {
			if err := h.keeper.arm(ctx); err != nil {
				return err
			}
			if err := h.warden.activate(); err != nil {
				return fmt.Errorf("promote: %w", err)
			}
			return h.pg.Promote(ctx, a.Above)
		}
	case ha.CopySlots:
		j.work, j.upstream = ha.CopyingSlots, a.From
		return func(ctx context.Context) error { return h.copySlots(ctx, a) }
	case ha.Stop:
		j.work, j.purpose = ha.StoppingServer, a.For
		return func(ctx context.Context) error { return h.stop(ctx, j, a) }
	}
	panic(fmt.Sprintf("no work for %T", action))
}

// bootstrap creates the cluster and its roles. A failure leaves no server.
func (h *hands) bootstrap(ctx context.Context) error {
	h.keeper.founding.Store(true)
	defer h.keeper.founding.Store(false)
	err := h.pg.Bootstrap(ctx)
	if err == nil {
		err = h.warden.activate() // B-803
	}
	if err == nil {
		err = h.pg.PostBootstrap(ctx)
	}
	if err == nil {
		h.keeper.founded.Store(true)
		return nil
	}
	kill, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTimeout)
	defer cancel()
	return errors.Join(err, h.pg.KillAll(kill))
}

// copy makes the data directory of a standby. What is in the directory goes first;
// whether it may, was decided (S4).
func (h *hands) copy(ctx context.Context, j *job, a ha.BaseBackup) error {
	if d := h.pg.Directory(); d != postgres.Empty && d != postgres.Missing && !a.Wipe {
		return fmt.Errorf("copy from %s: the data directory is %s", a.From.Member, d)
	}
	return h.pg.CreateReplica(ctx, fromHA(a.From), a.Builtin, h.report(j))
}

// startPrimary starts the server and waits until it takes writes, as long as that
// takes: whether it is too long is for the passes to say, since it depends on whether
// another member could lead meanwhile (B-032, B-033). Cancelled, it leaves no server
// behind: the right to write may be gone.
func (h *hands) startPrimary(ctx context.Context, j *job) error {
	if err := h.keeper.awaitPermit(ctx); err != nil {
		return fmt.Errorf("start as primary: %w", err)
	}
	if err := h.warden.activate(); err != nil {
		return fmt.Errorf("start as primary: %w", err)
	}
	err := h.pg.StartPrimary(ctx)
	if err == nil {
		err = h.pg.WaitRecovered(ctx)
	}
	if err == nil {
		return nil
	}
	kill, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTimeout)
	defer cancel()
	alive := h.pg.KillAll(kill)
	j.killed = alive == nil
	return errors.Join(err, alive)
}

// standbyPatience is how long the start of a standby counts as work. One that
// waits longer for consistency may need another upstream for it, which only the
// next passes can give.
const standbyPatience = 5 * time.Second

func (h *hands) startStandby(ctx context.Context, upstream ha.Upstream) error {
	if err := h.pg.StartStandby(ctx, fromHA(upstream)); err != nil {
		return err
	}
	h.setUpstream(upstream)
	ready, cancel := context.WithTimeout(ctx, standbyPatience)
	defer cancel()
	err := h.pg.WaitReady(ready)
	if ready.Err() != nil && ctx.Err() == nil {
		return nil // it runs; when it answers, a pass will see it
	}
	return err
}

// checkpointPatience bounds the checkpoint before a stop. It is a courtesy: what
// it did not write, the shutdown checkpoint will.
const checkpointPatience = 30 * time.Second

// beforehand does what the shutdown would do while nobody can write, as far as it can
// be done before.
func (h *hands) beforehand(ctx context.Context) (padded wal.LSN) {
	ctx, cancel := context.WithTimeout(ctx, checkpointPatience)
	defer cancel()
	err := h.pg.Checkpoint(ctx)
	if err == nil {
		padded, err = h.pg.PadSegment(ctx)
	}
	if padded > 0 && err == nil {
		// Close to the end of a segment a checkpoint makes the next one as well
		// (xlog.c, PreallocXlogFiles), which the shutdown's begins.
		err = h.pg.Checkpoint(ctx)
	}
	if err != nil {
		h.log.Warn("what a shutdown does was not all done before the stop; the stop will take longer", "err", err)
	}
	return padded
}

// stop stops the server and finds out where its log ends.
func (h *hands) stop(ctx context.Context, j *job, a ha.Stop) error {
	// What fills the last segment is nobody's: who lacks only that is not behind, and
	// must not be kept from leading for it (B-121, B-137).
	var padded wal.LSN
	if a.Checkpoint {
		padded = h.beforehand(ctx)
	}
	if err := h.pg.BeforeStop(ctx); err != nil {
		h.log.Warn("before_stop failed, the server is stopped all the same", "err", err) // B-167
	}
	mode := postgres.Fast
	if a.Mode == ha.Immediate {
		mode = postgres.Immediate
	}
	err := h.pg.Stop(ctx, postgres.StopOptions{Mode: mode, Limit: a.Within, OnShutdownCheckpoint: func(end postgres.ShutdownEnd) {
		h.mu.Lock()
		j.shutdown, j.optime = end.At, cmp.Or(padded, end.At.LSN)
		j.checkpoint, j.closed = end.Checkpoint, h.now()
		h.mu.Unlock()
		h.notify()
	}})
	if err != nil || j.shutdown.LSN == 0 {
		return err
	}
	// With archiving on, the log was switched just before the checkpoint, and a
	// standby that lacks the new segment is not behind (B-137).
	if at, errPosition := h.pg.ShutdownPosition(ctx); errPosition == nil {
		h.mu.Lock()
		j.optime = cmp.Or(padded, at.LSN)
		h.mu.Unlock()
	}
	return nil
}

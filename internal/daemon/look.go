package daemon

import (
	"context"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/ha"
	"matriarch/internal/postgres"
	"matriarch/internal/postgres/conf"
	"matriarch/internal/wal"
)

// lookCache keeps between passes what costs a process to find out and does not
// change by itself.
type lookCache struct {
	systemID      string
	checkpointed  wal.Timeline // the control file is known to name this timeline
	checkpointing bool
	segmentOf     wal.Timeline // for which a segment was made ahead: one, for its leader stops once
	history       wal.History
	historyTime   time.Time
	canRewind     bool
	rewindKnown   bool
	role          ha.Role // as answered last
	pid           int     // of the postmaster; 0: it does not run

	paused   pause // of replay, looked into last
	outgrown bool  // and what was found
}

// pause is one that replay makes: whose, and where.
type pause struct {
	pid int
	at  wal.LSN
}

// forget drops what work may have changed.
func (c *lookCache) forget() {
	c.systemID, c.checkpointed, c.history, c.rewindKnown = "", 0, wal.History{}, false
}

// Observe looks at the server once.
func (h *hands) Observe(ctx context.Context) ha.Server {
	h.mu.Lock()
	cache, job := h.look, h.job
	out := ha.Server{Upstream: h.upstream, Reloads: h.reloads}
	h.mu.Unlock()

	out.Directory, out.Unfinished = h.directory()
	status := h.status(ctx)
	out.Running, out.Answering, out.Starting = status.Running, status.Answering, status.Starting
	out.Frozen = status.Running && h.keeper.Standing().Frozen
	out.Armed = status.Running && h.keeper.armedFor(status.PID)
	out.Guard = h.keeper.Standing().Protection
	cache.pid = status.PID
	if !status.Running {
		cache.pid = 0
	}
	switch {
	case job != nil && (job.work == ha.Copying || job.work == ha.Bootstrapping || job.work == ha.Rewinding):
		// The directory is changing: what it says now means nothing.
	case status.Answering:
		h.answered(ctx, status, &out, &cache)
	case out.Directory == ha.Data:
		out.Role = cache.role
		if status.Running && out.Role == ha.RoleUnknown && signalFile(h.pg.Config().DataDir, "standby.signal") {
			// The server removes the file at the end of recovery, before it takes
			// the first write (xlog.c, StartupXLOG).
			out.Role = ha.Standby
		}
		if out.CheckpointTimeline = cache.checkpointed; !h.keeper.Standing().Frozen || cache.systemID == "" {
			h.control(ctx, status.Running, &out, &cache)
		}
	}
	if !status.Running {
		cache.role = ha.RoleUnknown
	}
	h.keep(cache)
	out.SystemID = cache.systemID
	return out
}

// status asks the server, unless it is frozen; if it is frozen meanwhile, the
// question is broken off. It is running then, and does not answer.
func (h *hands) status(ctx context.Context) postgres.Status {
	ctx, done := h.keeper.whileRunning(ctx)
	defer done()
	return h.pg.Status(ctx)
}

// keep stores the cache back, but for what others change meanwhile.
func (h *hands) keep(cache lookCache) {
	h.mu.Lock()
	defer h.mu.Unlock()
	cache.checkpointing, cache.segmentOf = h.look.checkpointing, h.look.segmentOf
	h.look = cache
}

// directory says what is in the data directory and which work on it was cut off.
func (h *hands) directory() (ha.Directory, ha.Work) {
	state := h.pg.Directory()
	unfinished := ha.NoWork
	if state != postgres.HasControl {
		if u := h.pg.Unfinished(); u != nil {
			unfinished = map[string]ha.Work{postgres.WorkBootstrap: ha.Bootstrapping,
				postgres.WorkBaseBackup: ha.Copying, postgres.WorkRewind: ha.Rewinding}[u.What]
		}
	}
	switch state {
	case postgres.Missing, postgres.Empty:
		if unfinished != ha.Bootstrapping { // a copy has nothing to be put aside, a creation has the initialize key
			unfinished = ha.NoWork
		}
		return ha.Empty, unfinished
	case postgres.HasControl:
		return ha.Data, ha.NoWork
	case postgres.HalfWritten:
		return ha.HalfCopied, unfinished
	case postgres.NotACluster:
		return ha.HalfCopied, ha.NoWork
	}
	return ha.NoAccess, ha.NoWork
}

// answered takes over what a running server said of itself.
func (h *hands) answered(ctx context.Context, status postgres.Status, out *ha.Server, cache *lookCache) {
	out.Role, out.Version, out.Started = ha.Primary, status.Version, status.StartedAt
	if status.InRecovery {
		out.Role = ha.Standby
	}
	cache.role = out.Role
	out.End = wal.Point{Timeline: status.Timeline, LSN: status.Position}
	out.Received, out.Replayed = status.Received, status.Replayed
	h.replayPause(ctx, status, out, cache)
	out.Streaming = status.Receiver != nil && status.Receiver.Status == "streaming"
	out.LacksSegment = out.Streaming && cache.segmentOf != out.End.Timeline && h.pg.LacksSegment(out.End)
	out.Archive = status.InRecovery && !out.Streaming && h.pg.Config().RestoreCommand() != ""
	out.Synchronous = ha.Synchronous{Names: status.StandbyNames, Managed: status.StandbyNamesManaged, Told: status.StandbyNamesTold, Since: status.StandbyNamesSince, Age: status.StandbyNamesAge}
	for _, r := range status.Replication {
		out.Senders = append(out.Senders, ha.Sender{Application: r.ApplicationName, State: r.State, SyncState: r.SyncState, SyncPriority: r.SyncPriority, Position: r.SyncedLSN})
	}
	for _, s := range status.Slots {
		logical := s.Type == "logical"
		out.Slots = append(out.Slots, ha.Slot{Name: s.Name, Logical: logical, Database: s.Database, Plugin: s.Plugin, Active: s.Active,
			Restart: s.RestartLSN, Confirmed: s.ConfirmedFlush, HasXmin: s.XMin != 0, Lost: s.WALStatus == "lost", Spent: h.logical.isSpent(s.Name),
			Pending: logical && out.Role == ha.Standby && h.proofs.pending(s.Name)})
	}
	if len(status.PendingRestart) > 0 {
		out.PendingRestart = map[string]cluster.Change{}
		for name, p := range status.PendingRestart {
			out.PendingRestart[name] = cluster.Change{Old: p.Old, New: p.New}
		}
	}
	// Between its promotion and the checkpoint after it, a primary's control file
	// is the one that others must not rewind from; then it stays as it is.
	if cache.systemID == "" || out.Role == ha.Primary && cache.checkpointed != status.Timeline {
		h.checkpointed(ctx, cache)
	}
	out.CheckpointTimeline = cache.checkpointed
	h.history(status.Timeline, out, cache)
	if !cache.rewindKnown {
		cache.canRewind, cache.rewindKnown = h.pg.RewindPossible(ctx), true
	}
	out.CanRewind = cache.canRewind
}

// checkpointed takes over from the control file of a running server what that says.
func (h *hands) checkpointed(ctx context.Context, cache *lookCache) {
	if id, at, ok := h.pg.LastCheckpoint(); ok {
		cache.systemID, cache.checkpointed = id, at.Timeline
		return
	}
	data, err := h.pg.Control(ctx)
	if err != nil {
		h.log.Warn("the control file could not be read", "err", err)
		return
	}
	cache.systemID, cache.checkpointed = data.SystemIdentifier, data.Checkpoint.Timeline
}

// replayPause finds out, once for each, whether replay is paused because the primary's
// settings have grown, or because a person wants it so.
func (h *hands) replayPause(ctx context.Context, status postgres.Status, out *ha.Server, cache *lookCache) {
	here := pause{pid: status.PID, at: status.Replayed}
	if !status.ReplayPaused {
		cache.paused, cache.outgrown = pause{}, false
		return
	}
	if cache.paused != here {
		outgrown, err := h.pg.Outgrown(ctx)
		if err != nil {
			h.log.Warn("why replay is paused could not be found out", "err", err)
			return
		}
		cache.paused, cache.outgrown = here, outgrown
	}
	out.Outgrown = cache.outgrown
}

// history reads the history of the server's own timeline from its pg_wal.
func (h *hands) history(timeline wal.Timeline, out *ha.Server, cache *lookCache) {
	if timeline > 1 && cache.history.Timeline != timeline {
		if history, at, err := h.pg.LocalHistory(timeline); err == nil {
			cache.history, cache.historyTime = history, at
		}
	}
	if cache.history.Timeline == timeline && timeline > 1 {
		out.History, out.HistoryTime = cache.history, cache.historyTime.Format("2006-01-02T15:04:05.000000-07:00")
	}
}

// control takes over what the control file says of a server that is down or does
// not answer.
func (h *hands) control(ctx context.Context, running bool, out *ha.Server, cache *lookCache) {
	if running {
		h.checkpointed(ctx, cache)
		out.CheckpointTimeline = cache.checkpointed
		return
	}
	data, err := h.pg.Control(ctx)
	if err != nil {
		h.log.Warn("the control file could not be read", "err", err)
		return
	}
	cache.systemID = data.SystemIdentifier
	out.CheckpointTimeline = data.Checkpoint.Timeline
	if !cache.rewindKnown { // a No may have been the tool's trouble, or be mended while the server is down
		cache.canRewind = h.pg.RewindPossible(ctx)
		cache.rewindKnown = cache.canRewind
	}
	out.CanRewind = cache.canRewind
	out.Clean = data.State == conf.StateShutDown || data.State == conf.StateShutDownInRecovery
	switch data.State {
	case conf.StateShutDownInRecovery, conf.StateInArchiveRecovery:
		out.End = data.MinRecovery
		if out.End.LSN == 0 {
			out.End = data.Checkpoint
		}
	default:
		// A fresh copy has its source's control file until its first start; its
		// backup_label tells it from a primary that crashed.
		out.WasPrimary = !signalFile(h.pg.Config().DataDir, "backup_label")
		out.End = data.Checkpoint
		if out.WasPrimary && out.Clean {
			out.End.LSN++ // whoever has this byte has the whole record
		}
	}
	h.history(out.End.Timeline, out, cache)
}

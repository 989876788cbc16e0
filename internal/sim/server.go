package sim

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"matriarch/internal/ha"
	"matriarch/internal/wal"
)

// How long work takes, about as measured on a small machine.
const (
	initdbTime   = 2 * time.Second
	copyTime     = 3 * time.Second
	rewindTime   = time.Second
	recoveryTime = 400 * time.Millisecond
	startTime    = 150 * time.Millisecond
	promoteTime  = 20 * time.Millisecond
	stopTime     = 50 * time.Millisecond
	killedTime   = time.Millisecond
)

var errBusy = errors.New("other work is under way")

// server stands in for one PostgreSQL: a disk, a process, and at most one work.
type server struct {
	world   *World
	name    string
	disk    disk
	running bool
	primary bool // out of recovery

	job      ha.Action
	began    time.Time
	ends     time.Time
	canceled bool
	last     ha.Finished
	lastAt   time.Time
	changed  chan struct{}
}

func newServer(w *World, name string) *server {
	return &server{world: w, name: name, changed: make(chan struct{}, 1)}
}

func (s *server) notify() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *server) Changed() <-chan struct{} { return s.changed }

func (s *server) Observe(context.Context) ha.Server {
	out := ha.Server{
		Directory: ha.Empty, Unfinished: s.disk.unfinished, SystemID: s.disk.systemID, Running: s.running,
		Upstream: s.disk.upstream, CanRewind: true,
	}
	if s.disk.unfinished == ha.Copying {
		out.Directory = ha.HalfCopied
	}
	if !s.disk.present {
		return out
	}
	out.Directory = ha.Data
	out.CheckpointTimeline = s.disk.checkpoint
	out.End, out.History = s.disk.point(), s.disk.history
	if !s.running {
		out.WasPrimary, out.Clean = !s.disk.standby, s.disk.clean
		if out.WasPrimary && out.Clean {
			out.End.LSN -= recordBytes - 1 // one byte into the shutdown checkpoint
		}
		return out
	}
	out.Answering, out.Slots = true, slices.Clone(s.disk.slots)
	if s.primary {
		out.Role, out.HistoryTime = ha.Primary, "2030-01-01T00:00:00+00:00"
		return out
	}
	out.Role, out.Received, out.Replayed = ha.Standby, s.disk.end, s.disk.end
	out.Streaming = s.source() != nil
	return out
}

func (s *server) Work(now time.Time) (ha.Job, ha.Finished) {
	last := s.last
	last.Ago = now.Sub(s.lastAt)
	if s.job == nil {
		return ha.Job{}, last
	}
	kind, purpose := workOf(s.job)
	return ha.Job{Work: kind, Purpose: purpose, Running: now.Sub(s.began)}, last
}

func workOf(job ha.Action) (ha.Work, ha.Purpose) {
	switch j := job.(type) {
	case ha.Bootstrap:
		return ha.Bootstrapping, ha.ForNothing
	case ha.BaseBackup:
		return ha.Copying, ha.ForNothing
	case ha.Rewind:
		return ha.Rewinding, ha.ForNothing
	case ha.StartPrimary:
		return ha.StartingPrimary, ha.ForNothing
	case ha.StartStandby:
		return ha.StartingStandby, ha.ForNothing
	case ha.Promote:
		return ha.Promoting, ha.ForNothing
	case ha.Stop:
		return ha.StoppingServer, j.For
	}
	return ha.NoWork, ha.ForNothing
}

func (s *server) Begin(job ha.Action) error {
	if s.job != nil {
		return errBusy
	}
	s.job, s.began, s.canceled = job, s.world.now, false
	s.ends = s.began.Add(s.duration(job))
	switch job.(type) {
	case ha.Bootstrap:
		s.disk = disk{unfinished: ha.Bootstrapping}
	case ha.BaseBackup:
		s.disk = disk{unfinished: ha.Copying}
	case ha.Rewind:
		s.disk.unfinished = ha.Rewinding
	}
	return nil
}

func (s *server) duration(job ha.Action) time.Duration {
	switch job.(type) {
	case ha.Bootstrap:
		return initdbTime
	case ha.BaseBackup:
		return copyTime
	case ha.Rewind:
		return rewindTime
	case ha.StartPrimary:
		return recoveryTime
	case ha.Promote:
		return promoteTime
	case ha.Stop:
		return stopTime
	}
	return startTime
}

func (s *server) Cancel() { s.canceled = s.job != nil }

func (s *server) Kill() {
	if s.running {
		s.crash()
	}
	if s.job != nil {
		s.finish(true)
	}
}

// crash is the end of the process without order.
func (s *server) crash() {
	s.running, s.primary, s.disk.clean = false, false, false
	s.notify()
}

// advance ends work whose time has come.
func (s *server) advance() {
	if s.job == nil || s.world.now.Before(s.ends) && !s.canceled {
		return
	}
	if s.canceled {
		if _, starting := s.job.(ha.StartPrimary); starting {
			s.crash()
		}
		s.finish(true)
		return
	}
	s.finish(!s.complete(s.job))
}

func (s *server) finish(failed bool) {
	kind, purpose := workOf(s.job)
	s.last = ha.Finished{Count: s.last.Count + 1, Work: kind, Purpose: purpose, Failed: failed}
	if kind == ha.StoppingServer {
		s.last.Shutdown, s.last.Optime = s.disk.point(), s.disk.end
	}
	s.lastAt, s.job = s.world.now, nil
	s.notify()
}

// complete is the effect of work, at its end.
func (s *server) complete(job ha.Action) bool {
	switch j := job.(type) {
	case ha.Bootstrap:
		s.world.systems++
		s.disk = disk{present: true, systemID: "700000000000" + strconv.Itoa(s.world.systems), history: wal.History{Timeline: 1}, checkpoint: 1}
		s.running, s.primary = true, true
	case ha.BaseBackup:
		return s.replicate(j.From)
	case ha.Rewind:
		return s.replicate(j.From)
	case ha.StartPrimary:
		if s.disk.standby || s.disk.unfinished != ha.NoWork {
			return false
		}
		s.running, s.primary = true, true
	case ha.StartStandby:
		if s.disk.unfinished != ha.NoWork {
			return false
		}
		s.disk.standby, s.disk.upstream = true, j.Upstream
		s.running, s.primary = true, false
	case ha.Promote:
		return s.promote(j.Above)
	case ha.Stop:
		s.stop(j.Mode)
	}
	return true
}

func (s *server) replicate(from ha.Upstream) bool {
	source := s.world.serverAt(s.name, from.Member)
	if source == nil {
		return false
	}
	s.disk.copyOf(&source.disk)
	return true
}

func (s *server) promote(above wal.Timeline) bool {
	if !s.running || s.primary {
		return s.primary
	}
	h := &s.disk.history
	h.Switches = append(slices.Clone(h.Switches), wal.Switch{Timeline: h.Timeline, LSN: s.disk.end})
	h.Timeline = max(h.Timeline, above) + 1
	s.primary, s.disk.standby = true, false
	return true
}

// stop ends the process. A fast stop of a primary closes its log with a checkpoint
// and waits until every standby that streams has it, as walsenders do.
func (s *server) stop(mode ha.StopMode) {
	if !s.running {
		return
	}
	if s.primary && mode == ha.Fast {
		s.disk.append(0)
		s.disk.checkpoint = s.disk.history.Timeline
		for _, n := range s.world.nodes {
			n.server.stream()
		}
	}
	s.running, s.primary, s.disk.clean = false, false, mode == ha.Fast
}

// source is the server that this standby streams from, if it can.
func (s *server) source() *server {
	if !s.running || s.primary || s.disk.upstream.Member == "" {
		return nil
	}
	from := s.world.serverAt(s.name, s.disk.upstream.Member)
	if from == nil || !s.disk.canStream(&from.disk) {
		return nil
	}
	return from
}

// stream takes over what the upstream has beyond this log.
func (s *server) stream() {
	from := s.source()
	if from == nil {
		return
	}
	for _, r := range from.disk.log {
		if r.lsn > s.disk.end {
			s.disk.log = append(s.disk.log, r)
		}
	}
	s.disk.end, s.disk.history = from.disk.end, from.disk.history
}

// Hold: the simulated world has no guard yet.
func (s *server) Hold(context.Context, bool, time.Time) {}

func (s *server) Follow(_ context.Context, upstream ha.Upstream) error {
	s.disk.upstream = upstream
	return nil
}

func (s *server) ReadLog(_ context.Context, from ha.Upstream) ha.LeaderLog {
	source := s.world.serverAt(s.name, from.Member)
	if source == nil {
		return ha.LeaderLog{Leader: from.Member, Failed: true}
	}
	return ha.LeaderLog{Leader: from.Member, Primary: source.primary, SystemID: source.disk.systemID, History: source.disk.history}
}

func (s *server) CreateSlot(_ context.Context, name string) error {
	s.disk.slots = append(s.disk.slots, ha.Slot{Name: name, Restart: s.disk.end})
	return nil
}

func (s *server) DropSlot(_ context.Context, name string) error {
	s.disk.slots = slices.DeleteFunc(s.disk.slots, func(x ha.Slot) bool { return x.Name == name })
	return nil
}

func (s *server) AdvanceSlot(_ context.Context, slot ha.AdvanceSlot) error {
	for i := range s.disk.slots {
		if s.disk.slots[i].Name == slot.Name {
			s.disk.slots[i].Restart = slot.To
		}
	}
	return nil
}

func (s *server) Checkpoint()                                     { s.disk.checkpoint = s.disk.history.Timeline }
func (s *server) Configure(context.Context, map[string]any) error { return nil }
func (s *server) MoveAside(context.Context) error {
	s.disk = disk{}
	return nil
}

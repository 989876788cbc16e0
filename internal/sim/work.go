package sim

import (
	"context"
	"errors"
	"slices"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/ha"
	"matriarch/internal/wal"
)

// How long work takes beside what the server itself needs.
const (
	initdbTime = 2 * time.Second
	copyTime   = 3 * time.Second
	rewindTime = time.Second
	retryMost  = 5 * time.Second // for how long a start counts as work
	lookTakes  = 300 * time.Microsecond
	lookMost   = 2 * time.Second // what a look at a silent server costs
	askTakes   = 500 * time.Microsecond
)

var errBusy = errors.New("other work is under way")

// work is the long work of one life of an agent, one at a time.
type work struct {
	job    ha.Action
	began  time.Time
	number int
	last   ha.Finished
	lastAt time.Time
	server int // the life of the server that it began or stops
}

// hands are the agent's on its host's server (agent.Server).
type hands struct{ p *agentProcess }

func (x hands) server() *server { return x.p.h.server }

// Changed is not used here: the world wakes the agent itself.
func (x hands) Changed() <-chan struct{} { return nil }

// Observe looks once. A server that stands still, and of which the guard has not
// said so, is asked in vain.
func (x hands) Observe(context.Context) ha.Server {
	s := x.server()
	switch {
	case s.alive && s.stopped != 0 && !s.frozen:
		x.p.spend(lookMost)
	case s.alive:
		x.p.spend(x.p.w.cost(lookTakes))
	}
	return x.p.w.mutateServer(s.observe())
}

// Work is what is under way, and how the last ended.
func (x hands) Work(now time.Time) (ha.Job, ha.Finished) {
	k := &x.p.work
	last := k.last
	last.Ago = now.Sub(k.lastAt)
	if k.job == nil {
		return ha.Job{}, last
	}
	kind, purpose := workOf(k.job)
	job := ha.Job{Work: kind, Purpose: purpose, Running: now.Sub(k.began)}
	if s := x.server(); kind == ha.StoppingServer && s.disk.shutdown {
		job.Shutdown = s.disk.point()
	}
	return job, last
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
		return ha.StartingPrimary, j.For
	case ha.StartStandby:
		return ha.StartingStandby, j.For
	case ha.Promote:
		return ha.Promoting, ha.ForNothing
	case ha.CopySlots:
		return ha.CopyingSlots, ha.ForNothing
	case ha.Stop:
		return ha.StoppingServer, j.For
	}
	return ha.NoWork, ha.ForNothing
}

// Begin starts long work.
func (x hands) Begin(job ha.Action) error {
	k, w := &x.p.work, x.p.w
	if k.job != nil {
		return errBusy
	}
	k.number++
	k.job, k.began, k.server = job, x.p.h.now(), 0
	w.touched()
	switch j := job.(type) {
	case ha.Bootstrap:
		x.server().disk = disk{unfinished: ha.Bootstrapping}
		x.finishAfter(w.about(initdbTime), x.bootstrapped)
	case ha.BaseBackup:
		w.checkWipe(x.p.h, j)
		upstream := x.server().disk.upstream
		x.server().disk = disk{unfinished: ha.Copying, upstream: upstream}
		x.copyFrom(j.From, w.about(copyTime))
	case ha.Rewind:
		x.rewind(j)
	case ha.StartPrimary:
		x.startPrimary()
	case ha.StartStandby:
		x.startStandby(j)
	case ha.Promote:
		x.promote(j)
	case ha.CopySlots:
		x.copySlots(j)
	case ha.Stop:
		x.stop(j)
	}
	return nil
}

// finishAfter ends the work when its time has come, if it is still the same.
func (x hands) finishAfter(d time.Duration, end func() bool) {
	k, life := x.p.work.number, x.p.life
	x.p.w.after(d, func() {
		x.p.do(life, func() {
			if x.p.work.number == k && x.p.work.job != nil {
				x.finish(!end())
			}
		})
	})
}

// finish publishes how the work ended.
func (x hands) finish(failed bool) {
	k := &x.p.work
	if k.job == nil {
		return
	}
	kind, purpose := workOf(k.job)
	k.last = ha.Finished{Count: k.last.Count + 1, Work: kind, Purpose: purpose, Failed: failed}
	if d := &x.server().disk; kind == ha.StoppingServer && d.shutdown {
		k.last.Shutdown, k.last.Optime = d.point(), d.end()
	}
	k.lastAt, k.job = x.p.h.now(), nil
	if failed {
		x.p.w.tell("%s: %v failed", x.p.h.name, workName(kind))
	}
	x.p.w.touched()
	x.p.wake()
}

func workName(kind ha.Work) string {
	return [...]string{"nothing", "bootstrap", "base backup", "rewind", "start as primary", "start as standby", "pre_promote", "promotion", "stop", "copy of logical slots"}[kind]
}

// await looks every few milliseconds whether the server has got there, and ends the
// work then: holds says done, and whether well.
func (x hands) await(limit time.Duration, holds func() (done, well bool)) {
	k, life, w := x.p.work.number, x.p.life, x.p.w
	until := w.now.add(limit)
	var look func()
	look = func() {
		x.p.do(life, func() {
			if x.p.work.number != k || x.p.work.job == nil {
				return
			}
			if done, well := holds(); done {
				x.finish(!well)
			} else if w.now >= until {
				x.finish(false) // it runs; when it answers, a pass will see it
			} else {
				w.after(pollServer, look)
			}
		})
	}
	w.after(pollServer, look)
}

const pollServer = 2 * time.Millisecond

func (x hands) bootstrapped() bool {
	s, w := x.server(), x.p.w
	s.disk = w.initdb()
	s.launch(true, 0)
	x.p.h.guard.begun(false)
	return true
}

// startPrimary starts the server where it left off.
func (x hands) startPrimary() {
	s := x.server()
	if s.alive || !s.disk.present || s.disk.unfinished != ha.NoWork || x.p.hold.permitted() != nil {
		x.finishAfter(pollServer, func() bool { return false })
		return
	}
	takes := startTime
	if !s.disk.clean {
		takes = recoveryTime
	}
	s.disk.standby = false
	s.launch(true, x.p.w.about(takes))
	x.p.hold.tell()
	x.p.h.guard.begun(true)
	life := s.life
	x.await(time.Hour, func() (bool, bool) { return s.life != life || s.phase == ready, s.life == life })
}

func (x hands) startStandby(j ha.StartStandby) {
	s := x.server()
	if s.alive || !s.disk.present || s.disk.unfinished != ha.NoWork {
		x.finishAfter(pollServer, func() bool { return false })
		return
	}
	s.disk.standby, s.disk.upstream = true, j.Upstream
	s.launch(false, x.p.w.about(startTime))
	x.p.h.guard.begun(false)
	life := s.life
	x.await(retryMost, func() (bool, bool) { return s.life != life || s.phase == ready, s.life == life })
}

// promote is refused without a permit, and the guard is armed before.
func (x hands) promote(j ha.Promote) {
	s := x.server()
	if !s.runs() || x.p.hold.permitted() != nil {
		x.finishAfter(pollServer, func() bool { return false })
		return
	}
	x.p.hold.tell()
	x.p.h.guard.hear(func() { x.p.h.guard.armed = true })
	life, asked, until := s.life, false, x.p.w.now.add(namesPatience)
	ask := func() {
		if asked = s.settledNames(); asked {
			s.promote(j.Above)
		}
	}
	ask()
	x.await(time.Hour, func() (done, well bool) {
		if s.life == life && !asked {
			ask()
		}
		return s.life != life || s.primary || !asked && x.p.w.now >= until, s.life == life && s.primary
	})
}

// namesPatience is how long a promotion waits until commits wait for whom they should.
const namesPatience = 2 * time.Second

func (x hands) stop(j ha.Stop) {
	s := x.server()
	if !s.alive {
		x.finishAfter(pollServer, func() bool { return true })
		return
	}
	life := s.life
	if j.Mode == ha.Immediate {
		s.crash()
	} else {
		s.shutDown(j.Checkpoint)
	}
	x.await(time.Hour, func() (bool, bool) { return s.life != life, true })
}

// copyFrom makes a base backup: its source has to be there to the end.
func (x hands) copyFrom(from ha.Upstream, takes time.Duration) {
	w := x.p.w
	source := w.serverAt(x.p.h, from.Member)
	if source == nil {
		x.finishAfter(time.Second, func() bool { return false })
		return
	}
	life := source.life
	x.finishAfter(takes, func() bool {
		now := w.serverAt(x.p.h, from.Member)
		if now != source || now.life != life || now.phase == starting {
			return false
		}
		w.checkCopy(x.p.h, source)
		x.server().disk.copyOf(&source.disk)
		return true
	})
}

// rewind first needs a primary to rewind from, and its own log's end.
func (x hands) rewind(j ha.Rewind) {
	w, s := x.p.w, x.server()
	source := w.serverAt(x.p.h, j.From.Member)
	if source == nil || !source.primary || s.alive || source.disk.systemID != s.disk.systemID {
		x.finishAfter(time.Second, func() bool { return false })
		return
	}
	takes := rewindTime
	if !s.disk.clean {
		takes += recoveryTime
	}
	s.disk.unfinished = ha.Rewinding
	x.copyFrom(j.From, w.about(takes))
}

// Cancel ends the work under way. A server that it was starting is killed.
func (x hands) Cancel(why ha.Purpose) {
	k := &x.p.work
	switch k.job.(type) {
	case nil:
		return
	case ha.StartPrimary:
		x.server().crash()
		if why == ha.ForHandOver {
			k.number++
			k.job = ha.Stop{Mode: ha.Immediate, For: why}
			x.finishAfter(pollServer, func() bool { return true })
			return
		}
	case ha.Bootstrap:
		x.server().crash()
	}
	number, life := k.number, x.p.life
	x.p.w.after(pollServer, func() {
		x.p.do(life, func() {
			if k.number == number {
				x.finish(true)
			}
		})
	})
}

// Kill ends every process of the server.
func (x hands) Kill() {
	x.Cancel(ha.ForNothing)
	x.server().crash()
}

// cutWork is what the end of an agent leaves of its work: what its tools wrote is
// half written, and what it asked of the server goes on.
func (h *host) cutWork(k *work) { *k = work{} }

// Hold arms or disarms the guard.
func (x hands) Hold(_ context.Context, mayWrite bool) {
	x.p.hold.hold(mayWrite)
}

// Follow changes the upstream of the running standby.
func (x hands) Follow(_ context.Context, upstream ha.Upstream) error {
	s := x.server()
	before := s.disk.upstream
	s.disk.upstream = upstream
	before.Feedback = upstream.Feedback // the stream goes on with it, or without
	if s.alive && !s.primary && before != upstream {
		s.receiver.drop()
		s.receiver.connectSoon(0)
	}
	return nil
}

// ReadLog asks the leader's server for its history.
func (x hands) ReadLog(ctx context.Context, from ha.Upstream) ha.LeaderLog {
	w := x.p.w
	if h := w.host(from.Member); h == nil || w.hangs(x.p.h, h) {
		x.p.spend(limitOf(ctx))
	} else {
		x.p.spend(w.net.delay(x.p.h.machine, h.machine) + w.net.delay(h.machine, x.p.h.machine))
	}
	source := w.serverAt(x.p.h, from.Member)
	if source == nil || source.phase != ready {
		return ha.LeaderLog{Leader: from.Member, Failed: true}
	}
	d := &source.disk
	log := ha.LeaderLog{Leader: from.Member, Primary: source.primary, SystemID: d.systemID, History: d.history}
	if own := x.server(); !own.alive && !own.disk.standby && !own.disk.clean {
		log.Mine = own.disk.point()
	}
	return w.mutateLog(x.server(), log)
}

// SetStandbyNames says for whom commits wait.
func (x hands) SetStandbyNames(_ context.Context, n ha.SetStandbyNames) error {
	x.server().setNames(n)
	return nil
}

var errSlot = errors.New("the server does not answer")

// CreateSlot, DropSlot and AdvanceSlot keep the slots.
func (x hands) CreateSlot(_ context.Context, c ha.CreateSlot) error {
	s := x.server()
	if !s.runs() {
		return errSlot
	}
	slot := ha.Slot{Name: c.Name, Logical: c.Plugin != "", Database: c.Database, Plugin: c.Plugin, Restart: s.disk.end()}
	if slot.Logical {
		slot.Confirmed = slot.Restart
		x.p.w.tell("%s: logical slot %s made", x.p.h.name, slot.Name)
	}
	s.disk.place(slot)
	return nil
}

// copySlots takes the leader's logical slots over, with a restart.
func (x hands) copySlots(j ha.CopySlots) {
	s, source := x.server(), x.p.w.serverAt(x.p.h, j.From.Member)
	if source == nil || !source.primary || !s.alive || s.primary {
		x.finishAfter(pollServer, func() bool { return false })
		return
	}
	var slots []ha.Slot
	for _, slot := range source.disk.slots {
		if slices.ContainsFunc(j.Slots, func(p cluster.PermanentSlot) bool { return p.Name == slot.Name }) {
			slots = append(slots, slot)
		}
	}
	life, down := s.life, x.p.w.about(shutdownTime)
	s.shutDown(false)
	x.await(retryMost, func() (bool, bool) {
		switch {
		case s.alive && s.life == life:
			return false, false
		case !s.alive && down > 0:
			down = 0
			for _, slot := range slots {
				s.disk.place(slot)
				x.p.w.tell("%s: logical slot %s copied", x.p.h.name, slot.Name)
			}
			s.disk.standby, s.disk.upstream = true, j.Upstream
			s.launch(false, x.p.w.about(startTime))
			x.p.h.guard.begun(false)
			return false, false
		}
		return !s.alive || s.phase == ready, s.alive
	})
}

func (x hands) DropSlot(_ context.Context, name string) error {
	s := x.server()
	kept := s.disk.slots[:0:0]
	for _, slot := range s.disk.slots {
		if slot.Name != name {
			kept = append(kept, slot)
		}
	}
	s.disk.slots = kept
	return nil
}

func (x hands) AdvanceSlot(_ context.Context, slot ha.AdvanceSlot) error {
	slots := append([]ha.Slot(nil), x.server().disk.slots...)
	for i := range slots {
		switch {
		case slots[i].Name != slot.Name:
		case slots[i].Logical:
			slots[i].Confirmed = slot.To
		default:
			slots[i].Restart = slot.To
		}
	}
	x.server().disk.slots = slots
	return nil
}

// ProveSlots has nothing to do: no catalogue is simulated, and no slot is pending.
func (x hands) ProveSlots(ha.ProveSlots) {}

// MakeSegment does nothing: segments are no part of the simulated log.
func (x hands) MakeSegment(wal.Point) {}

// Checkpoint is made in the background.
func (x hands) Checkpoint() {
	s := x.server()
	life := s.life
	x.p.w.after(x.p.w.about(100*time.Millisecond), func() {
		s.do(life, func() {
			if s.disk.checkpoint != s.disk.history.Timeline {
				s.disk.checkpoint = s.disk.history.Timeline
				s.changed()
			}
		})
	})
}

// Configure has nothing to change here.
func (x hands) Configure(context.Context, map[string]any) error { return nil }

// MoveAside empties the directory.
func (x hands) MoveAside(context.Context) error {
	x.server().disk = disk{}
	return nil
}

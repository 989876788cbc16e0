package sim

import (
	"time"

	"matriarch/internal/agent"
	words "matriarch/internal/agent/right"
	"matriarch/internal/boottime"
	"matriarch/internal/dcs"
	"matriarch/internal/ha"
	"matriarch/internal/permit"
)

// right drives the real permit.Driver: its hands are the simulated store, guard and
// network, its clock the host's.
type right struct {
	p      *agentProcess
	driver *permit.Driver
	alarm  instant // when the driver is ticked next
	turn   int
	words  words.Words
	inside int // the depth of calls into the driver
	glance permit.Glance

	freeFor time.Duration // as told last
	open    instant       // since when the lead is seen to be open; 0: it is not
	stood   instant       // when the lead was asked for last
	better  string        // who should have had it, if that is so of every time
}

func newRight(p *agentProcess) *right { return &right{p: p} }

// begin makes the driver, and adopts what an earlier life has left with the guard.
func (r *right) begin() {
	h, now := r.p.h, r.p.h.instant()
	options := permit.Options{Me: h.name, Length: r.p.w.permit, TTL: r.p.w.ttl(), Hands: driverHands{r}}
	if m := r.p.w.set.Mutant; m.omits != nil {
		r.driver = m.omits.NewDriver(options, now)
	} else {
		r.driver = permit.NewDriver(options, now)
	}
	r.call(func(boottime.Instant) {
		if g := h.guard; g.runs() && g.has && h.server.alive && g.armed {
			r.p.w.tell("%s: adopts term %d", h.name, g.kept.Term)
			r.p.w.adoptions++
			r.driver.Adopt(g.kept, g.deadline, now)
		}
	})
}

// call makes a call of the driver, and sets the alarm to what it wants then.
func (r *right) call(do func(now boottime.Instant)) {
	now := r.p.h.instant()
	r.inside++
	do(now)
	r.inside--
	if r.inside > 0 {
		return
	}
	r.setAlarm(r.driver.Tick(now))
}

func (r *right) setAlarm(at boottime.Instant) {
	when := r.p.h.clock.real(at)
	if r.alarm != 0 && r.alarm <= when && r.alarm > r.p.w.now {
		return // an earlier one will ask again
	}
	r.alarm = when
	r.turn++
	turn := r.turn
	r.p.w.whenOf(&r.p.process, when.add(r.p.w.late()), func() {
		if turn == r.turn {
			r.alarm = 0
			r.call(func(boottime.Instant) {})
		}
	})
}

// later makes a call of the driver when the present one is over, if this life of the
// agent lasts.
func (r *right) later(after time.Duration, do func(now boottime.Instant)) {
	r.p.w.afterOf(&r.p.process, after, func() { r.call(do) })
}

// The driver's hands.

// Send carries a heartbeat, and brings the answer back.
func (r *right) Send(name string, hb permit.Heartbeat) {
	w, h, other := r.p.w, r.p.h, r.p.w.host(name)
	if other == nil {
		return
	}
	b := &beat{from: r, life: r.p.life, to: other.agent, heartbeat: hb}
	w.net.send(h.machine, other.machine, b.arrive)
}

// beat is a heartbeat on its way. There are more of them than of anything else, so what
// they carry is kept once.
type beat struct {
	from      *right
	life      int // of its agent
	to        *agentProcess
	heartbeat permit.Heartbeat
}

func (b *beat) arrive() {
	if b.to.alive {
		b.to.do(b.to.life, b.hear)
	}
}

func (b *beat) hear() {
	w, h, r := b.to.w, b.from.p.h, b.to.right
	w.connected(h, b.to.h)
	a := &answer{beat: b}
	r.call(func(now boottime.Instant) { a.ack = r.driver.Heartbeat(b.heartbeat, now) })
	w.net.send(b.to.h.machine, h.machine, a.arrive)
}

// answer is the acknowledgement of one.
type answer struct {
	*beat
	ack permit.Ack
}

func (a *answer) arrive() { a.from.p.do(a.life, a.hear) }

func (a *answer) hear() {
	a.from.call(func(now boottime.Instant) { a.from.driver.Acked(a.ack, now) })
}

// commitLimit bounds one transaction, readLimit one read, as the Runner does.
func (r *right) commitLimit() time.Duration { return min(r.p.w.permit/2, readLimit) }

const readLimit = time.Second

// Commit sends a transaction, and tells the answer, which is in the mirror already.
func (r *right) Commit(t permit.Write) {
	if w := r.p.w; len(w.ambushes) > 0 {
		w.observed(t.Txn, false, w.electorate())
	}
	r.p.store.commit(t.Txn, r.commitLimit(), func(revision int64, err error) {
		r.later(0, func(now boottime.Instant) {
			r.driver.Answered(t.ID, permit.AnswerOf(err), revision, now)
			r.driver.See(r.look(), now)
		})
	})
}

// Read reads the store.
func (r *right) Read() {
	r.p.store.read(readLimit, func(s dcs.Snapshot, err error) {
		r.later(0, func(now boottime.Instant) {
			if err != nil {
				r.driver.ReadFailed(now)
				return
			}
			r.driver.See(r.look(), now)
			r.driver.Learned(permit.Look(s), now)
		})
	})
}

// Keep stores a record with the guard.
func (r *right) Keep(k permit.Kept, leading bool) error { return r.p.hold.keep(k, leading) }

// Deadline tells the guard.
func (r *right) Deadline(until boottime.Instant) {
	r.p.hold.deadline(until)
}

// driverHands are a right as its driver sees it.
type driverHands struct{ *right }

// Changed wakes the agent.
func (d driverHands) Changed() { d.p.wake() }

// Changed is not used here: the world wakes the agent itself.
func (r *right) Changed() <-chan struct{} { return nil }

// closed tells the members that were spoken to that the connections are gone, unless
// the machine is as well.
func (r *right) closed() {
	w, h := r.p.w, r.p.h
	r.turn++
	if !w.machineRuns(h.machine) {
		w.forget(h)
		return
	}
	for _, other := range w.hosts {
		if w.disconnected(h, other) {
			o, life := other.agent, other.agent.life
			w.net.send(h.machine, other.machine, func() { o.do(life, func() { o.right.lost(h.name) }) })
		}
	}
}

// lost is evidence that a leader is gone.
func (r *right) lost(leader string) {
	r.call(func(now boottime.Instant) { r.driver.Lost(leader, now) })
}

// What the agent sees of it (agent.Right).

// See makes the driver look at the mirror.
func (r *right) See() {
	r.call(func(now boottime.Instant) { r.driver.See(r.look(), now) })
}

// look reads the mirror. What it holds is read again only when it has changed.
func (r *right) look() permit.Sight {
	c := r.p.store
	s, current := c.Mirror()
	sight, _, _ := r.glance.At(r.p.h.name, s)
	sight.Current = current
	if lease := c.Lease(); lease.ID != 0 {
		sight.Lease, sight.LeaseEnd = lease.ID, instantOf(lease.Deadline())
	}
	return sight
}

// State is how things stand.
func (r *right) State(now time.Time) ha.Right {
	at := instantOf(now)
	out := r.words.State(r.driver.State(at), at)
	out.Guarded = r.p.h.guard.alive
	r.freeFor = out.FreeFor
	if !out.Overdue && !out.Free {
		r.open = 0
	} else if r.open == 0 {
		r.open = r.p.w.now
	}
	return out
}

// Know passes on what a pass knows.
func (r *right) Know(k agent.Knowledge) {
	r.call(func(now boottime.Instant) { r.words.Know(k, taught{r, now}) })
}

// taught is the driver for one who has no clock.
type taught struct {
	r   *right
	now boottime.Instant
}

func (t taught) SetLength(d time.Duration)        { t.r.driver.SetLength(d) }
func (t taught) SetTTL(d time.Duration)           { t.r.driver.SetTTL(d) }
func (t taught) Want(members []string, sole bool) { t.r.driver.Want(members, sole) }
func (t taught) Position(p permit.Position)       { t.r.driver.Position(p) }
func (t taught) Promotion(timeline uint32)        { t.r.driver.Promotion(timeline) }
func (t taught) Unarmed(unarmed bool, key int64)  { t.r.driver.Unarmed(unarmed, key) }
func (t taught) Lost(leader string)               { t.r.driver.Lost(leader, t.now) }

// Stand takes the lead, Release gives it up.
func (r *right) Stand(key int64) {
	better := r.p.w.passedOver(r.p.h.server, r.open, r.freeFor)
	if now := r.p.w.now; now.sub(r.stood) > time.Second || better == "" {
		r.better = better
	}
	r.stood = r.p.w.now
	r.call(func(now boottime.Instant) { r.driver.Stand(key, now) })
}

func (r *right) Release(also []dcs.Op) {
	r.call(func(now boottime.Instant) { r.driver.Release(also, now) })
}

// Passed says that a pass is over.
func (r *right) Passed() {
	if r.p.alive {
		r.call(r.driver.Passed)
	}
}

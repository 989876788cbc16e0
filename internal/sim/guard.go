package sim

import (
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/fence"
	"matriarch/internal/permit"
)

// guard is the process that outlives the agent: the real rule, and what it is
// told. It is the parent of the postmaster, which gets SIGQUIT when it dies.
type guard struct {
	process
	w *World
	h *host

	deadline boottime.Instant
	armed    bool
	giveUp   time.Duration
	told     fence.Order
	standing fence.Standing
	since    boottime.Instant
	turn     int // counts looks; an alarm of an earlier one is void
	freezing int // counts freezes

	kept    permit.Kept
	has     bool
	keptFor int // the life of the server that ran then; 0: none
}

func (g *guard) state() fence.State {
	return fence.State{
		Now: g.h.instant(), Deadline: g.deadline, Alive: g.h.server.alive, Armed: g.armed,
		Standing: g.standing, Since: g.since, GiveUp: g.giveUp, Told: g.told,
	}
}

// begin starts the process, with nothing to guard.
func (g *guard) begin() {
	g.start()
	g.h.stopIfSuspended(&g.process)
	g.deadline, g.armed, g.told, g.standing, g.has = 0, false, fence.NoOrder, fence.Running, false
	g.turn++
}

// look decides and acts, and sets the alarm for the next time.
func (g *guard) look() {
	if !g.runs() {
		return // its alarm waits for it
	}
	g.turn++
	v := fence.Decide(g.state())
	if g.w.set.Mutant.guardOff && v.Do == fence.Freeze {
		return
	}
	switch v.Do {
	case fence.Freeze:
		if g.standing == fence.Running {
			g.freeze(v.Why)
		}
		return // the freeze ends in another look
	case fence.Thaw:
		g.thaw()
		return
	case fence.Kill:
		g.w.tell("%s: the guard kills PostgreSQL: %s", g.h.name, v.Why)
		g.w.kills++
		g.h.server.crash()
		return
	}
	if v.LookAgain != 0 {
		g.alarm(v.LookAgain)
	}
}

func (g *guard) alarm(at boottime.Instant) {
	turn := g.turn
	g.w.whenOf(&g.process, g.h.clock.real(at), func() {
		if turn == g.turn {
			g.look()
		}
	})
}

// freeze stops the server. Until the last of its processes stands still it may
// acknowledge commits.
func (g *guard) freeze(why fence.Reason) {
	g.standing, g.since = fence.Freezing, g.h.instant()
	g.freezing++
	if g.w.waking {
		g.still(why)
		return
	}
	number, life := g.freezing, g.life
	g.w.after(g.w.freezeTakes(), func() {
		g.do(life, func() {
			if number == g.freezing && g.standing == fence.Freezing && g.h.server.alive {
				g.still(why)
			}
		})
	})
}

// still is when no process of the server runs any more.
func (g *guard) still(why fence.Reason) {
	g.standing = fence.Frozen
	s := g.h.server
	s.stop(byGuard)
	s.frozen = true
	g.w.freezes++
	g.w.touched()
	g.w.tell("%s: the guard has frozen PostgreSQL: %s", g.h.name, why)
	g.w.checkPrimaries()
	s.changed()
	g.look()
}

func (g *guard) thaw() {
	g.freezing++
	g.standing = fence.Running
	s := g.h.server
	if s.frozen {
		s.frozen = false
		g.w.touched()
		g.w.tell("%s: the guard has thawed PostgreSQL", g.h.name)
		s.resume(byGuard)
		g.w.checkPrimaries()
		s.feed()
		s.changed()
	}
	g.look()
}

// begun is told of a server that was launched.
func (g *guard) begun(armed bool) {
	g.armed, g.told, g.standing = armed, fence.NoOrder, fence.Running
	if g.has && !armed { // the record is not meant for a standby (package guard)
		g.has = false
	}
	g.look()
}

// serverGone forgets the server.
func (g *guard) serverGone() {
	g.freezing++
	g.armed, g.told, g.standing = false, fence.NoOrder, fence.Running
	g.turn++
}

// The agent's calls. They go over a socket of the same machine; a guard that is
// stopped does what it was told when it goes on.

func (g *guard) hear(do func()) {
	if !g.alive {
		return
	}
	g.do(g.life, func() {
		do()
		g.look()
	})
}

// putsMost is how many puts without an answer a record has room for: it is 64 KiB at most
// (fence/guard), and one of five hosts takes up to 100 bytes.
const putsMost = 600

// keep stores a leader's record. False: it does not answer, or refuses it as too long.
func (g *guard) keep(k permit.Kept, leading bool) bool {
	if !g.runs() || len(k.Puts) > putsMost {
		return false
	}
	g.kept, g.has, g.keptFor = k, leading, 0
	if g.h.server.alive {
		g.keptFor = g.h.server.life
	}
	return true
}

// die ends the guard; its server goes with it, by the parent-death signal.
func (g *guard) die() {
	if !g.alive {
		return
	}
	g.end()
	g.has = false
	g.turn++
	g.h.server.crash()
}

package sim

import (
	"errors"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/permit"
)

// keeper is the agent's end of the guard, as package daemon has it: what it told,
// and when it looks after a guard that is silent.
type keeper struct {
	p     *agentProcess
	known bool             // there was a permit in this life
	at    boottime.Instant // until when the server may write; 0: it may not
	told  boottime.Instant
	armed bool             // as told last
	left  boottime.Instant // the deadline that the guard was found with
	turn  int

	kept         permit.Kept // the record of this life, if there was one
	keeps, leads bool
}

var (
	errGuardSilent = errors.New("the guard does not answer")
	errNoPermit    = errors.New("the permit is over")
)

func (k *keeper) begin(p *agentProcess) {
	*k = keeper{p: p, turn: k.turn + 1}
	g := p.h.guard
	if !g.alive {
		g.begin()
		g.giveUp = p.w.giveUp()
	}
	k.armed = g.armed
	if g.armed && p.h.server.alive {
		k.left = g.deadline
	}
}

// deadline passes on until when the server may write. Before the first permit of
// this life 0 is without effect: the guard keeps to what an earlier life has left.
func (k *keeper) deadline(until boottime.Instant) {
	k.known = k.known || until != 0
	k.at = until
	k.tell()
}

func (k *keeper) tell() {
	if !k.known || k.at == k.told {
		return
	}
	g := k.p.h.guard
	at, told := k.at, k.told
	now := k.p.h.instant()
	k.told = at
	g.hear(func() {
		if at == 0 {
			g.deadline = min(g.deadline, now)
			return
		}
		if at < told {
			g.deadline = min(g.deadline, at)
		}
		g.deadline = max(g.deadline, at)
	})
	if g.stopped&bySignal != 0 {
		k.p.w.tell("%s: the agent continues the guard, with a deadline", k.p.h.name)
		g.resume(bySignal)
		g.look()
	}
}

// A guard that should have frozen the server and is stopped itself is continued; one
// that gives no answer then is killed (package daemon).
const (
	frozenLate = 5 * time.Millisecond
	answerLate = 150 * time.Millisecond
)

func (k *keeper) lookAfter() {
	at := k.at
	if !k.known {
		at = k.left
	}
	if at == 0 || k.p.h.guard.stopped&bySignal == 0 {
		return // one that runs needs no looking after
	}
	k.watch(at)
}

// watch looks after the guard when its deadline has passed.
func (k *keeper) watch(at boottime.Instant) {
	p, g := k.p, k.p.h.guard
	life := p.life
	p.w.when(p.h.clock.real(at.Add(frozenLate)), func() {
		p.do(life, func() {
			if k.at > at || g.stopped&bySignal == 0 {
				return
			}
			p.w.tell("%s: the agent continues the guard", p.h.name)
			g.resume(bySignal)
			g.look()
		})
	})
}

// hold arms or disarms.
func (k *keeper) hold(mayWrite bool) {
	g := k.p.h.guard
	if !g.alive {
		g.begin()
		g.giveUp = k.p.w.giveUp()
		k.told, k.armed, k.left = 0, false, 0
		if k.keeps {
			g.keep(k.kept, k.leads)
		}
		if k.known {
			k.tell()
		}
	}
	if !k.p.h.server.alive {
		k.armed = false
		return
	}
	k.armed = g.armed
	arm := mayWrite && (k.known || k.armed)
	if arm == k.armed {
		return
	}
	k.armed = arm
	g.hear(func() { g.armed = arm })
}

// permitted is nil while the permit lasts.
func (k *keeper) permitted() error {
	if !k.known || k.at <= k.p.h.instant() {
		return errNoPermit
	}
	return nil
}

// keep leaves a record with the guard.
func (k *keeper) keep(kept permit.Kept, leading bool) error {
	if k.p.h.guard.keep(kept, leading) {
		k.kept, k.leads, k.keeps = kept, leading, true
		return nil
	}
	return errGuardSilent
}

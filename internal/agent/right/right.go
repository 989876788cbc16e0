// Package right joins the right to write, which package permit keeps, to the words of
// the decisions. The daemon and the simulator have it from here, so that what is
// decided on in a simulated cluster is what is decided on in a real one.
package right

import (
	"time"

	"matriarch/internal/agent"
	"matriarch/internal/boottime"
	"matriarch/internal/ha"
	"matriarch/internal/permit"
	"matriarch/internal/wal"
)

// Keeper is who keeps the right: permit.Runner, or what stands in for it.
type Keeper interface {
	SetLength(time.Duration)
	SetTTL(time.Duration)
	Want(members []string, sole bool)
	Position(permit.Position)
	Promotion(timeline uint32)
	Unarmed(unarmed bool, key int64)
	Lost(leader string)
}

// Words are one node's, in one life of its agent. They are for one goroutine at a time.
type Words struct {
	ended    boottime.Instant // when the permit was seen to be over; 0: it is not
	upstream string           // from which the server had a stream in the last pass
}

// State tells how things stand, in durations from now. Guarded and Barred are left to
// those who know the guard and the watchdog.
func (w *Words) State(s permit.State, now boottime.Instant) ha.Right {
	out := ha.Right{
		Leading: s.Leading, MayPromote: s.MayPromote, Releasing: s.Releasing,
		Key: s.Key, Free: s.Free, FreeIn: ha.Idle, Overdue: s.Overdue, Mixed: s.Mixed, LedLast: s.LedLast, Unarmed: s.Unarmed,
	}
	if !s.Electorate.Released {
		out.Electorate = s.Electorate.Members
	}
	if s.Leading {
		out.Claimed = wal.Timeline(s.Electorate.Timeline)
	}
	switch {
	case s.Free:
		out.FreeIn, out.FreeFor = 0, now.Sub(s.FreeAt)
	case s.FreeAt > now:
		out.FreeIn = s.FreeAt.Sub(now)
	}
	if s.Heard != 0 && !s.Leading {
		out.Heard = max(now.Sub(s.Heard), 1)
	}
	out.Left, out.Over = w.left(s.Permit, now)
	return out
}

// left is what is left of the permit, and for how long it has been over.
func (w *Words) left(permit, now boottime.Instant) (left, over time.Duration) {
	switch {
	case permit > now:
		w.ended = 0
		return permit.Sub(now), 0
	case permit != 0:
		w.ended = permit
	case w.ended == 0:
		return 0, 0 // there was none
	}
	return 0, max(now.Sub(w.ended), 1)
}

// Know passes on what a pass knows. A stream that was there in the last pass and is no
// more is evidence that its leader is gone.
func (w *Words) Know(k agent.Knowledge, to Keeper) {
	to.SetLength(k.Permit)
	to.SetTTL(k.TTL)
	to.Want(k.Members, k.Sole)
	to.Position(permit.Position{Timeline: uint32(k.Position.Timeline), LSN: uint64(k.Position.LSN)})
	to.Promotion(uint32(k.Promotion))
	to.Unarmed(k.Unarmed, k.Key)
	lost := w.upstream
	w.upstream = k.Upstream
	if lost != "" && k.Upstream == "" {
		to.Lost(lost)
	}
}

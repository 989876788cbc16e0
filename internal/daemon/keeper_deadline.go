package daemon

import (
	"context"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/fence"
)

// deadline is until when the server may write, as the permit's goroutine has said
// it, and what of that the guard was told.
type deadline struct {
	said  bool             // something was said in this life
	known bool             // there was a permit in this life
	at    boottime.Instant // 0: there is none any more
	told  boottime.Instant // the last that was told, in this life
	to    *fence.Guard     // whom
}

// Deadline says until when the server may write; 0 says that it may not, and has it
// frozen if it is armed. It waits for nothing, least of all for a launch: the
// newest deadline goes out from a goroutine of its own.
//
// Before the first permit of this life 0 takes nothing back. An agent that has just
// been started holds no permit, but the one before it may have left one, and what it
// has left with the guard is for the guard to keep to. A primary that no guard had is
// armed by it all the same, and so stands still until there is a permit.
func (k *keeper) Deadline(until boottime.Instant) {
	k.mu.Lock()
	k.until.at, k.until.said = until, true
	k.until.known = k.until.known || until != 0
	close(k.heard)
	k.heard = make(chan struct{})
	k.mu.Unlock()
	k.poke()
}

func (k *keeper) poke() {
	select {
	case k.news <- struct{}{}:
	default: // it will see this one, too
	}
}

// tell passes the newest deadline on, if the guard has not got it. All that is told
// goes this way, so that no older one comes after a newer one.
func (k *keeper) tell() {
	k.telling.Lock()
	defer k.telling.Unlock()
	k.mu.Lock()
	g, d := k.guard, k.until
	k.mu.Unlock()
	if g == nil || !d.known || g == d.to && d.at == d.told {
		return
	}
	err := sendDeadline(g, d)
	// Somebody may have stopped it, and this process may be stopped next: then nobody
	// would be left to look after it. The newest deadline is what it finds.
	_ = g.Continue() // one that is gone is missed elsewhere
	if err != nil {
		// A guard that is gone, or was stopped for long. Its deadline passes; see overdue.
		k.log.Warn("the guard could not be told the deadline", "err", err)
		return
	}
	k.mu.Lock()
	k.until.told, k.until.to = d.at, g
	k.mu.Unlock()
}

// sendDeadline is careful to take nothing back from a guard that was found with a
// later deadline than ours: that is the promise of an earlier life. But what this
// life has told and tells no more is taken back.
func sendDeadline(g *fence.Guard, d deadline) error {
	if d.at == 0 {
		return g.Cut(boottime.Now())
	}
	if d.at < d.told {
		if err := g.Cut(d.at); err != nil {
			return err
		}
	}
	return g.Extend(d.at)
}

// attend tells the deadlines, and looks after the guard when one has passed.
func (k *keeper) attend() {
	timer := time.NewTimer(0)
	<-timer.C
	defer timer.Stop()
	for {
		select {
		case <-k.quit:
			return
		case <-k.news:
			k.tell()
		case <-timer.C:
			k.overdue()
		}
		if wait, due := k.untilOverdue(); due {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
	}
}

// frozenLate is when an armed guard should long have said that it freezes. It is
// within the margin of the shortest permit, 20 ms.
const frozenLate = 5 * time.Millisecond

// answerLate is when a guard that was asked and gives no answer is given up. The
// server has been running without a permit for that long by then, so it is short;
// and a guard that is only late ends with its server, so it is not shorter.
const answerLate = 150 * time.Millisecond

// untilOverdue is how long to wait before the guard is looked after.
func (k *keeper) untilOverdue() (time.Duration, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	d := k.newest()
	if k.guard == nil && !k.off || k.server == 0 || !k.armed || !d.known && d.at == 0 || k.state.frozen || k.state.looked == d {
		return 0, false
	}
	if k.off {
		return max(0, d.at.Sub(boottime.Now())), true
	}
	return max(0, d.at.Add(frozenLate).Sub(boottime.Now())), true
}

// newest is the newest deadline of this life. Before there is one it is what an earlier
// life has left with the guard, which nobody else looks after then (S1). The mutex is held.
func (k *keeper) newest() deadline {
	d := k.until
	if !d.known {
		d.at = k.left
	}
	return d
}

// overdue looks after a guard that has not said that it freezes: somebody may have
// stopped it. It is continued, which harms none that runs, and asked. One that gives
// no answer is killed, and so ends its server, by the kernel's signal, before two
// primaries can meet.
func (k *keeper) overdue() {
	k.mu.Lock()
	g, d := k.guard, k.newest()
	if k.off && k.armed && k.server != 0 && d.at <= boottime.Now() {
		k.state.looked = d
		kill := k.kill9
		k.mu.Unlock()
		k.log.Error("the permit is over and there is no guard to freeze the server: it is killed")
		kill()
		return
	}
	due := g != nil && k.armed && !k.state.frozen && d.at.Add(frozenLate) <= boottime.Now()
	if due {
		k.state.looked = d // once for each deadline
	}
	k.mu.Unlock()
	if !due {
		return
	}
	if err := g.Continue(); err != nil {
		return // gone: its connection ends, too
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerLate)
	defer cancel()
	if _, err := g.Status(ctx); err == nil || ctx.Err() == nil {
		return // it lives, and keeps to its deadline
	}
	if k.stopped() {
		return // it has done its work, and is only slow to say so
	}
	k.log.Error("the guard does not answer at the end of the permit; it is killed, and the server with it", "guard", g.Found().GuardPID)
	if err := g.Break(); err != nil {
		k.log.Error("the guard could not be killed", "err", err)
	}
}

// stopped reports that the postmaster is seen standing still: by SIGSTOP, or in a
// cgroup that is frozen. The kernel tells, whatever has become of the guard.
func (k *keeper) stopped() bool {
	k.mu.Lock()
	pid := k.server
	k.mu.Unlock()
	return pid != 0 && fence.Stopped(pid)
}

// holdAlone is Hold without a guard. The agent itself then kills the server at the
// end of the permit: it can freeze nothing, and if it hangs nobody stops the server.
func (k *keeper) holdAlone(pid int, mayWrite bool) {
	k.mu.Lock()
	k.server, k.armed = pid, mayWrite && k.until.known && pid != 0
	k.mu.Unlock()
	k.poke()
}

// onOverdue is how to kill the server where there is no guard. To be set before
// anything is connected.
func (k *keeper) onOverdue(kill func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kill9 = kill
}

package guard

import (
	"strconv"
	"time"

	"matriarch/internal/boottime"
)

// act carries a verdict out. It is true when something has changed, so that the
// next one is due at once.
func (g *guard) act(v Verdict) bool {
	if g.server != nil && g.server.ended {
		return g.finishOff()
	}
	switch v.Do {
	case Freeze:
		return g.freezeServer(v.Why)
	case Thaw:
		return g.thawServer()
	case Kill:
		return g.killServer(v.Why)
	}
	if g.standing == Frozen {
		g.judge("hold the server frozen", g.server.freeze.hold())
	}
	return false
}

// judge reports an error of the freezer once, and not at every try.
func (g *guard) judge(doing string, err error) {
	text := ""
	if err != nil {
		text = doing + ": " + err.Error()
	}
	if text != g.trouble && text != "" {
		g.log.say(text)
	}
	g.trouble = text
}

func (g *guard) freezeServer(why Reason) bool {
	if g.standing == Running {
		g.standing, g.stopped, g.slow = Freezing, boottime.Now(), false
		g.past.freezes++
		g.past.lateness = 0
		if why == Expired {
			g.past.lateness = g.stopped.Sub(g.deadline)
		}
	}
	done, err := g.server.freeze.freeze()
	g.judge("freeze the server", err)
	if !done {
		if !g.slow { // the agent need not wait for the last process to know of it
			g.slow = true
			g.push(Message{Verb: "freezing"}.WithInt("at", int64(boottime.Now())).With("why", string(why)))
		}
		return false
	}
	g.standing = Frozen
	g.past.lastTook = boottime.Now().Sub(g.stopped)
	g.log.say("server " + strconv.Itoa(g.server.pid) + " frozen by " + g.server.freeze.method() + ", " + string(why) +
		": begun " + g.past.lateness.String() + " after the deadline, took " + g.past.lastTook.String())
	g.push(Message{Verb: "frozen"}.WithInt("at", int64(boottime.Now())).With("why", string(why)).
		WithInt("late", int64(g.past.lateness)).WithInt("took", int64(g.past.lastTook)))
	g.answer("freeze", nil)
	g.server.freeze.calm()
	return true
}

func (g *guard) thawServer() bool {
	g.server.freeze.calm()
	err := g.server.freeze.thaw()
	g.judge("thaw the server", err)
	if err != nil {
		return false
	}
	lasted := boottime.Now().Sub(g.stopped)
	g.past.frozen += lasted
	g.standing = Running
	g.log.say("server " + strconv.Itoa(g.server.pid) + " thawed after " + lasted.String())
	g.push(Message{Verb: "thawed"}.WithInt("at", int64(boottime.Now())).WithInt("lasted", int64(lasted)))
	g.answer("freeze", errThawed)
	return true
}

func (g *guard) killServer(why Reason) bool {
	if g.told != OrderKill {
		// What was begun is carried to its end: some of it may be dead already.
		g.told = OrderKill
		g.push(Message{Verb: "killing"}.WithInt("at", int64(boottime.Now())).With("why", string(why)))
	}
	done, err := g.server.freeze.kill()
	g.judge("kill the server", err)
	if done && !g.server.child {
		// Its parent may take long to reap it, or never do: there is nothing to wait
		// for, since no process of it lives.
		g.server.ended = true
		return true
	}
	return false
}

// postmasterEnded takes in that the postmaster is gone. Of our child, the reaper
// tells how; of another's, nobody does.
func (g *guard) postmasterEnded() {
	g.unwatch(g.server.pidfd) // its news is permanent
	if !g.server.child {
		g.server.ended = true
	}
}

func (g *guard) reap() {
	for _, dead := range g.reaper.take() {
		if g.server != nil && g.server.child && dead.pid == g.server.pid {
			g.server.status, g.server.ended = dead.status, true
		}
	}
	if g.server != nil && !g.server.ended {
		g.server.refresh()
	}
}

// finishOff ends what the postmaster has left, and tells that the server is gone
// once that is so. A backend without a postmaster may still be committing.
func (g *guard) finishOff() bool {
	if g.standing != Running || g.told == OrderKill {
		// The archive command, too: nothing would ever thaw it.
		if done, err := g.server.freeze.kill(); err != nil || !done {
			g.judge("end what the postmaster left frozen", err)
			return false
		}
	}
	left, err := g.server.leftovers(g.scan)
	g.judge("look for processes that outlived the postmaster", err)
	if err != nil {
		return false
	}
	if len(left) > 0 {
		for _, p := range left {
			g.scan.signal(p, sigKill)
		}
		return false
	}
	g.gone()
	return true
}

// gone forgets the server and tells the agent.
func (g *guard) gone() {
	s := g.server
	s.freeze.calm()
	if g.standing != Running {
		g.past.frozen += boottime.Now().Sub(g.stopped)
	}
	if g.standing != Running || g.told == OrderKill {
		if err := s.freeze.thaw(); err != nil { // or the next one is born frozen
			g.judge("thaw the empty cgroup", err)
		}
	}
	if c, is := s.freeze.(*cgroup); is && c != g.group {
		g.unwatch(c.events)
		c.close()
	} else if is && c.spent {
		g.newGroup()
	}
	g.unwatch(s.pidfd)
	closeAll([]int{s.pidfd})
	g.past.pid, g.past.outcome, g.past.code = s.pid, s.outcome(), int(s.status)
	g.server, g.armed, g.told, g.standing = nil, false, NoOrder, Running
	g.log.say("server " + strconv.Itoa(s.pid) + " has ended: " + g.past.outcome)
	g.push(Message{Verb: "exited"}.WithInt("at", int64(boottime.Now())).WithInt("pid", int64(s.pid)).
		WithInt("status", int64(g.past.code)).With("how", g.past.outcome))
	g.answer("kill", nil)
	g.answer("freeze", errNoServer)
}

// extend moves the deadline on, never back: an answer that overtook another must
// not shorten what was promised by a newer one.
func (g *guard) extend(to boottime.Instant) {
	if to > g.deadline {
		g.deadline = to
	}
}

// cut ends a permit earlier than it was told: its holder has given it up, or has
// learned that it holds less.
func (g *guard) cut(to boottime.Instant) {
	if to < g.deadline {
		g.deadline = to
	}
}

func (g *guard) setGiveUp(d time.Duration) {
	if d > 0 {
		g.giveUp = d
	}
}

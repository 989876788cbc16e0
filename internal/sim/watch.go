package sim

import (
	"time"

	"matriarch/internal/dcs"
)

// How a client notices that its watch is broken, as package etcd does it: a silent
// member is probed after probeAfter and given up after probeAnswer; one whose
// process has ended is known at once.
const (
	probeAfter  = 2 * time.Second
	probeAnswer = time.Second
	watchPause  = 50 * time.Millisecond
	watchMost   = time.Second
)

// watch feeds a client's mirror from one member of etcd.
type watch struct {
	c        *client
	at       int // the member
	standing bool
	turn     int // counts its states; a plan of an earlier one is void
	doubtful bool
	pause    time.Duration
	sent     int64   // newest revision that is on its way
	last     instant // when the newest on its way arrives: they do not overtake each other
}

// path reports that the member and its client can speak to each other.
func (v *watch) path() bool {
	m := v.c.store.members[v.at]
	return m.runs() && v.c.w.machineRuns(m.machine) && v.c.w.net.joined(m.machine, v.c.machine)
}

// reset reports that the member's process is gone while its machine says so.
func (v *watch) reset() bool {
	m := v.c.store.members[v.at]
	return !m.alive && v.c.w.machineRuns(m.machine) && v.c.w.net.joined(m.machine, v.c.machine)
}

// review looks again after something has changed in the network or at the members.
func (v *watch) review() {
	switch {
	case !v.standing:
	case v.reset():
		v.broken()
	case v.path():
		v.doubtful = false
		v.feed()
	case !v.doubtful:
		v.doubtful = true
		turn := v.turn
		v.c.w.after(v.c.w.between(probeAnswer, probeAfter+probeAnswer), func() {
			if turn == v.turn && v.doubtful {
				v.broken()
			}
		})
	}
}

// broken ends the watch; it is built anew at another member.
func (v *watch) broken() {
	v.turn++
	v.standing, v.doubtful = false, false
	v.c.process(func() {
		v.c.setCurrent(false)
	})
	v.next()
	v.pause = 0
	v.build()
}

func (v *watch) next() { v.at = (v.at + 1) % len(v.c.store.members) }

// build tries to make it stand: a read from etcd's leader through the member, then
// the watch.
func (v *watch) build() {
	v.turn++
	turn := v.turn
	m := v.c.store.members[v.at]
	w := v.c.w
	takes := w.net.delay(v.c.machine, m.machine) + w.net.delay(m.machine, v.c.machine)
	if !v.path() && !v.reset() {
		takes = probeAnswer // nobody answers
	}
	w.after(takes, func() {
		if turn != v.turn || v.c.closed {
			return
		}
		if v.path() && v.c.store.works() && v.c.store.reach(v.at, v.c.store.leader) {
			v.stand()
			return
		}
		if v.path() {
			v.glimpse()
		}
		v.next()
		v.pause = min(max(2*v.pause, watchPause), watchMost)
		turn := v.turn
		w.after(v.pause, func() {
			if turn == v.turn && !v.c.closed {
				v.build()
			}
		})
	})
}

func (v *watch) stand() {
	v.standing, v.doubtful, v.pause = true, false, 0
	v.sent = v.c.store.revision
	s := v.c.store.snapshot()
	v.c.process(func() {
		v.c.follow(s)
		v.c.setCurrent(true)
	})
}

// glimpse shows what the member has, which does not answer for all of them: as package
// etcd does it, only for a newer leader key.
func (v *watch) glimpse() {
	has := v.c.store.members[v.at].has
	if has.Values[dcs.KeyLeader].Modified > v.c.shown.Revision {
		v.c.process(func() { v.c.follow(has) })
	}
}

// feed sends what is new on its way. A member that is cut off from etcd's leader
// has nothing new, and does not know it.
func (v *watch) feed() {
	s := v.c.store
	if !v.standing || v.sent >= s.revision || !v.path() || s.leader == none || !s.reach(v.at, s.leader) {
		return
	}
	w := v.c.w
	m := s.members[v.at]
	content, turn := s.snapshot(), v.turn
	v.sent = content.Revision
	d := w.net.delay(s.members[s.leader].machine, m.machine) + w.net.delay(m.machine, v.c.machine) + v.c.lag
	v.last = max(w.now.add(d), v.last)
	w.when(v.last, func() {
		switch {
		case turn != v.turn || v.c.closed:
		case !v.path(): // TCP brings it when the link is back
			v.sent = min(v.sent, v.c.base)
		default:
			v.c.process(func() { v.c.follow(content) })
		}
	})
}

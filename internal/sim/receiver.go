package sim

import (
	"time"

	"matriarch/internal/wal"
)

// receiver is a standby's walreceiver: its connection to the upstream.
type receiver struct {
	s         *server
	connected bool
	from      *server
	life      int // of the upstream
	turn      int // counts the states; a plan of an earlier one is void
	planned   bool
	flying    bool    // a piece of the log is on its way
	flight    int     // counts them
	last      instant // when something came last
}

// streamsFrom reports that it is connected to a server.
func (r *receiver) streamsFrom(up *server) bool {
	return r.connected && r.from == up && r.life == up.life
}

// drop ends the connection, if there is one.
func (r *receiver) drop() {
	if r.connected {
		r.s.w.touched()
	}
	r.turn++
	r.connected, r.planned, r.flying, r.from = false, false, false, nil
}

// connectSoon plans a try to connect.
func (r *receiver) connectSoon(after time.Duration) {
	if r.planned || r.connected {
		return
	}
	r.planned = true
	turn, life := r.turn, r.s.life
	r.s.w.after(after+time.Millisecond, func() {
		r.s.do(life, func() {
			if turn == r.turn {
				r.planned = false
				r.connect()
			}
		})
	})
}

// connect asks the upstream for the log from where this one ends.
func (r *receiver) connect() {
	s := r.s
	if s.primary || s.phase != ready || s.disk.upstream.Member == "" {
		return
	}
	up := s.w.serverAt(s.h, s.disk.upstream.Member)
	if up == nil || up.phase == starting || !s.disk.canStream(&up.disk) {
		r.connectSoon(retryStream)
		return
	}
	s.w.checkStream(s, up)
	r.turn++
	r.connected, r.from, r.life, r.flying = true, up, up.life, false
	s.w.touched()
	s.w.tell("%s: streams from %s at %v", s.h.name, up.h.name, s.disk.point())
	s.disk.history = historyUpTo(up.disk.history, max(s.disk.history.Timeline, timelineAt(&up.disk, s.disk.end())))
	s.changed()
	up.told[s.h] = s.disk.end()
	r.feedFrom(up)
	r.watchSilence()
}

// timelineAt is the timeline on which the byte after a position lies.
func timelineAt(d *disk, at wal.LSN) wal.Timeline {
	for _, x := range d.log {
		if x.end > at {
			return x.timeline
		}
	}
	return d.history.Timeline
}

// feedFrom sends what is new in the upstream's log on its way here.
func (r *receiver) feedFrom(up *server) {
	s := r.s
	if r.flying || !r.streamsFrom(up) || !up.runs() || s.disk.end() >= up.disk.end() {
		return
	}
	w := s.w
	if !w.net.open(up.h.machine, s.h.machine) {
		return // resumed when the link is back
	}
	r.flying = true
	r.flight++
	upTo, turn, flight := up.disk.end(), r.turn, r.flight
	w.afterOf(&s.process, w.net.delay(up.h.machine, s.h.machine)+s.h.lag, func() {
		if turn != r.turn || flight != r.flight {
			return
		}
		r.flying = false
		if w.net.open(up.h.machine, s.h.machine) && r.streamsFrom(up) {
			r.take(up, upTo)
		}
	})
}

// hurry sends what is on its way once more, now that nothing holds it up.
func (r *receiver) hurry() {
	if r.flying {
		r.flying = false
		r.flight++
		r.feedFrom(r.from)
	}
}

// take writes what has come, and says so.
func (r *receiver) take(up *server, upTo wal.LSN) {
	s := r.s
	if upTo > s.disk.end() {
		s.w.checkStream(s, up)
		s.disk.receive(&up.disk, upTo)
		r.last = s.w.now
		if s.w.replayLag == 0 {
			s.replayed = upTo
		} else {
			life := s.life
			s.w.after(s.w.replayLag, func() { s.do(life, func() { s.replayed = max(s.replayed, upTo) }) })
		}
		if s.w.synchronous {
			branch, life := s.disk.branch(), up.life
			s.w.net.send(s.h.machine, up.h.machine, func() { up.do(life, func() { up.flushed(s.h, branch, upTo) }) })
		}
	}
	r.feedFrom(up)
}

// upstreamGone tells of the end of the upstream's process: its kernel closes the
// connection, unless the machine is gone too.
func (r *receiver) upstreamGone(up *server) {
	if !r.connected || r.from != up {
		return
	}
	s := r.s
	if !s.w.machineRuns(up.h.machine) {
		return
	}
	turn, life := r.turn, s.life
	s.w.net.send(up.h.machine, s.h.machine, func() {
		s.do(life, func() {
			if turn == r.turn {
				r.lost()
			}
		})
	})
}

// lost is the end of the connection, as the walreceiver sees it.
func (r *receiver) lost() {
	up := r.from
	r.drop()
	r.s.w.tell("%s: the stream from %s has ended", r.s.h.name, up.h.name)
	r.s.changed()
	r.connectSoon(retryStream)
}

// watchSilence ends a connection on which nothing has come for long.
func (r *receiver) watchSilence() {
	s, turn, life := r.s, r.turn, r.s.life
	var silent time.Duration
	const look = 10 * time.Second
	var watch func()
	watch = func() {
		s.do(life, func() {
			if turn != r.turn {
				return
			}
			if r.from.runs() && r.life == r.from.life && s.w.net.open(r.from.h.machine, s.h.machine) {
				silent = 0
			} else {
				silent += look
			}
			if silent >= silentStream {
				r.lost()
				return
			}
			s.w.after(look, watch)
		})
	}
	s.w.after(look, watch)
}

// review goes on where a cut link or a stopped upstream had held the log up.
func (r *receiver) review() {
	if !r.connected {
		return
	}
	if r.life != r.from.life {
		if s := r.s; s.w.machineRuns(r.from.h.machine) && s.w.net.joined(r.from.h.machine, s.h.machine) && s.runs() {
			r.lost() // the machine is back, and knows nothing of the connection
		}
		return
	}
	r.feedFrom(r.from)
}

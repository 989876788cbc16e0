package sim

import (
	"time"

	"matriarch/internal/ha"
	"matriarch/internal/wal"
)

// How long a server takes for what it does, about as measured on a small machine.
const (
	recoveryTime = 400 * time.Millisecond // after a crash
	startTime    = 150 * time.Millisecond
	promoteTime  = 20 * time.Millisecond
	shutdownTime = 50 * time.Millisecond
	commitTime   = 300 * time.Microsecond // one flush of the log
	retryStream  = 200 * time.Millisecond // wal_retrieve_retry_interval as Matriarch sets it
	silentStream = 60 * time.Second       // wal_receiver_timeout's default
)

// phase is what a postmaster is at.
type phase int

const (
	starting phase = iota
	ready
	closing // it takes no new transactions
)

// server is one PostgreSQL: a disk, and a process while it runs.
type server struct {
	process
	w    *World
	h    *host
	disk disk

	phase    phase
	ready    instant // since when it answers
	primary  bool    // out of recovery
	byHand   bool    // started by a person
	frozen   bool    // by the guard
	replayed wal.LSN
	receiver receiver
	pending  []commit // that wait for a standby
	names    names
	nameTurn int
	told     map[*host]wal.LSN // how far each standby has said that it is
}

// commit is one that has been flushed here.
type commit struct {
	branch int
	upTo   wal.LSN
	since  instant
}

// acknowledges reports that the server can tell a client of a commit in this very
// moment. Two servers that can are two primaries, whether a client asks or not (S1).
func (s *server) acknowledges() bool {
	return s.runs() && s.primary && s.phase == ready && s.w.machineRuns(s.h.machine)
}

// launch starts the postmaster. It is ready after its recovery.
func (s *server) launch(primary bool, takes time.Duration) {
	s.start()
	s.phase, s.primary, s.frozen, s.byHand = starting, false, false, false
	s.h.stopIfSuspended(&s.process)
	s.disk.clean, s.disk.shutdown = false, false
	s.replayed = s.disk.end()
	s.names.since, s.names.seen, s.told = 0, s.w.now, map[*host]wal.LSN{}
	if !primary {
		s.waitForNobody()
	}
	life := s.life
	s.w.after(takes, func() {
		s.do(life, func() {
			s.phase, s.primary, s.ready = ready, primary, s.w.now
			if primary && !s.byHand {
				s.w.checkReturn(s)
			}
			s.w.tell("%s: PostgreSQL is ready, primary %v, %v", s.h.name, primary, s.disk.point())
			s.roleChanged()
			s.changed()
		})
	})
}

// roleChanged begins what follows from a server's being ready.
func (s *server) roleChanged() {
	s.w.touched()
	s.w.checkPrimaries()
	if s.primary {
		s.receiver.drop()
	} else {
		s.receiver.connectSoon(0)
	}
}

// changed tells the agent, and whoever streams from here.
func (s *server) changed() { s.h.agent.wake() }

// gone is the end of the process, whatever ended it.
func (s *server) gone() {
	if !s.alive {
		return
	}
	s.end()
	s.frozen = false
	s.pending = nil
	s.receiver.drop()
	s.w.touched()
	s.w.checkPrimaries()
	s.h.guard.serverGone()
	for _, other := range s.w.hosts {
		other.server.receiver.upstreamGone(s)
	}
	s.changed()
}

// crash is an end without order: SIGKILL, or its machine's.
func (s *server) crash() {
	if s.alive {
		s.disk.clean = false
		s.gone()
	}
}

// promote ends recovery, once everything that was received has been replayed.
func (s *server) promote(above wal.Timeline) {
	life := s.life
	takes := s.w.about(promoteTime)
	if s.replayed < s.disk.end() {
		takes += s.w.replayLag
	}
	s.w.after(takes, func() {
		s.do(life, func() {
			if s.primary || s.phase != ready {
				return
			}
			s.w.branches++
			s.w.checkPromotion(s)
			if s.w.set.Apart {
				above = max(above, s.w.newestTimeline)
			}
			s.disk.fork(s.w.branches, above)
			s.w.newestTimeline = max(s.w.newestTimeline, s.disk.history.Timeline)
			s.disk.standby = false
			s.replayed = s.disk.end()
			s.primary = true
			s.names.since, s.names.seen = 0, s.w.now
			s.w.promotions++
			s.w.newest = s
			s.w.tell("%s: promoted, timeline %d at %s", s.h.name, s.disk.history.Timeline, s.disk.end())
			s.roleChanged()
			s.changed()
		})
	})
}

// shutDown is a fast shutdown. A primary closes its log with a checkpoint, and waits
// until every standby that streams has it, as walsenders do.
func (s *server) shutDown(early bool) {
	life := s.life
	takes := time.Duration(0)
	if early { // a checkpoint while clients still write
		takes = s.w.about(shutdownTime)
	}
	s.w.after(takes, func() {
		s.do(life, func() {
			s.phase = closing
			s.w.checkPrimaries()
			s.w.after(s.w.about(shutdownTime), func() { s.do(life, s.close) })
		})
	})
}

// close writes the shutdown checkpoint.
func (s *server) close() {
	if s.primary {
		s.disk.append(recordBytes)
		s.disk.checkpoint, s.disk.shutdown = s.disk.history.Timeline, true
		s.feed()
	}
	s.changed()
	s.linger(s.life, s.w.now.add(10*time.Second))
}

// linger ends the process when every standby that is connected has the whole log.
func (s *server) linger(life int, limit instant) {
	s.do(life, func() {
		for _, other := range s.w.hosts {
			r := &other.server.receiver
			if s.primary && r.streamsFrom(s) && other.server.disk.end() < s.disk.end() && s.w.now < limit {
				s.w.after(5*time.Millisecond, func() { s.linger(life, limit) })
				return
			}
		}
		s.disk.clean = true
		s.gone()
	})
}

// write is a client's commit here.
func (s *server) write() {
	s.disk.append(s.w.rowBytes)
	c := commit{branch: s.disk.branch(), upTo: s.disk.end(), since: s.w.now}
	s.feed()
	if !s.w.synchronous {
		s.w.acknowledged(s, c)
		return
	}
	s.pending = append(s.pending, c)
	s.release()
}

// flushed is a standby's word that it has the log up to a position.
func (s *server) flushed(from *host, branch int, upTo wal.LSN) {
	if branch == s.disk.branch() {
		s.told[from] = upTo
		s.release()
	}
}

// feed sends the log on its way to whoever streams from here.
func (s *server) feed() {
	for _, other := range s.w.hosts {
		if other.server != s {
			other.server.receiver.feedFrom(s)
		}
	}
}

// observe is what a look at the server finds.
func (s *server) observe() ha.Server {
	out := ha.Server{
		Directory: ha.Empty, Unfinished: s.disk.unfinished, SystemID: s.disk.systemID, Running: s.alive,
		Upstream: s.disk.upstream, CanRewind: true,
	}
	if s.disk.unfinished == ha.Copying || s.disk.unfinished == ha.Rewinding {
		out.Directory = ha.HalfCopied
		return out
	}
	if !s.disk.present {
		return out
	}
	out.Directory = ha.Data
	out.CheckpointTimeline = s.disk.checkpoint
	if s.alive {
		s.observeRunning(&out)
		return out
	}
	out.End, out.History = s.disk.point(), s.disk.history
	out.WasPrimary, out.Clean = !s.disk.standby, s.disk.clean
	if s.disk.shutdown && out.WasPrimary && out.Clean {
		out.End.LSN -= recordBytes - 1 // one byte into the shutdown checkpoint
	}
	return out
}

func (s *server) observeRunning(out *ha.Server) {
	out.Frozen, out.Armed = s.frozen, s.h.guard.alive && s.h.guard.armed
	out.Role = ha.Standby
	if !s.disk.standby {
		out.Role = ha.Primary
	}
	if !s.runs() || s.phase == starting {
		out.Starting = s.runs()
		return
	}
	out.Answering, out.Slots = true, append([]ha.Slot(nil), s.disk.slots...)
	out.End, out.History = s.disk.point(), s.disk.history
	if s.primary {
		out.Role = ha.Primary
		s.settleNames()
		out.Synchronous, out.Senders = s.synchronous(), s.senders()
		if s.disk.history.Timeline > 1 {
			out.HistoryTime = "2030-01-01T00:00:00.000000+00:00"
		}
		return
	}
	out.Synchronous = s.synchronous()
	out.Role, out.Received, out.Replayed = ha.Standby, s.disk.end(), s.replayed
	out.Streaming = s.receiver.connected // the next pass tells of its end as evidence
}

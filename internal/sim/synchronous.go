package sim

import (
	"slices"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/ha"
	"matriarch/internal/wal"
)

// names is synchronous_standby_names of a server, in its files and in force.
type names struct {
	value   string
	asks    cluster.StandbyNames // of the value
	told    string
	managed bool
	since   wal.LSN
	seen    instant
}

// reloadTime is until all processes of a server have read new settings.
const reloadTime = 100 * time.Millisecond

// setNames writes the value into the files. A server that runs goes by it a moment later.
func (s *server) setNames(n ha.SetStandbyNames) {
	s.names.managed, s.names.told = !n.Users, n.Value
	s.w.tell("%s: synchronous_standby_names %q", s.h.name, n.Value)
	s.nameTurn++
	if !s.alive {
		s.names.put(n.Value)
		return
	}
	turn, life := s.nameTurn, s.life
	s.w.after(s.w.about(20*time.Millisecond), func() {
		if turn != s.nameTurn {
			return
		}
		s.do(life, func() {
			s.names.put(n.Value)
			s.names.since, s.names.seen = 0, s.w.now
			s.release()
		})
	})
}

// put is a value that is in force from here on.
func (n *names) put(value string) {
	n.value = value
	n.asks, _ = cluster.ParseStandbyNames(value) // by every commit, so it is read once
}

// settleNames finds from where on commits wait by the value in force, once all
// processes must have read it.
func (s *server) settleNames() {
	if s.names.value == "" || s.names.since != 0 || s.w.now.sub(s.names.seen) < reloadTime {
		return
	}
	s.names.since = s.disk.end()
	s.disk.append(recordBytes) // so that the standbys have something to tell
	s.feed()
}

// settledNames reports that the value in the files has been in force for so long that no
// process of the server can go by another: a promotion waits for that (package postgres).
func (s *server) settledNames() bool {
	return !s.names.managed || s.names.told == "" ||
		s.runs() && s.names.value == s.names.told && s.w.now.sub(s.names.seen) >= reloadTime
}

// waitForNobody is for a start as a standby.
func (s *server) waitForNobody() {
	s.nameTurn++
	s.names = names{managed: s.names.managed}
}

// synchronous is what a look at the server finds of it.
func (s *server) synchronous() ha.Synchronous {
	return ha.Synchronous{Names: s.names.value, Managed: s.names.managed, Told: s.names.told, Since: s.names.since, Age: s.w.now.sub(s.names.seen)}
}

// senders are the streams from here.
func (s *server) senders() (out []ha.Sender) {
	if !s.w.synchronous {
		return nil
	}
	value := &s.names.asks
	for _, h := range s.w.hosts {
		if !h.server.receiver.streamsFrom(s) {
			continue
		}
		sender := ha.Sender{Application: h.name, State: "streaming", SyncState: "async", Position: s.told[h]}
		if slices.Contains(value.Names, h.name) || slices.Contains(value.Names, cluster.AnyStandby) {
			sender.SyncState = "sync"
			if value.Any {
				sender.SyncState = "quorum"
			}
		}
		out = append(out, sender)
	}
	return out
}

// waited reports that a commit has had the standbys that the value in force asks for.
func (s *server) waited(c commit) bool {
	value := &s.names.asks
	if len(value.Names) == 0 {
		return true
	}
	have := 0
	for _, h := range s.w.hosts {
		named := slices.Contains(value.Names, h.name) || slices.Contains(value.Names, cluster.AnyStandby)
		if named && h.server.receiver.streamsFrom(s) && s.told[h] >= c.upTo {
			have++
		}
	}
	return have >= value.Count
}

// release acknowledges what has had its standbys.
func (s *server) release() {
	for s.acknowledges() && len(s.pending) > 0 && s.waited(s.pending[0]) {
		s.w.acknowledged(s, s.pending[0])
		s.pending = s.pending[1:]
	}
}

// complete reports that a server has every commit that was acknowledged in synchronous
// mode: without them it may not lead (S2).
func (w *World) complete(s *server) bool {
	for branch := range w.branches + 1 {
		if upTo, any := w.checks.waited[branch]; any && !s.disk.has(branch, upTo) {
			return false
		}
	}
	return true
}

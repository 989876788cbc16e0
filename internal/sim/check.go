package sim

import (
	"slices"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/ha"
)

// write is a client that writes one row through every server that takes it. A
// standby does not.
func (w *World) write() {
	for _, n := range w.nodes {
		s := n.server
		if !s.running || !s.primary {
			continue
		}
		if stop, stopping := s.job.(ha.Stop); stopping && stop.Mode == ha.Fast {
			continue // it takes no new transactions
		}
		w.row++
		s.disk.append(w.row)
		w.acked[w.row] = w.now
	}
}

// check looks for a broken invariant.
func (w *World) check() {
	var primaries []string
	for _, n := range w.nodes {
		if n.server.running && n.server.primary {
			primaries = append(primaries, n.name)
		}
		if n.server.running && n.server.disk.unfinished != ha.NoWork && n.server.disk.unfinished != ha.Bootstrapping {
			w.broken("%s runs on a half-written directory", n.name)
		}
	}
	if len(primaries) > 1 {
		w.broken("S1: %v run as primary", primaries)
	}
	now := ""
	if len(primaries) == 1 {
		now = primaries[0]
	}
	if now != w.primary {
		w.tell("primary: %q", now)
		w.primary = now
	}
}

func (w *World) broken(format string, args ...any) {
	if len(w.faults) < 5 {
		w.tell("BROKEN "+format, args...)
		w.faults = append(w.faults, w.story[len(w.story)-1])
	}
}

// settled reports that one member leads, runs as primary, and every other one
// streams from it on its timeline (L2).
func (w *World) settled() bool {
	leader := w.leader()
	if leader == nil || !leader.server.running || !leader.server.primary {
		return false
	}
	for _, n := range w.nodes {
		if n == leader {
			continue
		}
		if !n.alive || n.server.source() != leader.server || n.server.disk.history.Timeline != leader.server.disk.history.Timeline {
			return false
		}
	}
	return true
}

func (w *World) view() cluster.View { return w.store.Snapshot().View() }

func (w *World) leader() *node {
	name := w.view().Leader.Name
	i := slices.IndexFunc(w.nodes, func(n *node) bool { return n.name == name })
	if i < 0 {
		return nil
	}
	return w.nodes[i]
}

// identical reports that every server has the same rows as the leader, but for
// what is on its way.
func (w *World) identical() bool {
	leader := w.leader()
	want := leader.server.disk.rows()
	for _, n := range w.nodes {
		have := n.server.disk.rows()
		if len(have) > len(want) || !slices.Equal(have, want[:len(have)]) || len(want)-len(have) > 5 {
			return false
		}
	}
	return true
}

// lost counts acknowledged rows that the leader does not have.
func (w *World) lost() int {
	have := map[int]bool{}
	for _, row := range w.leader().server.disk.rows() {
		have[row] = true
	}
	n := 0
	for row := range w.acked {
		if !have[row] {
			n++
		}
	}
	return n
}

// outage is the longest time without an acknowledged row since the moment given.
func (w *World) outage(since time.Time) time.Duration {
	times := []time.Time{since, w.now}
	for _, at := range w.acked {
		if at.After(since) {
			times = append(times, at)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	longest := time.Duration(0)
	for i := 1; i < len(times); i++ {
		longest = max(longest, times[i].Sub(times[i-1]))
	}
	return longest
}

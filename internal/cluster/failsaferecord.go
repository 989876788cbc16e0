package cluster

import (
	"maps"
	"slices"
	"strings"
	"time"

	"matriarch/internal/wal"
)

// FailsafeRecord is what one node remembers of failsafe mode: as a primary that
// its last round was granted, as a standby who called. It is lost when the agent
// restarts. The zero value remembers nothing; it is a value, for one goroutine.
//
// Its times come from the caller, and should come from a clock that is never
// stepped: a record that seems younger than it is keeps a cluster without leader.
type FailsafeRecord struct {
	at        time.Time
	call      FailsafeCall       // of a standby; the zero value on a primary
	positions map[string]wal.LSN // of a primary: what the others answered
}

// Heard records a call that was accepted.
func (f *FailsafeRecord) Heard(c FailsafeCall, now time.Time) {
	*f = FailsafeRecord{at: now, call: c}
}

// Granted records a round that was granted, as of when it was begun.
func (f *FailsafeRecord) Granted(positions map[string]wal.LSN, begun time.Time) {
	*f = FailsafeRecord{at: begun, positions: positions}
}

// Clear forgets: a round was denied (B-548), the leader finished a pass with the
// store, or this node is promoted (B-552).
func (f *FailsafeRecord) Clear() { *f = FailsafeRecord{} }

// Active reports that failsafe mode carries the leader: what REST and metrics
// show. A record counts for ttl (B-552).
func (f FailsafeRecord) Active(s Settings, now time.Time) bool {
	return s.Failsafe && !f.at.IsZero() && now.Sub(f.at) < s.TTL
}

// Until is when the others' promise not to race ends, for the primary: each of
// them counts ttl from when it heard the call, which was after the round began.
// Zero: nobody has promised anything.
func (f FailsafeRecord) Until(s Settings) time.Time {
	if f.at.IsZero() || f.call.Name != "" || !s.Failsafe {
		return time.Time{}
	}
	return f.at.Add(s.TTL)
}

// Over is the view as failsafe mode has it. A standby that heard of a primary
// within ttl sees it as the leader when nobody holds the key, so that it does not
// race and goes on following (B-549); and takes its slots' positions, as a primary
// takes those that the others answered, for members that follow a member (B-551).
//
// A leader that is not in the store has no Modified: no right to write and no term
// can be derived from it.
func (f FailsafeRecord) Over(v View, s Settings, me string, now time.Time) View {
	if !f.Active(s, now) || f.call.Name == me {
		return v
	}
	if f.call.Name == "" {
		v.Members = slices.Clone(v.Members)
		for i, m := range v.Members {
			if m.Tags.ReplicateFrom() != "" {
				v.Members[i].Location = max(m.Location, f.positions[m.Name])
			}
		}
		return v
	}
	if v.Leader.Name != "" && v.Leader.Name != f.call.Name {
		return v // the store knows better: somebody was promoted since
	}
	if v.Leader.Name == "" {
		v.Leader = Leader{Name: f.call.Name}
		v.Members = withMembers(v.Members, f.called(v))
	}
	if f.call.Slots != nil {
		v.Status.Slots = maps.Clone(f.call.Slots)
	}
	return v
}

// called is the member that called, with the addresses that it gave.
func (f FailsafeRecord) called(v View) Member {
	m, ok := v.Member(f.call.Name)
	if !ok {
		m = Member{Name: f.call.Name, Role: RolePrimary, State: StateRunning}
	}
	m.ConnURL, m.APIURL = f.call.ConnURL, f.call.APIURL
	return m
}

// withMembers adds or replaces members by name.
func withMembers(members []Member, more ...Member) []Member {
	out := slices.Clone(members)
	for _, m := range more {
		out = slices.DeleteFunc(out, func(old Member) bool { return old.Name == m.Name })
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	return out
}

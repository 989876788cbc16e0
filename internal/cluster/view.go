// Package cluster is the picture of one cluster that its members share through
// the store: who leads, who belongs, what was asked for, what the settings are.
//
// Patroni's spelling of keys and JSON fields lives here and ends here. Reading
// never fails: a value that cannot be understood is treated as Patroni treats it
// (usually as absent) and named in View.Faults, because no garbage in the store
// may demote a primary.
package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"matriarch/internal/wal"
)

// Entry is the stored value of one key.
type Entry struct {
	Data     []byte
	Created  int64 // revision that created the key; nothing here asks for it
	Modified int64 // revision that wrote it last
	Lease    int64 // 0: none
}

// View is the cluster at one revision of the store. It is immutable.
type View struct {
	Revision   int64
	Initialize Initialize
	Config     Config
	Leader     Leader
	Members    []Member // sorted by name
	Status     Status
	History    History
	Failover   Failover
	Sync       Sync
	Failsafe   map[string]string // member name to API URL; nil without the key
	Unarmed    string            // the leader of the electorate, when nothing stops its server at the end of its permit; else empty

	// Faults says, one sentence each, what in the store could not be read.
	Faults []string

	read readings
}

// readings are the revisions of the keys that were read without a fault, for ParseAfter.
type readings struct{ status, history, failover, sync, failsafe, electorate int64 }

// readNew reads a key that has been written since it was read last, at a revision, or had
// a fault then: that is to be said anew. One that is absent, or empty, costs nothing.
func readNew(e Entry, at *int64, faults *[]string, read func(Entry, *[]string)) {
	if *at > 0 && *at == e.Modified {
		return
	}
	before := len(*faults)
	read(e, faults)
	if *at = e.Modified; len(*faults) > before || len(e.Data) == 0 {
		*at = 0
	}
}

// Leader is the leader key. The zero value means that nobody leads.
type Leader struct {
	Name     string // empty: no leader
	Lease    int64
	Modified int64
}

// Initialize is the initialize key: who the cluster is, or that it is being born.
type Initialize struct {
	Present  bool
	Value    string
	Modified int64

	// Lease is set while a Matriarch member creates the cluster: if it dies in
	// that, the key goes with its lease, and nobody has to remove it by hand, as
	// with Patroni (B-809).
	Lease int64
}

// SystemID returns the cluster's system identifier, or "" when none is recorded.
func (i Initialize) SystemID() string {
	if ValidSystemID(i.Value) {
		return i.Value
	}
	return ""
}

// Bootstrapping reports that some member is creating the cluster right now: the
// key is there and empty.
func (i Initialize) Bootstrapping() bool { return i.Present && i.Value == "" }

// ValidSystemID reports whether the text can be a system identifier: at least
// ten characters, digits only (compat/behaviour.md §0.1).
func ValidSystemID(s string) bool {
	return len(s) >= 10 && strings.Trim(s, "0123456789") == ""
}

// Parse reads the keys below the cluster's prefix.
func Parse(revision int64, entries map[string]Entry) View {
	return ParseAfter(View{}, revision, entries)
}

// ParseAfter does the same for one who has read an earlier content of the same store:
// what has not been written since is taken from there. Most writes are of one key.
func ParseAfter(before View, revision int64, entries map[string]Entry) View {
	v := View{Revision: revision}
	entries = withoutHuge(entries, &v.Faults)
	if e, ok := entries["initialize"]; ok {
		v.Initialize = Initialize{Present: true, Value: string(e.Data), Modified: e.Modified, Lease: e.Lease}
	}
	if e, ok := entries["leader"]; ok {
		v.Leader = parseLeader(e, &v.Faults)
	}
	if e := entries["config"]; before.Config.Valid && before.Config.Modified == e.Modified {
		v.Config = before.Config
	} else {
		v.Config = parseConfig(e, &v.Faults)
	}
	v.read, v.Status, v.History, v.Failover = before.read, before.Status, before.History, before.Failover
	v.Sync, v.Failsafe, v.Unarmed = before.Sync, before.Failsafe, before.Unarmed
	readNew(entries["status"], &v.read.status, &v.Faults, func(e Entry, faults *[]string) { v.Status = parseStatus(e, entries["optime/leader"], faults) })
	readNew(entries["history"], &v.read.history, &v.Faults, func(e Entry, faults *[]string) { v.History = parseHistory(e, faults) })
	readNew(entries["failover"], &v.read.failover, &v.Faults, func(e Entry, _ *[]string) { v.Failover = parseFailover(e) })
	readNew(entries["sync"], &v.read.sync, &v.Faults, func(e Entry, faults *[]string) { v.Sync = parseSync(e, faults) })
	readNew(entries["failsafe"], &v.read.failsafe, &v.Faults, func(e Entry, faults *[]string) { v.Failsafe = parseFailsafe(e, faults) })
	readNew(entries["electorate"], &v.read.electorate, &v.Faults, func(e Entry, faults *[]string) { v.Unarmed = checkElectorate(e, faults) })
	for key, e := range entries {
		name, ok := strings.CutPrefix(key, "members/")
		if !ok || name == "" || strings.Contains(name, "/") {
			continue
		}
		if v.Members == nil {
			v.Members = make([]Member, 0, len(before.Members)+1)
		}
		// One without a state may be one that could not be read: its fault is said anew.
		last, ok := before.Member(name)
		if ok && last.Modified == e.Modified && last.Lease == e.Lease && last.State != "" {
			v.Members = append(v.Members, last)
			continue
		}
		m, legible := parseMember(name, e, &v.Faults)
		if !legible && ok && last.State != "" {
			// The member lives and will write its key again. What is known of it holds
			// until then, or a heartbeat would have nowhere to go.
			last.Modified, last.Lease = m.Modified, m.Lease
			m = last
		}
		v.Members = append(v.Members, m)
	}
	slices.SortFunc(v.Members, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	if _, ok := v.Member(v.Leader.Name); !ok && v.Leader.Lease == 0 {
		v.Leader = Leader{} // not even a name
	}
	slices.Sort(v.Faults)
	return v
}

// longestValue, in bytes, is more than any key of a cluster ever holds. To read more costs
// every member a moment at each change of any key, and heartbeats would wait for it.
const longestValue = 512 << 10

// withoutHuge leaves out what stands in values that no member has written.
func withoutHuge(entries map[string]Entry, faults *[]string) map[string]Entry {
	cloned := false
	for key, e := range entries {
		if len(e.Data) <= longestValue {
			continue
		}
		if !cloned {
			entries, cloned = maps.Clone(entries), true
		}
		*faults = append(*faults, fmt.Sprintf("%.100q is %d bytes long and is not read", key, len(e.Data)))
		e.Data = nil
		entries[key] = e
	}
	return entries
}

// parseLeader reads the leader key. Everybody who leads puts it under a lease, so one
// without was put by hand. It is shown if it is a member's name, and package permit lets
// nobody lead by it.
func parseLeader(e Entry, faults *[]string) Leader {
	if e.Lease == 0 {
		*faults = append(*faults, "leader: the key hangs on no lease, so no member has put it; nobody leads by it")
	}
	return Leader{Name: string(e.Data), Lease: e.Lease, Modified: e.Modified}
}

// checkElectorate names what is wrong with the key that package permit reads, and returns
// the leader that it says is unarmed.
func checkElectorate(e Entry, faults *[]string) (unarmed string) {
	if e.Modified == 0 {
		return ""
	}
	f, err := object(e.Data)
	switch {
	case err != nil || f.text("leader") == "":
		*faults = append(*faults, "electorate does not name a leader: nobody may take over until the leader has put it again")
	case string(f["unarmed"]) == "true" && string(f["released"]) != "true":
		return f.text("leader")
	}
	return ""
}

// Member finds a member by its exact name.
func (v View) Member(name string) (Member, bool) {
	for i := range v.Members {
		if v.Members[i].Name == name {
			return v.Members[i], true
		}
	}
	return Member{}, false
}

// HasMemberBefore reports that a member runs an older version than the given one. What
// tells no version that can be read counts for nothing.
func (v View) HasMemberBefore(version [3]int) bool {
	return slices.ContainsFunc(v.Members, func(m Member) bool {
		own, ok := Version3(m.Version)
		return ok && slices.Compare(own[:], version[:]) < 0
	})
}

// LeaderMember is the member that holds the leader key. A leader without a member
// key is a member of which only the name is known.
func (v View) LeaderMember() (Member, bool) {
	if v.Leader.Name == "" {
		return Member{}, false
	}
	if m, ok := v.Member(v.Leader.Name); ok {
		return m, true
	}
	return Member{Name: v.Leader.Name}, true
}

// Timeline is the cluster's timeline as the history key tells it: one more than
// that of its last line, 1 for an empty list, 0 when it is not known (B-884).
func (v View) Timeline() wal.Timeline {
	if !v.History.Known {
		return 0
	}
	n := len(v.History.Lines)
	if n == 0 {
		return 1
	}
	if last := v.History.Lines[n-1].Timeline; last != 0 { // 0: what stands there is no timeline
		return last + 1
	}
	return 0
}

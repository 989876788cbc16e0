package config

import (
	"fmt"
	"maps"
)

// Tags are the properties of a member, as written; the helpers read them as
// Patroni does.
type Tags map[string]any

func (r reader) readTags() Tags {
	r.tagConflict("nofailover", "failover_priority")
	r.tagConflict("nosync", "sync_priority")
	return r.get("tags").JSONMap()
}

// tagConflict warns where a switch and a priority are both given. The switch wins.
func (r reader) tagConflict(name, priority string) {
	flag, number := r.get("tags."+name), r.get("tags."+priority)
	if flag.IsNull() || number.IsNull() {
		return
	}
	p := Problem{At: number.At, Path: "tags", Message: fmt.Sprintf("have both %s and %s", name, priority),
		Validator: fmt.Sprintf("tags  Multiple of ('%s', '%s') provided", name, priority)}
	if n, ok := number.IntIn(""); ok && flag.Truth() != (n <= 0) {
		p.Message = fmt.Sprintf("have a conflict between %s: %s and %s: %s; %s is used", name, flag.Text(), priority, number.Text(), name)
	}
	r.report.add(p)
}

// value gives a tag; null counts as not given.
func (t Tags) value(name string) *Value { return FromJSON(t[name], "tags") }

func (t Tags) priority(name string) int64 {
	if n, ok := t.value(name).IntIn(""); ok {
		return n
	}
	return 1
}

// excluded tells whether a member is out of a choice, by the switch if it is given,
// else by a priority of zero or less.
func (t Tags) excluded(name, priority string) bool {
	if flag := t.value(name); !flag.IsNull() {
		return flag.Truth()
	}
	return t.priority(priority) <= 0
}

// Nofailover tells that the member never becomes leader.
func (t Tags) Nofailover() bool { return t.excluded("nofailover", "failover_priority") }

// FailoverPriority orders equally advanced standbys; 0 for a member that never
// becomes leader.
func (t Tags) FailoverPriority() int64 {
	if t.Nofailover() {
		return 0
	}
	return max(1, t.priority("failover_priority"))
}

// Nosync tells that the member is never a synchronous standby.
func (t Tags) Nosync() bool { return t.excluded("nosync", "sync_priority") }

// SyncPriority orders candidates for synchronous standbys; 0 for none.
func (t Tags) SyncPriority() int64 {
	if t.Nosync() {
		return 0
	}
	return max(1, t.priority("sync_priority"))
}

// Noloadbalance tells that GET /replica answers 503.
func (t Tags) Noloadbalance() bool { return t.value("noloadbalance").Truth() }

// Clonefrom tells that base backups are best taken from this member.
func (t Tags) Clonefrom() bool { return t.value("clonefrom").Truth() }

// Nostream tells that the member takes WAL from the archive only.
func (t Tags) Nostream() bool {
	on, _ := t.value("nostream").Bool()
	return on
}

// Replicatefrom is the member to follow instead of the leader, or empty.
func (t Tags) Replicatefrom() string { return t.value("replicatefrom").Text() }

// Published is what the member's record in the store shows: all tags but the
// switches that are off. A switch stays, off or not, beside its priority. Nil if
// nothing is left.
func (t Tags) Published() map[string]any {
	out := maps.Clone(map[string]any(t))
	kept := map[string]string{"nofailover": "failover_priority", "nosync": "sync_priority"}
	for _, name := range []string{"clonefrom", "nofailover", "noloadbalance", "nosync", "nostream"} {
		priority, beside := t[kept[name]]
		if !t.value(name).Truth() && !(beside && priority != nil && t[name] != nil) {
			delete(out, name)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

package cluster

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Tags are a member's tags as published: free names and values, some of which
// mean something (compat/config.md §2.8).
type Tags map[string]any

// Nofailover reports that the member must never be promoted automatically (S6).
// The tag wins over failover_priority when both are given.
func (t Tags) Nofailover() bool {
	if v, ok := t["nofailover"]; ok && v != nil {
		return rawTruth(v)
	}
	return t.priority("failover_priority") <= 0
}

// FailoverPriority breaks ties between members at the same position: the higher
// wins. 1 by default, 0 for a member that may not be promoted.
func (t Tags) FailoverPriority() int {
	if t.Nofailover() {
		return 0
	}
	return t.priority("failover_priority")
}

func (t Tags) priority(name string) int {
	v, ok := t[name]
	if !ok {
		return 1
	}
	if n, ok := Int(v); ok {
		return n
	}
	return 1
}

// Noloadbalance reports that the member's replica health checks must fail.
func (t Tags) Noloadbalance() bool { return rawTruth(t["noloadbalance"]) }

// Clonefrom reports that the member is a preferred source of base backups.
func (t Tags) Clonefrom() bool { return rawTruth(t["clonefrom"]) }

// Nostream reports that the member takes its log from the archive alone.
func (t Tags) Nostream() bool { return Truth(t["nostream"]) }

// ReplicateFrom names the member to follow instead of the leader, or "".
func (t Tags) ReplicateFrom() string {
	s, _ := t["replicatefrom"].(string)
	return s
}

// Nosync reports that commits must never wait for the member. The tag wins over
// sync_priority when both are given.
func (t Tags) Nosync() bool {
	if v, ok := t["nosync"]; ok && v != nil {
		return rawTruth(v)
	}
	return t.priority("sync_priority") <= 0
}

// SyncPriority is the preference among those that commits may wait for: the higher
// the sooner. 1 by default.
func (t Tags) SyncPriority() int { return t.priority("sync_priority") }

// Published returns the tags as they go into the member key: the built-in ones
// that are off are left out, except beside the priority that they overrule.
func (t Tags) Published() Tags {
	out := Tags{}
	for name, v := range t {
		_, hasPriority := t["failover_priority"]
		_, hasSync := t["sync_priority"]
		switch name {
		case "clonefrom", "noloadbalance", "nostream":
			if !rawTruth(v) {
				continue
			}
		case "nofailover":
			if !rawTruth(v) && !hasPriority {
				continue
			}
		case "nosync":
			if !rawTruth(v) && !hasSync {
				continue
			}
		}
		out[name] = v
	}
	return out
}

// same reports that two members' tags are the same, name by name. Values of different
// types can be written alike all the same.
func (t Tags) same(o Tags) bool {
	return len(t) == 0 && len(o) == 0 || reflect.DeepEqual(t, o)
}

// rawTruth is truth without parsing: every non-empty text is true, "false" too
// (compat/config.md §0).
func rawTruth(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case json.Number:
		f, err := v.Float64()
		return err != nil || f != 0
	case map[string]any:
		return len(v) > 0
	case []any:
		return len(v) > 0
	default:
		return fmt.Sprint(v) != "0"
	}
}

// Truth reads a boolean as PostgreSQL's tools write it: on, true, yes, 1 in any
// case. Everything else is false.
func Truth(v any) bool {
	switch v := v.(type) {
	case nil: // a tag that is not given: asked for each member in every pass
		return false
	case bool:
		return v
	}
	switch strings.ToLower(strings.TrimSpace(fmt.Sprint(v))) {
	case "on", "true", "yes", "1":
		return true
	}
	return false
}

package cluster

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// PermanentSlot is a replication slot that is kept whoever uses it: an entry of the
// dynamic configuration's slots (compat/config.md §3.3).
type PermanentSlot struct {
	Name     string
	Database string // of a logical one; empty: it is physical
	Plugin   string // likewise

	// ClusterType is primary or standby if the slot is only for such a cluster.
	ClusterType string
}

// Logical reports that the slot decodes the log of one database.
func (p PermanentSlot) Logical() bool { return p.Plugin != "" }

// In reports whether the slot is for a cluster of that kind. A logical one is none of
// a standby cluster's: its log cannot be decoded there (B-337, B-572).
func (p PermanentSlot) In(standbyCluster bool) bool {
	if p.Logical() {
		return !standbyCluster
	}
	other := "standby"
	if standbyCluster {
		other = "primary"
	}
	return p.ClusterType != other
}

// slotNameMost is in bytes: NAMEDATALEN - 1 (pg_config_manual.h).
const slotNameMost = 63

func validSlotName(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return name != "" && len(name) <= slotNameMost
}

// permanentSlots are those of the first of the three keys that lists any
// (compat/config.md §3.2), sorted by name. Notes tell what is passed over.
func permanentSlots(doc map[string]any) (slots []PermanentSlot, notes []string) {
	for _, key := range []string{"permanent_replication_slots", "permanent_slots", "slots"} {
		listed, ok := doc[key].(map[string]any)
		if !ok || len(listed) == 0 {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(listed)) {
			slot, fault := readPermanentSlot(name, listed[name])
			if fault != "" {
				notes = append(notes, fmt.Sprintf("%s.%s is passed over: %s", key, name, fault))
				continue
			}
			slots = append(slots, slot)
		}
		return slots, notes
	}
	return nil, nil
}

// readPermanentSlot reads one entry. Nothing, 0 or {} mean a physical slot.
func readPermanentSlot(name string, v any) (slot PermanentSlot, fault string) {
	if !validSlotName(name) {
		return slot, "the name of a slot has 1 to 63 characters out of a-z, 0-9 and _"
	}
	slot.Name = name
	if !rawTruth(v) {
		return slot, ""
	}
	fields, ok := v.(map[string]any)
	if !ok {
		return slot, fmt.Sprintf("bad value for a slot: %v", v)
	}
	database, plugin := text(fields["database"]), text(fields["plugin"])
	kind, given := fields["type"]
	if !given && database != "" && plugin != "" {
		kind = "logical"
	}
	switch {
	case !given && kind == nil, kind == "physical":
		slot.ClusterType = text(fields["cluster_type"])
		return slot, ""
	case kind == "logical" && database != "" && plugin != "":
		slot.Database, slot.Plugin = database, plugin
		return slot, ""
	case kind == "logical":
		return slot, "a logical slot needs a database and a plugin"
	}
	return slot, fmt.Sprintf("type %v is neither physical nor logical", kind)
}

// text is a name as YAML may have given it: a database can be called 5.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// IgnoreSlot matches slots that are none of ours. An empty field matches all.
type IgnoreSlot struct{ Name, Type, Database, Plugin string }

func ignoreSlots(v any) []IgnoreSlot {
	list, _ := v.([]any)
	var out []IgnoreSlot
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			out = append(out, IgnoreSlot{text(m["name"]), text(m["type"]), text(m["database"]), text(m["plugin"])})
		}
	}
	return out
}

// Matches reports whether a slot is to be left alone. A physical one has neither
// database nor plugin (B-346).
func (i IgnoreSlot) Matches(name, kind, database, plugin string) bool {
	return (i.Name == "" || i.Name == name) && (i.Type == "" || i.Type == kind) &&
		(i.Database == "" || i.Database == database) && (i.Plugin == "" || i.Plugin == plugin)
}

package config

import (
	"fmt"
	"strconv"
	"strings"
)

// controlled is a server setting that must be the same on all nodes, so that it is
// taken from the dynamic configuration only, or from elsewhere in it.
type controlled struct {
	name    string
	def     string
	check   func(v *Value) (string, bool) // nil: never taken from parameters
	fileAs  string                        // where the value comes from if check is nil
	wordFor string                        // what is accepted, for messages
}

func acceptInt(minimum int64, base string) func(*Value) (string, bool) {
	return func(v *Value) (string, bool) {
		n, ok := v.IntIn(base)
		if !ok || n < minimum {
			return "", false
		}
		if _, plain := v.IntIn(""); plain {
			return strconv.FormatInt(n, 10), true
		}
		return v.Text(), true // with a unit it stays as written
	}
}

func acceptBool(v *Value) (string, bool) {
	_, ok := v.Bool()
	return v.Text(), ok
}

func acceptTrue(v *Value) (string, bool) {
	on, _ := v.Bool()
	return v.Text(), on
}

func acceptWALLevel(v *Value) (string, bool) {
	level := strings.ToLower(v.Text())
	switch level {
	case "hot_standby", "replica", "logical":
		return level, true
	}
	return "", false
}

// controlledSettings in the order of the postmaster's command line. The names with
// wal_keep stand in the file alone.
var controlledSettings = []controlled{
	{name: "listen_addresses", fileAs: "postgresql.listen"},
	{name: "port", fileAs: "postgresql.listen"},
	{name: "cluster_name", fileAs: "scope"},
	{name: "wal_level", def: "hot_standby", check: acceptWALLevel, wordFor: "replica or logical"},
	{name: "hot_standby", def: "on", check: acceptTrue, wordFor: "on"},
	{name: "max_connections", def: "100", check: acceptInt(25, ""), wordFor: "an integer of at least 25"},
	{name: "max_wal_senders", def: "10", check: acceptInt(3, ""), wordFor: "an integer of at least 3"},
	{name: "max_prepared_transactions", def: "0", check: acceptInt(0, ""), wordFor: "an integer of at least 0"},
	{name: "max_locks_per_transaction", def: "64", check: acceptInt(32, ""), wordFor: "an integer of at least 32"},
	{name: "track_commit_timestamp", def: "off", check: acceptBool, wordFor: "a boolean"},
	{name: "max_replication_slots", def: "10", check: acceptInt(4, ""), wordFor: "an integer of at least 4"},
	{name: "max_worker_processes", def: "8", check: acceptInt(2, ""), wordFor: "an integer of at least 2"},
	{name: "wal_log_hints", def: "on", check: acceptBool, wordFor: "a boolean"},
	{name: "wal_keep_segments", def: "8", check: acceptInt(1, ""), wordFor: "an integer of at least 1"},
	{name: "wal_keep_size", def: "128MB", check: acceptInt(16, "MB"), wordFor: "an amount of at least 16MB"},
}

func findControlled(name string) *controlled {
	for i := range controlledSettings {
		if strings.EqualFold(controlledSettings[i].name, name) {
			return &controlledSettings[i]
		}
	}
	return nil
}

func isControlled(name string) bool { return findControlled(name) != nil }

// accept gives the value in the form it is written, or that it is not taken.
func (c *controlled) accept(v *Value) (string, bool) {
	if c.check == nil || !v.IsScalar() {
		return "", false
	}
	return c.check(v)
}

// refusal says what is used instead of a value that is not taken.
func (c *controlled) refusal(v *Value) string {
	if c.check == nil {
		return "is ignored: " + c.name + " comes from " + c.fileAs
	}
	return fmt.Sprintf("is %q, not %s; the default %s is used", v.Text(), c.wordFor, c.def)
}

// CommandLineSettings are the settings that the postmaster also gets as arguments,
// in their order, so that ALTER SYSTEM cannot change them on one node alone.
func CommandLineSettings() []string {
	var names []string
	for _, c := range controlledSettings {
		if !strings.HasPrefix(c.name, "wal_keep") {
			names = append(names, c.name)
		}
	}
	return names
}

// ControlledDefaults are the settings that must agree on all nodes and may be given,
// with their defaults, as a server of that server_version_num takes them.
func ControlledDefaults(version int) map[string]string {
	p := Postgresql{Parameters: map[string]string{}}
	for _, c := range controlledSettings {
		if c.check != nil && !strings.HasPrefix(c.name, "wal_keep") {
			p.Parameters[c.name] = c.def
		}
	}
	return p.ParametersFor(version)
}

// versionKeepSize is the server_version_num from which wal_keep_size replaces
// wal_keep_segments.
const versionKeepSize = 130000

// segmentMB is the usual size of a WAL segment, by which the two convert.
const segmentMB = 16

// ParametersFor gives the parameters as a server of that server_version_num (150004)
// takes them: wal_level by its name there, and the one of wal_keep_size and
// wal_keep_segments that it knows.
func (p Postgresql) ParametersFor(version int) map[string]string {
	out := make(map[string]string, len(p.Parameters)+1)
	keep := map[string]string{}
	for name, value := range p.Parameters {
		switch lower := strings.ToLower(name); lower {
		case "wal_keep_size", "wal_keep_segments":
			keep[lower] = value
		default:
			out[name] = value
		}
	}
	switch level := out["wal_level"]; {
	case level == "hot_standby" && version >= 90600:
		out["wal_level"] = "replica"
	case level == "replica" && version < 90600:
		out["wal_level"] = "hot_standby"
	}
	if version >= versionKeepSize {
		out["wal_keep_size"] = keepSize(keep)
	} else {
		out["wal_keep_segments"] = keepSegments(keep)
	}
	return out
}

func keepSize(keep map[string]string) string {
	if size, ok := keep["wal_keep_size"]; ok {
		return size
	}
	if n, ok := ParseInt(keep["wal_keep_segments"], ""); ok {
		return strconv.FormatInt(n*segmentMB, 10) + "MB"
	}
	return findControlled("wal_keep_size").def
}

func keepSegments(keep map[string]string) string {
	if segments, ok := keep["wal_keep_segments"]; ok {
		return segments
	}
	if n, ok := ParseInt(keep["wal_keep_size"], "MB"); ok {
		return strconv.FormatInt((n+segmentMB/2)/segmentMB, 10)
	}
	return findControlled("wal_keep_segments").def
}

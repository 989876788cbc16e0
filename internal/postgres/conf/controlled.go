package conf

import (
	"fmt"
	"strconv"
	"strings"
)

// controlled is a setting that must agree on all nodes, so it is taken from the
// dynamic configuration only and given on the command line, where no ALTER
// SYSTEM can override it.
type controlled struct {
	name     string
	fallback string
	accept   func(text string) (string, bool)
	fileOnly bool
}

// controlledSettings are in the order of the postmaster's command line.
var controlledSettings = []controlled{
	{name: "listen_addresses"},
	{name: "port"},
	{name: "cluster_name"},
	{name: "wal_level", fallback: "replica", accept: walLevel},
	{name: "hot_standby", fallback: "on", accept: onlyTrue},
	{name: "max_connections", fallback: "100", accept: atLeast(25, "")},
	{name: "max_wal_senders", fallback: "10", accept: atLeast(3, "")},
	{name: "max_prepared_transactions", fallback: "0", accept: atLeast(0, "")},
	{name: "max_locks_per_transaction", fallback: "64", accept: atLeast(32, "")},
	{name: "track_commit_timestamp", fallback: "off", accept: anyBool},
	{name: "max_replication_slots", fallback: "10", accept: atLeast(4, "")},
	{name: "max_worker_processes", fallback: "8", accept: atLeast(2, "")},
	{name: "wal_log_hints", fallback: "on", accept: anyBool},
	{name: "wal_keep_size", fallback: "128MB", accept: atLeast(16, "MB"), fileOnly: true},
}

// Fixed are the settings that no parameter can change.
type Fixed struct {
	ListenAddresses string
	Port            int
	ClusterName     string
}

// Effective is what the server is started with.
type Effective struct {
	File        map[string]string // every parameter, for postgresql.conf
	CommandLine []Setting
	Recovery    map[string]string // recovery settings found among the parameters
	Warnings    []string
}

// Resolve turns merged parameters into what the server gets. A controlled
// setting that is not valid falls back to its default with a warning, since a
// bad value in the store must not keep a cluster down. Floor holds the values of
// pg_control that a standby must not go below; nil for a primary.
func Resolve(parameters map[string]string, fixed Fixed, floor map[string]int64) Effective {
	e := Effective{File: map[string]string{}, Recovery: map[string]string{}}
	given := map[string]string{}
	for name, value := range parameters {
		lower := strings.ToLower(name)
		given[lower] = value
		switch {
		case IsRecovery(lower):
			e.Recovery[lower] = value
		case lower == "wal_keep_segments" || isControlled(lower):
		default:
			e.File[name] = value
		}
	}
	convertKeep(given)
	given["listen_addresses"] = fixed.ListenAddresses
	given["port"] = strconv.Itoa(fixed.Port)
	given["cluster_name"] = fixed.ClusterName
	for _, c := range controlledSettings {
		value := e.choose(c, given)
		if low, ok := floor[c.name]; ok {
			value = e.raise(c.name, value, low)
		}
		e.File[c.name] = value
		if !c.fileOnly {
			e.CommandLine = append(e.CommandLine, Setting{c.name, value})
		}
	}
	return e
}

// convertKeep gives wal_keep_segments its meaning since 13: segments of 16 MB.
func convertKeep(given map[string]string) {
	segments, set := given["wal_keep_segments"]
	if _, newer := given["wal_keep_size"]; newer || !set {
		return
	}
	if n, ok := ParseInt(segments, ""); ok && n >= 1 {
		given["wal_keep_size"] = strconv.FormatInt(n*16, 10) + "MB"
	}
}

func (e *Effective) choose(c controlled, given map[string]string) string {
	value, set := given[c.name]
	if c.accept == nil {
		return value
	}
	if !set {
		return c.fallback
	}
	accepted, ok := c.accept(value)
	if !ok {
		e.Warnings = append(e.Warnings, fmt.Sprintf(
			"postgresql parameter %s=%s failed validation, defaulting to %s", c.name, value, c.fallback))
		return c.fallback
	}
	return accepted
}

func (e *Effective) raise(name, value string, low int64) string {
	wanted, ok := ParseInt(value, "")
	if !ok || wanted >= low {
		return value
	}
	e.Warnings = append(e.Warnings, fmt.Sprintf("%s value in pg_controldata: %d, in the global configuration: %d. "+
		"pg_controldata value will be used. Setting 'Pending restart' flag", name, low, wanted))
	return strconv.FormatInt(low, 10)
}

// IsControlled reports that a setting is taken from the dynamic configuration only.
func IsControlled(name string) bool { return isControlled(strings.ToLower(name)) }

func isControlled(lower string) bool {
	for _, c := range controlledSettings {
		if c.name == lower {
			return true
		}
	}
	return false
}

func walLevel(text string) (string, bool) {
	switch level := strings.ToLower(strings.TrimSpace(text)); level {
	case "hot_standby", "replica": // hot_standby is the older name of replica, before 9.6
		return "replica", true
	case "logical":
		return level, true
	}
	return "", false
}

func onlyTrue(text string) (string, bool) {
	value, ok := ParseBool(text)
	return text, ok && value
}

func anyBool(text string) (string, bool) {
	_, ok := ParseBool(text)
	return text, ok
}

// atLeast accepts numbers from low, counted in unit. A number that is plain is
// normalised to decimal; one with a unit stays as written.
func atLeast(low int64, unit string) func(string) (string, bool) {
	return func(text string) (string, bool) {
		n, ok := ParseInt(text, unit)
		if !ok || n < low {
			return "", false
		}
		if _, plain := ParseInt(text, ""); plain {
			return strconv.FormatInt(n, 10), true
		}
		return strings.TrimSpace(text), true
	}
}

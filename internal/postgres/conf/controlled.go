package conf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Controlled is a setting that must agree on all nodes, so it is taken from the
// dynamic configuration only, or from elsewhere in it, and given on the command line,
// where no ALTER SYSTEM can override it.
type Controlled struct {
	Name     string
	Default  string
	Takes    string // which values, for messages; empty: it is never taken from the parameters
	From     string // the key that it is taken from then
	FileOnly bool   // a reload changes it, so it is not on the command line
	Old      bool   // servers before 13 have it, and no other

	accept func(text string) (string, bool)
}

// controlledSettings are in the order of the postmaster's command line.
var controlledSettings = []Controlled{
	{Name: "listen_addresses", From: "postgresql.listen"},
	{Name: "port", From: "postgresql.listen"},
	{Name: "cluster_name", From: "scope"},
	{Name: "wal_level", Default: "replica", Takes: "replica or logical", accept: walLevel},
	{Name: "hot_standby", Default: "on", Takes: "on", accept: onlyTrue},
	{Name: "max_connections", Default: "100", Takes: "an integer of at least 25", accept: atLeast(25, "")},
	{Name: "max_wal_senders", Default: "10", Takes: "an integer of at least 3", accept: atLeast(3, "")},
	{Name: "max_prepared_transactions", Default: "0", Takes: "an integer of at least 0", accept: atLeast(0, "")},
	{Name: "max_locks_per_transaction", Default: "64", Takes: "an integer of at least 32", accept: atLeast(32, "")},
	{Name: "track_commit_timestamp", Default: "off", Takes: "a boolean", accept: anyBool},
	{Name: "max_replication_slots", Default: "10", Takes: "an integer of at least 4", accept: atLeast(4, "")},
	{Name: "max_worker_processes", Default: "8", Takes: "an integer of at least 2", accept: atLeast(2, "")},
	{Name: "wal_log_hints", Default: "on", Takes: "a boolean", accept: anyBool},
	{Name: "wal_keep_segments", Default: "8", Takes: "an integer of at least 1", accept: atLeast(1, ""), FileOnly: true, Old: true},
	{Name: "wal_keep_size", Default: "128MB", Takes: "an amount of at least 16MB", accept: atLeast(16, "MB"), FileOnly: true},
}

// ControlledSettings are all of them, in the order of the postmaster's command line.
func ControlledSettings() []Controlled { return slices.Clone(controlledSettings) }

// FindControlled looks one up; PostgreSQL's names know no case.
func FindControlled(name string) (Controlled, bool) {
	for _, c := range controlledSettings {
		if strings.EqualFold(c.Name, name) {
			return c, true
		}
	}
	return Controlled{}, false
}

// IsControlled reports that a setting is taken from the dynamic configuration only.
func IsControlled(name string) bool {
	_, is := FindControlled(name)
	return is
}

// Accept gives a value in the form in which it is written, or tells that it is not taken.
func (c Controlled) Accept(text string) (string, bool) {
	if c.accept == nil {
		return "", false
	}
	return c.accept(text)
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
		case IsControlled(lower):
		default:
			e.File[name] = value
		}
	}
	convertKeep(given)
	given["listen_addresses"] = fixed.ListenAddresses
	given["port"] = strconv.Itoa(fixed.Port)
	given["cluster_name"] = fixed.ClusterName
	for _, c := range controlledSettings {
		if c.Old {
			continue
		}
		value := e.choose(c, given)
		if low, ok := floor[c.Name]; ok {
			value = e.raise(c.Name, value, low)
		}
		e.File[c.Name] = value
		if !c.FileOnly {
			e.CommandLine = append(e.CommandLine, Setting{c.Name, value})
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

func (e *Effective) choose(c Controlled, given map[string]string) string {
	value, set := given[c.Name]
	if c.accept == nil {
		return value
	}
	if !set {
		return c.Default
	}
	accepted, ok := c.accept(value)
	if !ok {
		e.Warnings = append(e.Warnings, fmt.Sprintf(
			"postgresql parameter %s=%s failed validation, defaulting to %s", c.Name, value, c.Default))
		return c.Default
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

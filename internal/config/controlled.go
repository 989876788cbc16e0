package config

import (
	"fmt"
	"strconv"
	"strings"

	"matriarch/internal/postgres/conf"
)

// accept gives the value of a setting that must be the same on all nodes in the form
// in which it is written, or tells that it is not taken.
func accept(c conf.Controlled, v *Value) (string, bool) {
	if !v.IsScalar() {
		return "", false
	}
	return c.Accept(v.Text())
}

// refusal says what is used instead of a value that is not taken.
func refusal(c conf.Controlled, v *Value) string {
	if c.Takes == "" {
		return "is ignored: " + c.Name + " comes from " + c.From
	}
	return fmt.Sprintf("is %q, not %s; the default %s is used", v.Text(), c.Takes, c.Default)
}

// ControlledDefaults are the settings that must agree on all nodes and may be given,
// with their defaults, as a server of that server_version_num takes them.
func ControlledDefaults(version int) map[string]string {
	p := Postgresql{Parameters: map[string]string{}}
	for _, c := range conf.ControlledSettings() {
		if c.Takes != "" && !c.FileOnly {
			p.Parameters[c.Name] = c.Default
		}
	}
	return p.ParametersFor(version)
}

// controlledDefault is the default of one.
func controlledDefault(name string) string {
	c, _ := conf.FindControlled(name)
	return c.Default
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
	return controlledDefault("wal_keep_size")
}

func keepSegments(keep map[string]string) string {
	if segments, ok := keep["wal_keep_segments"]; ok {
		return segments
	}
	if n, ok := ParseInt(keep["wal_keep_size"], "MB"); ok {
		return strconv.FormatInt((n+segmentMB/2)/segmentMB, 10)
	}
	return controlledDefault("wal_keep_segments")
}

package logs

import (
	"log/slog"
	"strings"
)

// levels are the least levels by part of the program.
type levels struct {
	root, least slog.Level
	parts       map[string]slog.Level
}

// parts gives Patroni's names of components those of ours.
var parts = map[string]string{
	"patroni": "matriarch", "patroni.ha": "matriarch.agent", "patroni.api": "matriarch.api", "patroni.postgresql": "matriarch.postgres",
	"patroni.postmaster": "matriarch.postgres", "patroni.dcs": "matriarch.dcs", "patroni.dcs.etcd": "matriarch.dcs.etcd",
	"patroni.dcs.etcd3": "matriarch.dcs.etcd", "patroni.watchdog": "matriarch.fence.watchdog", "patroni.daemon": "matriarch.daemon",
}

// Parts are the names that records have, for whoever wants to check a
// configuration's.
var Parts = strings.Fields(`matriarch matriarch.agent matriarch.api matriarch.daemon matriarch.dcs matriarch.dcs.etcd
	matriarch.dcs.embedded matriarch.fence matriarch.fence.watchdog matriarch.permit matriarch.permit.wire matriarch.postgres`)

// PartOf is the part of the program that a name of log.loggers means; empty if none.
func PartOf(name string) string {
	if now, old := parts[name]; old {
		return now
	}
	for _, part := range Parts {
		if name == part || "matriarch."+name == part {
			return part
		}
	}
	return ""
}

func newLevels(root slog.Level, loggers map[string]slog.Level) levels {
	l := levels{root: root, least: root, parts: map[string]slog.Level{}}
	for name, level := range loggers {
		if part := PartOf(name); part != "" {
			l.parts[part] = level
			l.least = min(l.least, level)
		}
	}
	return l
}

// of is the level of the nearest part around a record's.
func (l levels) of(part string) slog.Level {
	for len(l.parts) > 0 && part != "" {
		if level, given := l.parts[part]; given {
			return level
		}
		part = part[:max(strings.LastIndexByte(part, '.'), 0)]
	}
	return l.root
}

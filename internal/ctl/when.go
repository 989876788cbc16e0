package ctl

import (
	"time"

	"matriarch/internal/cluster"
)

// parseWhen reads a time that an operator typed. Without a zone that of this host is
// meant, without a date the day of now.
func parseWhen(text string, now time.Time) (time.Time, bool) {
	if at, _, ok := cluster.ReadTime(text, time.Local); ok {
		return at, true
	}
	return cluster.ReadClock(text, now.Local())
}

// isoTime prints a time as it is sent to the members.
func isoTime(t time.Time) string {
	if t.Nanosecond()/1000 != 0 {
		return t.Format("2006-01-02T15:04:05.000000-07:00")
	}
	return t.Format("2006-01-02T15:04:05-07:00")
}

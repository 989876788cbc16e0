package ctl

import (
	"strings"
	"time"

	"matriarch/internal/cluster"
)

// localLayouts are forms of a time without a zone: that of this host is meant.
var localLayouts = []string{
	"2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04", "2006-01-02",
	"20060102T150405", "20060102T1504", "Jan 2 2006 15:04:05", "Jan 2 2006 15:04", "Jan 2 2006 3pm", "Jan 2 2006 3:04pm", "Jan 2 2006",
}

// zonedLayouts are forms with a zone beside those of ISO 8601.
var zonedLayouts = []string{"20060102T150405Z07:00", "20060102T1504Z07:00", "20060102T1504-0700", "20060102T150405-0700", "2006-01-02T15:04-07", "2006-01-02 15:04-07"}

// parseWhen reads a time that an operator typed. now is for a bare time of day.
func parseWhen(text string, now time.Time) (time.Time, bool) {
	text = strings.TrimSpace(text)
	if t, err := cluster.ParseTime(text); err == nil {
		return t, true
	}
	// A short offset (-3) is one of hours.
	if i := strings.LastIndexAny(text, "+-"); i > 10 && len(text)-i == 2 {
		if t, err := cluster.ParseTime(text[:i+1] + "0" + text[i+1:] + ":00"); err == nil {
			return t, true
		}
	}
	for _, layout := range zonedLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	for _, layout := range localLayouts {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, true
		}
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			y, m, d := now.Local().Date()
			return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, time.Local), true
		}
	}
	return time.Time{}, false
}

// isoTime prints a time as it is sent to the members.
func isoTime(t time.Time) string {
	if t.Nanosecond()/1000 != 0 {
		return t.Format("2006-01-02T15:04:05.000000-07:00")
	}
	return t.Format("2006-01-02T15:04:05-07:00")
}

package ctl

import (
	"strings"
	"time"

	"matriarch/internal/cluster"
)

// The parts of a time as people write them, in capitals. A date whose month could
// be its day (01/02/2030) is not among them: nobody knows what is meant.
var (
	dateForms = []string{"2006-01-02", "2006-1-2", "2006/1/2", "2006.1.2", "20060102",
		"JAN 2 2006", "JAN 2, 2006", "JANUARY 2 2006", "JANUARY 2, 2006", "2 JAN 2006", "2 JANUARY 2006", "2-JAN-2006"}
	clockForms = []string{"15:04:05.999999999", "15:04", "150405", "1504", "3PM", "3 PM", "3:04PM", "3:04 PM", "3:04:05PM", "3:04:05 PM"}
	zoneForms  = []string{"Z07:00", " Z07:00", "Z0700", " Z0700", "-07", " -07", " UTC", " GMT"}
)

// parseWhen reads a time that an operator typed. Without a zone that of this host is
// meant, without a date the day of now.
func parseWhen(text string, now time.Time) (time.Time, bool) {
	text = strings.TrimSpace(text)
	if t, err := cluster.ParseTime(text); err == nil {
		return t, true
	}
	text = strings.ToUpper(strings.Join(strings.Fields(text), " "))
	for day := time.Sunday; day <= time.Saturday; day++ { // the day of the week says nothing new
		for _, name := range []string{day.String(), day.String()[:3]} {
			if rest, found := strings.CutPrefix(text, strings.ToUpper(name)); found && strings.Trim(rest, ", ") != rest {
				text = strings.Trim(rest, ", ")
			}
		}
	}
	// A short offset (-3) is one of hours.
	if i := strings.LastIndexAny(text, "+-"); i > 10 && len(text)-i == 2 {
		text = text[:i+1] + "0" + text[i+1:]
	}
	if t, err := time.ParseInLocation("JAN 2 15:04:05 2006", text, time.Local); err == nil { // ctime
		return t, true
	}
	for _, date := range dateForms {
		if t, err := time.ParseInLocation(date, text, time.Local); err == nil {
			return t, true
		}
		for _, clock := range clockForms {
			if t, ok := parseForm(date+" "+clock, text); ok {
				return t, true
			}
			if t, ok := parseForm(date+"T"+clock, text); ok {
				return t, true
			}
		}
	}
	return parseClock(text, now)
}

func parseForm(layout, text string) (time.Time, bool) {
	if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
		return t, true
	}
	for _, zone := range zoneForms {
		if t, err := time.Parse(layout+zone, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// parseClock reads a bare time of day. Bare digits are none: they may be anything.
func parseClock(text string, now time.Time) (time.Time, bool) {
	if !strings.ContainsAny(text, ":M") {
		return time.Time{}, false
	}
	for _, layout := range clockForms {
		if t, err := time.Parse(layout, text); err == nil {
			y, m, d := now.Local().Date()
			return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.Local), true
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

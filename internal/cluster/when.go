package cluster

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A time is read as people and programs write it, for Patroni takes nearly everything
// (compat/ctl.md §3.5, compat/dcs.md §11, compat/rest-api.md §14.3). A date whose month
// could be its day (01/02/2030) is not among the forms: nobody knows what is meant.
var (
	dateForms = []string{"2006-1-2", "2006/1/2", "2006.1.2", "20060102", "Jan 2 2006", "Jan 2, 2006", "January 2 2006", "January 2, 2006",
		"2 Jan 2006", "2 January 2006", "2-Jan-2006", "2 Jan 06"}
	clockForms = []string{"15:04:05", "15:04", "150405", "1504", "3PM", "3 PM", "3:04PM", "3:04 PM", "3:04:05PM", "3:04:05 PM"}
	timeForms  = withDates()
)

func withDates() []string {
	out := []string{"Jan 2 15:04:05 2006"} // ctime(3)
	for _, date := range dateForms {
		for _, clock := range clockForms {
			out = append(out, date+"T"+clock, date+" "+clock)
		}
		out = append(out, date+"T15")
	}
	return out
}

// ParseTime reads a time with its zone. Without a zone it is an error: nobody
// knows which node's clock was meant.
func ParseTime(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil { // as all members write it
		return t, nil
	}
	if t, zoned, ok := ReadTime(s, time.UTC); ok && zoned {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("read time %q: want ISO 8601 with an offset, for example 2030-01-02T03:04:05+02:00", s)
}

// ReadTime reads a time. One without a zone is taken as in the given one, and zoned is
// false. A date alone is the begin of the day.
func ReadTime(text string, otherwise *time.Location) (at time.Time, zoned, ok bool) {
	text = withoutWeekday(strings.ToUpper(strings.Join(strings.Fields(text), " ")))
	forms := slices.Concat(timeForms, dateForms)
	if at, ok := readForm(text, forms, otherwise); ok {
		return at, false, true
	}
	rest, zone := cutZone(text)
	if zone == nil {
		return time.Time{}, false, false
	}
	if zone != time.UTC {
		forms = timeForms // what follows a mere date with a sign is no offset
	}
	at, ok = readForm(rest, forms, zone)
	return at, ok, ok
}

// ReadClock reads a bare time of day of the day of now. Bare digits are none: they may
// be anything.
func ReadClock(text string, now time.Time) (time.Time, bool) {
	text = strings.ToUpper(strings.Join(strings.Fields(text), " "))
	if !strings.ContainsAny(text, ":M") {
		return time.Time{}, false
	}
	t, ok := readForm(text, clockForms, time.UTC)
	if !ok {
		return time.Time{}, false
	}
	y, m, d := now.Date()
	return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), now.Location()), true
}

func readForm(text string, forms []string, zone *time.Location) (time.Time, bool) {
	for _, form := range forms {
		if t, err := time.ParseInLocation(form, text, zone); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// withoutWeekday drops the day of the week, which says nothing new.
func withoutWeekday(text string) string {
	for day := time.Sunday; day <= time.Saturday; day++ {
		for _, name := range []string{day.String(), day.String()[:3]} {
			rest, found := strings.CutPrefix(text, strings.ToUpper(name))
			if trimmed := strings.TrimLeft(rest, ", "); found && trimmed != rest {
				return trimmed
			}
		}
	}
	return text
}

// zoneOf finds an offset, or one of the two zones whose names mean the same everywhere,
// at the end or as a word of its own before the year.
var zoneOf = regexp.MustCompile(`^(.+?)(?: ?(Z|UTC|GMT|[+-]\d{1,2}(?::?\d{2})?)|(?: (UTC|GMT|[+-]\d{2}:?\d{2}))( \d{4}))$`)

// cutZone takes the zone out of a time; nil: there is none.
func cutZone(text string) (rest string, zone *time.Location) {
	m := zoneOf.FindStringSubmatch(text)
	if m == nil {
		return text, nil
	}
	rest = m[1] + m[4]
	name := m[2] + m[3]
	if name == "Z" || name == "UTC" || name == "GMT" {
		return rest, time.UTC
	}
	digits := strings.ReplaceAll(name[1:], ":", "")
	hours, minutes := digits, "0"
	if len(digits) > 2 {
		hours, minutes = digits[:len(digits)-2], digits[len(digits)-2:]
	}
	h, errH := strconv.Atoi(hours)
	m60, errM := strconv.Atoi(minutes)
	if errH != nil || errM != nil || h > 23 || m60 > 59 {
		return text, nil
	}
	offset := h*3600 + m60*60
	if name[0] == '-' {
		offset = -offset
	}
	return rest, time.FixedZone("", offset)
}

package cluster

import (
	"testing"
	"time"
)

// TestParseTimeAsPatroniDoes: what python-dateutil 2.8.2 made of the same texts.
func TestParseTimeAsPatroniDoes(t *testing.T) {
	for in, want := range map[string]string{
		"2030-01-02T03:04:05Z":             "2030-01-02T03:04:05+00:00",
		"2030-01-02T03:04Z":                "2030-01-02T03:04:00+00:00",
		"2030-01-02 03:04:05+00:00":        "2030-01-02T03:04:05+00:00",
		"2030-01-02 03:04 +00:00":          "2030-01-02T03:04:00+00:00",
		"2030-01-02T03:04:05.123456+02:00": "2030-01-02T03:04:05.123456+02:00",
		"2030-01-02T03:04:05,5+02:00":      "2030-01-02T03:04:05.500000+02:00",
		"2030-01-02T03:04:05-0300":         "2030-01-02T03:04:05-03:00",
		"2030-01-02T03:04:05-03":           "2030-01-02T03:04:05-03:00",
		"2030-01-02T03:04-3":               "2030-01-02T03:04:00-03:00",
		"20300102T030405Z":                 "2030-01-02T03:04:05+00:00",
		"20300102T0304Z":                   "2030-01-02T03:04:00+00:00",
		"20300102T030405+0200":             "2030-01-02T03:04:05+02:00",
		"20300102 03:04 UTC":               "2030-01-02T03:04:00+00:00",
		"2030-01-02 03:04 UTC":             "2030-01-02T03:04:00+00:00",
		"2030-01-02 03:04:05 GMT":          "2030-01-02T03:04:05+00:00",
		"2030-01-02 3:04 PM UTC":           "2030-01-02T15:04:00+00:00",
		"2030-01-02 3pm UTC":               "2030-01-02T15:00:00+00:00",
		"Jan 2 2030 3pm UTC":               "2030-01-02T15:00:00+00:00",
		"Jan 2, 2030 03:04 UTC":            "2030-01-02T03:04:00+00:00",
		"2 Jan 2030 03:04 UTC":             "2030-01-02T03:04:00+00:00",
		"2 January 2030 03:04:05 +0200":    "2030-01-02T03:04:05+02:00",
		"Wed, 02 Jan 2030 03:04:05 +0200":  "2030-01-02T03:04:05+02:00",
		"Wed, 02 Jan 2030 03:04:05 GMT":    "2030-01-02T03:04:05+00:00",
		"Wed Jan  2 03:04:05 UTC 2030":     "2030-01-02T03:04:05+00:00",
		"Wed Jan 2 03:04:05 2030 +0200":    "2030-01-02T03:04:05+02:00",
		"2030/01/02 03:04 UTC":             "2030-01-02T03:04:00+00:00",
		"2030.01.02 03:04Z":                "2030-01-02T03:04:00+00:00",
		"2030-1-2 3:04Z":                   "2030-01-02T03:04:00+00:00",
		"2030-01-02T03Z":                   "2030-01-02T03:00:00+00:00",
		"2030-01-02T03:04z":                "2030-01-02T03:04:00+00:00",
		"2030-01-02t03:04Z":                "2030-01-02T03:04:00+00:00",
		"02-Jan-2030 03:04 UTC":            "2030-01-02T03:04:00+00:00",
		"2 feb 2030 3:04 pm utc":           "2030-02-02T15:04:00+00:00",
		"December 31, 2030 23:59:59 GMT":   "2030-12-31T23:59:59+00:00",
		"Sun Mar 03 03:04:05 -0700 2030":   "2030-03-03T03:04:05-07:00",
	} {
		at, err := time.Parse(time.RFC3339Nano, want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseTime(in)
		if err != nil || !got.Equal(at) || offset(got) != offset(at) {
			t.Errorf("%q: %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "junk", "12:30", "12:30Z", "Z", "yesterday", "25:00Z", "02/03/2030 10:00Z", "2030-02-30T00:00Z", "2030-01-02T03:04:05",
		"2030-01-02 03:04", "2030-01-02", "2 Jan 2030", "2030-01-02T03:04+25", "2030-01-02T03:04+02:60", "2030-01-02 10:00 CET", "Wednesday", "Feb 30 2030 10:00 UTC",
		"2030-01-02 UTC+3", "2030-01-02T24:00Z", "2030-W01-3T03:04Z", "2030-01-02 +02:00", "1893553445"} {
		if got, err := ParseTime(in); err == nil {
			t.Errorf("%q was read as %v", in, got)
		}
	}
}

func offset(t time.Time) int { _, seconds := t.Zone(); return seconds }

func TestATimeWithoutAZoneIsTheReaders(t *testing.T) {
	here := time.FixedZone("", 3600)
	for in, want := range map[string]time.Time{
		"2030-01-02T03:04":         time.Date(2030, 1, 2, 3, 4, 0, 0, here),
		"2030-01-02":               time.Date(2030, 1, 2, 0, 0, 0, 0, here),
		"20300102":                 time.Date(2030, 1, 2, 0, 0, 0, 0, here),
		"Feb 2 2030 3pm":           time.Date(2030, 2, 2, 15, 0, 0, 0, here),
		"2-Nov-2030 3:04":          time.Date(2030, 11, 2, 3, 4, 0, 0, here),
		"Thu Aug  1 03:04:05 2030": time.Date(2030, 8, 1, 3, 4, 5, 0, here),
	} {
		if got, zoned, ok := ReadTime(in, here); !ok || zoned || !got.Equal(want) {
			t.Errorf("%q: %v, %t, %t", in, got, zoned, ok)
		}
	}
	if _, zoned, ok := ReadTime("2030-01-02Z", here); !ok || !zoned {
		t.Error("the begin of a day in UTC was not read")
	}
}

func TestReadClock(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 30, 0, 0, time.FixedZone("", 3600))
	for in, want := range map[string]int{"12:30": 12*60 + 30, "3pm": 15 * 60, "3:04 am": 3*60 + 4, "1504": -1, "25:00": -1, "10:00 CET": -1, "": -1} {
		got, ok := ReadClock(in, now)
		if day := time.Date(2026, 11, 23, 0, 0, 0, 0, now.Location()); ok != (want >= 0) || ok && !got.Equal(day.Add(time.Duration(want)*time.Minute)) {
			t.Errorf("%q: %v, %t", in, got, ok)
		}
	}
}

// FuzzReadTime: nobody knows what stands in the failover key.
func FuzzReadTime(f *testing.F) {
	for _, seed := range []string{"2030-01-02T03:04:05+02:00", "Wed Jan  2 03:04:05 UTC 2030", "2 Jan 2030 3pm -3", "Z", "+", "MON"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, err := ParseTime(text)
		if err != nil {
			return
		}
		if again, err := ParseTime(at.Format(time.RFC3339Nano)); at.Year() < 10000 && (err != nil || !again.Equal(at)) {
			t.Errorf("%q is %v, and that is %v, %v", text, at, again, err)
		}
	})
}

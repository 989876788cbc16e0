package api

import (
	"net/http"
	"strings"
	"time"

	"matriarch/internal/cluster"
)

// schedule checks a time that something is to be done at and returns it as it is
// stored, with the offset that was given (compat/rest-api.md §14.3).
func schedule(given, action string, now time.Time) (string, *refusal) {
	at, err := readTime(given)
	if err != nil {
		if zoneless(given) {
			return "", &refusal{http.StatusBadRequest, "Timezone information is mandatory for the scheduled " + action}
		}
		return "", &refusal{http.StatusUnprocessableEntity, "Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601"}
	}
	if at.Before(now) {
		return "", &refusal{http.StatusUnprocessableEntity, "Cannot schedule " + action + " in the past"}
	}
	if at.Nanosecond() != 0 {
		return at.Format("2006-01-02T15:04:05.000000-07:00"), nil
	}
	return at.Format("2006-01-02T15:04:05-07:00"), nil
}

// zoneless reports whether a time would be good if only it had a zone.
func zoneless(given string) bool {
	_, err := readTime(strings.TrimSpace(given) + "Z")
	return err == nil
}

// forms are the common ways to write a time, beside those that are read from the
// store. Patroni takes nearly everything; what is ambiguous (02/03/2030) is not here.
var forms = []string{
	"2006-01-02T15:04:05.999999999 Z07:00", "2006-01-02T15:04 Z07:00", "2006-01-02 15:04:05.999999999 Z07:00", "2006-01-02 15:04 Z07:00",
	"2006-01-02T15:04Z0700", "2006-01-02 15:04Z0700", "2006-01-02 15:04:05.999999999Z0700",
	"2006-01-02T15:04:05.999999999 -0700", "2006-01-02 15:04:05.999999999 -0700", "2006-01-02 15:04 -0700",
	"2006-01-02T15:04Z07", "2006-01-02 15:04Z07", "2006-01-02T15:04:05.999999999Z07", "2006-01-02 15:04:05.999999999Z07",
	"20060102T150405Z0700", "20060102T1504Z0700", "2006-01-02Z07:00",
	time.RFC1123Z, time.RFC822Z, time.RubyDate,
}

// readTime reads a time with its zone. UTC and GMT are the only zones with a name
// that means the same everywhere.
func readTime(given string) (time.Time, error) {
	text := strings.TrimSpace(given)
	for _, zone := range []string{"UTC", "GMT"} {
		if rest, ok := strings.CutSuffix(text, zone); ok {
			text = strings.TrimSpace(rest) + "Z"
		}
	}
	at, err := cluster.ParseTime(text)
	for i := 0; err != nil && i < len(forms); i++ {
		if other, no := time.Parse(forms[i], text); no == nil {
			return other, nil
		}
	}
	return at, err
}

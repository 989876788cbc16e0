package api

import (
	"net/http"
	"time"

	"matriarch/internal/cluster"
)

// schedule checks a time that something is to be done at and returns it as it is
// stored, with the offset that was given (compat/rest-api.md §14.3).
func schedule(given, action string, now time.Time) (string, *refusal) {
	at, zoned, ok := cluster.ReadTime(given, time.UTC)
	if !zoned {
		if ok {
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

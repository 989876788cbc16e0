package wire

import (
	"context"
	"errors"
	"time"
)

// redial says when a member is dialed again, and how long that may take. All is
// measured in permits.
type redial struct {
	failures int // since the last acknowledgement
	refused  bool
	last     time.Time // start of the last one
}

// may is the instant from which it may be dialed again. A member that restarts is
// found at once; one that is away for long, or that says no, is asked less often.
func (r *redial) may(pace time.Duration) time.Time {
	pause := pace / 12
	if r.failures > 12 {
		pause = min(time.Duration(r.failures)*pace/144, pace/2)
	}
	if r.refused {
		pause = pace
	}
	return r.last.Add(pause)
}

// patience is short, because a SYN that is lost is repeated after 1 s only
// (TCP_TIMEOUT_INIT in linux/tcp.h), and a new dial sends one at once. One in eight
// is patient, for a network that is so slow that no other would ever get through.
func (r *redial) patience(pace time.Duration) patience {
	p := patience{connect: pace / 4, whole: pace / 2, user: max(2*pace, time.Second)}
	if r.failures%8 == 7 {
		p.connect = max(pace/2, time.Second)
		p.whole = 2 * p.connect
	}
	return p
}

// failed reports whether that is news: the first failure, or the first no.
func (r *redial) failed(err error) (news bool) {
	if errors.Is(err, context.Canceled) {
		return false // by us
	}
	no := (*refused)(nil)
	before := *r
	r.failures++
	r.refused = errors.As(err, &no)
	return before.failures == 0 || r.refused && !before.refused
}

// worked reports whether that is news.
func (r *redial) worked() (news bool) {
	news = r.failures > 0
	r.failures, r.refused = 0, false
	return news
}

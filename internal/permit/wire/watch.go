package wire

import (
	"context"
	"time"
)

// watch dials where it is time to, and returns when to look again at the latest.
func (m *link) watch(alive context.Context, now time.Time) time.Time {
	next := m.newest.at.Add(m.links.idle)
	if now.Sub(m.newest.at) > m.pace() {
		return next // nobody sends: nobody needs a connection
	}
	for _, c := range []*outbound{m.main, m.rival} {
		if c == nil {
			continue
		}
		if at, awaited := c.overdue(m.pace()); awaited && at.After(now) {
			next = earlier(next, at)
		}
	}
	if !m.needsDial(now) {
		return next
	}
	if at := m.redial.may(m.pace()); at.After(now) {
		return earlier(next, at)
	}
	m.dial(alive, now)
	return next
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func (m *link) needsDial(now time.Time) bool {
	return m.dialing == nil && m.doubtful(m.main, now) && m.doubtful(m.rival, now)
}

// doubtful reports that another connection is needed: there is none, or it is
// silent, or one would be made otherwise now.
func (m *link) doubtful(c *outbound, now time.Time) bool {
	if c == nil || c.target != m.wanted() {
		return true
	}
	at, awaited := c.overdue(m.pace())
	return awaited && !now.Before(at)
}

// wanted is how a connection would be made now.
func (m *link) wanted() target {
	return target{member: m.member, apiURL: m.newest.apiURL, options: m.links.options.Load()}
}

func (m *link) dial(alive context.Context, now time.Time) {
	ctx, cancel := context.WithCancel(alive)
	to, known, patience := m.wanted(), m.known, m.redial.patience(m.pace())
	m.dialing, m.redial.last = cancel, now
	m.running.Go(func() {
		c, err := dial(ctx, to, known, patience)
		if !m.tell(alive, event{conn: c, dialed: true, err: err}) && c != nil {
			cut(c.conn)
		}
	})
}

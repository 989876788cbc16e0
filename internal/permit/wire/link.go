package wire

import (
	"context"
	"sync"
	"time"

	"matriarch/internal/permit"
)

// letter is a heartbeat in a link's box.
type letter struct {
	apiURL string
	hb     permit.Heartbeat
	at     time.Time // when it was put there
}

// event is what a dialing or reading goroutine tells its link.
type event struct {
	conn   *outbound
	dialed bool // conn is new, or err says why there is none
	ack    permit.Ack
	err    error
}

// link keeps the connection to one member. All of it but box and events belongs to
// the goroutine in run.
//
// Mostly there is one connection, main. When nothing is acknowledged on it for too
// long, or it was made with options that have changed since, a rival is dialed
// beside it, heartbeats go to both, and whichever acknowledges first stays.
type link struct {
	member string
	links  *Links
	box    chan letter // the newest heartbeat
	events chan event

	newest  letter
	text    *lineWriter
	main    *outbound
	rival   *outbound
	dialing context.CancelFunc // nil: no dial is under way
	redial  redial
	known   string // the address at which the member was found
	running sync.WaitGroup
}

func newLink(member string, l *Links) *link {
	return &link{member: member, links: l, box: make(chan letter, 1), events: make(chan event), text: newLineWriter()}
}

// run owns the link until ctx ends or nothing was sent for long.
func (m *link) run(ctx context.Context) {
	// The connections end with ctx. This one ends with the link, which may leave a
	// retired connection to its reader.
	alive, end := context.WithCancel(ctx)
	defer m.running.Wait()
	defer end()
	timer := time.NewTimer(m.links.idle)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-m.box:
			m.post(l)
		case e := <-m.events:
			select { // a connection that is new must not begin with an older one
			case l := <-m.box:
				m.post(l)
			default:
			}
			m.take(alive, e, time.Now())
		case <-timer.C:
		}
		now := time.Now()
		if now.Sub(m.newest.at) >= m.links.idle && m.links.leave(m) {
			m.retire(m.main)
			m.retire(m.rival)
			return
		}
		timer.Reset(m.watch(alive, now).Sub(now))
	}
}

// post sends what was in the box.
func (m *link) post(l letter) {
	m.newest = l
	m.beat(time.Now(), m.main, m.rival)
}

func (m *link) pace() time.Duration { return pace(m.newest.hb) }

// beat sends the newest heartbeat, unless it is old: then its leader has stopped
// sending, and may have given up.
func (m *link) beat(now time.Time, to ...*outbound) {
	if now.Sub(m.newest.at) > m.pace()/3 {
		return
	}
	text, err := m.text.line(m.newest.hb)
	if err != nil {
		m.failed(err)
		return
	}
	for _, c := range to {
		if c == nil || c.mute(now, m.pace()) {
			continue
		}
		if err := c.send(text, m.newest.hb, now); err != nil {
			cut(c.conn)
			m.broken(c, err)
		}
	}
}

// take takes what one of the link's goroutines tells.
func (m *link) take(alive context.Context, e event, now time.Time) {
	switch {
	case e.dialed:
		m.dialing()
		m.dialing = nil
		if e.err != nil {
			m.failed(e.err)
			return
		}
		m.connected(alive, e.conn, now)
	case e.err != nil:
		m.broken(e.conn, e.err)
	default:
		m.acknowledged(e.conn, e.ack, now)
	}
}

func (m *link) connected(alive context.Context, c *outbound, now time.Time) {
	switch {
	case m.main == nil:
		m.main = c
	case m.doubtful(m.main, now):
		m.retire(m.rival)
		m.rival = c
	default:
		cut(c.conn) // the old one has recovered; the member has heard nothing here
		return
	}
	m.known = c.address
	m.running.Go(func() { m.listen(alive, c) })
	m.beat(now, c)
}

// listen reads a connection's acknowledgements. The handler comes first: a permit
// hangs on it.
func (m *link) listen(alive context.Context, c *outbound) {
	err := c.read(m.links.ctx, func(ack permit.Ack) {
		m.links.handlers.Acked(ack)
		m.tell(alive, event{conn: c, ack: ack})
	})
	m.tell(alive, event{conn: c, err: err})
}

func (m *link) tell(alive context.Context, e event) bool {
	select {
	case m.events <- e:
		return true
	case <-alive.Done():
		return false
	}
}

// acknowledged lets the connection that did it stay, and ends the other.
func (m *link) acknowledged(c *outbound, ack permit.Ack, now time.Time) {
	c.heard(ack, now)
	if c != m.main && c != m.rival {
		return // a late word on a connection that was given up
	}
	if c == m.rival {
		m.main, m.rival = c, m.main
	}
	if m.doubtful(c, now) {
		return // made with other options than those of now
	}
	m.worked()
	m.retire(m.rival)
	m.rival = nil
	if m.dialing != nil {
		m.dialing()
	}
}

// broken takes out a connection that has ended without us.
func (m *link) broken(c *outbound, err error) {
	if m.links.ctx.Err() != nil {
		return // it was us
	}
	switch c {
	case m.rival:
		m.rival = nil
		m.failed(err)
	case m.main:
		m.main, m.rival = m.rival, nil
		m.failed(err)
		if c.proven {
			m.links.handlers.Closed(m.member)
		}
	}
}

// retire gives a connection up, which takes its time.
func (m *link) retire(c *outbound) {
	if c != nil {
		m.running.Go(c.retire)
	}
}

func (m *link) failed(err error) {
	if m.redial.failed(err) {
		m.links.log.Warn("heartbeats do not reach the member", "member", m.member, "err", err)
	}
}

func (m *link) worked() {
	if m.redial.worked() {
		m.links.log.Info("heartbeats reach the member again", "member", m.member)
	}
}

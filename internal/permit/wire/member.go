package wire

import (
	"context"
	"errors"
	"sync"
	"time"

	"matriarch/internal/permit"
)

// letter is a heartbeat in a line's box.
type letter struct {
	apiURL string
	hb     permit.Heartbeat
	at     time.Time // when it was put there
}

// event is what a dialling or reading goroutine tells its line.
type event struct {
	conn   *outbound
	dialed bool // conn is new, or err why there is none
	ack    permit.Ack
	err    error
}

// line keeps the connection to one member. All of it but box and events belongs to
// the goroutine in run.
//
// Mostly there is one connection, main. When nothing is acknowledged on it for too
// long, or it was made with options that have changed, a rival is dialled beside
// it, heartbeats go to both, and whichever acknowledges first stays.
type line struct {
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
	told    trouble
	running sync.WaitGroup
}

func newLine(member string, l *Links) *line {
	return &line{member: member, links: l, box: make(chan letter, 1), events: make(chan event), text: newLineWriter()}
}

// run owns the line until ctx ends or nothing was sent for long.
func (m *line) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer m.running.Wait()
	defer cancel()
	timer := time.NewTimer(idleWait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-m.box:
			m.newest = l
			m.beat(ctx, time.Now())
		case e := <-m.events:
			m.take(ctx, e, time.Now())
		case <-timer.C:
		}
		now := time.Now()
		if now.Sub(m.newest.at) >= idleWait && m.links.leave(m) {
			m.dismiss(&m.main, now)
			m.dismiss(&m.rival, now)
			return
		}
		timer.Reset(m.watch(ctx, now).Sub(now))
	}
}

func (m *line) pace() time.Duration { return pace(m.newest.hb) }

// wanted is how a connection would be made now.
func (m *line) wanted() target {
	return target{member: m.member, apiURL: m.newest.apiURL, options: m.links.options.Load()}
}

// beat sends the newest heartbeat on all connections, unless it is old: then its
// leader has stopped sending, and may have given up.
func (m *line) beat(ctx context.Context, now time.Time) {
	if now.Sub(m.newest.at) > m.pace()/3 || m.main == nil {
		return
	}
	text, err := m.text.line(m.newest.hb)
	if err != nil {
		m.told.failed(m, err)
		return
	}
	for _, c := range []*outbound{m.main, m.rival} {
		if c == nil {
			continue
		}
		if err := c.send(text, m.newest.hb, now); err != nil {
			_ = c.conn.Close()
			m.broken(c, err)
		}
	}
}

// take takes what a goroutine of the line's tells.
func (m *line) take(ctx context.Context, e event, now time.Time) {
	switch {
	case e.dialed:
		m.dialing()
		m.dialing = nil
		m.dialed(ctx, e, now)
	case e.err != nil:
		m.broken(e.conn, e.err)
	default:
		m.acknowledged(e.conn, e.ack, now)
	}
}

func (m *line) dialed(ctx context.Context, e event, now time.Time) {
	switch {
	case e.err != nil:
		m.redial.failed(e.err)
		m.told.failed(m, e.err)
		return
	case m.main != nil && !m.doubtful(m.main, now):
		_ = e.conn.conn.Close() // the old one has recovered; the member has heard nothing here
		return
	case m.main == nil:
		m.main = e.conn
	default:
		m.rival = e.conn
	}
	m.known = e.conn.address
	m.running.Go(func() { m.listen(ctx, e.conn) })
	m.greet(e.conn, now)
}

// greet sends the newest heartbeat on a new connection alone.
func (m *line) greet(c *outbound, now time.Time) {
	main, rival := m.main, m.rival
	m.main, m.rival = c, nil
	m.beat(nil, now)
	_, _ = main, rival
}

// listen reads a connection's acknowledgements. The handler comes first: a permit
// hangs on it.
func (m *line) listen(ctx context.Context, c *outbound) {
	err := c.read(ctx, func(ack permit.Ack) {
		m.links.handlers.Acked(ack)
		m.tell(ctx, event{conn: c, ack: ack})
	})
	m.tell(ctx, event{conn: c, err: err})
}

func (m *line) tell(ctx context.Context, e event) bool {
	select {
	case m.events <- e:
		return true
	case <-ctx.Done():
		return false
	}
}

var errSilent = errors.New("nothing was acknowledged on the second connection either")

package wire

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"matriarch/internal/permit"
)

// Handlers are told what comes of heartbeats. They are called by several
// goroutines, under no lock, and may call Send.
type Handlers struct {
	Acked  func(permit.Ack)
	Closed func(member string) // its connection, on which it had acknowledged something, has ended without us
}

// Links are the connections of a leader, one per member that something is sent to.
type Links struct {
	handlers Handlers
	log      *slog.Logger
	options  atomic.Pointer[Options]
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	idle     time.Duration // idleWait, but for tests
	running  sync.WaitGroup

	mu    sync.Mutex // guards links, and is held to write to their boxes
	links map[string]*link
}

// NewLinks makes Links without a connection; Close ends them.
func NewLinks(o Options, h Handlers, log *slog.Logger) *Links {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	l := &Links{handlers: h, log: log, idle: idleWait, links: map[string]*link{}}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.options.Store(&o)
	return l
}

// Send has a heartbeat sent to a member at its api_url. It never waits: if the one
// before has not been written yet, this one takes its place.
func (l *Links) Send(member, apiURL string, hb permit.Heartbeat) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return
	}
	m := l.links[member]
	if m == nil {
		m = newLink(member, l)
		l.links[member] = m
		l.running.Go(func() { m.run(l.ctx) })
	}
	select {
	case <-m.box:
	default:
	}
	m.box <- letter{apiURL: apiURL, hb: hb, at: time.Now()} // there is room: only we put in
}

// SetOptions has all members called with other options from now on. A connection
// that is there serves until one with the new options has taken its place.
func (l *Links) SetOptions(o Options) { l.options.Store(&o) }

// Close ends all connections, and returns when nothing of them runs any more. It
// must not be called from Handlers, nor under a lock that they take.
func (l *Links) Close() {
	l.mu.Lock()
	l.cancel()
	l.mu.Unlock()
	l.running.Wait()
}

// leave ends a link that has nothing to send, unless something came meanwhile.
func (l *Links) leave(m *link) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(m.box) > 0 {
		return false
	}
	delete(l.links, m.member)
	return true
}

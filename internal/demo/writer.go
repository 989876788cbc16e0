package demo

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// writer is a client such as any application: it knows the nodes' addresses, finds
// the primary by libpq's target_session_attrs, and inserts one numbered row after
// the other. A number is used once: whether a row without an answer is there does
// not matter, but one with an answer must be.
type writer struct {
	layout *layout

	mu          sync.Mutex
	next        int64
	acked       []int64
	lastAck     time.Time
	port        int       // of the primary that took the last row
	broken      time.Time // since when no row was taken; zero while rows are
	before      time.Time // the last row before that
	gap         time.Duration
	resumed     time.Time // the first row after the gap
	resumedPort int
	changed     chan struct{} // closed at the next change
}

// The writer's pace and patience. It tries again often, for the outage is measured
// by its first success.
const (
	writeEvery   = 10 * time.Millisecond
	retryEvery   = 20 * time.Millisecond
	writeLimit   = 3 * time.Second // an answer that takes longer is none
	connectLimit = 2 * time.Second
)

func newWriter(l *layout) *writer { return &writer{layout: l, next: 1, changed: make(chan struct{})} }

// run writes until ctx ends.
func (w *writer) run(ctx context.Context) {
	for ctx.Err() == nil {
		w.session(ctx)
		pause(ctx, retryEvery)
	}
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// session writes on one connection until it fails.
func (w *writer) session(ctx context.Context) {
	connect, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	conn, err := w.layout.connectPrimary(connect)
	if err != nil {
		return
	}
	defer closeConn(conn)
	if _, err := conn.Exec(connect, "create table if not exists demo_rows (id bigint primary key, at timestamptz not null default clock_timestamp())"); err != nil {
		return
	}
	for ctx.Err() == nil {
		if err := w.insert(ctx, conn); err != nil {
			w.failed(ctx, time.Now())
			return
		}
		pause(ctx, writeEvery)
	}
}

func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // it may be broken, which is why it is closed
}

func (w *writer) insert(ctx context.Context, conn *pgx.Conn) error {
	w.mu.Lock()
	id := w.next
	w.next++
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	if _, err := conn.Exec(ctx, "insert into demo_rows (id) values ($1)", id); err != nil {
		return err
	}
	w.took(id, portOf(conn.PgConn().Conn().RemoteAddr().String()), time.Now())
	return nil
}

// took notes an acknowledged row, and the end of an outage if there was one.
func (w *writer) took(id int64, port int, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acked = append(w.acked, id)
	if !w.broken.IsZero() {
		w.gap = now.Sub(w.before)
		w.broken = time.Time{}
		w.resumed, w.resumedPort = now, port
	}
	w.lastAck, w.port = now, port
	w.tell()
}

// failed notes that rows are no longer taken. The end of the demonstration is no
// failure.
func (w *writer) failed(ctx context.Context, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() != nil || !w.broken.IsZero() {
		return
	}
	w.broken, w.before = now, w.lastAck
	w.tell()
}

// tell wakes whoever waits. The lock is held.
func (w *writer) tell() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// progress is a copy of what the writer knows.
type progress struct {
	acked       int
	lastAck     time.Time
	port        int
	broken      time.Time
	gap         time.Duration
	resumed     time.Time
	resumedPort int
}

func (w *writer) look() (progress, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return progress{len(w.acked), w.lastAck, w.port, w.broken, w.gap, w.resumed, w.resumedPort}, w.changed
}

// await waits until the writer's progress satisfies a condition.
func (w *writer) await(ctx context.Context, ok func(progress) bool) (progress, error) {
	for {
		p, changed := w.look()
		if ok(p) {
			return p, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return p, context.Cause(ctx)
		}
	}
}

// acknowledged are the numbers of all rows that were acknowledged so far.
func (w *writer) acknowledged() []int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]int64(nil), w.acked...)
}

// connectPrimary connects to whichever node takes writes.
func (l *layout) connectPrimary(ctx context.Context) (*pgx.Conn, error) {
	hosts, ports := l.hostsAndPorts()
	return l.connect(ctx, hosts, ports, "read-write")
}

// connectNode connects to one node, whatever its role.
func (l *layout) connectNode(ctx context.Context, i int) (*pgx.Conn, error) {
	return l.connect(ctx, host, strconv.Itoa(l.ports.postgres(i)), "any")
}

func (l *layout) connect(ctx context.Context, hosts, ports, want string) (*pgx.Conn, error) {
	c, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%s user=postgres dbname=postgres sslmode=disable connect_timeout=2 "+
		"application_name=demo target_session_attrs=%s", hosts, ports, want))
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	c.Password = l.password
	return pgx.ConnectConfig(ctx, c)
}

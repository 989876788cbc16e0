// Package traffic writes to a cluster while it is being hurt, and afterwards
// tells what became of what was written.
package traffic

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Table is where the rows go.
const Table = "traffic"

// Outcome is what the writer knows of a row.
type Outcome int

// A row whose commit was not answered may be there or not.
const (
	Unknown Outcome = iota
	Acknowledged
)

// attempt is one row. Each number is tried once.
type attempt struct {
	outcome Outcome
	done    time.Time
	server  string
}

// Options say where to write.
type Options struct {
	URL      string // of all servers
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
	Interval time.Duration // between rows; 0: 10 ms
}

// Writer is a client that finds the primary as any libpq client with a multi-host
// string does, and appends a numbered row every few milliseconds.
type Writer struct {
	options Options
	config  *pgx.ConnConfig
	cancel  context.CancelFunc
	wait    sync.WaitGroup

	mu    sync.Mutex
	rows  []attempt // by number
	last  error
	acked chan struct{} // closed at the next acknowledged row
}

const (
	rowTimeout     = time.Second            // for one row; a cut network sends no word
	connectTimeout = 500 * time.Millisecond // for one address
	retryPause     = 5 * time.Millisecond
)

// Start makes the table and begins to write.
func Start(t testing.TB, options Options) *Writer {
	t.Helper()
	config, err := pgx.ParseConfig(options.URL + "?target_session_attrs=read-write")
	if err != nil {
		t.Fatal(err)
	}
	config.ConnectTimeout = connectTimeout
	config.RuntimeParams["application_name"] = "traffic"
	if options.Dial != nil {
		config.DialFunc = options.Dial
	}
	if options.Interval == 0 {
		options.Interval = 10 * time.Millisecond
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &Writer{options: options, config: config, cancel: cancel, acked: make(chan struct{})}
	t.Cleanup(w.Stop)
	setup, end := context.WithTimeout(ctx, 30*time.Second)
	defer end()
	conn, err := pgx.ConnectConfig(setup, config)
	if err != nil {
		t.Fatal(fmt.Errorf("make the table: %w", err))
	}
	defer conn.Close(setup)
	if _, err := conn.Exec(setup, "create table if not exists "+Table+" (id bigint primary key, server text not null)"); err != nil {
		t.Fatal(fmt.Errorf("make the table: %w", err))
	}
	w.wait.Go(func() { w.run(ctx) })
	return w
}

// Stop ends the writing.
func (w *Writer) Stop() {
	w.cancel()
	w.wait.Wait()
}

func (w *Writer) run(ctx context.Context) {
	var conn *pgx.Conn
	defer func() { drop(conn) }()
	tick := time.NewTicker(w.options.Interval)
	defer tick.Stop()
	for {
		if conn == nil {
			conn = w.connect(ctx)
		}
		if conn == nil {
			return
		}
		if err := w.write(ctx, conn); err != nil {
			drop(conn)
			conn = nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// connect tries until there is a primary.
func (w *Writer) connect(ctx context.Context) *pgx.Conn {
	pause := time.NewTicker(retryPause)
	defer pause.Stop()
	for {
		conn, err := pgx.ConnectConfig(ctx, w.config)
		if err == nil {
			return conn
		}
		w.mu.Lock()
		w.last = err
		w.mu.Unlock()
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func drop(conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_ = conn.Close(ctx) // it may be dead; it is not used again
}

func (w *Writer) write(ctx context.Context, conn *pgx.Conn) error {
	w.mu.Lock()
	id := len(w.rows)
	w.rows = append(w.rows, attempt{})
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, rowTimeout)
	defer cancel()
	var server string
	err := conn.QueryRow(ctx, "insert into "+Table+" values ($1, host(inet_server_addr())) returning server", id).Scan(&server)
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.last = err
		return err
	}
	w.rows[id] = attempt{Acknowledged, now, server}
	close(w.acked)
	w.acked = make(chan struct{})
	return nil
}

// Attempts is how many rows were tried.
func (w *Writer) Attempts() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.rows)
}

// WaitPast waits until a row was acknowledged after an instant, and returns when
// and by whom.
func (w *Writer) WaitPast(t testing.TB, limit time.Duration, instant time.Time) (time.Time, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for {
		w.mu.Lock()
		next, last := w.acked, w.last
		i := slices.IndexFunc(w.rows, func(a attempt) bool { return a.outcome == Acknowledged && a.done.After(instant) })
		var found attempt
		if i >= 0 {
			found = w.rows[i]
		}
		w.mu.Unlock()
		if i >= 0 {
			return found.done, found.server
		}
		select {
		case <-next:
		case <-ctx.Done():
			t.Fatalf("no row was acknowledged within %v; the last error: %v", limit, last)
		}
	}
}

// WaitServer waits until a server has acknowledged a row after an instant.
func (w *Writer) WaitServer(t testing.TB, limit time.Duration, instant time.Time, server string) time.Time {
	t.Helper()
	began := time.Now()
	for {
		at, by := w.WaitPast(t, limit-time.Since(began), instant)
		if by == server {
			return at
		}
		instant = at
	}
}

// Outage is the longest time without an acknowledged row that ended after an
// instant. What has not ended yet is counted up to now.
func (w *Writer) Outage(since time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var worst time.Duration
	var previous time.Time
	for _, a := range w.rows {
		if a.outcome != Acknowledged {
			continue
		}
		if !previous.IsZero() && a.done.After(since) {
			worst = max(worst, a.done.Sub(previous))
		}
		previous = a.done
	}
	if !previous.IsZero() {
		worst = max(worst, time.Since(previous))
	}
	return worst
}

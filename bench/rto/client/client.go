// Package client writes to every node of a cluster at once and records what each
// acknowledged, and how late it was itself.
//
// It is one process with one kept connection and one statement under way per node,
// each independent of the others, so that a node that does not answer hides
// nothing of another. A standby refuses a row and keeps the connection, so nothing
// has to be set up when it is promoted.
package client

import (
	"context"
	"net"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"matriarch/bench/rto/figures"
)

// Table is where the rows go: (id bigint primary key, node text).
const Table = "rto"

const (
	interval       = 10 * time.Millisecond  // between two rows
	rowTimeout     = time.Second            // a cut network sends no word
	connectTimeout = 300 * time.Millisecond // shorter than the kernel's second SYN, 1 s
	statement      = "rto"
	insert         = "insert into " + Table + " values ($1, $2)"
)

// Dial connects to an address from where the client is.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Target is a server to write to.
type Target struct {
	Node  string
	URL   string
	Dial  Dial
	Local bool // the client is inside the node's own network
}

// Client is all the writers and their record.
type Client struct {
	ids  atomic.Int64
	lag  lag
	mu   sync.Mutex
	list []figures.Attempt // in the order of their ends; never changed, only added to
	wait sync.WaitGroup
}

// New makes a client that writes nothing yet, and begins to watch its own lag
// until ctx ends.
func New(ctx context.Context) *Client {
	c := &Client{}
	c.wait.Go(func() { c.lag.watch(ctx) })
	return c
}

// Wait waits until everything that was started has ended, as its ctx told it.
func (c *Client) Wait() { c.wait.Wait() }

// Write begins to write to a target, until ctx ends. The result is closed when
// it has stopped.
func (c *Client) Write(ctx context.Context, t Target) (<-chan struct{}, error) {
	config, err := pgx.ParseConfig(t.URL)
	if err != nil {
		return nil, err
	}
	config.DialFunc = pgxDial(t.Dial)
	config.RuntimeParams["application_name"] = "rto"
	// A standby refuses a hundred rows a second: its log would be all of that, and
	// the writing of it work that nobody has in real life.
	config.RuntimeParams["log_min_messages"] = "fatal"
	done := make(chan struct{})
	c.wait.Go(func() {
		defer close(done)
		w := writer{client: c, target: t, config: config}
		w.run(ctx)
	})
	return done, nil
}

func pgxDial(d Dial) func(ctx context.Context, network, address string) (net.Conn, error) {
	if d == nil {
		return new(net.Dialer).DialContext
	}
	return d
}

// Since is what was recorded of attempts that ended after an instant. It is a view:
// a copy of thousands of attempts at every look would be load of our own.
func (c *Client) Since(from time.Time) []figures.Attempt {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := sort.Search(len(c.list), func(i int) bool { return c.list[i].Done.After(from) })
	return c.list[i:len(c.list):len(c.list)]
}

// Forget drops the record, before a new measurement.
func (c *Client) Forget() {
	c.mu.Lock()
	c.list = nil
	c.mu.Unlock()
	c.lag.forget()
}

// Lag is how late the client itself was, at worst, between two instants.
func (c *Client) Lag(from, to time.Time) time.Duration { return c.lag.worst(from, to) }

// record keeps an attempt that has just ended.
func (c *Client) record(a figures.Attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a.Done = time.Now() // within the mutex, so that the ends are in order
	c.list = append(c.list, a)
}

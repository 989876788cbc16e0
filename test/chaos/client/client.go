// Package client appends numbered elements to a list at one server, whether that
// is primary or not, and writes down what it was told.
package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"matriarch/test/chaos/history"
)

// Schema makes the list.
const Schema = `create table chaos (node text, sequence bigint, timeline int not null, primary key (node, sequence))`

// The timeline is in the row and in the answer: so an append belongs to a reign,
// and a row that was copied from elsewhere does not pass for the one that was
// acknowledged. A standby refuses the insert before it comes to the function.
const statement = `insert into chaos values ($1, $2, ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int) returning timeline`

// Options say where and how.
type Options struct {
	Node     string
	URL      string // of the node's own server
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
	Interval time.Duration // between appends
	History  *history.History
}

const (
	connectTimeout = time.Second
	connectPause   = 20 * time.Millisecond

	// patience is for one answer. It is long, since an answer that a frozen server
	// gives when it wakes is what the exclusion hangs on.
	patience = 2 * time.Minute
)

// Client is one session that is opened again whenever it breaks.
type Client struct {
	o      Options
	config *pgx.ConnConfig
	conn   *pgx.Conn
	line   *watched
	next   int
	wait   sync.WaitGroup
	cancel context.CancelFunc

	mu   sync.Mutex
	last error // why the last append was not acknowledged
}

// Start begins to append.
func Start(ctx context.Context, o Options) (*Client, error) {
	config, err := pgx.ParseConfig(o.URL)
	if err != nil {
		return nil, fmt.Errorf("read the connection string for %s: %w", o.Node, err)
	}
	config.ConnectTimeout = connectTimeout
	config.RuntimeParams["application_name"] = "chaos"
	// A standby refuses some hundred appends a second, and need not write of each.
	config.RuntimeParams["log_min_messages"] = "fatal"
	c := &Client{o: o, config: config}
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := o.Dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c.line = &watched{Conn: conn, now: o.History.Now}
		return c.line, nil
	}
	ctx, c.cancel = context.WithCancel(ctx)
	c.wait.Go(func() { c.run(ctx) })
	return c, nil
}

// Stop ends the appending and waits for it.
func (c *Client) Stop() {
	c.cancel()
	c.wait.Wait()
}

// Last is why the last append that failed did so.
func (c *Client) Last() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

func (c *Client) run(ctx context.Context) {
	defer c.drop()
	tick := time.NewTicker(c.o.Interval)
	defer tick.Stop()
	pause := time.NewTicker(connectPause)
	defer pause.Stop()
	for {
		next := tick.C
		if c.conn == nil && !c.connect(ctx) {
			next = pause.C
		} else if err := c.append(ctx); err != nil {
			c.fail(err)
		}
		select {
		case <-next:
		case <-ctx.Done():
			return
		}
	}
}

func (c *Client) connect(ctx context.Context) bool {
	conn, err := pgx.ConnectConfig(ctx, c.config)
	if err != nil {
		c.fail(err)
		return false
	}
	c.conn = conn
	return true
}

func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = err
}

func (c *Client) drop() {
	if c.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_ = c.conn.Close(ctx) // it may be dead; it is not used again
	c.conn = nil
}

// append tries one element. What was refused for certain keeps its number, so that
// it would be found out if it had been written after all.
func (c *Client) append(ctx context.Context) error {
	a := history.Append{Node: c.o.Node, Sequence: c.next, Sent: c.o.History.Now()}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := c.conn.QueryRow(ctx, statement, a.Node, a.Sequence).Scan(&a.Timeline)
	a.Done, a.Acknowledged = c.o.History.Now(), err == nil
	a.Silent = time.Duration(c.line.silent.Load())
	switch refusal(err) {
	case granted, unanswered:
		c.next++
		c.o.History.Add(a)
	case taken:
		c.next++
		c.o.History.AddStrange(fmt.Sprintf("%s holds %s/%d, which no server has taken: %v", c.o.Node, a.Node, a.Sequence, err))
	}
	if err != nil && (c.conn.IsClosed() || refusal(err) == unanswered) {
		c.drop()
	}
	return err
}

type answer int

const (
	granted answer = iota
	refused
	unanswered
	taken
)

// refusal reads an error. The server's word counts, but not its last one: a FATAL
// can follow a commit.
func refusal(err error) answer {
	var said *pgconn.PgError
	switch {
	case err == nil:
		return granted
	case errors.As(err, &said) && said.Code == "23505": // unique_violation
		return taken
	case errors.As(err, &said) && said.SeverityUnlocalized == "ERROR", pgconn.SafeToRetry(err):
		return refused
	default:
		return unanswered
	}
}

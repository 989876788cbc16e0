package client

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"matriarch/bench/rto/figures"
)

// writer writes to one server, one row at a time.
type writer struct {
	client *Client
	target Target
	config *pgx.ConnConfig
	conn   *pgx.Conn
}

func (w *writer) run(ctx context.Context) {
	defer w.drop()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if w.conn == nil {
			w.connect(ctx)
		}
		if w.conn != nil {
			w.write(ctx)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// connect opens the connection and prepares the statement: one try.
func (w *writer) connect(ctx context.Context) {
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(limited, w.config)
	if err == nil {
		w.conn = conn
		if _, err = conn.Prepare(limited, statement, insert); err == nil {
			return
		}
		w.drop()
	}
	if ctx.Err() == nil { // else we were told to stop, which says nothing of the server
		w.client.record(figures.Attempt{Node: w.target.Node, Local: w.target.Local, Sent: began})
	}
}

func (w *writer) write(ctx context.Context) {
	a := figures.Attempt{ID: w.client.ids.Add(1), Node: w.target.Node, Local: w.target.Local, Sent: time.Now()}
	limited, cancel := context.WithTimeout(ctx, rowTimeout)
	_, err := w.conn.Exec(limited, statement, a.ID, a.Node)
	cancel()
	a.OK = err == nil
	if a.OK || ctx.Err() == nil {
		w.client.record(a)
	}
	if err != nil && w.conn.IsClosed() {
		w.drop()
	}
}

func (w *writer) drop() {
	if w.conn == nil {
		return
	}
	// The context has ended already: a dead server is not to be waited for.
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = w.conn.Close(ended) // it is not used again
	w.conn = nil
}

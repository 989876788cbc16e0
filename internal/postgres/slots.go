package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"matriarch/internal/wal"
)

// SQLSTATEs of what can be wrong with a slot (errcodes.txt). The first two mean that
// what was asked for is the case already.
const (
	codeDuplicateObject = "42710"
	codeUndefinedObject = "42704"
	codeUndefinedFile   = "58P01" // a segment of the log is gone
	codeNotInState      = "55000" // the slot was invalidated
)

// notFailover leaves out the slots s that a server keeps in step with its primary's by
// itself, since PostgreSQL 17. Before, the row has no such column.
const notFailover = `NOT coalesce((to_jsonb(s) ->> 'failover')::boolean, false)`

// CreateSlot makes a physical slot that holds the log from now on. One that
// exists is a success.
func (s *Server) CreateSlot(ctx context.Context, name string) error {
	err := s.exec(ctx, "create slot "+name, "SELECT pg_create_physical_replication_slot($1, true)", name)
	return unless(err, codeDuplicateObject)
}

// CreateLogicalSlot makes a slot that decodes the log of a database. It waits for the
// transactions that are open now, however long they take, so it has a connection of
// its own. A slot of that name that exists is a success.
func (s *Server) CreateLogicalSlot(ctx context.Context, name, database, plugin string) error {
	err := s.inDatabase(ctx, database, func(q querier) error {
		_, err := q.Exec(ctx, "SELECT pg_create_logical_replication_slot($1, $2)", name, plugin)
		return unless(err, codeDuplicateObject)
	})
	if err != nil {
		return fmt.Errorf("create logical slot %s in %s: %w", name, database, err)
	}
	return nil
}

// DropSlot removes a slot. One that does not exist is a success; an active one
// is an error.
func (s *Server) DropSlot(ctx context.Context, name string) error {
	err := s.exec(ctx, "drop slot "+name, "SELECT pg_drop_replication_slot($1)", name)
	return unless(err, codeUndefinedObject)
}

// AdvanceSlot lets a physical slot give up the log before a position. A position
// behind the slot's own is a success: slots do not go back.
func (s *Server) AdvanceSlot(ctx context.Context, name string, to wal.LSN) error {
	return s.exec(ctx, "advance slot "+name,
		"SELECT pg_replication_slot_advance(slot_name, $2::pg_lsn) FROM pg_replication_slots "+
			"WHERE slot_name = $1 AND slot_type = 'physical' AND restart_lsn < $2::pg_lsn", name, to.String())
}

// Advance is where a logical slot is to go.
type Advance struct {
	Slot string
	To   wal.LSN
}

// ErrLogGone says that a slot cannot go on, since the log that it needs is not there.
var ErrLogGone = errors.New("the log that it needs is gone")

// AdvanceLogical moves logical slots of one database on, on a connection of its own: it
// decodes all of the log on the way. failed is told of each that could not be moved.
func (s *Server) AdvanceLogical(ctx context.Context, database string, moves []Advance, failed func(Advance, error)) error {
	err := s.inDatabase(ctx, database, func(q querier) error {
		for _, m := range moves {
			_, err := q.Exec(ctx, "SELECT pg_replication_slot_advance(slot_name, $2::pg_lsn) FROM pg_replication_slots "+
				"WHERE slot_name = $1 AND slot_type = 'logical' AND NOT active AND confirmed_flush_lsn < $2::pg_lsn", m.Slot, m.To.String())
			switch {
			case err == nil:
			case ctx.Err() != nil || q.IsClosed():
				return err
			case slices.Contains([]string{codeUndefinedFile, codeNotInState}, sqlState(err)):
				failed(m, fmt.Errorf("advance logical slot %s to %s: %w: %w", m.Slot, m.To, ErrLogGone, err))
			default:
				failed(m, fmt.Errorf("advance logical slot %s to %s: %w", m.Slot, m.To, err))
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("advance logical slots in %s: %w", database, err)
	}
	return nil
}

// ErrLogToCome says that a slot is ahead of this server's log: it can be placed as soon as
// that has arrived.
var ErrLogToCome = errors.New("the log that it needs has not arrived yet")

// inDatabase gives a superuser's connection to a database of our own server, without a
// time limit but the context's.
func (s *Server) inDatabase(ctx context.Context, database string, f func(querier) error) error {
	if s.current() == nil {
		return ErrNotRunning
	}
	conn, err := s.connectDatabase(ctx, database)
	if err != nil {
		return err
	}
	defer closeSoon(conn)
	return f(conn)
}

func (s *Server) connectDatabase(ctx context.Context, database string) (*pgx.Conn, error) {
	cfg := s.cfg()
	self := Upstream{Host: cfg.localAddress(cfg.UseUnixSocket), Port: cfg.port(), Database: database}
	return connect(ctx, cfg, cfg.Superuser, self, map[string]string{
		"application_name": "Patroni slots", "search_path": "pg_catalog",
		"options": "-c statement_timeout=0 -c pg_stat_statements.track=none",
	})
}

func sqlState(err error) string {
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return ""
}

func unless(err error, code string) error {
	if sqlState(err) == code {
		return nil
	}
	return err
}

package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"matriarch/internal/wal"
)

// SQLSTATEs that mean that what was asked for is the case already
// (errcodes.txt).
const (
	codeDuplicateObject = "42710"
	codeUndefinedObject = "42704"
)

// CreateSlot makes a physical slot that holds the log from now on. One that
// exists is a success.
func (s *Server) CreateSlot(ctx context.Context, name string) error {
	err := s.exec(ctx, "create slot "+name, "SELECT pg_create_physical_replication_slot($1, true)", name)
	return unless(err, codeDuplicateObject)
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

func unless(err error, code string) error {
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) && refusal.Code == code {
		return nil
	}
	return err
}

package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"matriarch/internal/wal"
)

// The padding goes out in parts, each of them flushed before the next: a client's
// commit waits for what was written before it.
const (
	padPart = 1 << 20 // bytes
	// padRest is what is left for what clients still write until the stop.
	padRest = 1 << 20 // bytes
)

// PadSegment fills the segment of the log that is being written, but for a little, if
// a shutdown would fill it. It reports whether it wrote anything.
//
// With archiving on, a clean shutdown switches to a new segment (xlog.c, ShutdownXLOG):
// it fills the old one with zeros, makes them durable, and every standby is sent them,
// and all that while nobody can write, 16 MiB as a rule. Written before the stop, as
// messages that mean nothing to anybody, they cost no client's time and no more log
// than before. Where logical slots are, here or by its feedback on a standby, their readers
// might show the messages to somebody; there, and where segments are long, it is left to
// the shutdown. A standby has nothing to fill.
//
// It returns where the padding begins, 0 if there is none: who has the log up to there
// lacks nothing of anybody's.
func (s *Server) PadSegment(ctx context.Context) (wal.LSN, error) {
	conn, err := s.connectLocal(ctx, "Patroni checkpoint", false)
	if err != nil {
		return 0, fmt.Errorf("pad the last segment of the log: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	from, err := pad(ctx, conn)
	if err != nil {
		return from, fmt.Errorf("pad the last segment of the log: %w", err)
	}
	return from, nil
}

// padQuery tells whether a shutdown would switch, how long segments are, and how much
// of this one is left. Before 15 an empty archive_command keeps it from switching.
const padQuery = `
SELECT current_setting('archive_mode') <> 'off'
    AND (current_setting('server_version_num')::int >= 150000 OR current_setting('archive_command') <> '')
    AND NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_type = 'logical' OR catalog_xmin IS NOT NULL),
  s.size, (s.size - mod(pg_current_wal_insert_lsn() - '0/0'::pg_lsn, s.size))::bigint, pg_current_wal_insert_lsn()::text
FROM (SELECT setting::bigint AS size FROM pg_settings WHERE name = 'wal_segment_size') s`

func pad(ctx context.Context, conn *pgx.Conn) (from wal.LSN, err error) {
	// Nobody but us waits for it: not for a synchronous standby either.
	if _, err := conn.Exec(ctx, "SET synchronous_commit = local"); err != nil {
		return 0, err
	}
	var last int64
	var standby bool
	if err := conn.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&standby); err != nil || standby {
		return 0, err
	}
	for {
		var switches bool
		var at string
		var size, rest int64
		if err := conn.QueryRow(ctx, padQuery).Scan(&switches, &size, &rest, &at); err != nil {
			return from, err
		}
		// More left than before: others have filled the segment.
		if !switches || size > segmentMost || rest <= padRest || from > 0 && rest > last {
			return from, nil
		}
		last = rest
		if from == 0 {
			if from, err = wal.ParseLSN(at); err != nil {
				return 0, err
			}
		}
		_, err = conn.Exec(ctx, "SELECT pg_logical_emit_message(true, 'matriarch', repeat(' ', $1))", min(padPart, rest-padRest))
		if err != nil {
			return from, err
		}
	}
}

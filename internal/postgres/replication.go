package postgres

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"matriarch/internal/wal"
)

// Identity is what a server says of itself over a replication connection.
type Identity struct {
	SystemID string
	At       wal.Point // primary: flushed; standby: received and on which timeline
}

// ReplicationIdentify asks a server for its system identifier and position.
func (s *Server) ReplicationIdentify(ctx context.Context, server Upstream) (Identity, error) {
	row, err := s.replicationRow(ctx, server, "IDENTIFY_SYSTEM", 3)
	if err != nil {
		return Identity{}, fmt.Errorf("identify %s: %w", server.label(), err)
	}
	timeline, err := strconv.ParseUint(string(row[1]), 10, 32)
	if err != nil {
		return Identity{}, fmt.Errorf("identify %s: timeline: %w", server.label(), err)
	}
	lsn, err := wal.ParseLSN(string(row[2]))
	if err != nil {
		return Identity{}, fmt.Errorf("identify %s: %w", server.label(), err)
	}
	return Identity{string(row[0]), wal.Point{Timeline: wal.Timeline(timeline), LSN: lsn}}, nil
}

// TimelineHistory reads the history of a timeline from a server. Timeline 1 has
// none, and is not asked for.
func (s *Server) TimelineHistory(ctx context.Context, server Upstream, timeline wal.Timeline) (wal.History, error) {
	if timeline == 1 {
		return wal.History{Timeline: 1}, nil
	}
	row, err := s.replicationRow(ctx, server, fmt.Sprintf("TIMELINE_HISTORY %d", timeline), 2)
	if err != nil {
		return wal.History{}, fmt.Errorf("read timeline history %d from %s: %w", timeline, server.label(), err)
	}
	history, err := wal.ParseHistory(timeline, string(row[1]))
	if err != nil {
		return wal.History{}, fmt.Errorf("read timeline history %d from %s: %w", timeline, server.label(), err)
	}
	return history, nil
}

// LocalHistory reads the history of a timeline from our own pg_wal, and when the
// file was written: the time of the promotion.
func (s *Server) LocalHistory(timeline wal.Timeline) (wal.History, time.Time, error) {
	path := s.cfg().data("pg_wal", fmt.Sprintf("%08X.history", uint32(timeline)))
	text, err := os.ReadFile(path)
	if err != nil {
		return wal.History{}, time.Time{}, fmt.Errorf("read timeline history: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return wal.History{}, time.Time{}, fmt.Errorf("read timeline history: %w", err)
	}
	history, err := wal.ParseHistory(timeline, string(text))
	return history, info.ModTime(), err
}

// IsPrimary asks a server whether it is out of recovery. An error means that we
// do not know.
func (s *Server) IsPrimary(ctx context.Context, server Upstream) (bool, error) {
	cfg := s.cfg()
	ctx, cancel := context.WithTimeout(ctx, peerLimit)
	defer cancel()
	conn, err := connect(ctx, cfg, cfg.rewindUser(), server, map[string]string{"application_name": "Patroni"})
	if err != nil {
		return false, fmt.Errorf("ask %s whether it is primary: %w", server.label(), err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var standby bool
	if err := conn.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&standby); err != nil {
		return false, fmt.Errorf("ask %s whether it is primary: %w", server.label(), err)
	}
	return !standby, nil
}

func (u Upstream) label() string {
	if u.Name != "" {
		return u.Name
	}
	return u.Host + ":" + strconv.Itoa(u.port())
}

// replicationRow runs a replication command and returns its one row.
func (s *Server) replicationRow(ctx context.Context, server Upstream, command string, columns int) ([][]byte, error) {
	cfg := s.cfg()
	ctx, cancel := context.WithTimeout(ctx, peerLimit)
	defer cancel()
	config, err := connectConfig(cfg, cfg.Replication, server, map[string]string{
		"replication": "true", "application_name": "Patroni",
	})
	if err != nil {
		return nil, err
	}
	conn, err := pgconn.ConnectConfig(ctx, &config.Config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", connectCause(err))
	}
	defer conn.Close(context.WithoutCancel(ctx))
	results, err := conn.Exec(ctx, command).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) < columns {
		return nil, fmt.Errorf("%s: not the answer that was expected", command)
	}
	return results[0].Rows[0], nil
}

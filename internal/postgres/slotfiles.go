package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"matriarch/internal/durable"
	"matriarch/internal/postgres/conf"
	"matriarch/internal/wal"
)

// SlotState is a logical slot of a primary, with the content of its state file. A
// standby of it understands that file, and before PostgreSQL 16 cannot get such a slot
// in any other way.
type SlotState struct {
	Name     string
	Database string
	Plugin   string
	Restart  wal.LSN // the log is needed from here on
	state    []byte
}

// ReadSlots reads logical slots of a primary. Those that it does not have are left out.
func (s *Server) ReadSlots(ctx context.Context, from Upstream, names []string) ([]SlotState, error) {
	cfg := s.cfg()
	ctx, cancel := context.WithTimeout(ctx, peerLimit)
	defer cancel()
	conn, err := connect(ctx, cfg, cfg.rewindUser(), from, map[string]string{"application_name": "Patroni slots", "search_path": "pg_catalog"})
	if err != nil {
		return nil, fmt.Errorf("read slots of %s: %w", from.label(), err)
	}
	defer closeSoon(conn)
	rows, err := conn.Query(ctx, `SELECT s.slot_name, d.datname, s.plugin, s.restart_lsn::text,
		  pg_read_binary_file('pg_replslot/' || s.slot_name || '/state')
		FROM pg_get_replication_slots() AS s JOIN pg_database AS d ON d.oid = s.datoid
		WHERE NOT pg_is_in_recovery() AND s.slot_type = 'logical' AND NOT s.temporary AND s.restart_lsn IS NOT NULL
		  AND s.confirmed_flush_lsn IS NOT NULL AND s.slot_name = ANY($1) AND `+notFailover, names)
	if err != nil {
		return nil, fmt.Errorf("read slots of %s: %w", from.label(), err)
	}
	slots, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (slot SlotState, err error) {
		var restart string
		if err = row.Scan(&slot.Name, &slot.Database, &slot.Plugin, &restart, &slot.state); err == nil {
			slot.Restart, err = wal.ParseLSN(restart)
		}
		return slot, err
	})
	if err != nil {
		return nil, fmt.Errorf("read slots of %s: %w", from.label(), err)
	}
	return slots, nil
}

// CatalogHorizons are the oldest transactions whose rows of the catalogue are kept by
// slots of a primary, or of our own server (nil). Slots that keep none are left out.
func (s *Server) CatalogHorizons(ctx context.Context, from *Upstream, names []string) (map[string]uint32, error) {
	out := map[string]uint32{}
	ask := func(ctx context.Context, q querier, where string) error {
		rows, err := q.Query(ctx, `SELECT slot_name::text, catalog_xmin::text::bigint FROM pg_replication_slots
			WHERE catalog_xmin IS NOT NULL AND slot_name = ANY($1) AND `+where, names)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			var horizon int64
			if err := rows.Scan(&name, &horizon); err != nil {
				return err
			}
			out[name] = uint32(horizon)
		}
		return rows.Err()
	}
	if from == nil {
		if err := s.query(ctx, func(ctx context.Context, q querier) error { return ask(ctx, q, "true") }); err != nil {
			return nil, fmt.Errorf("read the horizons of slots: %w", err)
		}
		return out, nil
	}
	cfg := s.cfg()
	ctx, cancel := context.WithTimeout(ctx, peerLimit)
	defer cancel()
	conn, err := connect(ctx, cfg, cfg.rewindUser(), *from, map[string]string{"application_name": "Patroni slots", "search_path": "pg_catalog"})
	if err != nil {
		return nil, fmt.Errorf("read the horizons of slots of %s: %w", from.label(), err)
	}
	defer closeSoon(conn)
	if err := ask(ctx, conn, "NOT pg_is_in_recovery()"); err != nil {
		return nil, fmt.Errorf("read the horizons of slots of %s: %w", from.label(), err)
	}
	return out, nil
}

// Placeable gives those of the slots with which this server will start again, and be of
// use: not without logical wal_level, beyond max_replication_slots, or from a position
// whose log is not here (slot.c, RestoreSlotFromDisk). The error tells of the others: it
// is ErrLogToCome for one that needs nothing but a moment.
func (s *Server) Placeable(ctx context.Context, slots []SlotState) (placeable []SlotState, err error) {
	effective, _, err := s.effective(ctx, s.cfg(), true)
	if err != nil {
		return nil, fmt.Errorf("look whether slots can be placed: %w", err)
	}
	if level := effective.File["wal_level"]; level != "logical" {
		return nil, fmt.Errorf("place logical slots: wal_level is %s", level)
	}
	names, err := s.slotFiles()
	if err != nil {
		return nil, err
	}
	size, err := s.segmentSize(ctx)
	if err != nil {
		return nil, err
	}
	here := s.Status(ctx).Position
	most, limited := conf.ParseInt(effective.File["max_replication_slots"], "")
	var faults []error
	for _, slot := range slots {
		fault := s.hasLogFrom(slot.Restart, here, size)
		if !names[slot.Name] && limited && int64(len(names)) >= most {
			fault = fmt.Errorf("max_replication_slots is %d", most)
		}
		if fault != nil {
			faults = append(faults, fmt.Errorf("place logical slot %s: %w", slot.Name, fault))
			continue
		}
		names[slot.Name] = true
		placeable = append(placeable, slot)
	}
	return placeable, errors.Join(faults...)
}

// slotFiles are the slots that the server has, or will have when it is started.
func (s *Server) slotFiles() (map[string]bool, error) {
	entries, err := os.ReadDir(s.cfg().data("pg_replslot"))
	if err != nil {
		return nil, fmt.Errorf("list the slots: %w", err)
	}
	names := map[string]bool{}
	for _, e := range entries {
		if e.IsDir() && !strings.HasSuffix(e.Name(), slotTemporary) {
			names[e.Name()] = true
		}
	}
	return names, nil
}

// slotTemporary ends the name of a slot's directory that is not whole. The server
// removes such at its start (slot.c, StartupReplicationSlots).
const slotTemporary = ".tmp"

// hasLogFrom reports that the segment with that position is here, of whatever timeline.
// A segment can be here before there is anything in it, so the server's end counts as well.
func (s *Server) hasLogFrom(at, end wal.LSN, segmentSize uint64) error {
	if at > end {
		return fmt.Errorf("%w: it begins at %s, and we are at %s", ErrLogToCome, at, end)
	}
	segment, perID := uint64(at)/segmentSize, uint64(1)<<32/segmentSize // as the files are named (xlog_internal.h)
	found, err := filepath.Glob(s.cfg().data("pg_wal", "????????"+fmt.Sprintf("%08X%08X", segment/perID, segment%perID)))
	if err != nil {
		return fmt.Errorf("look for its log: %w", err)
	}
	if len(found) == 0 {
		return fmt.Errorf("%w: it begins at %s", ErrLogGone, at)
	}
	return nil
}

// segmentSize asks the server for the size of the segments of the log, in bytes.
func (s *Server) segmentSize(ctx context.Context) (size uint64, err error) {
	err = s.query(ctx, func(ctx context.Context, q querier) error {
		return q.QueryRow(ctx, "SELECT pg_size_bytes(current_setting('wal_segment_size'))").Scan(&size)
	})
	if err != nil || size == 0 {
		return 0, fmt.Errorf("ask for wal_segment_size: %w", err)
	}
	return size, nil
}

// PlaceSlots puts the slots into the directory of this server, which must be down. Each
// is there whole or not at all (B-376).
func (s *Server) PlaceSlots(slots []SlotState) error {
	if p := s.current(); p != nil {
		return fmt.Errorf("place slots: %w as process %d", ErrRunning, p.pid)
	}
	cfg := s.cfg()
	base := cfg.data("pg_replslot")
	info, err := os.Stat(cfg.DataDir)
	if err != nil {
		return fmt.Errorf("place slots: %w", err)
	}
	for _, slot := range slots {
		if err := placeSlot(cfg, base, info.Mode().Perm(), slot); err != nil {
			return fmt.Errorf("place slot %s: %w", slot.Name, err)
		}
	}
	return nil
}

func placeSlot(cfg Config, base string, mode os.FileMode, slot SlotState) error {
	final := filepath.Join(base, slot.Name)
	temporary := final + slotTemporary
	if err := os.RemoveAll(temporary); err != nil {
		return err
	}
	if err := os.Mkdir(temporary, mode); err != nil {
		return err
	}
	if err := os.Chmod(temporary, mode); err != nil { // whatever the umask
		return err
	}
	state := filepath.Join(temporary, "state")
	if err := durable.WriteFile(state, slot.state, fileMode(cfg, state)); err != nil {
		return err
	}
	if err := os.RemoveAll(final); err != nil {
		return err
	}
	return durable.Rename(temporary, final)
}

// closeSoon says farewell to a server that may be frozen, and need not hear it.
func closeSoon(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	conn.Close(ctx)
}

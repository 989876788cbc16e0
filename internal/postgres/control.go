package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"matriarch/internal/postgres/conf"
	"matriarch/internal/wal"
)

// Control reads pg_control through pg_controldata: all that a server tells that
// is not running.
func (s *Server) Control(ctx context.Context) (conf.ControlData, error) {
	cfg := s.cfg()
	run := s.tool(ctx, "pg_controldata", cfg.DataDir)
	run.env = cLocale
	text, err := run.output()
	if err != nil {
		return conf.ControlData{}, fmt.Errorf("read control data of %s: %w", cfg.DataDir, err)
	}
	data, err := conf.ParseControlData(text)
	if err != nil {
		return conf.ControlData{}, fmt.Errorf("read control data of %s: %w", cfg.DataDir, err)
	}
	return data, nil
}

// SystemID is the identifier that initdb gave the cluster.
func (s *Server) SystemID(ctx context.Context) (string, error) {
	data, err := s.Control(ctx)
	return data.SystemIdentifier, err
}

// LastCheckpoint is what the control file says of its last checkpoint, and whose it is,
// for those who look often. ok is false when only Control can tell.
func (s *Server) LastCheckpoint() (systemID string, at wal.Point, ok bool) {
	control, ok := readControlFile(s.cfg())
	return control.systemID, control.checkpoint, ok
}

// ShutdownPosition is the position up to which a standby must have received to
// have all of a primary that was shut down cleanly. It is the shutdown
// checkpoint, except when that begins the segment after a switch record: a
// standby may never get the new, almost empty segment, so the switch record counts.
func (s *Server) ShutdownPosition(ctx context.Context) (wal.Point, error) {
	end, err := s.shutdownEnd(ctx)
	return end.At, err
}

// ShutdownEnd is how the log of a primary ends that was shut down cleanly.
type ShutdownEnd struct {
	At         wal.Point // what a standby must have, as ShutdownPosition tells
	Checkpoint wal.LSN   // start of the last record of all: who has that needs no rewind of ours
}

func (s *Server) shutdownEnd(ctx context.Context) (ShutdownEnd, error) {
	if end, ok := readShutdownEnd(s.cfg()); ok {
		return end, nil
	}
	data, err := s.Control(ctx)
	if err != nil {
		return ShutdownEnd{}, err
	}
	if data.State != conf.StateShutDown {
		return ShutdownEnd{}, fmt.Errorf("find the shutdown position: the server was not shut down, it is %q", data.State)
	}
	return ShutdownEnd{At: s.toldPosition(ctx, data.Checkpoint), Checkpoint: data.Checkpoint.LSN}, nil
}

// readShutdownEnd finds it without a process of its own; false: it cannot, or the
// server was not shut down.
func readShutdownEnd(cfg Config) (ShutdownEnd, bool) {
	control, ok := readControlFile(cfg)
	if !ok || control.state != controlShutDown {
		return ShutdownEnd{}, false
	}
	last, err := readRecordHead(cfg, control.checkpoint, control.segmentSize)
	if err != nil || !last.is(shutdownCheckpoint) {
		return ShutdownEnd{}, false
	}
	switchAt := wal.Point{Timeline: control.checkpoint.Timeline, LSN: last.previous}
	before, err := readRecordHead(cfg, switchAt, control.segmentSize)
	switch {
	case err != nil && !errors.Is(err, errRecord) && !errors.Is(err, fs.ErrNotExist): // its segment may be gone
		return ShutdownEnd{}, false
	case err == nil && before.is(segmentSwitch):
		return ShutdownEnd{At: switchAt, Checkpoint: control.checkpoint.LSN}, true
	}
	return ShutdownEnd{At: control.checkpoint, Checkpoint: control.checkpoint.LSN}, true
}

// toldPosition asks the tool for the records.
func (s *Server) toldPosition(ctx context.Context, checkpoint wal.Point) wal.Point {
	last, err := s.record(ctx, checkpoint)
	if err == nil && strings.HasPrefix(last.description, "CHECKPOINT_SHUTDOWN") {
		before, err := s.record(ctx, wal.Point{Timeline: checkpoint.Timeline, LSN: last.previous})
		if err == nil && before.manager == "XLOG" && strings.HasPrefix(before.description, "SWITCH") {
			return wal.Point{Timeline: checkpoint.Timeline, LSN: before.at}
		}
	}
	return checkpoint
}

// logRecord is one line of pg_waldump.
type logRecord struct {
	manager      string
	at, previous wal.LSN
	description  string
}

// record reads the log record that starts at a position.
func (s *Server) record(ctx context.Context, at wal.Point) (logRecord, error) {
	cfg := s.cfg()
	run := s.tool(ctx, "pg_waldump", "--path="+cfg.data("pg_wal"), fmt.Sprintf("--timeline=%d", at.Timeline),
		"--start="+at.LSN.String(), "--limit=1")
	run.env = cLocale
	text, err := run.output()
	if err != nil {
		return logRecord{}, fmt.Errorf("read the record at %s: %w", at, err)
	}
	return parseRecord(text)
}

// parseRecord reads "rmgr: XLOG  len (rec/tot): 114/114, tx: 0, lsn: 0/02000028,
// prev 0/01FFFFE0, desc: CHECKPOINT_SHUTDOWN redo …" (pg_waldump.c,
// XLogDumpDisplayRecord).
func parseRecord(line string) (logRecord, error) {
	var r logRecord
	between := func(from, to string) string {
		_, rest, _ := strings.Cut(line, from)
		value, _, _ := strings.Cut(rest, to)
		return strings.TrimSpace(value)
	}
	r.manager, _, _ = strings.Cut(between("rmgr:", "len"), " ")
	_, description, found := strings.Cut(line, "desc: ")
	r.description = strings.TrimSpace(description)
	var err error
	if r.at, err = wal.ParseLSN(between("lsn:", ",")); err != nil || !found {
		return logRecord{}, fmt.Errorf("read a record of pg_waldump: %q", line)
	}
	if r.previous, err = wal.ParseLSN(between("prev ", ",")); err != nil {
		return logRecord{}, fmt.Errorf("read a record of pg_waldump: %q", line)
	}
	return r, nil
}

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"matriarch/internal/postgres/conf"
	"matriarch/internal/wal"
)

// ErrEndUnknown says that only recovery can tell where the log ends.
var ErrEndUnknown = errors.New("where the log ends is not known")

// CrashEnd finds out where the log of a crashed primary ends, without the recovery that
// would write more: one byte into its last record, so that whoever has this byte has
// the record. Most primaries that are lost had sent all they wrote, and need no rewind
// if somebody knows it.
//
// It is ErrEndUnknown wherever there is any doubt. The log may go on on a timeline that
// the control file does not name yet: then there is a history file of it, or a minimum
// recovery point on it (xlog.c, CreateEndOfRecoveryRecord).
func (s *Server) CrashEnd(ctx context.Context) (wal.Point, error) {
	if s.current() != nil || len(relatives(s.cfg().DataDir)) > 0 {
		return wal.Point{}, fmt.Errorf("find the end of the log: %w", ErrRunning)
	}
	data, err := s.Control(ctx)
	if err != nil {
		return wal.Point{}, fmt.Errorf("find the end of the log: %w", err)
	}
	timeline := data.Checkpoint.Timeline
	switch {
	case data.State != conf.StateInProduction && data.State != conf.StateShuttingDown && data.State != conf.StateInCrashRecovery:
		return wal.Point{}, fmt.Errorf("find the end of the log: %w: the server is %q", ErrEndUnknown, data.State)
	case data.MinRecovery.Timeline > timeline, s.newerHistory(timeline), s.isCopy():
		return wal.Point{}, fmt.Errorf("find the end of the log: %w: it may go on on another timeline than %d", ErrEndUnknown, timeline)
	}
	last, err := s.lastRecord(ctx, wal.Point{Timeline: timeline, LSN: data.Redo})
	if err != nil {
		return wal.Point{}, fmt.Errorf("find the end of the log: %w", err)
	}
	return wal.Point{Timeline: timeline, LSN: last + 1}, nil
}

// newerHistory reports that pg_wal knows of a timeline beyond this one.
func (s *Server) newerHistory(timeline wal.Timeline) bool {
	files, err := filepath.Glob(s.cfg().data("pg_wal", "*.history"))
	for _, file := range files {
		number, parseErr := strconv.ParseUint(strings.TrimSuffix(filepath.Base(file), ".history"), 16, 32)
		if parseErr != nil || wal.Timeline(number) > timeline {
			return true
		}
	}
	return err != nil
}

// isCopy reports that the directory is a fresh base backup: its control file is its
// source's.
func (s *Server) isCopy() bool {
	_, err := os.Stat(s.cfg().data("backup_label"))
	return !errors.Is(err, fs.ErrNotExist)
}

// endMessage is how pg_waldump says that it has come to the end: it names the last
// record that it has read, and what is wrong with the next one (pg_waldump.c, main).
var endMessage = regexp.MustCompile(`error in WAL record at ([0-9A-F]+/[0-9A-F]+): `)

// lastRecord reads the log from a position to its end, as recovery would.
func (s *Server) lastRecord(ctx context.Context, from wal.Point) (wal.LSN, error) {
	run := s.tool(ctx, "pg_waldump", "--quiet", "--path="+s.cfg().data("pg_wal"), fmt.Sprintf("--timeline=%d", from.Timeline), "--start="+from.LSN.String())
	run.env = cLocale
	_, err := run.output()
	if err == nil || ctx.Err() != nil {
		return 0, fmt.Errorf("read the log from %s: %w: %w", from, ErrEndUnknown, errors.Join(err, ctx.Err()))
	}
	found := endMessage.FindStringSubmatch(err.Error())
	if found == nil {
		return 0, fmt.Errorf("read the log from %s: %w: %w", from, ErrEndUnknown, err)
	}
	last, errParse := wal.ParseLSN(found[1])
	if errParse != nil || last < from.LSN {
		return 0, fmt.Errorf("read the log from %s: %w: %w", from, ErrEndUnknown, err)
	}
	return last, nil
}

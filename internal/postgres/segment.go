package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"matriarch/internal/durable"
	"matriarch/internal/wal"
)

// segmentMost is the longest segment that is made ahead: a longer one takes longer
// than a shutdown.
const segmentMost = 64 << 20 // bytes

// LacksSegment reports that a standby which has received the log up to here would have
// to make the file of the next segment while its primary shuts down. With archiving on
// the shutdown's checkpoint is the first record of a new segment, and to make its file,
// all zeros and durable, takes long enough to be felt by those who wait for a hand-over.
func (s *Server) LacksSegment(received wal.Point) bool {
	cfg := s.cfg()
	if mode, _ := cfg.parameter("archive_mode"); mode == "" || isFalse(mode) || received.Timeline == 0 || received.LSN == 0 {
		return false
	}
	control, ok := readControlFile(cfg)
	if !ok || control.segmentSize > segmentMost {
		return false
	}
	_, err := os.Stat(cfg.data("pg_wal", segmentAfter(received, control.segmentSize)))
	return errors.Is(err, fs.ErrNotExist)
}

// isFalse reports that a setting is off, however that is written.
func isFalse(value string) bool {
	switch value {
	case "off", "false", "no", "0", "f", "n":
		return true
	}
	return false
}

// segmentAfter is the file after the one that the byte before the position is in.
func segmentAfter(at wal.Point, size uint64) string {
	at.LSN = wal.LSN(((uint64(at.LSN)-1)/size + 1) * size)
	return segmentFile(at, size)
}

// MakeSegment makes the file of the next segment of a standby's log, as PostgreSQL makes
// its own ahead (xlog.c, PreallocXlogFiles). Whoever comes first has made it: a file that
// is there is never replaced, and the server takes what it finds for its own. Once a
// promotion has begun the file would be a stray one of the timeline that is left, so
// none is made any more.
func (s *Server) MakeSegment(ctx context.Context, received wal.Point) error {
	if !s.LacksSegment(received) {
		return nil
	}
	cfg := s.cfg()
	control, ok := readControlFile(cfg)
	if !ok {
		return fmt.Errorf("make the next segment: the control file is just being written")
	}
	// One name only, and a new file: what an agent that was killed has left must never be
	// written to, it could be part of the log by now.
	temp := cfg.data("pg_wal", "xlogtemp.matriarch")
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make the next segment: %w", err)
	}
	defer os.Remove(temp)
	if err := zeros(ctx, temp, control.segmentSize, fileMode(cfg, temp)); err != nil {
		return fmt.Errorf("make the next segment: %w", err)
	}
	if now := s.Status(ctx); !now.Answering || !now.InRecovery || now.Timeline != received.Timeline {
		return nil // it has gone on to another timeline, or ended
	}
	name := segmentAfter(received, control.segmentSize)
	if placed, err := s.placeSegment(temp, cfg.data("pg_wal", name)); err != nil || !placed {
		return err
	}
	if err := durable.SyncDir(cfg.data("pg_wal")); err != nil {
		return fmt.Errorf("make the next segment: %w", err)
	}
	s.log.Info("the next segment of the log is there, before it is needed", "segment", name)
	return nil
}

// placeSegment gives the file its name, if there is none of that name and no promotion
// has begun. A file system that cannot do it in one step leaves it to the server.
func (s *Server) placeSegment(temp, path string) (bool, error) {
	s.segments.Lock()
	defer s.segments.Unlock()
	if p := s.current(); p == nil || s.leaving == p {
		return false, nil
	}
	err := unix.Renameat2(unix.AT_FDCWD, temp, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrExist), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		return false, nil
	}
	return false, fmt.Errorf("make the next segment %s: %w", path, err)
}

// zeros makes a durable file of zeros.
func zeros(ctx context.Context, path string, size uint64, mode fs.FileMode) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	part := make([]byte, 1<<20)
	for written := uint64(0); written < size && err == nil; written += uint64(len(part)) {
		if err = ctx.Err(); err == nil {
			_, err = file.Write(part)
		}
	}
	return errors.Join(err, file.Chmod(mode), file.Sync(), file.Close())
}

// leave ends the making of segments for the timeline that a promotion leaves.
func (s *Server) leave(p *process) {
	s.segments.Lock()
	defer s.segments.Unlock()
	s.leaving = p
}

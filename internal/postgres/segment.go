package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

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
	// The server removes what is left of it after a crash (xlog.c, RemoveTempXlogFiles).
	temp := cfg.data("pg_wal", "xlogtemp.matriarch")
	defer os.Remove(temp)
	if err := zeros(ctx, temp, control.segmentSize, fileMode(cfg, temp)); err != nil {
		return fmt.Errorf("make the next segment: %w", err)
	}
	s.segments.Lock()
	defer s.segments.Unlock()
	if p := s.current(); p == nil || s.leaving == p {
		return nil
	}
	if standby, err := s.inRecovery(ctx); err != nil || !standby {
		return err
	}
	name := segmentAfter(received, control.segmentSize)
	err := os.Link(temp, cfg.data("pg_wal", name))
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err == nil:
		err = durable.SyncDir(cfg.data("pg_wal"))
	}
	if err != nil {
		return fmt.Errorf("make the next segment: %w", err)
	}
	s.log.Info("the next segment of the log is there, before it is needed", "segment", name)
	return nil
}

// zeros makes a durable file of zeros.
func zeros(ctx context.Context, path string, size uint64, mode fs.FileMode) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
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

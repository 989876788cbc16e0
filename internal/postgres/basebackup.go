package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A base backup gets two attempts, five seconds apart, as in Patroni.
const (
	backupAttempts = 2
	backupPause    = 5 * time.Second
)

// BaseBackup replaces the data directory by a copy of source's. What was in it is
// removed first. The result is a standby's directory, ready for StartStandby.
// Progress gets lines such as "42%"; it may be nil.
//
// When all attempts fail the directory is emptied. When ctx ends it stays as it
// is, marked as half written, because emptying it may take long.
func (s *Server) BaseBackup(ctx context.Context, source Upstream, progress func(string)) error {
	if os.Geteuid() == 0 {
		return fmt.Errorf("base backup from %s: %w", source.label(), ErrRoot)
	}
	// The version of what lies there now does not matter: it goes.
	if _, err := s.binaryMajor(ctx); err != nil {
		return fmt.Errorf("base backup from %s: %w", source.label(), err)
	}
	if p := s.current(); p != nil {
		return fmt.Errorf("base backup from %s: %w as process %d", source.label(), ErrRunning, p.pid)
	}
	if err := s.begin(WorkBaseBackup, source.label()); err != nil {
		return fmt.Errorf("base backup from %s: %w", source.label(), err)
	}
	began := s.clock()
	if err := s.copyWithRetry(ctx, source, progress); err != nil {
		err = fmt.Errorf("base backup from %s: %w", source.label(), err)
		if ctx.Err() == nil {
			err = errors.Join(err, s.RemoveData(ctx))
		}
		return err
	}
	if err := s.adoptCopy(); err != nil {
		return fmt.Errorf("base backup from %s: %w", source.label(), err)
	}
	if err := s.finish(); err != nil {
		return fmt.Errorf("base backup from %s: %w", source.label(), err)
	}
	s.log.Info("base backup is complete", "source", source.label(), "took", s.clock().Sub(began))
	s.announce()
	return nil
}

func (s *Server) copyWithRetry(ctx context.Context, source Upstream, progress func(string)) error {
	for attempt := 1; ; attempt++ {
		err := s.copyOnce(ctx, source, progress)
		if err == nil || ctx.Err() != nil || attempt == backupAttempts {
			return err
		}
		s.log.Warn("base backup failed, it will be tried again", "source", source.label(), "attempt", attempt, "err", err)
		timer := time.NewTimer(backupPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

func (s *Server) copyOnce(ctx context.Context, source Upstream, progress func(string)) error {
	if err := s.emptyDirectory(ctx); err != nil {
		return err
	}
	cfg := s.cfg()
	if err := ownDirectory(cfg.DataDir); err != nil {
		return err
	}
	if err := s.withSource(source); err != nil {
		return err
	}
	major, err := s.binaryMajor(ctx)
	if err != nil {
		return err
	}
	s.log.Info("base backup begins", "source", source.label(), "host", source.Host, "port", source.port())
	run := s.tool(ctx, "pg_basebackup", backupArguments(cfg, toolConninfo(cfg, cfg.Replication, source, major))...)
	run.env = append(passEnvironment(cfg), cLocale...)
	return run.follow(func(line string) { s.reportProgress("pg_basebackup", line, progress) })
}

// backupArguments asks for a fast checkpoint unless the user has an opinion:
// otherwise the copy waits for the primary's next checkpoint, minutes perhaps.
func backupArguments(cfg Config, conninfo string) []string {
	args := []string{"--pgdata=" + cfg.DataDir, "-X", "stream", "--dbname=" + conninfo, "--no-password"}
	for option, alternatives := range map[string][]string{
		"--checkpoint=fast": {"--checkpoint", "-c"},
		"--progress":        {"--progress", "-P"},
	} {
		given := slices.ContainsFunc(cfg.BaseBackupOptions, func(o string) bool {
			name, _, _ := strings.Cut(o, "=")
			return slices.Contains(alternatives, name)
		})
		if !given {
			args = append(args, option)
		}
	}
	slices.Sort(args[5:]) // a map's order is none
	return append(args, cfg.BaseBackupOptions...)
}

// percent is in the progress of pg_basebackup, "1234/23000 kB (5%), 0/1
// tablespace", and of pg_rewind, "1234/23000 kB (5%) copied".
var percent = regexp.MustCompile(`\d+/\d+ kB \((\d+%)\)`)

// reportProgress hands on each new percentage and logs all that is not progress.
func (s *Server) reportProgress(tool, line string, progress func(string)) {
	if m := percent.FindStringSubmatch(line); m != nil {
		if progress != nil {
			progress(m[1])
		}
		return
	}
	s.log.Info(tool, "line", line)
}

// adoptCopy makes the copy a standby's directory. The signal file comes before
// the marker goes: a copy without it would start as a second primary.
func (s *Server) adoptCopy() error {
	cfg := s.cfg()
	if err := s.restoreFiles(); err != nil {
		return err
	}
	if err := os.Remove(cfg.data("promote")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return s.writeSignal()
}

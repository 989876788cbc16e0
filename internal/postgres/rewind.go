package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"matriarch/internal/durable"
	"matriarch/internal/postgres/conf"
)

// The ways in which a rewind can end short of success, for errors.Is.
var (
	// ErrSourceUnusable says that the source could not be reached or is not
	// primary: nothing was changed, and it can be tried again.
	ErrSourceUnusable = errors.New("the source cannot be rewound from now")
	// ErrRewindRefused says that pg_rewind declined before it changed anything:
	// for example there is no common ancestor, or log that it needs is gone.
	ErrRewindRefused = errors.New("pg_rewind refused, nothing was changed")
)

// RewindPossible tells whether pg_rewind may be tried on this directory: it is
// wished, the tool is there, and the pages can be told apart (by hint bits in
// the log or by checksums).
func (s *Server) RewindPossible(ctx context.Context) bool {
	if !s.cfg().UsePgRewind {
		return false
	}
	if _, err := s.tool(ctx, "pg_rewind", "--help").output(); err != nil {
		return false
	}
	data, err := s.Control(ctx)
	return err == nil && (data.WALLogHints || data.ChecksumVersion > 0)
}

// Rewind makes a diverged directory equal to source's, as a standby's. The
// server must be stopped. Log that only this server has is archived first, since
// the rewind removes it. On ErrSourceUnusable and ErrRewindRefused the directory
// is as it was; after any other failure it is half written.
func (s *Server) Rewind(ctx context.Context, source Upstream, progress func(string)) error {
	if err := s.rewindPrepared(ctx, source); err != nil {
		return fmt.Errorf("rewind from %s: %w", source.label(), err)
	}
	began := s.clock()
	if err := s.begin(WorkRewind, source.label()); err != nil {
		return fmt.Errorf("rewind from %s: %w", source.label(), err)
	}
	touched, err := s.pgRewind(ctx, source, progress)
	if err != nil && !touched && ctx.Err() == nil {
		err = errors.Join(fmt.Errorf("%w: %w", s.whyUntouched(ctx, source, err), err), s.finish())
	}
	if err != nil {
		return fmt.Errorf("rewind from %s: %w", source.label(), err)
	}
	roots, err := s.cfg().dataRoots()
	if err == nil {
		// Everything, wherever it lies, before the marker goes.
		err = errors.Join(s.adoptCopy(), durable.SyncTree(ctx, roots...))
	}
	if err == nil {
		err = s.finish()
	}
	if err != nil {
		return fmt.Errorf("rewind from %s: %w", source.label(), err)
	}
	s.setDurable(s.syncfsIsQuick(roots))
	s.log.Info("rewind is complete", "source", source.label(), "took", s.clock().Sub(began))
	s.announce()
	return nil
}

// whyUntouched tells a refusal, which would come again, from the loss of the source,
// which is the usual end of a rewind when the source is what dies next. pg_rewind says
// both in words only, and a source that is there again at once lost the connection all
// the same.
func (s *Server) whyUntouched(ctx context.Context, source Upstream, said error) error {
	if primary, err := s.IsPrimary(ctx, source); err != nil || !primary {
		return ErrSourceUnusable
	}
	for _, words := range []string{"connection to server", "server closed the connection", "terminating connection", "could not connect", "SSL error"} {
		if strings.Contains(said.Error(), words) {
			return ErrSourceUnusable
		}
	}
	return ErrRewindRefused
}

// rewindPrepared is all that comes before the directory's content changes.
func (s *Server) rewindPrepared(ctx context.Context, source Upstream) error {
	if err := s.Check(ctx); err != nil {
		return err
	}
	if err := s.refuseHalfWritten(); err != nil {
		return err
	}
	if p := s.current(); p != nil {
		return fmt.Errorf("%w as process %d", ErrRunning, p.pid)
	}
	if err := errors.Join(s.clearStrays(ctx), s.clearLeftovers(ctx)); err != nil {
		return err
	}
	primary, err := s.IsPrimary(ctx, source)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrSourceUnusable, err)
	case !primary:
		return fmt.Errorf("%w: it is in recovery", ErrSourceUnusable)
	}
	s.archiveReady(ctx)
	return s.recoverCleanly(ctx)
}

// recoverCleanly brings a crashed directory to a clean shutdown, which pg_rewind
// asks for. It would do so itself, but not for a standby that crashed, and the
// log that it is about to read could be recycled.
func (s *Server) recoverCleanly(ctx context.Context) error {
	data, err := s.Control(ctx)
	if err != nil {
		return err
	}
	if data.State == conf.StateShutDown || data.State == conf.StateShutDownInRecovery {
		return nil
	}
	return s.CrashRecover(ctx)
}

// rewindOptions are for the tool's queries at the source. The one for the list of files
// is thought to have millions of rows, and so is compiled first where the server can do
// that: for 0.7 s and more, when it takes 0.03 s (measured on PostgreSQL 15).
const rewindOptions = "-c statement_timeout=0 -c jit=off"

// pgRewind runs the tool. It reports whether the target may have been touched:
// pg_rewind says "need to copy" when it has all it needs to know, directly
// before it begins to write (pg_rewind.c, main).
func (s *Server) pgRewind(ctx context.Context, source Upstream, progress func(string)) (touched bool, err error) {
	if err := s.withSource(source); err != nil {
		return false, err
	}
	args, err := s.rewindArguments(ctx, source)
	if err != nil {
		return false, err
	}
	s.log.Info("rewind begins", "source", source.label(), "host", source.Host, "port", source.port())
	run := s.tool(ctx, "pg_rewind", args...)
	run.env = append(passEnvironment(s.cfg()), append(cLocale, "PGOPTIONS="+rewindOptions)...)
	err = run.follow(func(line string) {
		touched = touched || strings.Contains(line, "need to copy") || percent.MatchString(line)
		s.reportProgress("pg_rewind", line, progress)
	})
	// An interrupted run may have said its last word to nobody.
	return touched || ctx.Err() != nil, err
}

// rewindArguments lets pg_rewind fetch log from the archive where there is a
// restore_command and it can find it: it reads the configuration by itself, from
// a directory of its own choice only since 15.
func (s *Server) rewindArguments(ctx context.Context, source Upstream) ([]string, error) {
	cfg := s.cfg()
	major, err := s.binaryMajor(ctx)
	if err != nil {
		return nil, err
	}
	conninfo := toolConninfo(cfg, cfg.rewindUser(), source, major)
	// It would sync one file after the other. We do it faster, before the marker goes.
	args := []string{"--target-pgdata=" + cfg.DataDir, "--source-server=" + conninfo, "--progress", "--no-sync"}
	outside := !sameDir(cfg.configDir(), cfg.DataDir) || filepath.Base(cfg.mainFile()) != "postgresql.conf"
	if command, err := s.setting(ctx, "restore_command"); err == nil && command != "" && (major >= 15 || !outside) {
		args = append(args, "--restore-target-wal")
	}
	if major >= 15 && outside {
		args = append(args, "--config-file="+cfg.mainFile())
	}
	return args, nil
}

// dataRoots are the data directory, and what links in it lead to: the log, where that has
// a place of its own, and the tablespaces.
func (c Config) dataRoots() ([]string, error) {
	roots := []string{c.DataDir}
	links, err := filepath.Glob(c.data("pg_tblspc", "*"))
	for _, path := range append(links, c.data("pg_wal")) {
		if info, errStat := os.Lstat(path); errStat != nil {
			err = errors.Join(err, errStat)
		} else if info.Mode()&fs.ModeSymlink != 0 {
			roots = append(roots, path)
		}
	}
	return roots, err
}

// setting asks the server's binary for a setting as a start would see it.
func (s *Server) setting(ctx context.Context, name string) (string, error) {
	cfg := s.cfg()
	run := s.tool(ctx, "postgres", "-D", cfg.DataDir, "-C", name, "--config-file="+cfg.mainFile())
	run.env = cLocale
	text, err := run.output()
	return strings.TrimSuffix(text, "\n"), err
}

package postgres

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"matriarch/internal/durable"
	"matriarch/internal/postgres/conf"
)

// StartPrimary starts the server out of recovery: it removes the signal files
// first. Only for one who knows that this server is the primary.
func (s *Server) StartPrimary(ctx context.Context) error {
	if err := s.mayStart(ctx); err != nil {
		return err
	}
	return s.startPrimary(ctx)
}

func (s *Server) startPrimary(ctx context.Context) error {
	cfg := s.cfg()
	for _, name := range []string{"standby.signal", "recovery.signal"} {
		if err := durable.Remove(cfg.data(name)); err != nil {
			return fmt.Errorf("start as primary: %w", err)
		}
	}
	s.setUpstream(nil)
	return s.start(ctx, false)
}

// StartStandby starts the server in recovery, following upstream. It returns
// when the postmaster runs; WaitReady waits until it answers.
func (s *Server) StartStandby(ctx context.Context, upstream Upstream) error {
	if err := s.mayStart(ctx); err != nil {
		return err
	}
	if s.crashedAsPrimary(ctx) {
		// A standby archives nothing, and the others have marked theirs as archived by this
		// one: what is ready would be missing in the archive for ever.
		s.archiveReady(ctx)
	}
	if err := s.writeSignal(); err != nil {
		return fmt.Errorf("start as standby: %w", err)
	}
	s.setUpstream(&upstream)
	s.waitForNobody()
	return s.start(ctx, true)
}

// crashedAsPrimary reports that the directory is that of a primary which was not shut
// down in order.
func (s *Server) crashedAsPrimary(ctx context.Context) bool {
	if s.hasSignal(s.cfg()) || s.isCopy() {
		return false
	}
	data, err := s.Control(ctx)
	return err == nil && (data.State == conf.StateInProduction || data.State == conf.StateShuttingDown || data.State == conf.StateInCrashRecovery)
}

func (s *Server) setUpstream(u *Upstream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.upstream = u
}

func (s *Server) hasSignal(cfg Config) bool {
	_, err := os.Stat(cfg.data("standby.signal"))
	return err == nil
}

// writeSignal makes the directory that of a standby. recovery.signal would mean
// to recover to a target and then to promote.
func (s *Server) writeSignal() error {
	cfg := s.cfg()
	if err := durable.Remove(cfg.data("recovery.signal")); err != nil {
		return err
	}
	if s.hasSignal(cfg) {
		return nil
	}
	path := cfg.data("standby.signal")
	return durable.WriteFile(path, nil, fileMode(cfg, path))
}

// mayStart is all that can forbid a start.
func (s *Server) mayStart(ctx context.Context) error {
	if err := s.Check(ctx); err != nil {
		return err
	}
	if err := s.refuseHalfWritten(); err != nil {
		return err
	}
	if p := s.current(); p != nil {
		return fmt.Errorf("start on %s: %w as process %d", s.cfg().DataDir, ErrRunning, p.pid)
	}
	return nil
}

// start writes the files and launches the postmaster.
func (s *Server) start(ctx context.Context, standby bool) error {
	began := s.clock()
	s.disconnect()
	s.chooseSocket()
	cfg := s.cfg()
	if err := s.clearLeftovers(ctx); err != nil {
		return fmt.Errorf("start on %s: %w", cfg.DataDir, err)
	}
	if err := makeDirectories(cfg); err != nil {
		return fmt.Errorf("start on %s: %w", cfg.DataDir, err)
	}
	files, err := s.writeFiles(ctx, standby)
	if err != nil {
		return fmt.Errorf("start on %s: %w", cfg.DataDir, err)
	}
	for _, warning := range files.effective.Warnings {
		s.log.Warn(warning)
	}
	p, err := s.launch(ctx, cfg, append(files.effective.CommandLine, s.quickSync(ctx, cfg)...), standby)
	if err != nil {
		return fmt.Errorf("start on %s: %w", cfg.DataDir, err)
	}
	s.log.Info("postmaster started", "pid", p.pid, "standby", standby, "took", s.clock().Sub(began))
	return nil
}

// makeDirectories creates those that the server's files live in. The socket
// directory is often on a file system that does not outlive a boot.
func makeDirectories(cfg Config) error {
	var wanted []string
	if directories, set := cfg.parameter("unix_socket_directories"); set {
		for d := range strings.SplitSeq(directories, ",") {
			if d = strings.TrimSpace(d); filepath.IsAbs(d) {
				wanted = append(wanted, d)
			}
		}
	}
	if dir, set := cfg.parameter("stats_temp_directory"); set { // before 15
		if !filepath.IsAbs(dir) {
			dir = cfg.data(dir)
		}
		wanted = append(wanted, dir)
	}
	if cfg.PgPass != "" {
		wanted = append(wanted, filepath.Dir(cfg.PgPass))
	}
	for _, d := range wanted {
		if err := makeOutside(d); err != nil {
			return err
		}
	}
	return nil
}

// commandLine is the postmaster's. What must agree on all nodes is here and not
// only in the file, since it then beats ALTER SYSTEM.
func commandLine(cfg Config, settings []conf.Setting) []string {
	args := []string{cfg.bin("postgres"), "-D", cfg.DataDir, "--config-file=" + cfg.mainFile()}
	for _, setting := range settings {
		args = append(args, "--"+setting.Name+"="+setting.Value)
	}
	return args
}

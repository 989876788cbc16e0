package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"matriarch/internal/durable"
	"matriarch/internal/postgres/conf"
)

// archiveReady archives what the server did not come to: a rewind removes log
// that only this server has. What cannot be archived is logged and passed over,
// as in Patroni: the rewind is needed all the same.
func (s *Server) archiveReady(ctx context.Context) {
	cfg := s.cfg()
	dir := cfg.data("pg_wal", "archive_status")
	entries, err := os.ReadDir(dir)
	if err != nil {
		s.log.Warn("ready segments are not archived", "err", err)
		return
	}
	var ready []string
	for _, entry := range entries { // ReadDir sorts by name
		if name, is := strings.CutSuffix(entry.Name(), ".ready"); is && isSegment(name) {
			ready = append(ready, name)
		}
	}
	if len(ready) == 0 {
		return
	}
	command, archives := s.archiveCommand(ctx)
	if !archives {
		return
	}
	for _, name := range ready {
		if err := s.archive(ctx, cfg, command, name); err != nil {
			s.log.Warn("segment is not archived", "segment", name, "err", err)
			continue
		}
		if err := durable.Rename(filepath.Join(dir, name+".ready"), filepath.Join(dir, name+".done")); err != nil {
			s.log.Warn("segment is archived, but not marked", "segment", name, "err", err)
		}
	}
}

// archiveCommand is what archives a segment, if archiving is on.
func (s *Server) archiveCommand(ctx context.Context) (string, bool) {
	mode, err := s.setting(ctx, "archive_mode")
	if on, _ := conf.ParseBool(mode); err != nil || !on && mode != "always" {
		return "", false
	}
	command, err := s.setting(ctx, "archive_command")
	return command, err == nil && command != ""
}

// segmentName is a segment's, or that of the last, partial one of a timeline.
var segmentName = regexp.MustCompile(`^[0-9A-F]{24}(\.partial)?$`)

func isSegment(name string) bool { return segmentName.MatchString(name) }

func (s *Server) archive(ctx context.Context, cfg Config, command, segment string) error {
	line := strings.NewReplacer("%p", "pg_wal/"+segment, "%f", segment, "%%", "%").Replace(command)
	run := job{ctx: ctx, path: "/bin/sh", args: []string{"-c", line}, dir: cfg.DataDir}
	if err := run.follow(nil); err != nil {
		return fmt.Errorf("archive %s: %w", segment, err)
	}
	s.log.Info("segment archived", "segment", segment)
	return nil
}

// CrashRecover replays the log of a crashed server in single-user mode, so that
// it ends as cleanly shut down. It becomes no primary by that: nobody can
// connect. The archiver's marks go away and archiving is pretended to fail, so
// that no log is recycled which a rewind has yet to read.
func (s *Server) CrashRecover(ctx context.Context) error {
	if err := s.mayStart(ctx); err != nil {
		return fmt.Errorf("recover in single-user mode: %w", err)
	}
	cfg := s.cfg()
	if err := s.clearLeftovers(ctx); err != nil {
		return fmt.Errorf("recover in single-user mode: %w", err)
	}
	began := s.clock()
	settings, err := s.singleUserSettings(ctx, cfg)
	if err != nil {
		return fmt.Errorf("recover in single-user mode: %w", err)
	}
	// The standby's mark is put back: without it the directory would come up as a
	// primary at the next start.
	wasStandby := s.hasSignal(cfg)
	for _, name := range []string{"standby.signal", "recovery.signal"} {
		if err := durable.Remove(cfg.data(name)); err != nil {
			return fmt.Errorf("recover in single-user mode: %w", err)
		}
	}
	args := append([]string{"--single", "-D", cfg.DataDir, "--config-file=" + cfg.mainFile(),
		"-c", "archive_mode=on", "-c", "archive_command=false"}, settings...)
	run := s.tool(ctx, "postgres", append(args, "template1")...)
	run.input = strings.NewReader("")
	run.env = append(staleLock(cfg), cLocale...)
	err = run.follow(func(line string) { s.log.Info("single-user recovery", "line", line) })
	if wasStandby {
		err = errors.Join(err, s.writeSignal())
	}
	if err != nil {
		return fmt.Errorf("recover in single-user mode: %w", err)
	}
	s.log.Info("recovered in single-user mode", "took", s.clock().Sub(began))
	return nil
}

// singleUserSettings are those of a start, which the crashed server ran with.
func (s *Server) singleUserSettings(ctx context.Context, cfg Config) ([]string, error) {
	entries, err := os.ReadDir(cfg.data("pg_wal", "archive_status"))
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if err := os.Remove(cfg.data("pg_wal", "archive_status", entry.Name())); err != nil {
			return nil, err
		}
	}
	files, err := s.writeFiles(ctx, true)
	if err != nil {
		return nil, err
	}
	var args []string
	for _, setting := range files.effective.CommandLine {
		if slices.Contains([]string{"listen_addresses", "port", "cluster_name"}, setting.Name) {
			continue
		}
		args = append(args, "-c", setting.Name+"="+setting.Value)
	}
	return args, nil
}

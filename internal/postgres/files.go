package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"matriarch/internal/durable"
	"matriarch/internal/postgres/conf"
)

// retryIntervalDefault is wal_retrieve_retry_interval unless the user sets it. A
// standby that lost its primary sleeps that long between two attempts, so
// PostgreSQL's own 5 s are the time that it takes to find the new one. With a
// restore_command every attempt runs a command, and the user's setting stays.
const retryIntervalDefault = "200ms"

// written is what came of the configuration files.
type written struct {
	changed   bool // any of them
	effective conf.Effective
	settings  []change // in the main file, if there was one of ours
}

// writeFiles makes the configuration files say what the server should run with,
// as a standby or as a primary.
func (s *Server) writeFiles(ctx context.Context, standby bool) (out written, err error) {
	s.files.Lock()
	defer s.files.Unlock()
	cfg := s.cfg()
	effective, recovery, err := s.effective(ctx, cfg, standby)
	if err != nil {
		return out, err
	}
	if err := keepBase(cfg); err != nil {
		return out, err
	}
	restoring := s.restores()
	restoring.adjust(&effective, &recovery)
	main := mainFile(cfg, effective.File, recovery)
	restoring.openAccess(cfg, &main)
	s.judge(ctx, cfg, &main)
	s.mu.Lock()
	s.warned = effective.Warnings
	s.mu.Unlock()
	files := map[string]string{cfg.mainFile(): main.Render()}
	if before, err := os.ReadFile(cfg.mainFile()); err == nil {
		out.settings = changes(string(before), files[cfg.mainFile()])
	}
	// A file that the user's setting points away from is the user's own.
	if cfg.PgHBA != nil && main.HBAFile == cfg.hbaFile() {
		files[cfg.hbaFile()] = conf.Lines(cfg.PgHBA)
	}
	if cfg.PgIdent != nil && main.Ident != "" {
		files[cfg.identFile()] = conf.Lines(cfg.PgIdent)
	}
	auto := cfg.data("postgresql.auto.conf")
	if text, err := os.ReadFile(auto); err == nil && !restoring.keeps() {
		if clean, changed := conf.SanitizeAuto(string(text)); changed {
			files[auto] = clean
		}
	}
	out.effective = effective
	out.changed, err = s.writeAll(cfg, files)
	return out, err
}

func (s *Server) writeAll(cfg Config, files map[string]string) (bool, error) {
	any := false
	for path, text := range files {
		changed, err := writeIfChanged(path, []byte(text), fileMode(cfg, path))
		if err != nil {
			return any, err
		}
		if changed {
			s.log.Info("configuration file written", "path", path)
		}
		any = any || changed
	}
	passwords, err := s.writePasswords()
	return any || passwords, err
}

// effective resolves the parameters and the recovery settings.
func (s *Server) effective(ctx context.Context, cfg Config, standby bool) (conf.Effective, map[string]string, error) {
	var floor map[string]int64
	if standby {
		control, err := s.Control(ctx)
		if err != nil {
			return conf.Effective{}, nil, err
		}
		floor = control.Settings
	}
	e := conf.Resolve(cfg.Parameters, fixedSettings(cfg), floor)
	s.overruleNames(cfg, e.File)
	if !standby {
		return e, nil, nil
	}
	if s.feedsBack() {
		for name := range e.File { // however the user spelled it
			if strings.EqualFold(name, feedbackParameter) {
				delete(e.File, name)
			}
		}
		e.File[feedbackParameter] = "on"
	}
	recovery, err := s.recovery(cfg, cfg.recoverySettings())
	if _, set := cfg.parameter("wal_retrieve_retry_interval"); !set && recovery["restore_command"] == "" {
		e.File["wal_retrieve_retry_interval"] = retryIntervalDefault
	}
	return e, recovery, err
}

// feedbackParameter keeps the primary from removing rows of the catalogue that a
// logical slot on the standby still needs.
const feedbackParameter = "hot_standby_feedback"

func (s *Server) feedsBack() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.upstream != nil && s.upstream.Feedback
}

// recovery is the standby's section. Until Follow has said whom to follow, what
// the file says already stays: we may have adopted a server that streams.
func (s *Server) recovery(cfg Config, user map[string]string) (map[string]string, error) {
	major, err := s.DataMajor()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	upstream := s.upstream
	s.mu.Unlock()
	if upstream != nil {
		slot := ""
		if cfg.UseSlots {
			slot = upstream.Slot
		}
		return conf.StandbyRecovery(user, standbyConninfo(cfg, *upstream, major), slot, major), nil
	}
	text, err := os.ReadFile(cfg.mainFile())
	if err == nil {
		if section := conf.RecoverySection(string(text)); len(section) > 0 {
			return section, nil
		}
	}
	return conf.StandbyRecovery(user, "", "", major), nil
}

// mainFile puts postgresql.conf together.
func mainFile(cfg Config, settings, recovery map[string]string) conf.Main {
	main := conf.Main{Include: filepath.Base(cfg.baseFile()), Settings: maps.Clone(settings), Recovery: recovery,
		HBAFile: cfg.hbaFile(), Ident: cfg.identFile()}
	if cfg.CustomConf != "" {
		main.Include = cfg.CustomConf
	}
	for name, value := range main.Settings {
		lower := strings.ToLower(name)
		switch lower {
		case "hba_file":
			main.HBAFile = ""
		case "ident_file":
			main.Ident = ""
		default:
			continue
		}
		if !filepath.IsAbs(value) {
			main.Settings[name] = filepath.Join(cfg.configDir(), value)
		}
	}
	return main
}

// keepBase renames the original postgresql.conf, once: from then on it is
// included.
func keepBase(cfg Config) error {
	if cfg.CustomConf != "" {
		return nil
	}
	if _, err := os.Lstat(cfg.baseFile()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := durable.Rename(cfg.mainFile(), cfg.baseFile())
	if errors.Is(err, fs.ErrNotExist) {
		// Nothing to include; an empty file keeps the include valid.
		return durable.WriteFile(cfg.baseFile(), nil, fileMode(cfg, cfg.baseFile()))
	}
	return err
}

func writeIfChanged(path string, data []byte, mode fs.FileMode) (bool, error) {
	old, err := os.ReadFile(path)
	if err == nil && bytes.Equal(old, data) {
		return false, nil
	}
	return true, durable.WriteFile(path, data, mode)
}

// savedFiles are the configuration files whose copies travel inside the data
// directory, so that a clone made by a tool that skips them is complete.
func savedFiles(cfg Config) []string {
	files := []string{cfg.mainFile()}
	if cfg.CustomConf == "" {
		files = append(files, cfg.baseFile())
	}
	for name, path := range map[string]string{"hba_file": cfg.hbaFile(), "ident_file": cfg.identFile()} {
		if _, elsewhere := cfg.parameter(name); !elsewhere {
			files = append(files, path)
		}
	}
	return files
}

func (s *Server) saveFiles() {
	cfg := s.cfg()
	for _, path := range savedFiles(cfg) {
		text, err := os.ReadFile(path)
		if err == nil {
			copied := cfg.data(filepath.Base(path) + ".backup")
			_, err = writeIfChanged(copied, text, fileMode(cfg, copied))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.log.Warn("configuration file not saved", "path", path, "err", err)
		}
	}
}

// restoreFiles brings back configuration files that a clone lacks.
func (s *Server) restoreFiles() error {
	cfg := s.cfg()
	for _, path := range savedFiles(cfg) {
		if _, err := os.Stat(path); err == nil {
			continue
		}
		text, err := os.ReadFile(cfg.data(filepath.Base(path) + ".backup"))
		if err != nil && path != cfg.identFile() {
			continue
		}
		if err := durable.WriteFile(path, text, fileMode(cfg, path)); err != nil {
			return fmt.Errorf("restore configuration: %w", err)
		}
	}
	return nil
}

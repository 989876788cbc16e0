package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"matriarch/internal/durable"
)

// Bootstrap makes a new cluster in an empty directory and starts it as a
// primary. The directory counts as unfinished until PostBootstrap has made the
// roles: a cluster without them cannot be joined.
func (s *Server) Bootstrap(ctx context.Context) error {
	if err := s.Check(ctx); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	cfg := s.cfg()
	if d := s.Directory(); d != Empty && d != Missing {
		return fmt.Errorf("bootstrap in %s: the data directory is not empty: %s", cfg.DataDir, d)
	}
	if err := s.begin(WorkBootstrap, cfg.Name); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	if cfg.Custom != nil {
		if err := s.customBootstrap(ctx, cfg); err != nil {
			return fmt.Errorf("bootstrap: %w", err)
		}
		return nil
	}
	if err := s.initdb(ctx, cfg); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	if err := appendHBA(cfg); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	if err := s.startPrimary(ctx); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	if err := s.WaitReady(ctx); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	s.log.Info("new cluster runs, its roles are to be made", "data_dir", cfg.DataDir)
	return nil
}

func (s *Server) initdb(ctx context.Context, cfg Config) error {
	began := s.clock()
	if err := ownDirectory(cfg.DataDir); err != nil {
		return err
	}
	args := append([]string{}, cfg.Initdb...)
	if cfg.Superuser.Username != "" {
		args = append(args, "--username="+cfg.Superuser.Username)
	}
	if cfg.Superuser.Password != "" {
		path, err := passwordFile(cfg.Superuser.Password)
		if err != nil {
			return err
		}
		defer os.Remove(path)
		args = append(args, "--pwfile="+path)
	}
	run := s.tool(ctx, "initdb", append(args, cfg.DataDir)...)
	if err := run.follow(func(line string) { s.log.Debug("initdb", "line", line) }); err != nil {
		return err
	}
	s.log.Info("initdb has made the data directory", "data_dir", cfg.DataDir, "took", s.clock().Sub(began))
	return nil
}

// ownDirectory makes the data directory, closed to others.
func ownDirectory(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return os.Chmod(path, 0o700)
}

// passwordFile is for initdb, which takes the superuser's password from a file's
// first line. os.CreateTemp makes it with mode 0600.
func passwordFile(password string) (string, error) {
	file, err := os.CreateTemp("", "initdb-")
	if err != nil {
		return "", fmt.Errorf("write the password for initdb: %w", err)
	}
	_, err = file.WriteString(password + "\n")
	if err := errors.Join(err, file.Close()); err != nil {
		os.Remove(file.Name())
		return "", fmt.Errorf("write the password for initdb: %w", err)
	}
	return file.Name(), nil
}

// appendHBA adds the bootstrap's lines to the file that initdb made, unless the
// whole file is configured, or is somewhere else.
func appendHBA(cfg Config) error {
	if _, elsewhere := cfg.parameter("hba_file"); elsewhere || cfg.PgHBA != nil || len(cfg.BootstrapHBA) == 0 {
		return nil
	}
	made := cfg.data("pg_hba.conf")
	text, err := os.ReadFile(made)
	if err != nil {
		return fmt.Errorf("append to pg_hba.conf: %w", err)
	}
	text = append(text, strings.Join(cfg.BootstrapHBA, "\n")+"\n"...)
	return durable.WriteFile(cfg.hbaFile(), text, fileMode(cfg, cfg.hbaFile()))
}

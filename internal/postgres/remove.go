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
)

// RemoveData empties the data directory, and the directories that its pg_wal and
// tablespace links point to, and forgets the marker: nothing half written is
// left. The directory itself stays, since it may be a mount point. Whether the
// data may be lost is the caller's question (S4).
func (s *Server) RemoveData(ctx context.Context) error {
	if err := s.emptyDirectory(ctx); err != nil {
		return err
	}
	return s.finish()
}

func (s *Server) emptyDirectory(ctx context.Context) error {
	cfg := s.cfg()
	if p := s.current(); p != nil {
		return fmt.Errorf("remove data of %s: %w as process %d", cfg.DataDir, ErrRunning, p.pid)
	}
	if err := errors.Join(s.clearStrays(ctx), s.clearLeftovers(ctx)); err != nil {
		return fmt.Errorf("remove data of %s: %w", cfg.DataDir, err)
	}
	s.disconnect()
	s.setUpstream(nil)
	// The links' targets come first: without the links they would not be found
	// again after an interruption.
	for _, outside := range cfg.outsideDirectories() {
		if err := emptyTree(ctx, outside); err != nil {
			return fmt.Errorf("remove data of %s: %w", cfg.DataDir, err)
		}
	}
	if err := emptyTree(ctx, cfg.DataDir); err != nil {
		return fmt.Errorf("remove data of %s: %w", cfg.DataDir, err)
	}
	s.log.Info("data removed", "data_dir", cfg.DataDir)
	return nil
}

// outsideDirectories are where the data directory's links lead: pg_wal, and in
// each tablespace only what belongs to this major version (relpath.h,
// TABLESPACE_VERSION_DIRECTORY), for another version may live beside it.
func (c Config) outsideDirectories() []string {
	var found []string
	if target, ok := linkTarget(c.data("pg_wal")); ok {
		found = append(found, target)
	}
	version, err := os.ReadFile(c.data("PG_VERSION"))
	if err != nil {
		return found
	}
	spaces, err := os.ReadDir(c.data("pg_tblspc"))
	if err != nil {
		return found
	}
	for _, space := range spaces {
		target, ok := linkTarget(c.data("pg_tblspc", space.Name()))
		if !ok {
			continue
		}
		matches, err := filepath.Glob(filepath.Join(target, "PG_"+strings.TrimSpace(string(version))+"_*"))
		if err == nil {
			found = append(found, matches...)
		}
	}
	return found
}

// linkTarget resolves a symbolic link; ok is false for anything else.
func linkTarget(path string) (string, bool) {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return "", false
	}
	target, err := filepath.EvalSymlinks(path)
	return target, err == nil
}

// emptyTree removes what is in a directory. A mount point's lost+found belongs
// to root and stays.
func emptyTree(ctx context.Context, dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if entry.Name() == "lost+found" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return durable.SyncDir(dir)
}

// MoveAside renames the data directory to NAME.failed, replacing an older one,
// so that a person can look at it.
func (s *Server) MoveAside(ctx context.Context) error {
	cfg := s.cfg()
	if p := s.current(); p != nil {
		return fmt.Errorf("move %s aside: %w as process %d", cfg.DataDir, ErrRunning, p.pid)
	}
	if err := errors.Join(s.clearStrays(ctx), s.clearLeftovers(ctx)); err != nil {
		return fmt.Errorf("move %s aside: %w", cfg.DataDir, err)
	}
	s.setUpstream(nil)
	if d := s.Directory(); d == Missing || d == Empty { // nothing to look at, and an older NAME.failed may be worth a look
		return s.finish()
	}
	aside := filepath.Clean(cfg.DataDir) + ".failed"
	if err := os.RemoveAll(aside); err != nil {
		return fmt.Errorf("move %s aside: %w", cfg.DataDir, err)
	}
	if err := moveLinked(cfg); err != nil {
		return fmt.Errorf("move %s aside: %w", cfg.DataDir, err)
	}
	if err := durable.Rename(filepath.Clean(cfg.DataDir), aside); err != nil {
		return fmt.Errorf("move %s aside: %w", cfg.DataDir, err)
	}
	s.log.Warn("data directory moved aside", "to", aside)
	return s.finish()
}

// moveLinked moves the targets of pg_wal's and the tablespaces' links aside too,
// and points the links there: a new cluster needs the old places empty.
func moveLinked(cfg Config) error {
	links := []string{cfg.data("pg_wal")}
	if spaces, err := os.ReadDir(cfg.data("pg_tblspc")); err == nil {
		for _, space := range spaces {
			links = append(links, cfg.data("pg_tblspc", space.Name()))
		}
	}
	for _, link := range links {
		target, ok := linkTarget(link)
		if !ok {
			continue
		}
		aside := target + ".failed"
		if err := os.RemoveAll(aside); err != nil {
			return err
		}
		if err := durable.Rename(target, aside); err != nil {
			return err
		}
		if err := os.Remove(link); err != nil {
			return err
		}
		if err := os.Symlink(aside, link); err != nil {
			return err
		}
	}
	return nil
}

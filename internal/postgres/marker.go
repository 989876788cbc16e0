package postgres

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"matriarch/internal/durable"
)

// Unfinished is what the marker says: which work on the data directory has begun
// and has not come to its end.
type Unfinished struct {
	What  string    `json:"what"` // WorkBootstrap, WorkBaseBackup, WorkRewind
	From  string    `json:"from,omitempty"`
	Since time.Time `json:"since"`
}

// The kinds of work that a marker can name.
const (
	WorkBootstrap  = "bootstrap"
	WorkBaseBackup = "base backup"
	WorkRewind     = "rewind"
)

// markerSuffix makes the marker's name. It lies beside the data directory:
// pg_rewind would delete one inside, and pg_basebackup wants an empty directory.
const markerSuffix = ".matriarch-unfinished"

// markerPaths are the places where a marker can be. The second is for a data
// directory whose parent we may not write to, such as a mount point. Both are
// read, since the parent's mode can change between two starts.
func (c Config) markerPaths() []string {
	paths := []string{filepath.Clean(c.DataDir) + markerSuffix}
	if c.PgPass != "" {
		paths = append(paths, filepath.Join(filepath.Dir(c.PgPass), url.PathEscape(filepath.Clean(c.DataDir))+markerSuffix))
	}
	return paths
}

// begin writes the marker, before the first byte of the directory changes.
func (s *Server) begin(what, from string) error {
	cfg := s.cfg()
	s.setDurable(false)
	text, err := json.Marshal(Unfinished{What: what, From: from, Since: s.clock()})
	if err != nil {
		return fmt.Errorf("mark %s as unfinished: %w", cfg.DataDir, err)
	}
	paths := cfg.markerPaths()
	path := paths[0]
	if len(paths) > 1 && unix.Access(filepath.Dir(path), unix.W_OK) != nil {
		path = paths[1]
	}
	if err := durable.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("mark %s as unfinished: %w", cfg.DataDir, err)
	}
	return nil
}

// finish removes the marker, after the last byte is on disk.
func (s *Server) finish() error {
	var errs []error
	for _, path := range s.cfg().markerPaths() {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		errs = append(errs, durable.Remove(path))
	}
	return errors.Join(errs...)
}

// Unfinished tells of work on the directory that was begun and not completed;
// nil when there is none. A marker that cannot be read counts as one: what it
// was about is unknown, that it is there is not.
func (s *Server) Unfinished() *Unfinished {
	for _, path := range s.cfg().markerPaths() {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var found Unfinished
		if err != nil || json.Unmarshal(text, &found) != nil {
			return &Unfinished{What: "unknown"}
		}
		return &found
	}
	return nil
}

// refuseHalfWritten is the guard before every start.
func (s *Server) refuseHalfWritten() error {
	if u := s.Unfinished(); u != nil {
		return fmt.Errorf("start on %s: %w: %s from %q begun at %s was not completed",
			s.cfg().DataDir, ErrHalfWritten, u.What, u.From, u.Since.Format(time.RFC3339))
	}
	return nil
}

// DirectoryState is what is found at the data directory.
type DirectoryState int

// The states of the data directory.
const (
	Missing     DirectoryState = iota // there is none
	Empty                             // nothing but dot-files and lost+found
	HasControl                        // a cluster
	HalfWritten                       // work on it was not completed
	NotACluster                       // something is in it, but no global/pg_control
	Unreadable                        // it cannot be looked at
)

func (d DirectoryState) String() string {
	return [...]string{"missing", "empty", "has control file", "half written", "not a cluster", "unreadable"}[d]
}

// Directory looks at the data directory. The marker counts for less than
// emptiness: where nothing is, nothing is half written.
func (s *Server) Directory() DirectoryState {
	cfg := s.cfg()
	entries, err := os.ReadDir(cfg.DataDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Missing
	case err != nil:
		return Unreadable
	}
	_, errControl := os.Stat(cfg.data("global", "pg_control"))
	occupied := slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return !strings.HasPrefix(e.Name(), ".") && e.Name() != "lost+found"
	})
	switch {
	case !occupied && errControl != nil:
		return Empty
	case s.Unfinished() != nil:
		return HalfWritten
	case errControl != nil:
		return NotACluster
	}
	return HasControl
}

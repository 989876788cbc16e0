package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"matriarch/internal/postgres/conf"
)

// writePasswords writes the password file: the one place where passwords are,
// mode 0600. It holds lines for whoever is followed, for whoever is copied or
// rewound from, and for our own server, because a rewind and a walreceiver may
// need theirs at the same time. It reports whether the file changed.
func (s *Server) writePasswords() (bool, error) {
	s.mu.Lock()
	cfg, upstream, source := s.config, s.upstream, s.source
	s.mu.Unlock()
	if cfg.PgPass == "" {
		return false, nil
	}
	var lines []string
	add := func(who Credentials, host string, port int) {
		if who.Password == "" || host == "" {
			return
		}
		text := conf.PasswordLine(host, strconv.Itoa(port), who.Username, who.Password)
		if !slices.Contains(lines, text) {
			lines = append(lines, text)
		}
	}
	for _, server := range []*Upstream{upstream, source} {
		if server != nil {
			add(cfg.Replication, server.Host, server.port())
			add(cfg.rewindUser(), server.Host, server.port())
		}
	}
	add(cfg.Superuser, cfg.localAddress(cfg.UseUnixSocket), cfg.port())
	if len(lines) == 0 || upstream == nil && source == nil && s.keepPasswords(cfg) {
		return false, nil
	}
	return writeIfChanged(cfg.PgPass, []byte(strings.Join(lines, "")), 0o600)
}

// checkPasswordFile finds out before anything is begun that no password could be
// handed to PostgreSQL's tools: by default the file is in the user's HOME, which
// can be another user's.
func (c Config) checkPasswordFile() error {
	if c.PgPass == "" || c.Superuser.Password == "" && c.Replication.Password == "" && c.Rewind.Password == "" {
		return nil
	}
	if info, err := os.Stat(c.PgPass); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("the password file %s exists and is not a file; set postgresql.pgpass to another", c.PgPass)
	}
	dir := filepath.Dir(c.PgPass)
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the password file %s cannot be written, its directory: %w; set postgresql.pgpass to a file of this user's", c.PgPass, err)
	}
	return nil
}

// keepPasswords: while it is not known whom the running standby follows, the file
// that it uses stays as it is.
func (s *Server) keepPasswords(cfg Config) bool {
	return s.hasSignal(cfg)
}

func (u Upstream) port() int {
	if u.Port != 0 {
		return u.Port
	}
	return 5432
}

// withSource adds a server to the password file for the time of some work.
func (s *Server) withSource(source Upstream) error {
	s.mu.Lock()
	s.source = &source
	s.mu.Unlock()
	_, err := s.writePasswords()
	return err
}

package generate

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"matriarch/internal/config"
	"matriarch/internal/postgres/conf"
)

// serverTimeout bounds all that is asked of the server.
const serverTimeout = 20 * time.Second

// ownParameters are settings that belong to one node: they stay out of what the
// cluster shares (compat/config.md §7.3).
var ownParameters = []string{"archive_command", "restore_command", "archive_cleanup_command", "recovery_end_command",
	"ssl_passphrase_command", "hba_file", "ident_file", "config_file"}

// settingsQuery asks for what somebody has set. Recovery targets are the past. An
// archive_command shows as (disabled) while archive_mode is off; the file has it.
const settingsQuery = `SELECT name, CASE WHEN pg_catalog.current_setting(name) <> '(disabled)' THEN pg_catalog.current_setting(name)
	ELSE coalesce((SELECT f.setting FROM pg_catalog.pg_file_settings f WHERE f.name = s.name ORDER BY f.seqno DESC LIMIT 1), '') END
	FROM pg_catalog.pg_settings s
	WHERE context <> 'internal' AND source IN ('configuration file', 'command line', 'environment variable')
	AND category <> 'Write-Ahead Log / Recovery Target' AND name NOT IN ('primary_conninfo', 'primary_slot_name')`

// running describes a server that runs.
func running(ctx context.Context, tree values, m machine, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	c, err := pgx.ParseConfig(o.DSN)
	if err != nil {
		return errors.New("the connection string cannot be read") // it may hold a password
	}
	if c.Password == "" && o.Password != nil {
		if c.Password, err = o.Password(fmt.Sprintf("Password for user %s: ", c.User)); err != nil {
			return err
		}
	}
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		//lint:ignore ST1005 Patroni's words
		return fmt.Errorf("Failed to establish PostgreSQL connection: %w", err)
	}
	defer conn.Close(ctx)
	s := server{conn: conn, settings: map[string]string{}}
	if err := s.read(ctx); err != nil {
		return err
	}
	s.describe(tree, m, c)
	superuser := authentication(m, o.DSN, s.major)
	superuser["username"], superuser["password"] = c.User, unknown
	if c.Password != "" {
		superuser["password"] = c.Password
	}
	auth := at(tree, "postgresql", "authentication")
	auth["superuser"], auth["replication"] = superuser, values{"username": unknown, "password": unknown}
	return nil
}

// server is what it says of itself.
type server struct {
	conn     *pgx.Conn
	settings map[string]string
	dataDir  string
	major    int
	hba      []any
	ident    []any
	checksum bool
	pid      string
}

func (s *server) read(ctx context.Context) error {
	var superuser, listen, port, version, checksums string
	err := s.conn.QueryRow(ctx, `SELECT current_setting('is_superuser'), current_setting('data_directory'), current_setting('listen_addresses'),
		current_setting('port'), current_setting('server_version_num'), current_setting('data_checksums')`).
		Scan(&superuser, &s.dataDir, &listen, &port, &version, &checksums)
	if err != nil && superuser == "" {
		// data_directory is not for everyone.
		var is string
		if s.conn.QueryRow(ctx, "SELECT current_setting('is_superuser')").Scan(&is) == nil && is != "on" {
			superuser = "off"
		}
	}
	switch {
	case superuser == "off":
		//lint:ignore ST1005 Patroni's words
		return errors.New("The provided user does not have superuser privilege")
	case err != nil:
		return fmt.Errorf("ask the server for its settings: %w", err)
	}
	number, err := strconv.Atoi(version)
	if err != nil {
		return fmt.Errorf("read the server's version %q: %w", version, err)
	}
	s.major, s.checksum = number/10000, checksums == "on"
	rows, err := s.conn.Query(ctx, settingsQuery)
	if err != nil {
		return fmt.Errorf("ask the server for its settings: %w", err)
	}
	var name, value string
	if _, err := pgx.ForEachRow(rows, []any{&name, &value}, func() error { s.settings[name] = value; return nil }); err != nil {
		return fmt.Errorf("ask the server for its settings: %w", err)
	}
	s.settings["listen_addresses"], s.settings["port"] = listen, port
	return s.readFiles(ctx)
}

// readFiles has the server itself read its files: it can, wherever we are.
func (s *server) readFiles(ctx context.Context) error {
	for name, to := range map[string]*[]any{"hba_file": &s.hba, "ident_file": &s.ident} {
		path := s.settings[name]
		if path != "" && path != filepath.Join(s.dataDir, map[string]string{"hba_file": "pg_hba.conf", "ident_file": "pg_ident.conf"}[name]) {
			continue // the user's own place: the file stays where it is
		}
		var text string
		if err := s.conn.QueryRow(ctx, "SELECT pg_catalog.pg_read_file(current_setting($1))", name).Scan(&text); err != nil {
			return fmt.Errorf("have the server read its %s: %w", name, err)
		}
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				*to = append(*to, line)
			}
		}
	}
	_ = s.conn.QueryRow(ctx, "SELECT split_part(pg_catalog.pg_read_file('postmaster.pid'), chr(10), 1)").Scan(&s.pid) // only for bin_dir
	return nil
}

// describe puts each setting to its place.
func (s *server) describe(tree values, m machine, c *pgx.ConnConfig) {
	pg, shared := at(tree, "postgresql"), at(tree, "bootstrap", "dcs", "postgresql")
	if name := s.settings["cluster_name"]; name != "" {
		tree["scope"] = name
	}
	pg["data_dir"], pg["bin_dir"] = s.dataDir, s.binDir()
	pg["listen"] = listenAddress(s.settings["listen_addresses"]) + ":" + s.settings["port"]
	pg["connect_address"] = join(m.address(), int(c.Port))
	own, all := values{}, at(shared, "parameters")
	for name, value := range s.settings {
		switch {
		case slices.Contains([]string{"cluster_name", "data_directory", "listen_addresses", "port"}, name):
		case s.isDefaultFile(name, value):
		case slices.Contains(ownParameters, name):
			own[name] = value
		default:
			all[name] = value
		}
	}
	for name := range config.ControlledDefaults(s.major * 10000) {
		if _, given := all[name]; !given {
			all[name] = s.current(name)
		}
	}
	if len(own) > 0 {
		pg["parameters"] = own
	}
	if s.hba != nil {
		pg["pg_hba"] = s.hba
	}
	if s.ident != nil {
		pg["pg_ident"] = s.ident
	}
	if s.checksum || all["wal_log_hints"] == "on" {
		shared["use_pg_rewind"] = true
	}
}

// isDefaultFile tells of a file that lies where the agent puts it anyway.
func (s *server) isDefaultFile(name, path string) bool {
	file, isFile := map[string]string{"hba_file": "pg_hba.conf", "ident_file": "pg_ident.conf", "config_file": "postgresql.conf"}[name]
	return isFile && path == filepath.Join(s.dataDir, file)
}

// current is a controlled setting as the server has it now, so that taking the
// server over changes nothing.
func (s *server) current(name string) string {
	var value string
	ctx, cancel := context.WithTimeout(context.Background(), serverTimeout)
	defer cancel()
	if err := s.conn.QueryRow(ctx, "SELECT pg_catalog.current_setting($1)", name).Scan(&value); err != nil {
		return unknown
	}
	return value
}

// binDir is where the postmaster's program is, which only its owner and root may
// look at.
func (s *server) binDir() string {
	exe, err := os.Readlink("/proc/" + s.pid + "/exe")
	if err != nil || s.pid == "" {
		return unknown
	}
	return filepath.Dir(exe)
}

// listenAddress brackets addresses with colons and takes the blanks out of a list.
func listenAddress(list string) string {
	var out []string
	for host := range strings.SplitSeq(list, ",") {
		if host = strings.TrimSpace(host); strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		out = append(out, host)
	}
	return strings.Join(out, ",")
}

// authentication takes libpq's keys from the connection string, else from its
// variables.
func authentication(m machine, dsn string, major int) values {
	given := map[string]string{}
	if u, err := url.Parse(dsn); err == nil && strings.HasPrefix(u.Scheme, "postgres") {
		for name := range u.Query() {
			given[name] = u.Query().Get(name)
		}
	} else if list, err := conf.ParseConninfo(dsn); err == nil {
		given = list
	}
	since := map[string]int{"gssencmode": 12, "channel_binding": 13, "sslpassword": 13, "sslcrldir": 14, "sslnegotiation": 17}
	out := values{}
	for _, name := range []string{"sslmode", "sslcert", "sslkey", "sslpassword", "sslrootcert", "sslcrl", "sslcrldir", "gssencmode", "channel_binding", "sslnegotiation"} {
		value := given[name]
		if value == "" {
			value = m.getenv("PG" + strings.ReplaceAll(strings.ToUpper(name), "_", ""))
		}
		if value != "" && major >= since[name] {
			out[name] = value
		}
	}
	return out
}

package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// PostBootstrap makes the roles of a new cluster and runs the user's script, in
// Patroni's order: the script sees the superuser, but neither the replication
// nor the rewind role. After it the directory counts as finished.
func (s *Server) PostBootstrap(ctx context.Context) error {
	cfg := s.cfg()
	conn, err := s.quietConnection(ctx)
	if err != nil {
		return fmt.Errorf("finish the bootstrap: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if cfg.Superuser.Username != "" && cfg.Superuser.Password != "" {
		if err := ensureRole(ctx, conn, cfg.Superuser, "LOGIN SUPERUSER"); err != nil {
			return fmt.Errorf("finish the bootstrap: %w", err)
		}
	}
	if err := s.postBootstrapScript(ctx, cfg); err != nil {
		return fmt.Errorf("finish the bootstrap: %w", err)
	}
	if err := ensureRole(ctx, conn, cfg.Replication, "LOGIN REPLICATION"); err != nil {
		return fmt.Errorf("finish the bootstrap: %w", err)
	}
	if err := rewindRole(ctx, conn, cfg); err != nil {
		return fmt.Errorf("finish the bootstrap: %w", err)
	}
	if err := s.endRestoring(ctx); err != nil {
		return fmt.Errorf("finish the bootstrap: %w", err)
	}
	if err := s.finish(); err != nil {
		return fmt.Errorf("finish the bootstrap: %w", err)
	}
	s.log.Info("roles are made, the new cluster is complete")
	return nil
}

// quietConnection is one whose statements reach no log, because they hold
// passwords, and whose commits wait for no standby, because there is none.
func (s *Server) quietConnection(ctx context.Context) (*pgx.Conn, error) {
	conn, err := s.connectLocal(ctx, "Patroni bootstrap", false)
	if err != nil {
		return nil, err
	}
	for _, setting := range []string{
		"log_statement = none", "log_min_duration_statement = -1", "log_min_duration_sample = -1",
		"log_transaction_sample_rate = 0", "log_min_error_statement = panic", "log_duration = off",
		"track_activities = off", "synchronous_commit = local",
		// Extensions that log statements; without them these are mere names.
		"pgaudit.log = none", "pg_stat_statements.track = none", "auto_explain.log_min_duration = -1",
	} {
		if _, err := conn.Exec(ctx, "SET "+setting); err != nil {
			conn.Close(context.WithoutCancel(ctx))
			return nil, fmt.Errorf("keep statements out of the log: %w", err)
		}
	}
	return conn, nil
}

// ensureRole creates a role or alters it. The password goes as a verifier
// wherever we can make one, so that not even a mistake in the above shows it.
func ensureRole(ctx context.Context, conn *pgx.Conn, who Credentials, attributes string) error {
	if who.Username == "" {
		return nil
	}
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", who.Username).Scan(&exists); err != nil {
		return fmt.Errorf("make role %s: %w", who.Username, err)
	}
	verb := "CREATE"
	if exists {
		verb = "ALTER"
	}
	statement := verb + " ROLE " + pgx.Identifier{who.Username}.Sanitize() + " WITH " + attributes
	if who.Password != "" {
		secret, err := verifierFor(ctx, conn, who)
		if err != nil {
			return fmt.Errorf("make role %s: %w", who.Username, err)
		}
		statement += " PASSWORD " + literal(secret)
	}
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("make role %s: %w", who.Username, err)
	}
	return nil
}

func verifierFor(ctx context.Context, conn *pgx.Conn, who Credentials) (string, error) {
	var method string
	if err := conn.QueryRow(ctx, "SELECT current_setting('password_encryption')").Scan(&method); err != nil {
		return "", err
	}
	return passwordVerifier(who.Username, who.Password, method)
}

// literal quotes for standard_conforming_strings of either kind.
func literal(text string) string {
	return " E'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(text) + "'"
}

// rewindFunctions are what pg_rewind calls on its source (pg_rewind's manual
// page).
var rewindFunctions = []string{
	"pg_ls_dir(text, boolean, boolean)", "pg_stat_file(text, boolean)",
	"pg_read_binary_file(text)", "pg_read_binary_file(text, bigint, bigint, boolean)",
}

func rewindRole(ctx context.Context, conn *pgx.Conn, cfg Config) error {
	if cfg.Rewind.Username == "" || cfg.Rewind.Username == cfg.Superuser.Username {
		return nil
	}
	if err := ensureRole(ctx, conn, cfg.Rewind, "LOGIN"); err != nil {
		return err
	}
	for _, function := range rewindFunctions {
		grant := "GRANT EXECUTE ON FUNCTION pg_catalog." + function + " TO " + pgx.Identifier{cfg.Rewind.Username}.Sanitize()
		if _, err := conn.Exec(ctx, grant); err != nil {
			return fmt.Errorf("let role %s rewind: %w", cfg.Rewind.Username, err)
		}
	}
	return nil
}

// postBootstrapScript runs the user's command with a conninfo, without a
// password, as its last argument.
func (s *Server) postBootstrapScript(ctx context.Context, cfg Config) error {
	if len(cfg.PostBootstrap) == 0 {
		return nil
	}
	if _, err := s.writePasswords(); err != nil {
		return err
	}
	major, err := s.DataMajor()
	if err != nil {
		return err
	}
	self := Upstream{Host: cfg.localAddress(cfg.UseUnixSocket), Port: cfg.port()}
	args := append(append([]string{}, cfg.PostBootstrap[1:]...), toolConninfo(cfg, cfg.Superuser, self, major))
	env := append(passEnvironment(cfg), "PGOPTIONS=-c synchronous_commit=local -c statement_timeout=0")
	return s.run(ctx, "post_bootstrap", append(cfg.PostBootstrap[:1:1], args...), env)
}

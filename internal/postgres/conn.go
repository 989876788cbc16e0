package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// localLimit bounds a question to our own server, connecting included: Patroni's
// statement_timeout for it.
const localLimit = 2 * time.Second

// peerLimit bounds a question to another server.
const peerLimit = 3 * time.Second

type querier = *pgx.Conn

// session is the one connection that is kept to our own server. Connecting costs
// a fork there and a password check, a kept one answers in a tenth of a
// millisecond, and it still answers when all other slots are taken.
type session struct {
	free chan struct{} // holds a token while nobody uses conn
	conn *pgx.Conn     // guarded by the token
	of   *process

	mu     sync.Mutex
	cancel context.CancelFunc // ends the use that is under way
}

// query runs f on the kept connection, within localLimit. A connection that turns
// out broken is replaced once: the server may have been restarted meanwhile.
func (s *Server) query(ctx context.Context, f func(context.Context, querier) error) error {
	p := s.current()
	if p == nil {
		return ErrNotRunning
	}
	ctx, cancel := context.WithTimeout(ctx, localLimit)
	defer cancel()
	if err := s.session.take(ctx, cancel); err != nil {
		return fmt.Errorf("wait for the connection: %w", err)
	}
	defer s.session.release()
	for {
		fresh, err := s.connected(ctx, p)
		if err != nil {
			return err
		}
		err = f(ctx, s.session.conn)
		if err == nil || !s.session.conn.IsClosed() || fresh || ctx.Err() != nil {
			return err
		}
	}
}

func (c *session) take(ctx context.Context, cancel context.CancelFunc) error {
	select {
	case <-c.free:
	case <-ctx.Done():
		return ctx.Err()
	}
	c.mu.Lock()
	c.cancel = cancel
	c.mu.Unlock()
	return nil
}

func (c *session) release() {
	c.mu.Lock()
	c.cancel = nil
	c.mu.Unlock()
	c.free <- struct{}{}
}

// errStopping is the server's answer to all who come after a shutdown was asked for.
var errStopping = &pgconn.PgError{Severity: "FATAL", Code: codeStarting, Message: "the database system is shutting down"}

// connected makes sure that there is a connection to this very process, and
// tells whether it is new.
func (s *Server) connected(ctx context.Context, p *process) (bool, error) {
	c := &s.session
	if c.conn != nil && !c.conn.IsClosed() && c.of == p {
		return false, nil
	}
	c.close()
	if file := readPidFile(s.cfg()); file.PID == p.pid && file.Status == "stopping" {
		return false, errStopping // to be told so by the server costs a fork of it
	}
	conn, err := s.connectLocal(ctx, "Patroni heartbeat", true)
	if err != nil {
		return false, err
	}
	c.conn, c.of = conn, p
	return true, nil
}

// close lets go of the connection; the token's holder calls it.
func (c *session) close() {
	if c.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	c.conn.Close(ctx) // a frozen server does not hear the farewell, and need not
	c.conn, c.of = nil, nil
}

// disconnect closes the kept connection; a question under way is broken off.
func (s *Server) disconnect() {
	s.session.mu.Lock()
	if s.session.cancel != nil {
		s.session.cancel()
	}
	s.session.mu.Unlock()
	<-s.session.free
	s.session.close()
	s.session.free <- struct{}{}
}

// connectLocal opens a superuser connection to our own server.
func (s *Server) connectLocal(ctx context.Context, application string, limited bool) (*pgx.Conn, error) {
	cfg := s.cfg()
	self := Upstream{Host: cfg.localAddress(cfg.UseUnixSocket), Port: cfg.port()}
	runtime := map[string]string{
		"application_name": application,
		"search_path":      "pg_catalog",
		"options":          "-c statement_timeout=0 -c pg_stat_statements.track=none",
	}
	if limited {
		runtime["options"] = fmt.Sprintf("-c statement_timeout=%d -c pg_stat_statements.track=none", localLimit.Milliseconds())
	}
	return connect(ctx, cfg, cfg.Superuser, self, runtime)
}

// connect opens a connection as a role to a server.
func connect(ctx context.Context, cfg Config, who Credentials, server Upstream, runtime map[string]string) (*pgx.Conn, error) {
	config, err := connectConfig(cfg, who, server, runtime)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to %s port %d: %w", server.Host, server.port(), connectCause(err))
	}
	return conn, nil
}

// connectCause keeps what matters of a failed attempt: the server's own refusal
// if there was one, since the attempts with and without TLS are reported both.
func connectCause(err error) error {
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) {
		return refusal
	}
	return err
}

// driverKeys are the libpq keys that the driver knows. The others are left to
// libpq: the driver would send them to the server as settings.
var driverKeys = []string{"host", "port", "dbname", "user", "sslmode", "sslcert", "sslkey", "sslpassword",
	"sslrootcert", "sslnegotiation", "channel_binding", "krbsrvname"}

func connectConfig(cfg Config, who Credentials, server Upstream, runtime map[string]string) (*pgx.ConnConfig, error) {
	values := libpqValues(cfg, who, server)
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	var parts []string
	for _, key := range driverKeys {
		if value := values[key]; value != "" {
			parts = append(parts, key+"='"+quote.Replace(value)+"'")
		}
	}
	parts = append(parts, "connect_timeout="+strconv.Itoa(int(peerLimit.Seconds())))
	config, err := pgx.ParseConfig(strings.Join(parts, " "))
	if err != nil {
		return nil, fmt.Errorf("prepare a connection to %s: %w", server.Host, err)
	}
	if who.Password != "" {
		config.Password = who.Password
	}
	for key, value := range runtime {
		config.RuntimeParams[key] = value
	}
	return config, nil
}

package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// readyPoll is how often a starting server is looked at. The look is one read of
// postmaster.pid, until that says that connections are taken.
const readyPoll = 5 * time.Millisecond

// codeStarting is the SQLSTATE of a server that is not accepting connections
// yet, or no more (errcodes.txt, ERRCODE_CANNOT_CONNECT_NOW).
const codeStarting = "57P03"

// WaitReady waits as WaitRecovered does. Without a deadline in ctx the configured time
// for a start is the limit.
func (s *Server) WaitReady(ctx context.Context) error {
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.cfg().ctlTimeout())
		defer cancel()
	}
	return s.WaitRecovered(ctx)
}

// WaitRecovered waits until the server answers: a standby once it is consistent, a
// primary after its crash recovery, however long that takes. It ends early, with the
// server's own last words, when the server dies.
func (s *Server) WaitRecovered(ctx context.Context) error {
	p := s.current()
	if p == nil {
		return fmt.Errorf("wait for the server: %w%s", ErrNotRunning, s.quoteServer())
	}
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	last := errors.New("it has not announced itself")
	for {
		select {
		case <-p.ended:
			return fmt.Errorf("wait for the server: %w: postmaster %d has ended (%s)%s", ErrNotRunning, p.pid, p.exit, s.quoteServer())
		case <-ctx.Done():
			return fmt.Errorf("wait for the server: %w, last seen: %w", ctx.Err(), last)
		case <-tick.C:
		}
		file := readPidFile(s.cfg())
		if file.PID != p.pid || file.Status != "ready" && file.Status != "standby" {
			continue
		}
		if last = s.ping(ctx); last == nil {
			s.becameReady()
			return nil
		}
	}
}

func (s *Server) quoteServer() string {
	if said := s.serverSaid(); said != "" {
		return "; the server said: " + said
	}
	return ""
}

// ping is nil when the server takes part: a refusal for another reason than
// starting up, such as a wrong password, is an answer too.
func (s *Server) ping(ctx context.Context) error {
	err := s.query(ctx, func(ctx context.Context, q querier) error {
		_, err := q.Exec(ctx, "SELECT 1")
		return err
	})
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) && refusal.Code != codeStarting {
		s.log.Warn("the server answers, but refuses us", "err", err)
		return nil
	}
	return err
}

// becameReady does what is due once after a start.
func (s *Server) becameReady() {
	s.mu.Lock()
	due := s.saveDue
	s.saveDue = false
	s.mu.Unlock()
	if due {
		s.saveFiles()
		s.announce()
	}
}

package postgres

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// run runs a command of the user's to its end. What it says is logged.
func (s *Server) run(ctx context.Context, what string, command, env []string) error {
	began := s.clock()
	s.log.Info("running a command of the configuration", "for", what)
	j := job{ctx: ctx, path: command[0], args: command[1:], env: env}
	if err := j.follow(func(line string) { s.log.Info(what, "line", line) }); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	s.log.Info("the command is done", "for", what, "took", s.clock().Sub(began))
	return nil
}

// commandLimit is how long a command may hold up a promotion or a stop. Patroni waits
// for ever; one that hangs would leave the cluster without a primary for as long. It is
// the time that a primary's recovery has by default (primary_start_timeout, 300 s).
const commandLimit = 5 * time.Minute

// PrePromote runs the user's command that has to agree to a promotion.
func (s *Server) PrePromote(ctx context.Context) error {
	return s.limited(ctx, "pre_promote", s.cfg().PrePromote)
}

// BeforeStop runs the user's command that comes before a stop.
func (s *Server) BeforeStop(ctx context.Context) error {
	return s.limited(ctx, "before_stop", s.cfg().BeforeStop)
}

func (s *Server) limited(ctx context.Context, what string, command []string) error {
	if len(command) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	return s.run(ctx, what, command, nil)
}

// vacate removes an empty data directory, since many commands insist on making it
// themselves. One that is not empty, a mount point or a link stays (rmdir(2)).
func vacate(dir string) { _ = unix.Rmdir(dir) }

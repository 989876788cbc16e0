package postgres

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// StopMode is how politely the server is stopped.
type StopMode int

// The modes, from the most patient.
const (
	Smart     StopMode = iota // waits for the clients to go
	Fast                      // ends the clients' sessions
	Immediate                 // no checkpoint: recovery at the next start
)

func (m StopMode) String() string { return [...]string{"smart", "fast", "immediate"}[m] }

func (m StopMode) signal() unix.Signal {
	return [...]unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGQUIT}[m]
}

// StopOptions say how to stop.
type StopOptions struct {
	Mode StopMode
	// Limit is when patience ends and the stop becomes immediate; 0: when ctx ends.
	Limit time.Duration
	// OnShutdownCheckpoint is called once, as soon as a primary has written its
	// shutdown checkpoint: from then on nothing more is written, though the
	// postmaster may live on to drain its walsenders and the archiver. It is not
	// called when the server never was a primary or did not shut down cleanly.
	OnShutdownCheckpoint func(ShutdownEnd)
}

// stopPoll is how often pg_control is looked at during a stop. A fast stop takes
// some 20 ms; the look is one read.
const stopPoll = 3 * time.Millisecond

// escalation is how long an immediate stop may take before the kill. PostgreSQL
// itself waits 5 s before it kills its children (postmaster.c,
// SIGKILL_CHILDREN_AFTER_SECS).
const escalation = 6 * time.Second

// Stop stops the server and returns when its processes are gone. At the limit,
// or when ctx ends, it becomes immediate, and after that a kill: a server that
// was told to stop does not stay. The error then is about what it took, and the
// server is down nevertheless, unless the error says it is not.
func (s *Server) Stop(ctx context.Context, options StopOptions) error {
	began := s.clock()
	p := s.current()
	if p == nil {
		s.shutdownNotice(ctx, &options)
		return nil
	}
	s.log.Info("stopping", "pid", p.pid, "mode", options.Mode.String())
	s.disconnect() // a smart stop would wait for ourselves
	if err := p.signal(options.Mode.signal()); err != nil {
		return fmt.Errorf("stop the server: %w", err)
	}
	if !s.awaitStop(ctx, p, &options) {
		s.log.Warn("the stop takes too long, it becomes immediate", "after", s.clock().Sub(began))
		if err := s.forceStop(p); err != nil {
			return err
		}
	}
	s.shutdownNotice(context.WithoutCancel(ctx), &options)
	s.log.Info("stopped", "mode", options.Mode.String(), "took", s.clock().Sub(began), "exit", p.exit)
	s.announce()
	return nil
}

// awaitStop waits for the end (true) or the end of patience (false), and gives
// the notice of the shutdown checkpoint on the way.
func (s *Server) awaitStop(ctx context.Context, p *process, options *StopOptions) bool {
	var limit <-chan time.Time
	if options.Limit > 0 {
		timer := time.NewTimer(options.Limit)
		defer timer.Stop()
		limit = timer.C
	}
	tick := time.NewTicker(stopPoll)
	defer tick.Stop()
	told := false
	for {
		select {
		case <-p.ended:
			return true
		case <-limit:
			return false
		case <-ctx.Done():
			return false
		case <-tick.C:
			if options.OnShutdownCheckpoint == nil {
				continue
			}
			if at, ok := readShutdownEnd(s.cfg()); ok {
				options.notice(at)
			} else if control, read := readControlFile(s.cfg()); read && control.state == controlShutDown && !told {
				told = true
				s.shutdownNotice(ctx, options) // the records cannot be read here; PostgreSQL's tools may
			}
		}
	}
}

// shutdownNotice calls the hook, once, if the control file confirms it.
func (s *Server) shutdownNotice(ctx context.Context, options *StopOptions) {
	if options.OnShutdownCheckpoint == nil {
		return
	}
	if at, err := s.shutdownEnd(ctx); err == nil {
		options.notice(at)
	}
}

// notice calls the hook, once.
func (o *StopOptions) notice(at ShutdownEnd) {
	notify := o.OnShutdownCheckpoint
	o.OnShutdownCheckpoint = nil
	notify(at)
}

// forceStop runs on its own time: the caller's patience is over, the server still
// has to go.
func (s *Server) forceStop(p *process) error {
	if err := p.signal(Immediate.signal()); err != nil {
		return fmt.Errorf("stop the server: %w", err)
	}
	timer := time.NewTimer(escalation)
	defer timer.Stop()
	select {
	case <-p.ended:
		return nil
	case <-timer.C:
	}
	ctx, cancel := context.WithTimeout(context.Background(), escalation)
	defer cancel()
	return s.KillAll(ctx)
}

package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// process is a postmaster that we watch: our own child, or one that was running
// before us. A pidfd stands for it, so that no signal can hit a stranger that
// got its number.
type process struct {
	pid       int
	startedAt time.Time
	child     *os.Process   // nil when adopted
	ended     chan struct{} // closed once it has ended, and been reaped if it is a child
	exit      string        // how it ended, if that could be known; set before ended is closed

	mu    sync.Mutex
	pidfd int // -1 once it has ended
	wake  int // eventfd that ends the watch
}

// newProcess starts to watch a postmaster. The goroutine ends with the process,
// or at detach.
func (s *Server) newProcess(pid, pidfd int, child *os.Process, started time.Time) (*process, error) {
	return s.watchProcess(&process{pid: pid, startedAt: started, child: child, pidfd: pidfd}, func(p *process) {
		s.log.Warn("postmaster has ended", "pid", p.pid, "exit", p.exit)
	})
}

// watchProcess starts to watch any process of the server. Its end is announced.
func (s *Server) watchProcess(p *process, ended func(*process)) (*process, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("watch process %d: %w", p.pid, err)
	}
	p.ended, p.wake = make(chan struct{}), wake
	s.wait.Add(1)
	go func() {
		defer s.wait.Done()
		if p.watch() {
			ended(p)
			s.announce()
		}
	}()
	return p, nil
}

// watch blocks until the process has ended (true) or detach was called (false).
func (p *process) watch() bool {
	fds := []unix.PollFd{{Fd: int32(p.pidfd), Events: unix.POLLIN}, {Fd: int32(p.wake), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		break
	}
	over := fds[0].Revents != 0
	if over && p.child != nil {
		if state, err := p.child.Wait(); err == nil {
			p.exit = state.String()
		}
	}
	p.mu.Lock()
	unix.Close(p.pidfd)
	unix.Close(p.wake)
	p.pidfd, p.wake = -1, -1
	p.mu.Unlock()
	if over {
		close(p.ended)
	}
	return over
}

// detach ends the watch and lets the postmaster run on.
func (p *process) detach() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wake >= 0 {
		unix.Write(p.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// signal sends a signal. A process that has ended already is a success to
// whoever wanted it ended: ESRCH is not an error.
func (p *process) signal(sig unix.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pidfd < 0 {
		return nil
	}
	err := unix.PidfdSendSignal(p.pidfd, sig, nil, 0)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("send %s to postmaster %d: %w", unix.SignalName(sig), p.pid, err)
	}
	return nil
}

// current is the running postmaster: the one we watch, or one that postmaster.pid
// names and that is found to be of this directory. Nil when there is none.
func (s *Server) current() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil && s.proc.alive() {
		return s.proc
	}
	s.proc = nil
	if s.closed {
		return nil
	}
	s.proc = s.adopt()
	return s.proc
}

// adopt takes over a postmaster that we did not start. The caller holds mu.
func (s *Server) adopt() *process {
	file := readPidFile(s.config)
	if file.PID <= 0 { // negative: a single-user server
		return nil
	}
	// First the descriptor, then the look: what is looked at cannot be replaced
	// under our hands by another process of the same number.
	pidfd, err := unix.PidfdOpen(file.PID, 0)
	if err != nil {
		return nil
	}
	if kin(file.PID, s.config.DataDir) != ours {
		unix.Close(pidfd)
		return nil
	}
	p, err := s.newProcess(file.PID, pidfd, nil, file.Started)
	if err != nil {
		unix.Close(pidfd)
		s.log.Error("a running postmaster cannot be watched", "pid", file.PID, "err", err)
		return nil
	}
	s.log.Info("adopted a running postmaster", "pid", p.pid, "started", p.startedAt)
	return p
}

// hearsSignals waits until the postmaster has written its postmaster.pid: by then
// it handles signals. Before that, a SIGHUP or SIGUSR1 has its default action and
// ends the process that we have just started.
func (s *Server) hearsSignals(ctx context.Context, p *process) error {
	tick := time.NewTicker(leftoverPoll)
	defer tick.Stop()
	for readPidFile(s.cfg()).PID != p.pid {
		select {
		case <-tick.C:
		case <-p.ended:
			return fmt.Errorf("%w: postmaster %d has ended (%s)%s", ErrNotRunning, p.pid, p.exit, s.quoteServer())
		case <-ctx.Done():
			return fmt.Errorf("wait for postmaster.pid: %w", ctx.Err())
		}
	}
	return nil
}

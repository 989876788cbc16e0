package postgres

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// leftoverPoll is how often we look whether processes have ended.
const leftoverPoll = 2 * time.Millisecond

// clearLeftovers sees to it that no process of an earlier postmaster is left on
// the directory. Backends notice a killed postmaster only when they next wait,
// and until the last of them is gone a new one is refused (the shared memory
// block is in use) or, worse, would run beside them.
func (s *Server) clearLeftovers(ctx context.Context) error {
	dir := s.cfg().DataDir
	// What the patience costs: most are gone in a few milliseconds; a backend in
	// the middle of a long computation has to be told.
	for _, step := range []struct {
		signal unix.Signal
		wait   time.Duration
	}{{0, 100 * time.Millisecond}, {unix.SIGQUIT, time.Second}, {unix.SIGKILL, 10 * time.Second}} {
		left := relatives(dir)
		if len(left) == 0 {
			return nil
		}
		if pid := parentAmong(left); pid != 0 {
			return fmt.Errorf("%w: postmaster %d has no postmaster.pid", ErrRunning, pid)
		}
		if step.signal != 0 {
			s.log.Warn("processes of an earlier postmaster are told to end", "pids", left, "signal", unix.SignalName(step.signal))
			signalRelatives(left, dir, step.signal)
		}
		if ok, err := waitGone(ctx, dir, step.wait); ok || err != nil {
			return err
		}
	}
	return fmt.Errorf("processes of an earlier postmaster do not end: %v", relatives(dir))
}

// parentAmong finds a process that is the parent of another of the list: a
// postmaster that lives.
func parentAmong(pids []int) int {
	set := map[int]bool{}
	for _, pid := range pids {
		set[pid] = true
	}
	for _, pid := range pids {
		if stat, err := readStat(pid); err == nil && set[stat.Parent] {
			return stat.Parent
		}
	}
	return 0
}

// signalRelatives signals each process that still is what it was taken for. The
// descriptor comes before the look, so a reused number is never hit.
func signalRelatives(pids []int, dataDir string, sig unix.Signal) {
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		if kin(pid, dataDir) == ours {
			// One that has ended meanwhile is what was wanted.
			_ = unix.PidfdSendSignal(fd, sig, nil, 0)
		}
		unix.Close(fd)
	}
}

// waitGone waits until no process is left on the directory.
func waitGone(ctx context.Context, dataDir string, limit time.Duration) (bool, error) {
	over := time.NewTimer(limit)
	defer over.Stop()
	tick := time.NewTicker(leftoverPoll)
	defer tick.Stop()
	for {
		if len(relatives(dataDir)) == 0 {
			return true, nil
		}
		select {
		case <-tick.C:
		case <-over.C:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// KillAll ends the server at once, every process of it, and returns when none is
// left. The postmaster is stopped first so that it starts nothing meanwhile.
func (s *Server) KillAll(ctx context.Context) error {
	dir := s.cfg().DataDir
	p := s.current()
	if p != nil {
		if err := p.signal(unix.SIGSTOP); err != nil {
			return fmt.Errorf("kill the server: %w", err)
		}
	}
	left := relatives(dir)
	if p != nil {
		if err := p.signal(unix.SIGKILL); err != nil {
			return fmt.Errorf("kill the server: %w", err)
		}
	}
	signalRelatives(left, dir, unix.SIGKILL)
	if p != nil {
		select {
		case <-p.ended:
		case <-ctx.Done():
			return fmt.Errorf("kill the server: %w", ctx.Err())
		}
	}
	// A child that was being forked when we listed them is found now.
	for {
		gone, err := waitGone(ctx, dir, 50*time.Millisecond)
		if err != nil {
			return fmt.Errorf("kill the server: %w; left: %v", err, relatives(dir))
		}
		if gone {
			s.disconnect()
			s.log.Info("server killed")
			return nil
		}
		signalRelatives(relatives(dir), dir, unix.SIGKILL)
	}
}

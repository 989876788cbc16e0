package postgres

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// clearStrays ends tools that an earlier agent left writing into the directory.
// The kernel kills a tool with its agent, but not the process that pg_basebackup
// forks to receive the log: that one notices at its next message, seconds later.
func (s *Server) clearStrays(ctx context.Context) error {
	cfg := s.cfg()
	limit := time.NewTimer(10 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(leftoverPoll)
	defer tick.Stop()
	for {
		left := strays(cfg)
		if len(left) == 0 {
			return nil
		}
		for _, pid := range left {
			s.log.Warn("a tool of an earlier agent is killed", "pid", pid)
			killStray(cfg, pid)
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return fmt.Errorf("tools of an earlier agent do not end: %v", left)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func killStray(cfg Config, pid int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // it has ended
	}
	defer unix.Close(fd)
	if isStray(cfg, pid) {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}

func strays(cfg Config) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil && isStray(cfg, pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// isStray recognises a process that writes into our data directory by its
// program and its arguments.
func isStray(cfg Config, pid int) bool {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return false
	}
	program := filepath.Base(strings.TrimSuffix(exe, " (deleted)"))
	tools := []string{"pg_basebackup", "pg_rewind", "initdb"}
	if !slices.ContainsFunc(tools, func(t string) bool { return program == filepath.Base(cfg.bin(t)) }) {
		return false
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return false
	}
	args := bytes.Split(line, []byte{0})
	return slices.ContainsFunc(args, func(a []byte) bool {
		_, value, found := strings.Cut(string(a), "pgdata=")
		return found && value == cfg.DataDir || string(a) == cfg.DataDir
	})
}

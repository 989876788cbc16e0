package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Proc is a process as /proc shows it.
type Proc struct {
	PID     int
	Command []string
	Dir     string // its working directory
}

// Tool is the name of the program.
func (p Proc) Tool() string {
	if len(p.Command) == 0 {
		return ""
	}
	name, _, _ := strings.Cut(filepath.Base(p.Command[0]), ":")
	return name
}

// Procs lists the processes that can be looked into. Zombies have no command
// and are left out.
func Procs() []Proc {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var out []Proc
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil || len(text) == 0 {
			continue
		}
		dir, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		if err != nil {
			dir = ""
		}
		words := strings.Split(string(bytes.TrimRight(text, "\x00")), "\x00")
		out = append(out, Proc{PID: pid, Command: words, Dir: dir})
	}
	return out
}

// Inside lists the processes that work in a directory or have it on their
// command line: servers with their children, tools, agents.
func Inside(dir string) []Proc {
	var out []Proc
	for _, p := range Procs() {
		named := slices.ContainsFunc(p.Command, func(word string) bool {
			return strings.HasSuffix(word, dir) || strings.Contains(word, dir+"/")
		})
		if (named || within(p.Dir, dir)) && p.PID != os.Getpid() && p.PID != os.Getppid() {
			out = append(out, p)
		}
	}
	return out
}

func within(path, dir string) bool {
	path = strings.TrimSuffix(path, " (deleted)")
	return path == dir || strings.HasPrefix(path, dir+"/")
}

// killInside kills the processes inside a directory until none is left.
func killInside(ctx context.Context, dir string) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		left := Inside(dir)
		if len(left) == 0 {
			return nil
		}
		for _, p := range left {
			if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("kill %d (%s): %w", p.PID, p.Tool(), err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("processes in %s do not end: %v", dir, left)
		}
	}
}

// Written is how many bytes a process has written, to files and pipes alike.
func Written(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "wchar: "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			if err == nil {
				return n
			}
		}
	}
	return 0
}

// ResidentKB is a process's resident memory.
func ResidentKB(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err == nil {
				return n
			}
		}
	}
	return 0
}

// WatchExit tells when a process that is not our child ends.
func WatchExit(t testing.TB, pid int) <-chan time.Time {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatalf("watch process %d: %v", pid, err)
	}
	ended := make(chan time.Time, 1)
	go func() {
		defer unix.Close(fd)
		for {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 100)
			switch {
			case n > 0:
				ended <- time.Now()
				return
			case err != nil && !errors.Is(err, unix.EINTR), t.Context().Err() != nil:
				return
			}
		}
	}()
	return ended
}

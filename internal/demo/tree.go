package demo

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// becomeSubreaper makes every orphan below us our child: a postmaster whose agent
// was killed stays in reach, and does not linger as a zombie.
func becomeSubreaper() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the reaper of orphans: %w", err)
	}
	return nil
}

// process is one line of the process table.
type process struct {
	pid, parent int
	state       byte // as in /proc/PID/stat: Z is dead, but not yet waited for
}

// processes reads the process table. What ends meanwhile is left out.
func processes() []process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var all []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, ok := readProcess(pid); ok {
			all = append(all, p)
		}
	}
	return all
}

// readProcess reads /proc/PID/stat (proc(5)). The name in it can hold anything, so
// the fields are counted from its closing bracket.
func readProcess(pid int) (process, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, false
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 2 {
		return process{}, false
	}
	parent, err := strconv.Atoi(fields[1])
	return process{pid: pid, parent: parent, state: fields[0][0]}, err == nil
}

// descendants are all processes below root, root not among them.
func descendants(all []process, root int) []process {
	children := map[int][]process{}
	for _, p := range all {
		children[p.parent] = append(children[p.parent], p)
	}
	var out []process
	queue := []int{root}
	for len(queue) > 0 {
		for _, p := range children[queue[0]] {
			out = append(out, p)
			queue = append(queue, p.pid)
		}
		queue = queue[1:]
	}
	return out
}

// killTree ends a process and everything below it at one instant, as the loss of a
// machine does: all are stopped first, so that none sees another die. It returns
// how many there were, and waits until all are gone. The root is waited for by whoever
// started it.
func killTree(ctx context.Context, root int) (int, error) {
	stopped := []int{}
	for found := true; found; {
		found = false
		tree := append([]process{{pid: root}}, descendants(processes(), root)...)
		for _, p := range tree {
			if p.state == 'Z' || slices.Contains(stopped, p.pid) {
				continue
			}
			if syscall.Kill(p.pid, syscall.SIGSTOP) == nil {
				stopped, found = append(stopped, p.pid), true
			}
		}
	}
	for _, pid := range stopped {
		_ = syscall.Kill(pid, syscall.SIGKILL) // gone already is as good
	}
	return len(stopped), awaitGone(ctx, stopped, root)
}

// gonePatience bounds the wait for killed processes: one that hangs in the kernel
// can outlive its SIGKILL.
const gonePatience = 10 * time.Second

// awaitGone waits until the processes are dead, and reaps those that became ours: to
// kill(pid, 0) a zombie looks alive.
func awaitGone(ctx context.Context, pids []int, notOurs int) error {
	ctx, cancel := context.WithTimeout(ctx, gonePatience)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		pids = slices.DeleteFunc(pids, func(pid int) bool {
			p, ok := readProcess(pid)
			switch {
			case !ok, p.state == 'Z' && pid == notOurs:
				return true
			case p.state == 'Z' && p.parent == os.Getpid():
				reap(pid)
				return true
			}
			return false // a dead one comes to us when its parent is dead too
		})
		if len(pids) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for killed processes %v: %w", pids, ctx.Err())
		}
	}
}

func reap(pid int) {
	var status unix.WaitStatus
	_, _ = unix.Wait4(pid, &status, unix.WNOHANG, nil) // it may be reaped by its own parent
}

// killDescendants ends whatever is left below us and returns how many resisted. All
// agents must have been waited for: an orphan is reaped here.
func killDescendants(ctx context.Context) int {
	ctx, cancel := context.WithTimeout(ctx, gonePatience)
	defer cancel()
	for {
		var alive []int
		for _, p := range descendants(processes(), os.Getpid()) {
			switch {
			case p.state != 'Z':
				_ = syscall.Kill(p.pid, syscall.SIGKILL)
				alive = append(alive, p.pid)
			case p.parent == os.Getpid():
				reap(p.pid)
			}
		}
		if len(alive) == 0 {
			return 0
		}
		if awaitGone(ctx, alive, 0) != nil {
			return len(alive)
		}
	}
}

package chaos

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"matriarch/test/e2e/lab"
)

// kind is a process of a node.
type kind int

const (
	agent kind = iota
	guard
	postmaster
	kinds
)

func (k kind) String() string { return [...]string{"agent", "guard", "postmaster"}[k] }

// signals is what each process of a node is sent: 0, SIGKILL or SIGSTOP.
type signals [kinds]syscall.Signal

func (s signals) String() string {
	var kill, stop []string
	for k, sig := range s {
		switch sig {
		case syscall.SIGKILL:
			kill = append(kill, kind(k).String())
		case syscall.SIGSTOP:
			stop = append(stop, kind(k).String())
		}
	}
	var parts []string
	if len(kill) > 0 {
		parts = append(parts, "kill "+strings.Join(kill, " and "))
	}
	if len(stop) > 0 {
		parts = append(parts, "stop "+strings.Join(stop, " and "))
	}
	return strings.Join(parts, ", ")
}

// everySignals are all combinations but the empty one.
func everySignals() []signals {
	var out []signals
	choice := []syscall.Signal{0, syscall.SIGKILL, syscall.SIGSTOP}
	for i := 1; i < 27; i++ {
		out = append(out, signals{choice[i%3], choice[i/3%3], choice[i/9]})
	}
	return out
}

// unfenced reports that these signals leave backends that run, and nobody to stop
// them: the agent is gone or hangs, and so does the guard; or the guard is gone, but
// the postmaster hangs and cannot heed the parent-death signal. Only a watchdog
// device helps then. (Backends end with a postmaster that ends.)
func (s signals) unfenced() bool {
	if s[agent] == 0 || s[postmaster] == syscall.SIGKILL {
		return false
	}
	return s[guard] == syscall.SIGSTOP || s[guard] == syscall.SIGKILL && s[postmaster] == syscall.SIGSTOP
}

// struck are processes that were sent signals. They are known by descriptors: the
// number of one that has ended may belong to another by now.
type struck struct {
	n       *lab.Node
	stopped []int // pidfds
}

// strike sends the signals, as nearly at once as can be.
func (f *field) strike(n *lab.Node, s signals) *struck {
	f.t.Helper()
	pids := [kinds]int{0, n.Guard(), n.Postmaster()}
	if n.Agent.Running() {
		pids[agent] = n.Agent.PID()
	}
	var fds [kinds]int
	for k, pid := range pids {
		fds[k] = -1
		if s[k] == 0 || pid == 0 {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			f.s.say("the %s of %s is gone: %v", kind(k), n.Name, err)
			continue
		}
		fds[k] = fd
	}
	hit := &struck{n: n}
	for k, fd := range fds {
		if fd < 0 {
			continue
		}
		if err := unix.PidfdSendSignal(fd, s[k], nil, 0); err != nil {
			f.s.say("the %s of %s has just gone: %v", kind(k), n.Name, err)
		}
		if s[k] == syscall.SIGSTOP {
			hit.stopped = append(hit.stopped, fd)
		} else {
			unix.Close(fd)
		}
	}
	return hit
}

// release lets what was stopped go on, and starts the agent again if it has ended,
// as its supervisor does.
func (f *field) release(hit *struck) {
	f.t.Helper()
	for _, fd := range hit.stopped {
		_ = unix.PidfdSendSignal(fd, syscall.SIGCONT, nil, 0) // it may have been killed meanwhile
		unix.Close(fd)
	}
	hit.stopped = nil
	f.revive(hit.n)
}

// revive starts the node's agent if it has ended, or is just ending.
func (f *field) revive(n *lab.Node) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 100*time.Millisecond) // systemd's RestartSec, by default
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for n.Agent.Running() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return // it lives
		}
	}
	n.Start()
}

// describe is where the node's processes are, for the story.
func describe(n *lab.Node) string {
	pid := 0
	if n.Agent.Running() {
		pid = n.Agent.PID()
	}
	return fmt.Sprintf("%s: agent %d, guard %d, postmaster %d", n.Name, pid, n.Guard(), n.Postmaster())
}

// Package pidone is process 1 of a container that has no init.
//
// The kernel gives process 1 two duties that no other process has. Whose parent has
// ended becomes its child, and stays a zombie until it is waited for; and a signal for
// which it has no handler does not reach it at all. The agent starts processes of its
// own and waits for each by its number, so it cannot also wait for any: where it would
// be process 1, it becomes the child of one that does nothing else.
//
// Once that child has ended, so does process 1, and by that the kernel ends whatever is
// left in the container, a server that runs without an agent among it.
package pidone

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// forwarded are the signals that go on to the child (B-743).
var forwarded = []os.Signal{
	syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGABRT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2,
}

// Needed tells whether this is process 1.
func Needed() bool { return os.Getpid() == 1 }

// Run starts this very program anew, with the same arguments, as a child that is not
// process 1, and stays until it has ended. It returns its exit code; where a signal has
// ended it, 128 and the number, as shells do.
func Run() (code int, err error) {
	// Before there is a child: none of its signals is missed.
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, append([]os.Signal{syscall.SIGCHLD}, forwarded...)...)
	defer signal.Stop(signals)
	program, err := os.Executable() // by its name, which ps and pgrep show, and not as "exe"
	if err != nil {
		return 1, fmt.Errorf("find this program's file: %w", err)
	}
	child, err := os.StartProcess(program, os.Args, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		return 1, fmt.Errorf("start the agent as a child of process 1: %w", err)
	}
	for s := range signals {
		// One that reaps and signals is never at two places at once, so the number is
		// still the child's. Reaping comes with every signal: several ends can be one
		// SIGCHLD, and one that finds the channel full is dropped.
		if s != syscall.SIGCHLD {
			_ = syscall.Kill(child.Pid, s.(syscall.Signal)) // one that has ended is about to be reaped
		}
		if code, ended := reap(child.Pid); ended {
			return code, nil
		}
	}
	panic("pidone: a channel that nobody closes was closed")
}

// reap waits for all who have ended, and tells whether the child is among them.
func reap(child int) (code int, ended bool) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil || pid == 0:
			return code, ended
		case pid == child && status.Signaled():
			code, ended = 128+int(status.Signal()), true
		case pid == child:
			code, ended = status.ExitStatus(), true
		}
	}
}

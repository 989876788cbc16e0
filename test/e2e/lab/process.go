package lab

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Process is a child of the test: an agent or an etcd.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// launch starts a program as the servers' user. What it and its children say is
// appended to the log. It dies with the test process; who launches it ends it before.
func launch(t testing.TB, in Network, log string, path string, args ...string) *Process {
	t.Helper()
	return launchBy(t, &syscall.SysProcAttr{Credential: account(t)}, in, log, path, args...)
}

// launchBy is launch with some of the attributes given.
func launchBy(t testing.TB, by *syscall.SysProcAttr, in Network, log string, path string, args ...string) *Process {
	t.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), "USER=postgres", "LC_ALL=C", "HOME="+filepath.Dir(log)) // each node is a machine
	cmd.Dir = "/"
	by.Pdeathsig, by.Setpgid = syscall.SIGKILL, true
	cmd.SysProcAttr = by
	if err := in.Do(cmd.Start); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	p := &Process{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // the state is what counts, and it is kept
	}()
	return p
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Running reports that the process has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Signal sends a signal. A process that has ended is none the worse for it.
func (p *Process) Signal(s syscall.Signal) {
	if p.Running() {
		_ = p.cmd.Process.Signal(s)
	}
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// ExitCode waits until the process has ended by itself.
func (p *Process) ExitCode(t testing.TB, limit time.Duration) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-ctx.Done():
		t.Fatalf("process %d has not ended within %v", p.PID(), limit)
		return 0
	}
}

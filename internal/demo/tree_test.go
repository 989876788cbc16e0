package demo

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// family starts a shell with a child in a session of its own and a grandchild below
// that, as an agent has a postmaster and that its backends.
func family(t *testing.T) (root int, ended chan struct{}, all []int) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `setsid sh -c 'sleep 300 & echo $!; echo $$; wait' & wait`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for range 2 {
		if !lines.Scan() {
			t.Fatal("the family did not tell its pids")
		}
		pid, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, pid)
	}
	ended = make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	return cmd.Process.Pid, ended, append(all, cmd.Process.Pid)
}

func TestANodeIsKilledWholeAndLeavesNoZombie(t *testing.T) {
	if err := becomeSubreaper(); err != nil {
		t.Fatal(err)
	}
	for round := range 5 {
		root, ended, all := family(t)
		below := descendants(processes(), root)
		for _, pid := range all {
			if pid != root && !slices.ContainsFunc(below, func(p process) bool { return p.pid == pid }) {
				t.Fatalf("process %d is not seen below %d: %v", pid, root, below)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		count, err := killTree(ctx, root)
		cancel()
		if err != nil || count < len(all) {
			t.Fatalf("round %d: killed %d of %d: %v", round, count, len(all), err)
		}
		<-ended
		for _, pid := range all {
			if p, ok := readProcess(pid); ok {
				t.Fatalf("round %d: process %d is left in state %c", round, pid, p.state)
			}
		}
	}
}

func TestWhateverIsLeftIsKilled(t *testing.T) {
	if err := becomeSubreaper(); err != nil {
		t.Fatal(err)
	}
	root, ended, all := family(t)
	if err := syscall.Kill(root, syscall.SIGKILL); err != nil { // its children are orphans now
		t.Fatal(err)
	}
	<-ended
	if left := killDescendants(t.Context()); left != 0 {
		t.Fatalf("%d are left", left)
	}
	for _, pid := range all {
		if p, ok := readProcess(pid); ok {
			t.Fatalf("process %d is left in state %c", pid, p.state)
		}
	}
}

func TestOwnProcessIsRead(t *testing.T) {
	p, ok := readProcess(os.Getpid())
	if !ok || p.parent != os.Getppid() || p.state == 'Z' {
		t.Fatalf("%+v, %v", p, ok)
	}
	if _, ok := readProcess(1 << 30); ok {
		t.Fatal("a process that cannot be is there")
	}
}

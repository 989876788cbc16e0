package lab

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Control is the program with which an operator works: Patroni's or ours.
type Control struct {
	Name    string
	command []string
}

const debiansPatronictl = "/usr/bin/patronictl"

// Control is Patroni's own patronictl.
func (p *Patroni) Control(t testing.TB) *Control {
	t.Helper()
	if n := len(p.command); n > 1 { // the source tree: its other program
		return &Control{Name: "Patroni's patronictl", command: append(append([]string{}, p.command[:n-1]...), "patroni.ctl")}
	}
	path := filepath.Join(filepath.Dir(p.command[0]), filepath.Base(debiansPatronictl))
	if _, err := os.Stat(path); err != nil {
		t.Skipf("Patroni without its patronictl: %v", err)
	}
	return &Control{Name: "Patroni's patronictl", command: []string{path}}
}

// OwnControl is our program under the name patronictl.
func OwnControl(t testing.TB) *Control {
	t.Helper()
	path := filepath.Join(Dir(t), "patronictl")
	if err := os.Symlink(os.Getenv(binaryVariable), path); err != nil {
		t.Fatal(err)
	}
	return &Control{Name: "our patronictl", command: []string{path}}
}

// Run runs a command on the cluster with a node's file, and tells what it printed.
func (k *Control) Run(t testing.TB, n *Node, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	words := append(append(append([]string{}, k.command[1:]...), "-c", n.Config), args...)
	cmd := exec.CommandContext(ctx, k.command[0], words...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"matriarch/test/e2e/lab"
)

// TestAContainerWithoutAnInit has the agent started as process 1 (B-743).
func TestAContainerWithoutAnInit(t *testing.T) {
	var callback, ran string
	c := lab.New(t, 1, lab.StartEtcd(t, 1), lab.Changed(func(n *lab.Node, s lab.Settings) {
		callback, ran = filepath.Join(n.Dir, "tell"), filepath.Join(n.Dir, "ran")
		s.Set("postgresql.callbacks.on_start", callback)
	}))
	n := c.Nodes[0]
	n.Contained = true
	n.Rewrite(nil)
	// What it starts in a session of its own outlives it, and nobody's child it is then.
	text := fmt.Sprintf("#!/bin/sh\nsetsid sh -c 'echo $PPID >> %s' &\n", ran)
	if err := os.WriteFile(callback, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	lab.Own(t, callback)

	story(t, c, "it serves, with the agent as a child", func(t *testing.T) {
		n.Start()
		c.WaitPrimary(lab.Patience, nil)
		if got := agents(n); len(got) != 1 {
			t.Errorf("the children of process 1 are %v", lab.Children(n.Agent.PID()))
		}
	})
	story(t, c, "orphans do not stay zombies", func(t *testing.T) {
		lab.WaitFile(t, ran)
		lab.Eventually(t, lab.Patience, "no zombies", func(context.Context) (bool, string) {
			children := lab.Children(n.Agent.PID())
			seen := fmt.Sprint(children)
			return !strings.Contains(seen, " Z"), seen
		})
	})
	story(t, c, "SIGHUP reaches the agent", func(t *testing.T) {
		mark := n.Mark()
		n.Agent.Signal(syscall.SIGHUP)
		n.WaitLog(mark, "configuration reloaded")
	})
	story(t, c, "SIGTERM brings the node to rest", func(t *testing.T) {
		if code := n.Stop(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		out, err := exec.Command(filepath.Join(lab.BinDir, "pg_controldata"), n.Data).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "shut down\n") {
			t.Errorf("%v: %s", err, out)
		}
	})
	story(t, c, "an agent that is killed takes its server along", func(t *testing.T) {
		n.Start()
		c.WaitPrimary(lab.Patience, nil)
		for _, pid := range agents(n) {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		if code := n.Agent.ExitCode(t, lab.Patience); code != 128+9 {
			t.Errorf("exit code %d", code)
		}
		if left := lab.Inside(n.Data); len(left) > 0 {
			t.Errorf("still there: %v", left)
		}
	})
}

// agents are the agents below process 1.
func agents(n *lab.Node) (found []int) {
	for pid, what := range lab.Children(n.Agent.PID()) {
		if strings.HasPrefix(what, "matriarch ") {
			found = append(found, pid)
		}
	}
	return found
}

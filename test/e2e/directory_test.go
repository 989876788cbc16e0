package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"matriarch/test/e2e/lab"
)

// TestDirectories is about data directories that are there before the agent.
func TestDirectories(t *testing.T) {
	c := lab.New(t, 3, lab.StartEtcd(t, 1))
	first, second, stranger := c.Nodes[0], c.Nodes[1], c.Nodes[2]
	var system string

	story(t, c, "a running server is adopted", func(t *testing.T) {
		first.Create()
		first.StartServer()
		first.Run(fmt.Sprintf("create role replicator replication login password '%s'", quoted(lab.ReplicationPassword)),
			fmt.Sprintf("create role rewinder login password '%s'", quoted(lab.RewindPassword)),
			"create table kept as select generate_series(1, 100) id")
		system = first.Value("select system_identifier from pg_control_system()")
		pid := first.Postmaster()
		first.Start()
		c.WaitPrimary(lab.Patience, nil)
		first.WaitCodes(lab.Patience, primaryChecks)
		if now := first.Postmaster(); now != pid {
			t.Errorf("the postmaster was %d and is %d", pid, now)
		}
		second.Start()
		checkIdentityOf(t, c, c.WaitWhole(lab.Patience), system, first, second)
		kept(t, second)
	})
	story(t, c, "a directory of another cluster is refused and not touched", func(t *testing.T) {
		stranger.Create()
		before := lab.Listing(t, stranger.Data)
		stranger.Start()
		if code := stranger.Agent.ExitCode(t, lab.Patience); code == 0 {
			t.Error("the agent ended with 0")
		}
		text := stranger.LogSince(0)
		if !strings.Contains(text, "the data directory has system identifier") || !strings.Contains(text, system) {
			t.Errorf("the agent does not say why it ended: %s", text)
		}
		lab.SameListing(t, stranger.Data, before)
		if strings.Contains(text, "starting PostgreSQL") {
			t.Error("a server was started on the directory of another cluster")
		}
	})
	story(t, c, "the store was lost, and directories make the cluster again", func(t *testing.T) {
		second.Stop()
		first.Stop()
		c.Forget()
		first.Start()
		c.WaitPrimary(lab.Patience, nil)
		second.Start()
		checkIdentityOf(t, c, c.WaitWhole(lab.Patience), system, first, second)
		kept(t, first)
		kept(t, second)
	})
}

func quoted(text string) string { return strings.ReplaceAll(text, "'", "''") }

func kept(t *testing.T, n *lab.Node) {
	t.Helper()
	if got := n.Value("select count(*) from kept"); got != "100" {
		t.Errorf("%s has %s of the 100 rows", n.Name, got)
	}
}

// TestBootstrapFails is about the first minute of a cluster going wrong.
func TestBootstrapFails(t *testing.T) {
	etcd := lab.StartEtcd(t, 1)

	t.Run("a script that fails leaves a clean state", func(t *testing.T) {
		c, n, script := scripted(t, etcd)
		writeScript(t, script, "echo the script says no; exit 1")
		n.Start()
		if code := n.Agent.ExitCode(t, lab.Patience); code != 1 {
			t.Errorf("the agent ended with %d", code)
		}
		picture, err := c.Picture(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, there := picture.Keys["initialize"]; there || picture.Leader != "" {
			t.Errorf("left in the store: %v", picture.Keys)
		}
		if _, err := os.Stat(filepath.Join(n.Data+".failed", "PG_VERSION")); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(n.Data); err == nil {
			t.Errorf("%s is still there", n.Data)
		}
		// The guard ends by itself when it has neither an agent nor a server.
		lab.Eventually(t, lab.Patience, "no process is left", func(context.Context) (bool, string) {
			left := lab.Inside(n.Dir)
			return len(left) == 0, fmt.Sprint(left)
		})
		writeScript(t, script, "exit 0")
		n.Start()
		founded(t, c)
	})
	t.Run("the agent is killed during initdb", func(t *testing.T) {
		c, n, script := scripted(t, etcd)
		writeScript(t, script, "exit 0")
		n.Start()
		n.Tool("initdb", 0)
		n.KillAgent()
		n.Start()
		founded(t, c)
	})
	t.Run("the agent is killed while the script runs", func(t *testing.T) {
		c, n, script := scripted(t, etcd)
		reached := script + ".reached"
		lab.RunAs(t, "mkfifo", script+".fifo")
		writeScript(t, script, fmt.Sprintf("touch %s; read never < %s.fifo", reached, script))
		n.Start()
		lab.WaitFile(t, reached)
		pid := n.Postmaster()
		n.KillAgent()
		if pid == 0 || n.Postmaster() != pid {
			t.Fatal("the server of the unfinished cluster should run on without its agent")
		}
		writeScript(t, script, "exit 0")
		n.Start()
		founded(t, c)
		if n.Postmaster() == pid {
			t.Error("the unfinished cluster was taken for a whole one")
		}
	})
}

// scripted is a cluster of one node with a script after bootstrap.
func scripted(t *testing.T, etcd *lab.Etcd) (*lab.Cluster, *lab.Node, string) {
	t.Helper()
	script := filepath.Join(lab.Dir(t), "script")
	c := lab.New(t, 1, etcd, lab.Changed(func(_ *lab.Node, s lab.Settings) { s.Set("bootstrap.post_bootstrap", script) }))
	return c, c.Nodes[0], script
}

func writeScript(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// founded waits for the cluster and checks that it is whole.
func founded(t *testing.T, c *lab.Cluster) {
	t.Helper()
	leader := c.WaitPrimary(lab.Patience, nil)
	checkFounded(t, c, leader)
}

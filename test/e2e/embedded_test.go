package e2e

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
	"matriarch/test/e2e/traffic"
)

// TestEmbedded is a cluster whose agents are the store as well.
func TestEmbedded(t *testing.T) {
	c := lab.New(t, 3, nil)
	var w *traffic.Writer
	var system string
	story(t, c, "three agents are a cluster and its store", func(t *testing.T) {
		c.Start()
		leader := c.WaitWhole(lab.Patience)
		system = checkFounded(t, c, leader)
		checkHealth(t, c, leader)
	})
	w = write(t, c)
	story(t, c, "etcdctl reads the keys at every member", func(t *testing.T) {
		for _, n := range c.Nodes {
			checkEtcdctl(t, c, n, system)
		}
	})
	story(t, c, "the loss of a standby's node stops nothing", func(t *testing.T) {
		leader := c.WaitWhole(lab.Patience)
		began, timeline := time.Now(), leader.Timeline()
		gone := c.Others(leader)[0]
		gone.KillNode()
		// Longer than a pass and a renewal of the lease.
		w.WaitPast(t, lab.Patience, time.Now().Add(6*time.Second))
		gone.Start()
		sameLeader(t, c, leader, timeline, w, began)
	})
	story(t, c, "the loss of the primary's node is a failover", func(t *testing.T) { killNode(t, c, w) })
	story(t, c, "the whole set starts again in another order", func(t *testing.T) {
		w.Stop() // what the last to stop has alone is another test's matter
		for _, n := range c.Nodes {
			if code := n.Stop(); code != 0 {
				t.Errorf("the agent of %s ended with %d", n.Name, code)
			}
			if n.Postmaster() != 0 {
				t.Errorf("PostgreSQL of %s runs on", n.Name)
			}
		}
		order := slices.Clone(c.Nodes)
		slices.Reverse(order)
		for _, n := range order {
			n.Start()
		}
		checkIdentity(t, c, c.WaitWhole(lab.Patience), system)
		t.Log(verdict(t, c, w))
	})
}

func checkEtcdctl(t *testing.T, c *lab.Cluster, n *lab.Node, system string) {
	t.Helper()
	ctl, err := exec.LookPath("etcdctl")
	if err != nil {
		t.Skip("no etcdctl on this machine")
	}
	cmd := exec.CommandContext(t.Context(), ctl, "--endpoints=http://"+n.Host+":2379", "get", "--prefix", c.Prefix())
	cmd.Env = append(os.Environ(), "ETCDCTL_API=3")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("etcdctl at %s: %v: %s", n.Name, err, out)
	}
	for _, want := range []string{c.Prefix() + "initialize\n" + system + "\n", c.Prefix() + "leader\n", c.Prefix() + "config\n{",
		c.Prefix() + "members/" + n.Name + "\n{"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("etcdctl at %s shows no %q: %s", n.Name, want, out)
		}
	}
}

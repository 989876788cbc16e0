package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
	"matriarch/test/e2e/traffic"
)

// leaseLimit is how long a failover may take that has to wait for the lease: ttl
// is 20 s, and the race and the promotion come after it.
const leaseLimit = 40 * time.Second

// TestCluster is the life of a cluster of three nodes over an etcd of three.
func TestCluster(t *testing.T) {
	etcd := lab.StartEtcd(t, 3)
	c := lab.New(t, 3, etcd, lab.Changed(func(_ *lab.Node, s lab.Settings) {
		s.Set("postgresql.parameters.log_statement", "ddl") // CREATE ROLE … PASSWORD counts as one
	}))
	var w *traffic.Writer
	var system string

	story(t, c, "three empty directories become one cluster", func(t *testing.T) {
		watch := watchCommandLines(t)
		c.Start()
		leader := c.WaitWhole(lab.Patience)
		watch.stop()
		for _, tool := range []string{"initdb", "pg_basebackup", "postgres"} {
			if !watch.seen[tool] {
				t.Errorf("no %s was seen, so nothing is known of its command line", tool)
			}
		}
		system = checkFounded(t, c, leader)
	})
	w = write(t, c)
	story(t, c, "no password is to be seen", func(t *testing.T) { checkSecrets(t, c) })
	story(t, c, "health checks tell primary from standby", func(t *testing.T) { checkHealth(t, c, c.WaitWhole(lab.Patience)) })
	story(t, c, "SIGTERM to the leader's agent", func(t *testing.T) { stopLeader(t, c, w) })
	story(t, c, "the postmaster of the primary is killed", func(t *testing.T) { killPostmaster(t, c, w) })
	story(t, c, "the agent of the primary is killed alone", func(t *testing.T) { killAgent(t, c, w) })
	story(t, c, "an etcd member is killed", func(t *testing.T) { killEtcdMembers(t, c, etcd, w) })
	story(t, c, "etcd is away for longer than the lease lasts", func(t *testing.T) { etcdAway(t, c, etcd, w) })
	story(t, c, "the permit is made shorter and longer", func(t *testing.T) { changePermit(t, c, w) })
	story(t, c, "somebody puts garbage under every key", func(t *testing.T) { garbageInTheStore(t, c, w) })
	story(t, c, "a standby's node is killed and comes back", func(t *testing.T) { standbyLeaves(t, c, w) })
	story(t, c, "the primary's node is killed", func(t *testing.T) { killNode(t, c, w) })
	story(t, c, "ten failovers in a row", func(t *testing.T) { roundOfTen(t, c, w) })
	story(t, c, "every node has the same rows", func(t *testing.T) { t.Log(verdict(t, c, w)) })
	story(t, c, "the whole set starts again in another order", func(t *testing.T) {
		before := c.WaitWhole(lab.Patience)
		w.Stop() // what the last to stop has alone is another test's matter
		for _, n := range c.Nodes {
			if code := n.Stop(); code != 0 {
				t.Errorf("the agent of %s ended with %d", n.Name, code)
			}
		}
		order := slices.Clone(c.Nodes)
		slices.Reverse(order)
		for _, n := range order {
			n.Start()
		}
		checkIdentity(t, c, c.WaitWhole(lab.Patience), system)
		t.Logf("led by %s before", before.Name)
		t.Log(verdict(t, c, w))
		checkSecrets(t, c)
	})
}

// checkFounded checks what bootstrap has made, and returns the system identifier.
func checkFounded(t *testing.T, c *lab.Cluster, leader *lab.Node) string {
	t.Helper()
	system := leader.Value("select system_identifier from pg_control_system()")
	checkIdentity(t, c, leader, system)
	for query, want := range map[string]string{
		"current_setting('data_checksums')":                                                                         "on",
		"select pg_encoding_to_char(encoding) from pg_database where datname='postgres'":                            "UTF8",
		"select rolreplication from pg_roles where rolname='replicator'":                                            "true",
		"current_setting('wal_log_hints')":                                                                          "on",
		"select coalesce(string_agg(slot_name, ' ' order by slot_name), '') from pg_replication_slots where active": names(c.Others(leader)),
	} {
		if got := leader.Value(query); got != want {
			t.Errorf("%s: %q, not %q", query, got, want)
		}
	}
	for _, n := range c.Nodes {
		mode(t, n.Data, 0o700)
		mode(t, n.PgPass, 0o600)
	}
	return system
}

// checkIdentity checks that all nodes are of one system.
func checkIdentity(t *testing.T, c *lab.Cluster, leader *lab.Node, system string) {
	t.Helper()
	checkIdentityOf(t, c, leader, system, c.Nodes...)
}

func checkIdentityOf(t *testing.T, c *lab.Cluster, leader *lab.Node, system string, nodes ...*lab.Node) {
	t.Helper()
	for _, n := range nodes {
		if got := n.Value("select system_identifier from pg_control_system()"); got != system {
			t.Errorf("%s has system identifier %s, not %s", n.Name, got, system)
		}
	}
	picture, err := c.Picture(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if picture.Initialize != system {
		t.Errorf("the initialize key is %q, not %s", picture.Initialize, system)
	}
	if picture.Leader != leader.Name {
		t.Errorf("the leader key is %q, not %s", picture.Leader, leader.Name)
	}
}

func names(nodes []*lab.Node) string {
	var list []string
	for _, n := range nodes {
		list = append(list, n.Name)
	}
	return strings.Join(list, " ")
}

func mode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Error(err)
	} else if info.Mode().Perm() != want {
		t.Errorf("%s has mode %v, not %v", path, info.Mode().Perm(), want)
	}
}

// stopLeader is the guide's `systemctl stop` on the leader.
func stopLeader(t *testing.T, c *lab.Cluster, w *traffic.Writer) {
	old := c.WaitWhole(lab.Patience)
	began := time.Now()
	down := lab.WatchExit(t, old.Postmaster())
	if code := old.Stop(); code != 0 {
		t.Errorf("the agent of %s ended with %d", old.Name, code)
	}
	stopped := <-down // the agent ended after its server, so this is there
	if old.Postmaster() != 0 {
		t.Errorf("PostgreSQL of %s runs on", old.Name)
	}
	leader := c.WaitPrimary(lab.Patience, old)
	first := w.WaitServer(t, lab.Patience, began, leader.Host)
	if took := first.Sub(stopped); took > time.Second {
		t.Errorf("%s took writes %v after the shutdown of %s", leader.Name, took, old.Name)
	}
	t.Logf("first row on %s %v after the postmaster's end; outage %v", leader.Name, milliseconds(first.Sub(stopped)), milliseconds(w.Outage(began)))
	c.WaitWhole(lab.Patience) // the third follows
	picture := c.WaitPicture(lab.Patience, old.Name+" is shown as stopped", func(p lab.Picture) bool { return p.Members[old.Name].State == "stopped" })
	t.Log(picture)
	state, err := os.ReadFile(filepath.Join(old.Data, "postmaster.pid"))
	if err == nil {
		t.Errorf("%s was not shut down cleanly: postmaster.pid is there: %s", old.Name, state)
	}
	old.Start()
	c.WaitWhole(lab.Patience)
	if n := lost(t, c, w); n != 0 {
		t.Errorf("%d acknowledged rows are lost after a clean stop", n)
	}
}

// killPostmaster kills the server under the agent, which is told by the kernel.
func killPostmaster(t *testing.T, c *lab.Cluster, w *traffic.Writer) {
	old := c.WaitWhole(lab.Patience)
	pid, began := old.Postmaster(), time.Now()
	down := lab.WatchExit(t, pid)
	old.KillPostmaster()
	<-down
	lab.Eventually(t, lab.Patience, "there is a postmaster again", func(context.Context) (bool, string) {
		now := old.Postmaster()
		return now != 0 && now != pid, fmt.Sprint(now) // until then backends of the old one may still answer
	})
	w.WaitPast(t, lab.Patience, time.Now())
	leader := c.WaitWhole(lab.Patience)
	outage := w.Outage(began)
	t.Logf("%s led, %s leads; outage %v", old.Name, leader.Name, milliseconds(outage))
	if outage > 10*time.Second {
		t.Errorf("no row for %v: the death of the server was not noticed by itself", outage)
	}
	if n := lost(t, c, w); n != 0 {
		t.Errorf("%d acknowledged rows are lost", n)
	}
}

// killAgent kills the agent alone: PostgreSQL must not notice.
func killAgent(t *testing.T, c *lab.Cluster, w *traffic.Writer) {
	leader := c.WaitWhole(lab.Patience)
	before, err := c.Picture(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pid, timeline, began := leader.Postmaster(), leader.Timeline(), time.Now()
	leader.KillAgent()
	leader.Start()
	moved := c.WaitPicture(leaseLimit, "the leader key hangs on a lease of the new agent's", func(p lab.Picture) bool {
		return p.Lease != before.Lease
	})
	leader.WaitCodes(lab.Patience, primaryChecks)
	if got := c.WaitWhole(lab.Patience); got != leader {
		t.Errorf("%s leads now: %s", got.Name, moved)
	}
	if now := leader.Postmaster(); now != pid {
		t.Errorf("the postmaster was %d and is %d", pid, now)
	}
	if now := leader.Timeline(); now != timeline {
		t.Errorf("the timeline was %d and is %d", timeline, now)
	}
	if outage := w.Outage(began); outage > time.Second {
		t.Errorf("no row for %v", outage)
	}
}

// killNode is a power cut, bounded by the lease.
func killNode(t *testing.T, c *lab.Cluster, w *traffic.Writer) {
	old := c.WaitWhole(lab.Patience)
	log := since(c)
	began := time.Now()
	old.KillNode()
	leader := c.WaitPrimary(leaseLimit, old)
	w.WaitServer(t, lab.Patience, began, leader.Host)
	t.Logf("%s led, %s leads; outage %v", old.Name, leader.Name, milliseconds(w.Outage(began)))
	// The walreceivers had all that was acknowledged, or not: what the old
	// primary has and nobody else goes with the rewind.
	old.Start()
	c.WaitWhole(lab.Patience)
	if text := log(); !strings.Contains(text, "rewind is complete") && !strings.Contains(text, "the leader's history contains ours") {
		t.Error("the log does not say how the old primary came back")
	}
	t.Logf("%d rows lost by the node kill", lost(t, c, w))
}

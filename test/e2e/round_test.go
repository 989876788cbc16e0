package e2e

import (
	"fmt"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
	"matriarch/test/e2e/traffic"
)

// blow is one way to make the leader another one.
type blow struct {
	name  string
	clean bool // no acknowledged row may be lost
	deal  func(t *testing.T, c *lab.Cluster, leader *lab.Node)
}

func terminate(t *testing.T, _ *lab.Cluster, leader *lab.Node) {
	t.Helper()
	if code := leader.Stop(); code != 0 {
		t.Errorf("the agent of %s ended with %d", leader.Name, code)
	}
}

func crash(t *testing.T, _ *lab.Cluster, leader *lab.Node) { t.Helper(); leader.KillPostmaster() }

func powerCut(t *testing.T, _ *lab.Cluster, leader *lab.Node) { t.Helper(); leader.KillNode() }

func switchOver(t *testing.T, c *lab.Cluster, leader *lab.Node) {
	t.Helper()
	move(t, c.Others(leader)[0], "switchover", leader.Name, "")
}

func failOver(t *testing.T, c *lab.Cluster, leader *lab.Node) {
	t.Helper()
	move(t, leader, "failover", "", c.Others(leader)[1].Name)
}

// round is ten of them. With primary_start_timeout 0 a crashed primary hands over
// instead of being restarted in place, so each makes another node the leader.
var round = []blow{
	{"SIGTERM", true, terminate},
	{"switchover", true, switchOver},
	{"postmaster killed", false, crash},
	{"failover by request", true, failOver},
	{"SIGTERM", true, terminate},
	{"node killed", false, powerCut},
	{"switchover", true, switchOver},
	{"postmaster killed", false, crash},
	{"SIGTERM", true, terminate},
	{"switchover", true, switchOver},
}

func roundOfTen(t *testing.T, c *lab.Cluster, w *traffic.Writer) {
	c.WaitWhole(lab.Patience)
	c.Configure(func(s lab.Settings) { s.Set("primary_start_timeout", 0) })
	before := lost(t, c, w)
	for i, b := range round {
		old := c.WaitWhole(lab.Patience)
		// Longer than the answers of the last race count: a crash that is judged by
		// them may be restarted in place.
		w.WaitPast(t, lab.Patience, time.Now().Add(1500*time.Millisecond))
		began := time.Now()
		b.deal(t, c, old)
		leader := c.WaitPrimary(leaseLimit, old)
		w.WaitServer(t, lab.Patience, began, leader.Host)
		outage := w.Outage(began)
		if !old.Agent.Running() {
			old.Start()
		}
		c.WaitWhole(lab.Patience)
		gone := lost(t, c, w)
		line := fmt.Sprintf("%d. %s: from %s to %s, outage %v, whole after %v, rows lost %d", i+1, b.name, old.Name, leader.Name,
			milliseconds(outage), milliseconds(time.Since(began)), gone-before)
		if b.clean && gone > before {
			t.Error(line)
		} else {
			t.Log(line)
		}
		before = gone
	}
	c.Configure(func(s lab.Settings) { s.Set("primary_start_timeout", 300) })
}

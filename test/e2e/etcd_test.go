package e2e

import (
	"testing"
	"time"

	"matriarch/test/e2e/lab"
	"matriarch/test/e2e/traffic"
)

// killEtcdMembers kills each member of etcd in turn, its leader first.
func killEtcdMembers(t *testing.T, c *lab.Cluster, etcd *lab.Etcd, w *traffic.Writer) {
	leader := c.WaitWhole(lab.Patience)
	timeline, began := leader.Timeline(), time.Now()
	first := etcd.Leader()
	for i := range etcd.Endpoints {
		member := (first + i) % len(etcd.Endpoints)
		etcd.Kill(member)
		// Longer than a pass and a renewal of the lease without that member.
		w.WaitPast(t, lab.Patience, time.Now().Add(6*time.Second))
		etcd.Start(member)
		etcd.WaitReady()
	}
	sameLeader(t, c, leader, timeline, w, began)
}

// etcdAway kills all of etcd and brings it back.
func etcdAway(t *testing.T, c *lab.Cluster, etcd *lab.Etcd, w *traffic.Writer) {
	leader := c.WaitWhole(lab.Patience)
	timeline, began := leader.Timeline(), time.Now()
	for i := range etcd.Endpoints {
		etcd.Kill(i)
	}
	w.WaitPast(t, lab.Patience, time.Now().Add(5*time.Second))
	for i := range etcd.Endpoints {
		etcd.Start(i)
	}
	etcd.WaitReady()
	// As long again as the lease lasts: what was lost would show by then.
	w.WaitPast(t, lab.Patience, time.Now().Add(20*time.Second))
	sameLeader(t, c, leader, timeline, w, began)
}

// sameLeader checks that nothing has happened since an instant.
func sameLeader(t *testing.T, c *lab.Cluster, leader *lab.Node, timeline int, w *traffic.Writer, began time.Time) {
	t.Helper()
	if now := c.WaitWhole(lab.Patience); now != leader || now.Timeline() != timeline {
		t.Errorf("%s led on timeline %d, and %s leads on timeline %d", leader.Name, timeline, now.Name, now.Timeline())
	}
	if outage := w.Outage(began); outage > time.Second {
		t.Errorf("no row for %v", outage)
	} else {
		t.Logf("longest pause %v", milliseconds(outage))
	}
}

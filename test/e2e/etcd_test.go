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

// awayFor is longer than the ttl of 20 s: the leader key and the members' keys are gone
// when the store is back.
const awayFor = 24 * time.Second

// etcdAway kills all of etcd for longer than a lease lasts, and brings it back. The
// members carry their leader meanwhile (L3).
func etcdAway(t *testing.T, c *lab.Cluster, etcd *lab.Etcd, w *traffic.Writer) {
	leader := c.WaitWhole(lab.Patience)
	timeline, began := leader.Timeline(), time.Now()
	for i := range etcd.Endpoints {
		etcd.Kill(i)
	}
	w.WaitPast(t, lab.Patience, time.Now().Add(awayFor))
	for i := range etcd.Endpoints {
		etcd.Start(i)
	}
	etcd.WaitReady()
	c.WaitPicture(lab.Patience, "the leader and its electorate are in the store again", func(p lab.Picture) bool {
		return p.Leader == leader.Name && len(electorate(p).Members) == 2
	})
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

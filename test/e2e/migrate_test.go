package e2e

import (
	"strings"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
)

// TestMoveFromPatroniAndBack moves a cluster that Patroni has founded over to our
// agents, one node at a time, and back again. Clients write at every node, and no
// server is restarted.
func TestMoveFromPatroniAndBack(t *testing.T) {
	t.Parallel()
	m := &mixed{patroni: lab.FindPatroni(t), etcd: lab.StartEtcd(t, 1)}
	t.Log(m.patroni.Version)
	m.c = lab.New(t, 3, m.etcd, lab.Changed(mixedSettings))
	for _, n := range m.c.Nodes {
		n.Patroni = m.patroni
	}
	m.c.Start()
	m.a = appendAll(t, m.c)
	began, servers := m.a.Now(), postmasters(m.c)

	story(t, m.c, "the agents of the standbys are changed, and then that of the primary", func(t *testing.T) {
		m.pause(t, true)
		leader := m.c.WaitWhole(lab.Patience)
		for _, n := range append(m.c.Others(leader), leader) {
			m.changeOver(t, n, nil)
			m.settled(t, n)
		}
		m.pause(t, false)
		m.same(t, leader, began)
		m.c.WaitPicture(lab.Patience, "all servers have a guard", func(p lab.Picture) bool {
			for _, n := range m.c.Nodes {
				if !strings.Contains(p.Keys["members/"+n.Name], `"guard":"adopted"`) {
					return false
				}
			}
			return strings.Count(p.Keys["electorate"], "node") == len(m.c.Nodes) // all but the leader are in it
		})
	})
	story(t, m.c, "and back, the primary's first", func(t *testing.T) {
		from := m.a.Now()
		m.pause(t, true)
		leader := m.c.WaitWhole(lab.Patience)
		for _, n := range append([]*lab.Node{leader}, m.c.Others(leader)...) {
			m.changeOver(t, n, m.patroni)
			m.settled(t, n)
		}
		m.pause(t, false)
		m.same(t, leader, from)
	})
	if now := postmasters(m.c); now != servers {
		t.Errorf("the postmasters were %v and are %v", servers, now)
	}
	gap := m.a.gap(began)
	v := m.a.finish(t)
	t.Logf("%s; the longest pause of all was %v", v, milliseconds(gap))
	if len(v.Lost) > 0 {
		t.Error("rows are lost")
	}
}

// settled waits until a node's agent has taken its place in the store.
func (m *mixed) settled(t *testing.T, n *lab.Node) {
	t.Helper()
	m.c.WaitPicture(30*time.Second, "the agent of "+n.Name+" has taken its place", func(p lab.Picture) bool {
		own := p.Keys["members/"+n.Name]
		return strings.Contains(own, `"state":"running"`) && strings.Contains(own, `"pause":true`) &&
			strings.Contains(own, `"permit":true`) == (n.Patroni == nil)
	})
}

func postmasters(c *lab.Cluster) (pids [3]int) {
	for i, n := range c.Nodes {
		pids[i] = n.Postmaster()
	}
	return pids
}

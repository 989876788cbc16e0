package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
)

// TestMoveFromPatroniAndBack moves a cluster that Patroni has founded over to our
// agents, one node at a time, and back again. Clients write at every node, and no
// server is restarted. In the end a primary of ours is lost beside two of Patroni's.
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
			t.Log("\n" + n.List()) // docs/migrate-from-patroni.md shows it
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
	t.Logf("the longest pause of all was %v", milliseconds(m.a.gap(began)))
	moved := m.a.Now()
	story(t, m.c, "half way, our primary is lost to a standby of Patroni's", m.oursLost)
	v := m.a.finish(t)
	t.Log(v)
	for _, lost := range m.unexcused(v) {
		t.Errorf("lost: %v (the moves ended at %v)", lost, moved)
	}
}

// oursLost is the other direction of patroniLost: the leader is ours, and both that may
// succeed it are Patroni's.
func (m *mixed) oursLost(t *testing.T) {
	m.pause(t, true)
	leader := m.c.WaitWhole(lab.Patience)
	m.changeOver(t, leader, nil)
	m.settled(t, leader)
	m.pause(t, false)
	for _, n := range m.c.Others(leader) {
		m.answers(t, n)
	}
	leader.KillNode()
	at := m.a.Now()
	m.losses = append(m.losses, bereft{leader.Name, at})
	next := m.c.WaitPrimary(lab.Patience, leader)
	m.a.wait(t, lab.Patience, next, at)
	t.Logf("no write for %v, then by %s", milliseconds(m.a.gap(at)), next.Name)
	m.a.exclusive(t)
	leader.Start()
	m.same(t, next, m.a.Now())
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

// postmasters tells the nodes' servers from any that would be started later.
func postmasters(c *lab.Cluster) (all [3]string) {
	for i, n := range c.Nodes {
		all[i] = fmt.Sprint(n.Postmaster(), " since ", n.Value("pg_postmaster_start_time()"))
	}
	return all
}

package e2e

import (
	"testing"
	"time"

	"matriarch/test/chaos/history"
	"matriarch/test/e2e/lab"
)

// TestLeaderCutOffBesidePatroni loses our leader where one of the two others is
// Patroni's: with its node, and cut off from the store alone, in which the others
// still acknowledge its heartbeats and Patroni's member goes by the lease.
func TestLeaderCutOffBesidePatroni(t *testing.T) {
	t.Parallel()
	m := &mixed{patroni: lab.FindPatroni(t), etcd: lab.StartEtcd(t, 1)}
	m.c = lab.New(t, 3, m.etcd, lab.Changed(mixedSettings))
	gates := map[*lab.Node]*lab.Gate{}
	stays := true // Patroni's member, a standby
	for _, n := range m.c.Nodes {
		g := lab.NewGate(t, n.Host+":2378", m.etcd.Endpoints[0])
		gates[n] = g
		n.Change = func(s lab.Settings) {
			s.Set("etcd3", map[string]any{"hosts": g.Address, "protocol": "http", "use_proxies": true})
			s.Set("tags.nofailover", n.Patroni != nil && stays)
		}
	}
	m.c.Start()
	m.a = appendAll(t, m.c)
	story(t, m.c, "a standby is changed over to Patroni", m.standbyToPatroni)

	story(t, m.c, "our leader is lost, and our member does not wait for the lease", func(t *testing.T) {
		old, at := m.c.WaitWhole(lab.Patience), m.a.Now()
		old.KillNode()
		m.losses = append(m.losses, bereft{old.Name, at})
		next := m.c.WaitPrimary(lab.Patience, old)
		m.a.wait(t, lab.Patience, next, at)
		gap := m.a.gap(at)
		t.Logf("no write for %v, then by %s", milliseconds(gap), next.Name)
		if gap > mixedTTL/2 || next == m.turns {
			t.Errorf("%s leads, after %v", next.Name, gap)
		}
		old.Start()
		m.c.WaitWhole(lab.Patience)
	})
	story(t, m.c, "our leader is cut off from the store and stands still when its lease ends, and our member leads", func(t *testing.T) {
		if next := m.cutOff(t, gates); next == m.turns {
			t.Errorf("%s leads, which may not", next.Name)
		}
	})
	story(t, m.c, "and again, and Patroni's member may lead", func(t *testing.T) {
		stays = false
		m.changeOver(t, m.turns, m.patroni)
		t.Logf("%s leads, Patroni's is %s", m.cutOff(t, gates).Name, m.turns.Name)
	})
	if v := m.a.finish(t); len(m.unexcused(v)) > 0 {
		t.Error("lost in a clean hand-over: ", m.unexcused(v))
	} else {
		t.Log(v)
	}
}

// cutOff keeps the leader from the store until another one leads, and checks that it
// stopped in time.
func (m *mixed) cutOff(t *testing.T, gates map[*lab.Node]*lab.Gate) *lab.Node {
	t.Helper()
	old, at := m.c.WaitWhole(lab.Patience), m.a.Now()
	gates[old].Shut()
	next := m.c.WaitPrimary(lab.Patience, old)
	m.a.wait(t, lab.Patience, next, at)
	var last time.Duration
	for _, r := range history.Reigns(m.a.Appends()) {
		if r.Node == old.Name {
			last = max(last, r.Last)
		}
	}
	m.losses = append(m.losses, bereft{old.Name, last})
	gap := m.a.gap(at)
	t.Logf("%s wrote for %v without the store; then there was no write for %v", old.Name, milliseconds(last-at), milliseconds(gap))
	if last-at > mixedTTL || last-at < mixedTTL/2 || gap > 10*time.Second {
		t.Errorf("the lease is one of %v", mixedTTL) // what is more is PostgreSQL's, which Patroni asks to promote itself
	}
	gates[old].Open()
	m.c.WaitWhole(lab.Patience)
	m.a.exclusive(t)
	return next
}

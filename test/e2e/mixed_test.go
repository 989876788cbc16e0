package e2e

import (
	"context"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"matriarch/test/chaos/history"
	"matriarch/test/e2e/lab"
)

// mixedTTL is the life of a lease in these clusters: Patroni accepts no shorter one.
const mixedTTL = 20 * time.Second

// What the log says when the permit begins to end with the lease, and when it no
// longer does.
const (
	logMixed   = "the right to write ends with the lease of the leader key as well"
	logUnmixed = "the right to write no longer ends with the lease of the leader key"
)

// mixed is a cluster of which one member is changed over to Patroni and back.
type mixed struct {
	c       *lab.Cluster
	etcd    *lab.Etcd
	patroni *lab.Patroni
	a       *appends
	turns   *lab.Node // the one that is changed over
	losses  []bereft
}

// bereft is when a primary was lost, or left alone with its guard: what it acknowledged
// last may be lost with it.
type bereft struct {
	node string
	at   time.Duration
}

// excuses reports that a row was acknowledged so shortly before that, or in the
// permit after it, that it may not have reached anybody.
func (b bereft) excuses(lost history.Append) bool {
	return lost.Node == b.node && lost.Done > b.at-time.Second && lost.Done < b.at+2*time.Second
}

// TestPatroniMembers lives beside Patroni's own agent in one scope: as its leader, as
// its follower, and as its successor on a running server, in both directions. A
// client writes at every node all the while.
func TestPatroniMembers(t *testing.T) {
	m := newMixed(t)
	for _, step := range []struct {
		name string
		do   func(t *testing.T)
	}{
		{"a standby is changed over to Patroni", m.standbyToPatroni},
		{"beside it the permit ends with the lease, and comes back with the store", m.storeAwayBesidePatroni},
		{"Patroni leads, and nobody takes over while its key is there", m.patroniLeads},
		{"Patroni's running primary is taken over", m.takeOverRunning},
		{"and given back, while the cluster is paused", m.giveBackRunning},
		{"and taken over again, and frozen when its agent is lost", m.adoptedIsFrozen},
		{"the new leader's running server is given to Patroni", m.giveBackRunning},
		{"Patroni's primary is lost, and followed by ours when its lease ends", m.patroniLost},
		{"without Patroni the members carry the permit again", m.storeAwayWithoutPatroni},
		{"the last node is changed back", m.patroniToStandby},
	} {
		story(t, m.c, step.name, func(t *testing.T) {
			began := time.Now()
			step.do(t)
			m.a.exclusive(t)
			t.Logf("took %v", milliseconds(time.Since(began)))
		})
	}
	v := m.a.finish(t)
	t.Log(v)
	if lost := m.unexcused(v); len(lost) > 0 {
		t.Error("lost in a clean hand-over: ", lost)
	}
}

// unexcused is what was lost otherwise than with its primary.
func (m *mixed) unexcused(v history.Verdict) []history.Append {
	return slices.DeleteFunc(slices.Clone(v.Lost), func(lost history.Append) bool {
		return slices.ContainsFunc(m.losses, func(b bereft) bool { return b.excuses(lost) })
	})
}

func newMixed(t *testing.T) *mixed {
	t.Helper()
	m := &mixed{patroni: lab.FindPatroni(t), etcd: lab.StartEtcd(t, 1)}
	t.Log(m.patroni.Version)
	m.c = lab.New(t, 3, m.etcd, lab.Changed(mixedSettings))
	m.c.Start()
	m.a = appendAll(t, m.c)
	return m
}

func mixedSettings(_ *lab.Node, s lab.Settings) {
	s.Set("bootstrap.dcs.ttl", int(mixedTTL.Seconds()))
	s.Set("bootstrap.dcs.loop_wait", 2)
	s.Set("bootstrap.dcs.retry_timeout", 3)
	// A rewind whose source is lost as well is no end of the test.
	s.Set("postgresql.remove_data_directory_on_rewind_failure", true)
}

// changeOver ends a node's agent, in order, and starts the other kind in its place.
func (m *mixed) changeOver(t *testing.T, n *lab.Node, to *lab.Patroni) {
	t.Helper()
	n.Stop()
	n.Patroni = to
	n.Start()
}

func (m *mixed) standbyToPatroni(t *testing.T) {
	leader := m.c.WaitWhole(lab.Patience)
	m.turns = m.c.Others(leader)[0]
	mark, from := leader.Mark(), m.a.Now()
	m.changeOver(t, m.turns, m.patroni)
	leader.WaitLog(mark, logMixed)
	m.same(t, leader, from)
}

// same checks that a leader has stayed what it was, and wrote all the time.
func (m *mixed) same(t *testing.T, leader *lab.Node, from time.Duration) {
	t.Helper()
	if now := m.c.WaitWhole(lab.Patience); now != leader {
		t.Errorf("%s led, and %s leads", leader.Name, now.Name)
	}
	gap := m.a.gap(from)
	t.Logf("longest pause %v", milliseconds(gap))
	if gap > time.Second {
		t.Errorf("nothing was acknowledged for %v", gap)
	}
}

// storeAway freezes etcd for longer than any lease lasts, and tells when: from one
// instant to the other no answer of it was given.
func (m *mixed) storeAway(t *testing.T) (from, to time.Duration) {
	t.Helper()
	m.etcd.Signal(0, syscall.SIGSTOP)
	from = m.a.Now()
	m.a.pass(t, mixedTTL+2*time.Second)
	to = m.a.Now()
	m.etcd.Signal(0, syscall.SIGCONT)
	return from, to
}

func (m *mixed) storeAwayBesidePatroni(t *testing.T) {
	leader := m.c.WaitWhole(lab.Patience)
	from, to := m.storeAway(t)
	var last time.Duration
	for _, r := range history.Reigns(m.a.Appends()) {
		if r.Node == leader.Name {
			last = max(last, r.Last)
		}
	}
	t.Logf("etcd was away for %v; %s wrote for %v of it", milliseconds(to-from), leader.Name, milliseconds(last-from))
	if last-from > mixedTTL || last-from < mixedTTL/2 {
		t.Errorf("%s wrote for %v without etcd, the lease is one of %v", leader.Name, last-from, mixedTTL)
	}
	m.c.WaitPrimary(lab.Patience, nil)
	now := m.c.WaitWhole(lab.Patience)
	m.a.wait(t, lab.Patience, now, to)
	m.c.WaitPicture(lab.Patience, "all members are listed again", func(p lab.Picture) bool { return len(p.Members) == len(m.c.Nodes) })
	t.Logf("after etcd was back there was no write for %v; %s leads", milliseconds(m.a.gap(to)-(to-last)), now.Name)
	if now != leader {
		t.Errorf("%s led, and %s leads", leader.Name, now.Name)
	}
}

// retired waits until ours have put their electorate aside for Patroni's leader.
func (m *mixed) retired(t *testing.T, leader *lab.Node) {
	t.Helper()
	m.c.WaitPicture(lab.Patience, "the electorate is put aside for "+leader.Name, func(p lab.Picture) bool {
		e := p.Keys["electorate"]
		return strings.Contains(e, `"leader":"`+leader.Name+`"`) && strings.Contains(e, `"released":true`)
	})
}

// answers waits until a node's agent says that its server runs: Patroni's takes some
// passes for it after an outage of the store.
func (m *mixed) answers(t *testing.T, n *lab.Node) {
	t.Helper()
	n.WaitCodes(lab.Patience, map[string]int{"/health": 200, "/replica": 200})
}

func (m *mixed) patroniLeads(t *testing.T) {
	leader := m.c.WaitWhole(lab.Patience)
	m.answers(t, m.turns)
	from := m.a.Now()
	move(t, leader, "switchover", leader.Name, m.turns.Name)
	m.a.wait(t, lab.Patience, m.turns, from)
	t.Logf("no write for %v", milliseconds(m.a.gap(from)))
	m.retired(t, m.turns)
	m.c.WaitWhole(lab.Patience)

	// Silence is no reason to take over from Patroni, which sends no heartbeats.
	from = m.a.Now()
	m.turns.Agent.Signal(syscall.SIGSTOP)
	m.a.pass(t, 4*time.Second)
	m.turns.Agent.Signal(syscall.SIGCONT)
	m.same(t, m.turns, from)
}

func (m *mixed) takeOverRunning(t *testing.T) {
	server, from := m.turns.Postmaster(), m.a.Now()
	m.turns.KillAgent()
	m.turns.Patroni = nil
	standby := m.c.Others(m.turns)[0]
	mark := standby.Mark()
	m.turns.Start()
	standby.WaitLog(mark, logUnmixed)
	m.c.WaitPicture(lab.Patience, "the server has a guard that has adopted it", func(p lab.Picture) bool {
		own := p.Keys["members/"+m.turns.Name]
		return strings.Contains(own, `"guard":"adopted"`) && !strings.Contains(own, "pending_restart")
	})
	m.same(t, m.turns, from)
	if now := m.turns.Postmaster(); now != server {
		t.Errorf("the postmaster was %d and is %d", server, now)
	}
}

// adoptedIsFrozen kills the agent beside a server that it has adopted: its guard keeps
// to the permit all the same, and another member leads.
func (m *mixed) adoptedIsFrozen(t *testing.T) {
	m.takeOverRunning(t)
	old := m.turns
	mark, at := old.Mark(), m.a.Now()
	old.KillAgent()
	m.losses = append(m.losses, bereft{old.Name, at})
	m.turns = m.c.WaitPrimary(lab.Patience, old)
	m.a.wait(t, lab.Patience, m.turns, at)
	old.WaitLog(mark, "frozen by")
	m.a.exclusive(t)
	t.Logf("no write for %v, then by %s", milliseconds(m.a.gap(at)), m.turns.Name)
	old.Start()
	m.same(t, m.turns, m.a.Now())
}

// giveBackRunning is the way back to Patroni without a restart of the server: the
// agents are changed while the cluster is paused.
func (m *mixed) giveBackRunning(t *testing.T) {
	server, from := m.turns.Postmaster(), m.a.Now()
	m.pause(t, true)
	m.changeOver(t, m.turns, m.patroni)
	m.c.WaitPicture(lab.Patience, "Patroni keeps the leader key of "+m.turns.Name, func(p lab.Picture) bool {
		return p.Leader == m.turns.Name && !strings.Contains(p.Keys["members/"+m.turns.Name], `"permit"`) && p.Members[m.turns.Name].State == "running"
	})
	m.retired(t, m.turns)
	m.pause(t, false)
	m.same(t, m.turns, from)
	if now := m.turns.Postmaster(); now != server {
		t.Errorf("the postmaster was %d and is %d", server, now)
	}
}

// pause begins or ends a pause, and waits until every member has recognised it.
func (m *mixed) pause(t *testing.T, on bool) {
	t.Helper()
	m.c.Configure(func(s lab.Settings) {
		delete(s, "pause")
		if on {
			s["pause"] = true
		}
	})
	m.c.WaitPicture(lab.Patience, "every member knows of it", func(p lab.Picture) bool {
		for name := range p.Members {
			if strings.Contains(p.Keys["members/"+name], `"pause":true`) != on {
				return false
			}
		}
		return true
	})
}

func (m *mixed) patroniLost(t *testing.T) {
	leader := m.c.WaitWhole(lab.Patience)
	if leader != m.turns {
		t.Fatalf("%s leads, and not Patroni at %s", leader.Name, m.turns.Name)
	}
	leader.KillNode()
	at := m.a.Now()
	m.losses = append(m.losses, bereft{leader.Name, at})
	next := m.c.WaitPrimary(lab.Patience, leader)
	m.a.wait(t, lab.Patience, next, at)
	gap := m.a.gap(at)
	t.Logf("no write for %v, then by %s", milliseconds(gap), next.Name)
	// Patroni renews its lease every loop_wait, and etcd looks for leases that have
	// ended every half second.
	if gap < mixedTTL-5*time.Second || gap > mixedTTL+3*time.Second {
		t.Errorf("no write for %v, and the lease is one of %v", gap, mixedTTL)
	}
	leader.Start()
	m.same(t, next, m.a.Now())
}

func (m *mixed) storeAwayWithoutPatroni(t *testing.T) {
	leader := m.c.WaitWhole(lab.Patience)
	mark := leader.Mark()
	m.turns.Stop()
	m.c.EndMember(m.turns.Name)
	leader.WaitLog(mark, logUnmixed)
	from, _ := m.storeAway(t)
	m.same(t, leader, from)
}

func (m *mixed) patroniToStandby(t *testing.T) {
	leader, from := m.c.WaitWhole(lab.Patience), m.a.Now()
	m.turns.Patroni = nil
	m.turns.Start()
	m.same(t, leader, from)
	lab.Eventually(t, lab.Patience, "every member says that it goes by the permit", func(ctx context.Context) (bool, string) {
		p, err := m.c.Picture(ctx)
		if err != nil {
			return false, err.Error()
		}
		for _, n := range m.c.Nodes {
			if !strings.Contains(p.Keys["members/"+n.Name], `"permit":true`) {
				return false, n.Name + ": " + p.Keys["members/"+n.Name]
			}
		}
		return true, ""
	})
}

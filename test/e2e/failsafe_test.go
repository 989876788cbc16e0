package e2e

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
)

// TestFailsafe calls each node as a primary of Patroni's does that has lost the store.
func TestFailsafe(t *testing.T) {
	t.Parallel()
	c := lab.New(t, 2, lab.StartEtcd(t, 1), lab.Changed(func(_ *lab.Node, s lab.Settings) {
		s.Set("bootstrap.dcs.failsafe_mode", true)
	}))
	c.Start()
	leader := c.WaitWhole(lab.Patience)
	standby := c.Others(leader)[0]
	c.WaitPicture(lab.Patience, "all are in the failsafe key", func(p lab.Picture) bool {
		key := p.Keys["failsafe"]
		return strings.Contains(key, `"`+leader.Name+`":"http://`) && strings.Contains(key, `"`+standby.Name+`":"http://`)
	})
	call := `{"name":"patroni9","conn_url":"postgres://127.0.0.1:1/postgres","api_url":"http://127.0.0.1:1/patroni","slots":{"patroni9":67108960}}`
	post := func(n *lab.Node, code int, body string) {
		t.Helper()
		answer, err := n.Ask(t.Context(), lab.Patience, http.MethodPost, "/failsafe", call)
		if err != nil || answer.Code != code || string(answer.Body) != body {
			t.Errorf("%s: %d %q, %v; want %d %q", n.Name, answer.Code, answer.Body, err, code, body)
		}
	}
	post(leader, http.StatusInternalServerError, "Running as a leader")
	post(standby, http.StatusOK, "Accepted")
	lab.Eventually(t, lab.Patience, "the standby shows failsafe mode", func(ctx context.Context) (bool, string) {
		answer, err := standby.Ask(ctx, 5*time.Second, http.MethodGet, "/patroni", "")
		active, _ := answer.Document()["failsafe_mode_is_active"].(bool)
		return err == nil && active, string(answer.Body)
	})
	// Its promise holds: with the leader gone it does not lead before ttl is over.
	accepted := time.Now()
	post(standby, http.StatusOK, "Accepted")
	leader.KillNode()
	c.WaitPrimary(leaseLimit+lab.Patience, leader)
	const ttl = 20 * time.Second
	if after := time.Since(accepted); after < ttl {
		t.Errorf("the standby led %v after it had promised not to for %v", after, ttl)
	}
}

// TestFailsafeBesidePatroni takes the store away from a cluster of both kinds for
// longer than a lease lasts: in failsafe mode whoever leads goes on.
func TestFailsafeBesidePatroni(t *testing.T) {
	t.Parallel()
	m := newMixed(t)
	m.c.Configure(func(s lab.Settings) { s["failsafe_mode"] = true })
	for _, step := range []struct {
		name string
		do   func(t *testing.T)
	}{
		{"a standby is changed over to Patroni", m.standbyToPatroni},
		{"Patroni leads", m.patroniLeads},
		// This comes first: a primary of Patroni 3.0.2's that has heard a call before
		// takes the caller of then for the leader, and demotes itself for it.
		{"Patroni goes on by the word of our standbys", m.goesOnWithoutStore},
		{"ours leads again", m.oursLeads},
		{"ours goes on by the word of Patroni's standby", m.goesOnWithoutStore},
	} {
		story(t, m.c, step.name, func(t *testing.T) {
			step.do(t)
			m.a.exclusive(t)
		})
	}
	v := m.a.finish(t)
	if lost := m.unexcused(v); len(lost) > 0 {
		t.Error("lost in a clean hand-over: ", lost)
	}
}

func (m *mixed) oursLeads(t *testing.T) {
	next := m.c.Others(m.turns)[0]
	from := m.a.Now()
	move(t, m.turns, "switchover", m.turns.Name, next.Name)
	m.a.wait(t, lab.Patience, next, from)
}

func (m *mixed) goesOnWithoutStore(t *testing.T) {
	leader := m.c.WaitWhole(lab.Patience)
	m.c.WaitPicture(lab.Patience, "all are in the failsafe key", func(p lab.Picture) bool {
		return strings.Count(p.Keys["failsafe"], "http://") == len(m.c.Nodes)
	})
	from, _ := m.storeAway(t)
	m.same(t, leader, from)
	m.c.WaitPicture(lab.Patience, "all members are listed again", func(p lab.Picture) bool { return len(p.Members) == len(m.c.Nodes) })
	// Patroni's members keep to what they have promised also when the store is back:
	// none of them follows a leader that steps down before ttl is over (B-549).
	for _, n := range m.c.Nodes {
		lab.Eventually(t, mixedTTL+lab.Patience, n.Name+" is out of failsafe mode", func(ctx context.Context) (bool, string) {
			answer, err := n.Ask(ctx, 5*time.Second, http.MethodGet, "/patroni", "")
			_, active := answer.Document()["failsafe_mode_is_active"]
			return err == nil && !active, string(answer.Body)
		})
	}
}

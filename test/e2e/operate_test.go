package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
	"matriarch/test/e2e/traffic"
)

// TestAnOperatorRestartsAndReinitializes is what an operator does to a living cluster
// by REST, under a writing client: nothing that was acknowledged is lost, and the
// leader and its timeline stay.
func TestAnOperatorRestartsAndReinitializes(t *testing.T) {
	c := lab.New(t, 3, lab.StartEtcd(t, 1))
	c.Start()
	leader := c.WaitWhole(lab.Patience)
	standby, other := c.Others(leader)[0], c.Others(leader)[1]
	w := write(t, c)
	w.WaitPast(t, lab.Patience, time.Now().Add(time.Second))

	story(t, c, "a raised setting waits for restarts, the standbys first", func(t *testing.T) {
		ask(t, leader, http.MethodPatch, "/config", `{"postgresql":{"parameters":{"max_connections":110}}}`, http.StatusOK, "")
		for _, n := range c.Nodes {
			waitPending(t, n, "100", "110")
		}
		ask(t, standby, http.MethodPost, "/restart", `{"role":"primary"}`, http.StatusServiceUnavailable, "restart conditions are not satisfied")
		ask(t, standby, http.MethodPost, "/restart", `{"restart_pending":true}`, http.StatusOK, "restarted successfully")
		waitPending(t, standby, "", "")
	})
	story(t, c, "the primary restarts and leads on", func(t *testing.T) { restartLeader(t, c, w, leader) })
	story(t, c, "a standby that was passed over comes after", func(t *testing.T) {
		// Its replay stops at the primary's new value, and it has to start again.
		waitPending(t, other, "", "")
		if got := c.WaitWhole(lab.Patience); got != leader {
			t.Errorf("%s leads after it", got.Name)
		}
	})
	story(t, c, "the primary restarts in pause", func(t *testing.T) {
		ask(t, leader, http.MethodPatch, "/config", `{"pause":true,"postgresql":{"parameters":{"max_connections":90}}}`, http.StatusOK, "")
		waitPending(t, leader, "110", "90")
		waitPending(t, standby, "110", "90")
		// A standby must not go below the primary, so this one brings nothing yet.
		ask(t, standby, http.MethodPost, "/restart", "", http.StatusOK, "restarted successfully")
		waitPending(t, standby, "110", "90")
		restartLeader(t, c, w, leader)
		waitPending(t, leader, "", "")
		ask(t, leader, http.MethodPatch, "/config", `{"pause":null}`, http.StatusOK, "")
	})
	story(t, c, "a restart on schedule", func(t *testing.T) {
		at := time.Now().Add(2 * time.Second).Format(time.RFC3339Nano)
		ask(t, standby, http.MethodPost, "/restart", fmt.Sprintf(`{"schedule":%q,"restart_pending":true}`, at), http.StatusAccepted, "Restart scheduled")
		ask(t, standby, http.MethodPost, "/restart", fmt.Sprintf(`{"schedule":%q}`, at), http.StatusConflict, "Another restart is already scheduled")
		waitPending(t, standby, "", "")
		ask(t, standby, http.MethodDelete, "/restart", "", http.StatusNotFound, "no restarts are scheduled")
	})
	story(t, c, "a reload tells what came of it", func(t *testing.T) { reloads(t, c, other) })
	story(t, c, "a standby is copied anew", func(t *testing.T) {
		ask(t, leader, http.MethodPost, "/reinitialize", `{"force":true}`, http.StatusServiceUnavailable, "I am the leader, can not reinitialize")
		mark := other.Mark()
		ask(t, other, http.MethodPost, "/reinitialize", "", http.StatusOK, "reinitialize started")
		other.WaitLog(mark, "beginning BaseBackup")
		if got := c.WaitWhole(lab.Patience); got != leader {
			t.Errorf("%s leads after it", got.Name)
		}
	})
	if v := verdict(t, c, w); len(v.Lost) > 0 {
		t.Errorf("acknowledged rows are lost: %v", v.Lost)
	}
}

// reloads changes a node's file, for good and for ill.
func reloads(t *testing.T, c *lab.Cluster, n *lab.Node) {
	t.Helper()
	k := lab.OwnControl(t)
	for _, step := range []struct {
		change func(lab.Settings)
		want   []string
	}{
		{func(s lab.Settings) {
			s.Set("postgresql.parameters.work_mem", "8MB")
			s.Set("postgresql.parameters.shared_buffers", "40MB")
			s.Set("postgresql.parameters.no_such_setting", "1")
			s.Set("tgas.a", 1)
		}, []string{"postgresql.parameters.work_mem has changed\n", "shared_buffers has changed, and does not count yet: restart PostgreSQL on this node\n",
			"Removing unexpected parameter=no_such_setting value=1", "tags"}},
		{func(s lab.Settings) { s.Set("postgresql.listen", "nowhere:x") }, []string{"error: postgresql.listen", "Failed: reload for member " + n.Name}},
		{nil, []string{"postgresql.parameters.work_mem has changed\n"}},
		{nil, []string{n.Name + ": nothing has changed in its file"}},
	} {
		n.Rewrite(step.change)
		out, err := k.Run(t, n, "reload", c.Scope, n.Name, "--force")
		for _, want := range append(step.want, "Reload request received for member "+n.Name) {
			if err != nil || !strings.Contains(out, want) {
				t.Errorf("%q is not in (%v)\n%s", want, err, out)
			}
		}
	}
}

// restartLeader restarts the leader and makes sure that it was no failover.
func restartLeader(t *testing.T, c *lab.Cluster, w *traffic.Writer, leader *lab.Node) {
	t.Helper()
	began, before := time.Now(), leader.Postmaster()
	ask(t, leader, http.MethodPost, "/restart", "", http.StatusOK, "restarted successfully")
	w.WaitServer(t, lab.Patience, time.Now(), leader.Host)
	t.Logf("writes paused for %v", milliseconds(w.Outage(began)))
	if leader.Postmaster() == before {
		t.Error("it was not restarted")
	}
	answer, err := leader.Ask(t.Context(), lab.Patience, http.MethodGet, "/primary", "")
	if err != nil || answer.Code != http.StatusOK || fmt.Sprint(answer.Document()["timeline"]) != "1" {
		t.Errorf("%s is no primary of timeline 1 any more: %d %s %v", leader.Name, answer.Code, answer.Body, err)
	}
	if got := c.WaitPrimary(lab.Patience, nil); got != leader {
		t.Errorf("%s leads after it", got.Name)
	}
}

// ask makes a request and compares the answer.
func ask(t *testing.T, n *lab.Node, method, path, body string, code int, text string) {
	t.Helper()
	answer, err := n.Ask(t.Context(), lab.Patience, method, path, body)
	if err != nil || answer.Code != code || text != "" && strings.TrimSpace(string(answer.Body)) != text {
		t.Fatalf("%s %s %s at %s: %d %s, %v; want %d %s", method, path, body, n.Name, answer.Code, answer.Body, err, code, text)
	}
}

// waitPending waits until max_connections is shown to wait for a restart; nothing does
// if there is no new value.
func waitPending(t *testing.T, n *lab.Node, old, fresh string) {
	t.Helper()
	want := "<nil>"
	if fresh != "" {
		want = fmt.Sprintf("map[max_connections:map[new_value:%s old_value:%s]]", fresh, old)
	}
	lab.Eventually(t, lab.Patience, fmt.Sprintf("what waits for a restart of %s is %s", n.Name, want), func(ctx context.Context) (bool, string) {
		answer, err := n.Ask(ctx, 5*time.Second, http.MethodGet, "/patroni", "")
		if err != nil {
			return false, err.Error()
		}
		doc := answer.Document()
		got := fmt.Sprint(doc["pending_restart_reason"])
		return got == want && doc["state"] == "running", fmt.Sprint(got, " ", doc["state"])
	})
}

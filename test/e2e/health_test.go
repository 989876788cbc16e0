package e2e

import (
	"context"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
)

// The checks of a settled cluster, by role (compat/rest-api.md §5).
var (
	primaryChecks = map[string]int{"/": 200, "/primary": 200, "/leader": 200, "/replica": 503, "/health": 200,
		"/liveness": 200, "/readiness": 200, "/read-write": 200, "/read-only": 200, "/standby-leader": 503}
	standbyChecks = map[string]int{"/": 503, "/primary": 503, "/leader": 503, "/replica": 200, "/health": 200,
		"/liveness": 200, "/readiness": 200, "/read-write": 503, "/read-only": 200, "/standby-leader": 503}
)

// checkHealth asks every node what HAProxy would ask.
func checkHealth(t *testing.T, c *lab.Cluster, leader *lab.Node) {
	t.Helper()
	for _, n := range c.Nodes {
		want, role := standbyChecks, "replica"
		if n == leader {
			want, role = primaryChecks, "primary"
		}
		n.WaitCodes(lab.Patience, want)
		checkStatus(t, n, role)
		checkClusterDocument(t, c, n, leader)
	}
}

func checkStatus(t *testing.T, n *lab.Node, role string) {
	t.Helper()
	answer, err := n.Ask(t.Context(), 5*time.Second, "GET", "/patroni", "")
	if err != nil || answer.Code != 200 {
		t.Fatalf("GET /patroni at %s: %d, %v", n.Name, answer.Code, err)
	}
	doc := answer.Document()
	if doc["role"] != role || doc["state"] != "running" {
		t.Errorf("/patroni of %s, which is %s: %s", n.Name, role, answer.Body)
	}
	xlog, _ := doc["xlog"].(map[string]any)
	position := "location"
	if role == "replica" {
		position = "replayed_location"
	}
	if at, ok := xlog[position].(float64); !ok || at <= 0 {
		t.Errorf("/patroni of %s has no %s: %s", n.Name, position, answer.Body)
	}
}

func checkClusterDocument(t *testing.T, c *lab.Cluster, n, leader *lab.Node) {
	t.Helper()
	lab.Eventually(t, lab.Patience, "/cluster of "+n.Name+" shows every member", func(ctx context.Context) (bool, string) {
		answer, err := n.Ask(ctx, 5*time.Second, "GET", "/cluster", "")
		if err != nil {
			return false, err.Error()
		}
		members, _ := answer.Document()["members"].([]any)
		right := 0
		for i, m := range members {
			m, _ := m.(map[string]any)
			role, state := "replica", "streaming"
			if m["name"] == leader.Name {
				role, state = "leader", "running"
			}
			if i < len(c.Nodes) && m["name"] == c.Nodes[i].Name && m["role"] == role && m["state"] == state &&
				m["host"] == c.Nodes[i].Host && m["port"] == float64(5432) {
				right++
			}
		}
		return right == len(c.Nodes) && len(members) == right, string(answer.Body)
	})
}

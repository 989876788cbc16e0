package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
	"matriarch/test/e2e/traffic"
)

// story runs a step of a test that goes on with the cluster as the step before
// left it; after a step that failed there is nothing to go on with.
func story(t *testing.T, c *lab.Cluster, name string, step func(t *testing.T)) {
	t.Helper()
	ok := t.Run(name, func(t *testing.T) {
		c.Use(t)
		step(t)
	})
	if !ok {
		t.FailNow()
	}
}

func write(t *testing.T, c *lab.Cluster) *traffic.Writer {
	t.Helper()
	return traffic.Start(t, traffic.Options{URL: lab.URL(c.Addresses()), Dial: c.Client.Dial})
}

func rows(t *testing.T, n *lab.Node) []traffic.Row {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), lab.Patience)
	defer cancel()
	conn, err := n.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	all, err := traffic.Rows(ctx, conn)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// lost is how many of the rows acknowledged so far the cluster no longer has.
func lost(t *testing.T, c *lab.Cluster, w *traffic.Writer) int {
	t.Helper()
	leader := c.WaitPrimary(lab.Patience, nil)
	attempts := w.Attempts()
	v := w.Judge(rows(t, leader), attempts)
	if len(v.Strange) > 0 {
		t.Errorf("%s holds rows that nobody wrote so: %v", leader.Name, v.Strange)
	}
	return len(v.Lost)
}

// verdict ends the writing and compares the table on all nodes: rows whose
// outcome is unknown may be there or not, but everywhere alike.
func verdict(t *testing.T, c *lab.Cluster, w *traffic.Writer) traffic.Verdict {
	t.Helper()
	w.Stop()
	leader := c.WaitWhole(lab.Patience)
	c.WaitReplayed(leader)
	have := rows(t, leader)
	for _, n := range c.Others(leader) {
		if d := traffic.Difference(have, rows(t, n)); d != "" {
			t.Errorf("%s (the first) and %s differ: %s", leader.Name, n.Name, d)
		}
	}
	v := w.Judge(have, w.Attempts())
	if len(v.Strange) > 0 {
		t.Errorf("%s holds rows that nobody wrote so: %v", leader.Name, v.Strange)
	}
	return v
}

// move asks for a switchover or a failover by REST, as any client may at any node.
func move(t *testing.T, at *lab.Node, action, leader, candidate string) {
	t.Helper()
	body := map[string]string{}
	if leader != "" {
		body["leader"] = leader
	}
	if candidate != "" {
		body["candidate"] = candidate
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := at.Ask(t.Context(), lab.Patience, http.MethodPost, "/"+action, string(text))
	if err != nil || answer.Code != http.StatusOK {
		t.Fatalf("POST /%s %s at %s: %d %s, %v", action, text, at.Name, answer.Code, answer.Body, err)
	}
}

// since reads the logs of all nodes from now on, taken together.
func since(c *lab.Cluster) func() string {
	marks := map[*lab.Node]int64{}
	for _, n := range c.Nodes {
		marks[n] = n.Mark()
	}
	return func() string {
		var all strings.Builder
		for _, n := range c.Nodes {
			all.WriteString(n.LogSince(marks[n]))
		}
		return all.String()
	}
}

func milliseconds(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"matriarch/test/chaos/client"
	"matriarch/test/chaos/history"
	"matriarch/test/e2e/lab"
)

// appends are clients that write at every node all the time, primary or not, and what
// they were told: who acknowledged when.
type appends struct {
	*history.History
	c       *lab.Cluster
	clients []*client.Client
}

// appendAll starts a client at each node of a cluster that is whole.
func appendAll(t *testing.T, c *lab.Cluster) *appends {
	t.Helper()
	leader := c.WaitWhole(lab.Patience)
	leader.Run(client.Schema)
	c.WaitReplayed(leader)
	a := &appends{History: history.New(), c: c}
	for _, n := range c.Nodes {
		one, err := client.Start(context.Background(), client.Options{
			Node: n.Name, URL: lab.URL(n.Host+":5432") + "?sslmode=disable", Dial: c.Client.Dial,
			Interval: 10 * time.Millisecond, History: a.History,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(one.Stop)
		a.clients = append(a.clients, one)
	}
	return a
}

// wait waits until a node has acknowledged something that was sent after an instant.
func (a *appends) wait(t *testing.T, limit time.Duration, n *lab.Node, instant time.Duration) {
	t.Helper()
	lab.Eventually(t, limit, n.Name+" acknowledges", func(context.Context) (bool, string) {
		var told []string
		for i, one := range a.clients {
			if err := one.Last(); err != nil {
				told = append(told, a.c.Nodes[i].Name+": "+err.Error())
			}
		}
		return a.Heard(n.Name) > instant, strings.Join(told, "; ")
	})
}

// pass lets time pass while the clients write: the length of a fault is part of it.
func (a *appends) pass(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal("the test ends")
	}
}

// gap is the longest time without an acknowledgement since an instant.
func (a *appends) gap(since time.Duration) time.Duration {
	return history.Gap(a.Appends(), since, a.Now())
}

// exclusive checks that no two servers have acknowledged side by side (S1).
func (a *appends) exclusive(t *testing.T) {
	t.Helper()
	for _, text := range a.Strange() {
		t.Error(text)
	}
	for _, v := range history.Exclusion(a.Appends()) {
		t.Error("S1: ", v)
	}
}

// finish ends the writing and compares the list on all nodes.
func (a *appends) finish(t *testing.T) history.Verdict {
	t.Helper()
	for _, one := range a.clients {
		one.Stop()
	}
	a.exclusive(t)
	for _, r := range history.Reigns(a.Appends()) {
		t.Log(r)
	}
	leader := a.c.WaitWhole(lab.Patience)
	a.c.WaitReplayed(leader)
	have := listAt(t, leader)
	for _, n := range a.c.Others(leader) {
		if d := history.Difference(have, listAt(t, n)); d != "" {
			t.Errorf("%s (the first) and %s differ: %s", leader.Name, n.Name, d)
		}
	}
	v := history.Judge(a.Appends(), have, true)
	if len(v.Strange) > 0 {
		t.Errorf("%s holds rows that nobody wrote so: %v", leader.Name, v.Strange)
	}
	return v
}

// listAt reads what a node holds.
func listAt(t *testing.T, n *lab.Node) []history.Row {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), lab.Patience)
	defer cancel()
	conn, err := n.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	got, err := conn.Query(ctx, "select node, sequence, timeline from chaos")
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(got, pgx.RowToStructByPos[history.Row])
	if err != nil {
		t.Fatalf("read the list at %s: %v", n.Name, err)
	}
	return all
}

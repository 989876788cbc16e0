package e2e

import (
	"context"
	"syscall"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
)

// TestNobodyWritesWithoutAnAgent lets the agent of the primary die, and hang. Its
// server runs on and takes writes as long as its permit lasts, and not one more
// once another member can lead (S1).
func TestNobodyWritesWithoutAnAgent(t *testing.T) {
	c := lab.New(t, 3, lab.StartEtcd(t, 1))
	c.Start()
	leader := c.WaitWhole(lab.Patience)
	leader.Run("create table marks (at timestamptz)")
	c.WaitReplayed(leader)

	story(t, c, "the agent is killed and stays dead", func(t *testing.T) {
		old := c.WaitWhole(lab.Patience)
		orphaned(t, c, old, func() { old.KillAgent() })
		old.Start()
		c.WaitWhole(lab.Patience)
	})
	story(t, c, "the agent hangs", func(t *testing.T) {
		old := c.WaitWhole(lab.Patience)
		orphaned(t, c, old, func() { old.Agent.Signal(syscall.SIGSTOP) })
		old.Agent.Signal(syscall.SIGCONT)
		c.WaitWhole(lab.Patience)
	})
}

// orphaned takes the agent of the primary away, and checks that the last commit
// that the old server acknowledged was before the first of the new one.
func orphaned(t *testing.T, c *lab.Cluster, old *lab.Node, away func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), leaseLimit+lab.Patience)
	defer cancel()
	before := mark(ctx, t, old)
	if before.IsZero() {
		t.Fatalf("%s does not take writes", old.Name)
	}
	began := time.Now()
	away()
	last := make(chan time.Time, 1)
	watching, stop := context.WithCancel(ctx)
	go func() { last <- keepMarking(watching, t, old) }()

	successor := c.WaitPrimary(leaseLimit, old)
	first := mark(ctx, t, successor)
	for first.IsZero() && ctx.Err() == nil {
		first = mark(ctx, t, successor)
	}
	// The old server gets a while more in which it could take a write after all.
	lab.Eventually(t, lab.Patience, "the successor takes writes for two seconds", func(ctx context.Context) (bool, string) {
		return mark(ctx, t, successor).After(first.Add(2 * time.Second)), ""
	})
	stop()
	end := <-last
	t.Logf("the old primary took its last write %v after it lost its agent, %s its first %v after",
		milliseconds(end.Sub(began)), successor.Name, milliseconds(first.Sub(began)))
	if end.IsZero() {
		t.Error("the old primary took no write at all: the permit lasts without its agent")
	}
	if !end.Before(first) {
		t.Errorf("S1: %s acknowledged a commit at %v, %s had done so at %v", old.Name, end, successor.Name, first)
	}
}

// keepMarking writes to one server until ctx ends, and returns when the last
// commit was acknowledged.
func keepMarking(ctx context.Context, t *testing.T, n *lab.Node) (last time.Time) {
	for ctx.Err() == nil {
		if at := mark(ctx, t, n); !at.IsZero() {
			last = at
		}
	}
	return last
}

// mark commits one row at a server, and returns when that was acknowledged; zero
// if it was not.
func mark(ctx context.Context, t *testing.T, n *lab.Node) time.Time {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := n.Connect(ctx)
	if err != nil {
		return time.Time{}
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "insert into marks values (now())"); err != nil {
		return time.Time{}
	}
	return time.Now()
}

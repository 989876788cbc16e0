// Package cases does to a cluster what the benchmark is about, and says what its
// clients saw.
package cases

import (
	"context"
	"errors"
	"fmt"
	"time"

	"matriarch/bench/rto/figures"
)

// Case is one thing that happens to the leader.
type Case struct {
	Name  string
	Title string // as the page has it
	// NoStore says that the case needs an etcd apart from the agents.
	NoStore bool
	// LeaderMayStay says that the leader may be the same afterwards: then it has not
	// to join again.
	LeaderMayStay bool
	do            func(ctx context.Context, t *trial) error
}

// How long things are left as they are, and how long they may take.
const (
	// away is how long an agent stays dead or frozen, and a network cut: longer than
	// the guide's ttl, 30 s, so that each system has done what it does.
	away       = 40 * time.Second
	etcdAway   = 60 * time.Second
	supervisor = 100 * time.Millisecond // until a killed agent is started again
	settled    = 3 * time.Second        // of writes without a pause, then it is over
	watchful   = 15 * time.Second       // in which an agent's restart might show: a pass of the guide's loop_wait and more

	limit      = 3 * time.Minute // for anything
	rejoinTime = 2 * time.Minute
)

// All are the cases, in the order in which they are measured.
func All() []Case {
	return []Case{
		{Name: "switchover", Title: "planned switchover", do: switchover},
		{Name: "stop", Title: "clean stop of the agent", do: stop},
		{Name: "postmaster", Title: "SIGKILL of the postmaster", LeaderMayStay: true, do: postmaster},
		{Name: "agent-restart", Title: "SIGKILL of the agent, started again after 0.1 s", LeaderMayStay: true, do: agentRestart},
		{Name: "agent-dead", Title: "SIGKILL of the agent, not started again for 40 s", do: agentDead},
		{Name: "agent-frozen", Title: "SIGSTOP of the agent for 40 s", do: agentFrozen},
		{Name: "node-loss", Title: "loss of the node, with its etcd", do: nodeLoss},
		{Name: "partition", Title: "network of the node cut for 40 s", do: partition},
		{Name: "etcd", Title: "etcd down for 60 s", NoStore: true, LeaderMayStay: true, do: etcdDown},
	}
}

func switchover(ctx context.Context, t *trial) error {
	t.back = t.strike
	answered := make(chan error, 1)
	asked, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { answered <- t.old.Switchover(asked, t.old, t.session.Cluster.Others(t.old)[0]) }()
	err := t.taken(ctx)
	if err == nil {
		err = t.rejoined(ctx) // at once: it is counted from the request
	}
	if err == nil {
		err = t.steady(ctx)
	}
	if err != nil {
		cancel()
	}
	return errors.Join(err, <-answered)
}

func stop(ctx context.Context, t *trial) error {
	ended := make(chan error, 1)
	go func() { ended <- t.old.StopAgent(ctx) }()
	if err := t.taken(ctx); err != nil {
		return err
	}
	if err := errors.Join(t.steady(ctx), <-ended); err != nil {
		return err
	}
	t.back = time.Now()
	return t.old.StartAgent(ctx)
}

func postmaster(ctx context.Context, t *trial) error {
	if err := t.old.KillPostmaster(ctx); err != nil {
		return err
	}
	t.back = t.strike
	if err := t.recovered(ctx); err != nil {
		return err
	}
	return t.steady(ctx)
}

func agentRestart(ctx context.Context, t *trial) error {
	if err := t.old.KillAgent(ctx); err != nil {
		return err
	}
	if err := until(ctx, time.Now().Add(supervisor)); err != nil {
		return err
	}
	t.back = time.Now()
	if err := t.old.StartAgent(ctx); err != nil {
		return err
	}
	if err := until(ctx, t.strike.Add(watchful)); err != nil {
		return err
	}
	return t.steady(ctx)
}

func agentDead(ctx context.Context, t *trial) error {
	if err := t.old.KillAgent(ctx); err != nil {
		return err
	}
	if err := t.takenAway(ctx); err != nil {
		return err
	}
	t.back = time.Now()
	return t.old.StartAgent(ctx)
}

func agentFrozen(ctx context.Context, t *trial) error {
	if err := t.old.FreezeAgent(ctx); err != nil {
		return err
	}
	if err := t.takenAway(ctx); err != nil {
		return err
	}
	t.back = time.Now()
	return t.old.ThawAgent(ctx)
}

func nodeLoss(ctx context.Context, t *trial) error {
	if err := t.old.Kill(ctx); err != nil {
		return err
	}
	if err := t.taken(ctx); err != nil {
		return err
	}
	if err := t.steady(ctx); err != nil {
		return err
	}
	t.back = time.Now()
	return t.old.Boot(ctx)
}

func partition(ctx context.Context, t *trial) error {
	inside, err := t.writeInside(ctx)
	if err != nil {
		return err
	}
	defer inside()
	t.strike = time.Now() // the client inside needed a while
	if err := t.old.Cut(ctx); err != nil {
		return err
	}
	if err := t.takenAway(ctx); err != nil {
		return err
	}
	t.back = time.Now()
	if err := t.old.Heal(ctx); err != nil {
		return err
	}
	return t.rejoined(ctx) // with the client inside, which sees whether it writes again
}

func etcdDown(ctx context.Context, t *trial) error {
	nodes := t.session.Cluster.Nodes
	for _, n := range nodes {
		if err := n.KillEtcd(ctx); err != nil {
			return err
		}
	}
	if err := until(ctx, t.strike.Add(etcdAway)); err != nil {
		return err
	}
	t.back = time.Now()
	for _, n := range nodes {
		if err := n.StartEtcd(ctx); err != nil {
			return err
		}
	}
	return t.steady(ctx)
}

// taken waits until another node than the leader has acknowledged a row.
func (t *trial) taken(ctx context.Context) error {
	return t.await(ctx, limit, "another node takes writes", func(list []figures.Attempt) bool {
		for _, a := range list {
			if a.OK && a.Node != t.old.Name && a.Sent.After(t.strike) {
				return true
			}
		}
		return false
	})
}

// takenAway waits until another node takes writes and the time of being away is
// over.
func (t *trial) takenAway(ctx context.Context) error {
	if err := t.taken(ctx); err != nil {
		return err
	}
	return until(ctx, t.strike.Add(away))
}

// recovered waits until the leader has failed to take a row, and any node has
// taken one that was sent later.
func (t *trial) recovered(ctx context.Context) error {
	return t.await(ctx, limit, "a row is taken after one was not", func(list []figures.Attempt) bool {
		var failed time.Time
		for _, a := range list {
			if !a.OK && a.Node == t.old.Name && a.Done.After(t.strike) && failed.IsZero() {
				failed = a.Done
			}
			if a.OK && !failed.IsZero() && a.Sent.After(failed) {
				return true
			}
		}
		return false
	})
}

// steady waits until rows have been taken for a while without a pause.
func (t *trial) steady(ctx context.Context) error {
	return t.await(ctx, limit, fmt.Sprintf("rows are taken for %v without a pause", settled), func([]figures.Attempt) bool {
		now := time.Now()
		from := now.Add(-settled)
		return from.After(t.strike) && figures.LongestGap(t.session.Client.Since(from), from, now).Length() < 300*time.Millisecond
	})
}

// until waits for an instant.
func until(ctx context.Context, at time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"matriarch/internal/account"
	"matriarch/internal/agent"
	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
)

// chronicle publishes this node's accounts of how the leader changed. They go into a
// key of the store, where they outlive the node that tells, and every member can read
// them. Nothing waits for that: it is tried beside the passes until it has worked.
type chronicle struct {
	store dcs.Store
	log   *slog.Logger
	pause time.Duration // between two tries
	news  chan struct{}

	mu      sync.Mutex
	teller  account.Teller
	pending []cluster.Account // not in the store yet
	failed  bool              // and said so
}

const (
	publishTimeout = 3 * time.Second
	publishPause   = 5 * time.Second
)

func newChronicle(store dcs.Store, log *slog.Logger) *chronicle {
	return &chronicle{store: store, log: log, pause: publishPause, news: make(chan struct{}, 1)}
}

// saw takes in a pass of the agent.
func (c *chronicle) saw(r agent.Report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	told, ok := c.teller.See(r.Observation, r.Plan)
	if !ok {
		return
	}
	c.pending = cluster.WithAccount(c.pending, told)
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// accounts are those in the store, and this node's newest.
func (c *chronicle) accounts() []cluster.Account {
	snapshot, _ := c.store.Mirror()
	out, _ := cluster.ParseAccounts(snapshot.Values[dcs.KeyAccounts].Data) // what can be read
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.pending {
		out = cluster.WithAccount(out, a)
	}
	return out
}

// run publishes until ctx ends.
func (c *chronicle) run(ctx context.Context) {
	retry := time.NewTimer(c.pause)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.news:
		case <-retry.C:
		}
		err := c.publish(ctx)
		c.tell(ctx, err)
		retry.Reset(c.pause)
		if errors.Is(err, dcs.ErrConflict) { // another member has told its side; the mirror has it now
			select {
			case c.news <- struct{}{}:
			default:
			}
		}
	}
}

// tell logs the first of several failures.
func (c *chronicle) tell(ctx context.Context, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	news := err != nil && !errors.Is(err, dcs.ErrConflict) && !c.failed && ctx.Err() == nil
	c.failed = err != nil
	if news {
		c.log.Warn("the account of a change of the leader is not published yet", "err", err)
	}
}

// publish adds what is pending to the key, if that is still as it was seen.
func (c *chronicle) publish(ctx context.Context) error {
	c.mu.Lock()
	mine := slices.Clone(c.pending)
	c.mu.Unlock()
	if len(mine) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	snapshot, _ := c.store.Mirror()
	seen := snapshot.Values[dcs.KeyAccounts]
	all, err := cluster.ParseAccounts(seen.Data)
	if err != nil {
		c.log.Warn("what cannot be read of the store's accounts is dropped", "err", err)
	}
	for _, a := range mine {
		all = cluster.WithAccount(all, a)
	}
	_, err = c.store.Commit(ctx, dcs.Txn{
		If:   []dcs.Condition{{Key: dcs.KeyAccounts, Absent: seen.Modified == 0, Modified: seen.Modified}},
		Then: []dcs.Op{{Key: dcs.KeyAccounts, Data: cluster.EncodeAccounts(all)}},
	})
	if errors.Is(err, dcs.ErrConflict) {
		if _, readErr := c.store.Read(ctx); readErr != nil {
			return fmt.Errorf("read the accounts: %w", readErr)
		}
		return err
	}
	if err != nil {
		return fmt.Errorf("publish the account: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = slices.DeleteFunc(c.pending, func(a cluster.Account) bool { // one that has gone on meanwhile stays
		return slices.ContainsFunc(mine, func(m cluster.Account) bool {
			return m.By == a.By && m.Began().Equal(a.Began()) && len(m.Steps) == len(a.Steps)
		})
	})
	return nil
}

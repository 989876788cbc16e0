package memory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"matriarch/internal/dcs"
)

// ErrNoAnswer is the cause of every unknown outcome.
var ErrNoAnswer = errors.New("the store does not answer")

// Faults are what is wrong between one node and the store.
type Faults struct {
	// Down: nothing gets through in either direction.
	Down bool
	// LoseAnswers: requests arrive and are applied, nothing comes back, so the
	// watch is silent too.
	LoseAnswers bool
	// LateWatch: the mirror still counts as current, but others' changes do not
	// reach it yet.
	LateWatch bool
}

// Node is one node's view of a Cluster. It is a dcs.Store.
type Node struct {
	cluster *Cluster
	changed chan struct{}

	// All below is under cluster.mu.
	faults  Faults
	shown   dcs.Snapshot
	current bool
	lease   dcs.Lease
	closed  bool
}

var _ dcs.Store = (*Node)(nil)

// SetFaults sets what is wrong from now on.
func (n *Node) SetFaults(f Faults) {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	n.cluster.expire()
	n.faults = f
	n.follow()
}

// follow brings the mirror up to the store as far as the faults let it. The
// cluster's mutex is held.
func (n *Node) follow() {
	if n.closed {
		return
	}
	current := !n.deaf()
	if current && !n.faults.LateWatch {
		n.show(n.cluster.snapshot())
	}
	if n.current != current {
		n.current = current
		n.wake()
	}
}

func (n *Node) show(s dcs.Snapshot) {
	before := n.shown
	n.shown = s
	if !maps.EqualFunc(before.Values, s.Values, same) {
		n.wake()
	}
}

// showOwn lays a transaction that was just applied over what is shown: a late
// watch goes on hiding what others wrote.
func (n *Node) showOwn(txn dcs.Txn) {
	c := n.cluster
	values := maps.Clone(n.shown.Values)
	for _, op := range txn.Then {
		if v, there := c.values[op.Key]; there {
			values[op.Key] = v
		} else {
			delete(values, op.Key)
		}
	}
	n.show(dcs.Snapshot{Revision: c.revision, Values: values})
}

func same(a, b dcs.Value) bool {
	return a.Modified == b.Modified && a.Created == b.Created && a.Lease == b.Lease
}

func (n *Node) wake() {
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

// deaf tells that no answer reaches the node.
func (n *Node) deaf() bool { return n.cluster.down || n.faults.Down || n.faults.LoseAnswers }

// mute tells that no request of the node arrives.
func (n *Node) mute() bool { return n.cluster.down || n.faults.Down }

// Mirror is the latest snapshot and whether it is current.
func (n *Node) Mirror() (dcs.Snapshot, bool) {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	if !n.closed {
		n.cluster.expire()
	}
	return n.shown, n.current
}

// Changed receives after a change of the mirror, its currency or the lease. A
// receive that does not wait tells the simulator whether the node was woken.
func (n *Node) Changed() <-chan struct{} { return n.changed }

// call does what every request does: it arrives or not, it is answered or not.
func (n *Node) call(ctx context.Context, what string, do func(c *Cluster) error) error {
	c := n.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.closed {
		return dcs.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	c.expire()
	if n.mute() {
		return fmt.Errorf("%s: %w", what, ErrNoAnswer)
	}
	err := do(c)
	if n.deaf() {
		return fmt.Errorf("%s: %w", what, ErrNoAnswer)
	}
	return err
}

// Read brings the mirror up to the store.
func (n *Node) Read(ctx context.Context) (snapshot dcs.Snapshot, err error) {
	err = n.call(ctx, "read", func(c *Cluster) error {
		if !n.deaf() {
			n.show(c.snapshot())
			snapshot = n.shown
		}
		return nil
	})
	return snapshot, err
}

// Lease is this node's lease as last confirmed.
func (n *Node) Lease() dcs.Lease {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	return n.lease
}

// Renew extends the lease or grants one.
func (n *Node) Renew(ctx context.Context, ttl time.Duration) (answer dcs.Lease, fresh bool, err error) {
	err = n.call(ctx, "renew the lease", func(c *Cluster) error {
		now := c.now()
		// etcd counts in whole seconds.
		granted := (ttl + time.Second - 1) / time.Second * time.Second
		held := c.leases[n.lease.ID]
		fresh = held == nil || n.lease.TTL != ttl
		next := dcs.Lease{ID: n.lease.ID, Sent: now, TTL: ttl}
		if fresh {
			c.granted++
			next.ID = c.granted
			held = &lease{ttl: granted}
			c.leases[next.ID] = held
		}
		held.expires = now.Add(held.ttl)
		if !n.deaf() {
			n.lease, answer = next, next
			if fresh {
				n.wake()
			}
		}
		return nil
	})
	if err != nil {
		return dcs.Lease{}, false, err
	}
	return answer, fresh, nil
}

// Commit applies a transaction.
func (n *Node) Commit(ctx context.Context, txn dcs.Txn) (revision int64, err error) {
	for _, op := range txn.Then {
		if op.Leased && n.Lease().ID == 0 && n.open() {
			return 0, fmt.Errorf("put %s: %w", op.Key, dcs.ErrNoLease)
		}
	}
	err = n.call(ctx, "commit", func(c *Cluster) error {
		var err error
		revision, err = c.commit(txn, n.lease.ID)
		if n.deaf() {
			return err
		}
		if errors.Is(err, dcs.ErrNoLease) {
			n.lease = dcs.Lease{}
			n.wake()
		}
		// Own writes, and the state that refused one, are seen at once, however
		// late the watch is.
		switch {
		case errors.Is(err, dcs.ErrConflict):
			n.show(c.snapshot())
		case err == nil:
			n.showOwn(txn)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return revision, nil
}

func (n *Node) open() bool {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	return !n.closed
}

// Close ends the view. The lease ends by itself.
func (n *Node) Close() error {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	n.closed, n.current = true, false
	maps.DeleteFunc(n.cluster.nodes, func(_ string, other *Node) bool { return other == n })
	return nil
}

// Package memory is the store without etcd: a linearizable store in memory, for
// the simulator and for tests.
//
// It has no goroutine and reads no clock but the one it was given, so the same
// calls give the same results. Mirrors follow each write before it returns,
// unless a node's faults say otherwise.
package memory

import (
	"maps"
	"slices"
	"sync"
	"time"

	"matriarch/internal/dcs"
)

// Cluster is the store itself: what etcd would hold for one prefix.
type Cluster struct {
	now func() time.Time

	mu       sync.Mutex
	revision int64
	values   map[string]dcs.Value
	leases   map[int64]*lease
	granted  int64 // id of the newest lease
	down     bool
	nodes    map[string]*Node
}

type lease struct {
	ttl     time.Duration // as granted: whole seconds
	expires time.Time
}

// New makes an empty store that goes by the given clock.
func New(now func() time.Time) *Cluster {
	return &Cluster{
		now:      now,
		revision: 1, // as etcd's
		values:   map[string]dcs.Value{},
		leases:   map[int64]*lease{},
		nodes:    map[string]*Node{},
	}
}

// Node is the store as the named node sees it; the same one for the same name,
// until it is closed. After that it is a new one, as after a restart.
func (c *Cluster) Node(name string) *Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.nodes[name]; n != nil {
		return n
	}
	n := &Node{cluster: c, changed: make(chan struct{}, 1)}
	c.nodes[name] = n
	n.follow()
	return n
}

// Snapshot is the content, as nobody's mirror but the truth.
func (c *Cluster) Snapshot() dcs.Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire()
	return c.snapshot()
}

// SetDown takes the whole store away, or brings it back. Like etcd after the
// election of a leader, it gives every lease its whole ttl anew when it is back.
func (c *Cluster) SetDown(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire()
	if c.down && !down {
		for _, l := range c.leases {
			l.expires = c.now().Add(l.ttl)
		}
	}
	c.down = down
	c.spread()
}

// Expire removes what the clock has ended. Every call to the store does so too;
// the simulator calls it at NextExpiry, so that mirrors tell of it in time.
func (c *Cluster) Expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire()
}

// NextExpiry is when the next lease ends; false when none will.
func (c *Cluster) NextExpiry() (next time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return time.Time{}, false
	}
	for _, l := range c.leases {
		if !ok || l.expires.Before(next) {
			next, ok = l.expires, true
		}
	}
	return next, ok
}

// expire ends leases, each with its keys in one revision. c.mu is held.
func (c *Cluster) expire() {
	if c.down {
		return
	}
	now := c.now()
	ended := false
	for _, id := range slices.Sorted(maps.Keys(c.leases)) {
		if now.Before(c.leases[id].expires) {
			continue
		}
		delete(c.leases, id)
		values := maps.Clone(c.values)
		maps.DeleteFunc(values, func(_ string, v dcs.Value) bool { return v.Lease == id })
		if len(values) < len(c.values) {
			c.values = values
			c.revision++
			ended = true
		}
	}
	if ended {
		c.spread()
	}
}

// spread lets every mirror follow. c.mu is held.
func (c *Cluster) spread() {
	for _, name := range slices.Sorted(maps.Keys(c.nodes)) {
		c.nodes[name].follow()
	}
}

func (c *Cluster) snapshot() dcs.Snapshot {
	return dcs.Snapshot{Revision: c.revision, Values: c.values}
}

// commit applies a transaction. c.mu is held.
func (c *Cluster) commit(txn dcs.Txn, leaseID int64) (int64, error) {
	after, err := Apply(c.snapshot(), txn, leaseID, c.leases[leaseID] != nil)
	if err != nil {
		return 0, err
	}
	if after.Revision != c.revision {
		c.values, c.revision = after.Values, after.Revision
		c.spread()
	}
	return c.revision, nil
}

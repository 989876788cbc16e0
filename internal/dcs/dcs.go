// Package dcs is the agreement between the members of a cluster: a small,
// strongly consistent store that each of them mirrors, and a lease that ends by
// itself when its holder is gone.
//
// The package speaks in keys and bytes; what they mean is package cluster's, which
// Snapshot.View asks. Keys are relative to the cluster's prefix ("leader", "members/node1"). Layout
// and conditions are Patroni's, so that both can be members of one cluster.
//
// Three answers are kept apart everywhere: yes (nil), no (ErrConflict: the store
// answered and the condition did not hold) and unknown (any other error: the
// write may or may not have been applied). Not knowing is never permission.
package dcs

import (
	"context"
	"errors"
	"sync"
	"time"

	"matriarch/internal/cluster"
)

// The keys of a cluster, below its prefix.
const (
	KeyInitialize = "initialize"
	KeyConfig     = "config"
	KeyLeader     = "leader"
	KeyStatus     = "status"
	KeyOptime     = "optime/leader" // for members older than the status key
	KeyHistory    = "history"
	KeyFailover   = "failover"
	KeySync       = "sync"
	KeyFailsafe   = "failsafe"
	KeyAccounts   = "accounts" // how the leader changed, of late; Matriarch's own
	KeyMembers    = "members/" // and the member's name
)

var (
	// ErrConflict is the store's No: a condition of a Txn did not hold and
	// nothing was written.
	ErrConflict = errors.New("the store holds something else than was expected")

	// ErrNoLease is returned by a Txn that puts a key under the lease when
	// there is none, or the store has forgotten it. Nothing was written. Renew
	// grants a new one.
	ErrNoLease = errors.New("the lease has ended")

	// ErrClosed is returned by every call after Close.
	ErrClosed = errors.New("the store's connection is closed")
)

// Value is what the store holds under a key. It is what package cluster reads, so that a
// snapshot is read without being copied first.
type Value = cluster.Entry

// Snapshot is the whole prefix at one revision. It is immutable: holders share
// it.
type Snapshot struct {
	Revision int64
	Values   map[string]Value
	read     *reading
}

// reading is a View that is made when it is first asked for.
type reading struct {
	once   sync.Once
	view   cluster.View
	before cluster.View // of an earlier content
}

// Shared is the snapshot with one View for all who hold it. Several parts of an agent
// ask in every pass, and to read the same text again is most of what a quiet pass
// costs. before is an earlier content of the same store, if there is one at hand: what
// has not been written since is not read again.
func (s Snapshot) Shared(before Snapshot) Snapshot {
	s.read = new(reading)
	if before.read != nil {
		s.read.before = before.View()
	}
	return s
}

// View reads the snapshot as the cluster that it describes. It is not to be changed.
func (s Snapshot) View() cluster.View {
	if s.read == nil {
		return s.parse(cluster.View{})
	}
	s.read.once.Do(func() {
		s.read.view = s.parse(s.read.before)
		s.read.before = cluster.View{}
	})
	return s.read.view
}

func (s Snapshot) parse(before cluster.View) cluster.View {
	return cluster.ParseAfter(before, s.Revision, s.Values)
}

// Condition is one comparison of a Txn. Exactly one of the fields beside Key
// counts: Absent, else Equals when it is not nil, else Modified.
type Condition struct {
	Key      string
	Absent   bool
	Equals   []byte
	Modified int64
}

// Op is one write of a Txn: a put, or a delete when Delete is set.
type Op struct {
	Key    string
	Data   []byte
	Delete bool
	Leased bool // put under this node's lease: the key goes when the lease ends
}

// Txn is applied whole if every condition holds, else not at all.
type Txn struct {
	If   []Condition
	Then []Op
}

// Lease is this node's claim as last confirmed by the store.
//
// It counts from Sent, the moment before the confirming request went out, not
// from the answer: the store started its own timer somewhere in between, and
// only the earlier instant is safe (the reasoning of P1).
type Lease struct {
	ID   int64 // 0: no lease
	Sent time.Time
	TTL  time.Duration
}

// Deadline is the moment from which the lease may no longer be relied upon.
// Zero without a lease.
func (l Lease) Deadline() time.Time {
	if l.ID == 0 {
		return time.Time{}
	}
	return l.Sent.Add(l.TTL)
}

// Store is one cluster's part of the store, as one node sees it.
//
// Every call that goes to the store has the store's own short deadline below the
// context's, and tries another endpoint when one does not answer.
type Store interface {
	// Mirror is the latest snapshot and whether it is current: false while the
	// watch that feeds it is broken, so that it may be old, and before the first
	// read. It does not block. A node's own successful writes are in the mirror
	// when the writing call returns. It may go on while it is not current, by what one
	// member of the store has: what is shown was agreed, and may not be all of it.
	Mirror() (Snapshot, bool)

	// Changed receives a value after the mirror, its currency or the lease
	// changed. It is coalesced: one value can stand for many changes.
	Changed() <-chan struct{}

	// Read fetches the prefix from the store's leader (a linearizable read) and
	// brings the mirror up to it.
	Read(ctx context.Context) (Snapshot, error)

	// Lease is this node's lease as last confirmed. It does not block.
	Lease() Lease

	// Renew extends the lease, or grants one where there is none, the store has
	// forgotten it, or the ttl changed. fresh tells that the lease is a new one:
	// keys under the old one are gone or will go.
	Renew(ctx context.Context, ttl time.Duration) (lease Lease, fresh bool, err error)

	// Commit applies a transaction and returns its revision.
	Commit(ctx context.Context, txn Txn) (revision int64, err error)

	// Close ends the watch and the connections. The lease is left to end by
	// itself, as Patroni does: a stopped member stays listed until then.
	Close() error
}

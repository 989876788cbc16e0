// Package api is the REST interface of one node: health checks for load
// balancers, the status that peers ask for in a race, and the operator's
// requests. Paths, codes and texts are Patroni's (compat/rest-api.md), so that
// what was written for Patroni keeps working.
//
// Whether this node takes writes is answered from the lock's deadline alone,
// never from what PostgreSQL or the store say at the moment: a health check
// needs no query and no network to say no.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// ErrConflict is what a Node returns when a conditional write found something
// else than was expected.
var ErrConflict = errors.New("the record was changed meanwhile")

// Node is what the API needs of the node that it speaks for.
type Node interface {
	// Picture is what the node knows without asking anybody. It does not block.
	Picture() Picture

	// Postgres asks the server, within ctx. It is called only in states in which
	// there is something to ask. Known is false if there was no answer.
	Postgres(ctx context.Context) Postgres

	// Changed returns a channel that is closed when the next Picture differs.
	// Take the channel before the picture, or a change in between is missed.
	Changed() <-chan struct{}

	// Read fetches the cluster from the store, not from a cache.
	Read(ctx context.Context) (cluster.View, error)

	// RequestFailover puts the failover key, wakes the node's loop, and returns
	// the revision of the write.
	RequestFailover(ctx context.Context, f cluster.Failover) (revision int64, err error)

	// ClearFailover puts an empty failover key if the key is still at the
	// revision; else ErrConflict.
	ClearFailover(ctx context.Context, modified int64) error

	// Reload makes the node read its configuration again, soon.
	Reload()
}

// Peers asks other members by their API.
type Peers interface {
	// Eligible reports whether the member answers and nothing that it says of
	// itself forbids its promotion (nofailover, a watchdog that failed).
	Eligible(ctx context.Context, apiURL string) bool
}

// Picture is the node at one moment, from memory.
type Picture struct {
	Scope string
	Name  string
	Role  cluster.Role  // as the agent has it
	State cluster.State // as the agent has it

	// LeaderUntil is the moment up to which this node holds the leader lock for
	// certain. Zero: it does not.
	LeaderUntil time.Time

	// View is the cluster as last read. Nil when that is too long ago to be
	// relied upon (ttl), or when the last read failed.
	View *cluster.View

	// Settings are the newest that were seen, also while View is nil.
	Settings cluster.Settings

	Tags             cluster.Tags // configured, those that are off left out
	EffectiveTags    cluster.Tags // nil: the same as Tags
	SystemID         string
	PendingRestart   bool
	PendingReason    map[string]cluster.Change
	ScheduledRestart json.RawMessage

	Guard          string    // how well the running server is guarded: freezer, signals, adopted or off
	WatchdogFailed bool      // required and not usable
	FailsafeActive bool      // the failsafe mode carries this node's leader
	Failsafe       []byte    // the failsafe key as last seen, nil without
	DCSLastSeen    time.Time // last successful read of the store; zero: never
	NextPass       time.Time // when the agent's next pass is due at the latest
}

// Postgres is the server's answer to one query.
type Postgres struct {
	Known      bool // the query worked; otherwise nothing else counts
	InRecovery bool
	Version    int // server_version_num
	Started    time.Time
	Timeline   wal.Timeline // 0: not found

	Location  wal.LSN // primary: flushed
	Received  wal.LSN // standby: the larger of received and written
	Replayed  wal.LSN
	LatestEnd wal.LSN // standby: the sender's end of log as the receiver heard it; never sent on

	ReplayedAt       time.Time // commit time of the last replayed transaction; zero: none
	ReplayPaused     bool
	ReplicationState string // streaming, in archive recovery or empty
	Senders          []Sender
}

// Sender is one row of pg_stat_replication.
type Sender struct {
	User         string  `json:"usename"`
	Application  string  `json:"application_name"`
	Address      *string `json:"client_addr"` // nil over a Unix socket
	State        string  `json:"state"`
	SyncState    string  `json:"sync_state"`
	SyncPriority int     `json:"sync_priority"`
}

package daemon

import (
	"context"
	"fmt"

	"matriarch/internal/agent"
	"matriarch/internal/api"
	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
	"matriarch/internal/postgres"
)

// node is what the REST API asks of this node.
type node struct {
	scope  string
	agent  *agent.Agent
	hands  *hands
	right  *right
	store  dcs.Store
	times  *storeTimes
	tally  *tally
	told   *chronicle
	reload func()

	reloaded func() api.Reloaded
}

// Picture is what the last pass saw.
func (n *node) Picture() api.Picture {
	r := n.agent.Latest()
	o := r.Observation
	p := api.Picture{
		Scope: n.scope, Name: o.Me.Name, Role: o.Role(), State: o.State(), Settings: o.Store.Settings,
		Tags: o.Me.Tags.Published(), SystemID: o.Server.SystemID, Guard: o.Guard(),
		WatchdogFailed: n.hands.warden.barred(), FailsafeActive: n.agent.FailsafeActive(),
		PendingRestart: len(o.Server.PendingRestart) > 0, PendingReason: o.Server.PendingRestart,
		ScheduledRestart: n.agent.Scheduled().Published,
		DCSLastSeen:      r.StoreSeen, NextPass: r.At.Add(r.Plan.LookAgain),
	}
	p.LeaderUntil = n.right.until() // as of now: a load balancer turns away as soon as the permit is over
	if o.Store.Current {
		view := o.Store.View
		p.View = &view
	}
	if snapshot, _ := n.store.Mirror(); snapshot.Values != nil {
		p.Failsafe = snapshot.Values[dcs.KeyFailsafe].Data
	}
	return p
}

// Postgres asks the server now.
func (n *node) Postgres(ctx context.Context) api.Postgres {
	s := n.hands.status(ctx)
	if !s.Answering {
		return api.Postgres{}
	}
	out := api.Postgres{
		Known: true, InRecovery: s.InRecovery, Version: s.Version, Started: s.StartedAt, Timeline: s.Timeline,
		Received: s.Received, Replayed: s.Replayed, ReplayedAt: s.ReplayedAt, ReplayPaused: s.ReplayPaused,
		Senders: senders(s.Replication),
	}
	if s.InRecovery {
		if s.Receiver != nil {
			out.LatestEnd = s.Receiver.LatestEnd
		}
		out.ReplicationState = n.replicationState(s)
	} else {
		out.Location = s.Position
	}
	return out
}

// replicationState is where a standby's log comes from, in Patroni's words.
func (n *node) replicationState(s postgres.Status) string {
	if s.Receiver != nil && s.Receiver.Status == cluster.Streaming {
		return cluster.Streaming
	}
	if n.hands.pg.Config().RestoreCommand() != "" {
		return cluster.InArchiveRecovery
	}
	return ""
}

func senders(rows []postgres.Replication) []api.Sender {
	var out []api.Sender
	for _, r := range rows {
		s := api.Sender{User: r.Username, Application: r.ApplicationName, State: r.State, SyncState: r.SyncState, SyncPriority: r.SyncPriority}
		if r.ClientAddr != "" {
			s.Address = &r.ClientAddr
		}
		out = append(out, s)
	}
	return out
}

// Accounts tell how the leader changed of late.
func (n *node) Accounts() []cluster.Account { return n.told.accounts() }

// Changed is closed by the agent's next pass.
func (n *node) Changed() <-chan struct{} { return n.agent.Changed() }

// Read fetches the cluster from the store.
func (n *node) Read(ctx context.Context) (cluster.View, error) {
	snapshot, err := n.store.Read(ctx)
	if err != nil {
		return cluster.View{}, fmt.Errorf("read the cluster from the store: %w", err)
	}
	return snapshot.View(), nil
}

// RequestFailover writes the request; every agent sees it by its watch.
func (n *node) RequestFailover(ctx context.Context, f cluster.Failover) (int64, error) {
	return n.store.Commit(ctx, dcs.Txn{Then: []dcs.Op{{Key: dcs.KeyFailover, Data: f.Encode()}}})
}

// ClearFailover takes a request back if it is still the one that was seen.
func (n *node) ClearFailover(ctx context.Context, modified int64) error {
	_, err := n.store.Commit(ctx, dcs.Txn{
		If:   []dcs.Condition{{Key: dcs.KeyFailover, Absent: modified == 0, Modified: modified}},
		Then: []dcs.Op{{Key: dcs.KeyFailover, Data: cluster.Failover{}.Encode()}},
	})
	return asConflict(err)
}

// Reload makes the node read its configuration again.
func (n *node) Reload() { n.reload() }

// Reloaded is what came of the last time.
func (n *node) Reloaded() api.Reloaded { return n.reloaded() }

var (
	_ api.Node      = (*node)(nil)
	_ api.Reloading = (*node)(nil)
)

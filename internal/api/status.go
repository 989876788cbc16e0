package api

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"matriarch/internal/cluster"
)

// queryTimeout bounds the query behind a status document. Peers wait 2 s for the
// answer in a race, and an answer without positions is better than none.
const queryTimeout = time.Second

// status is the status document (compat/rest-api.md §4). Optional booleans are
// absent when false: readers test for presence.
type status struct {
	State            cluster.State             `json:"state"`
	Started          string                    `json:"postmaster_start_time,omitempty"`
	Role             cluster.Role              `json:"role"`
	Version          int                       `json:"server_version,omitempty"`
	Xlog             *xlog                     `json:"xlog,omitempty"`
	SyncStandby      bool                      `json:"sync_standby,omitempty"`
	QuorumStandby    bool                      `json:"quorum_standby,omitempty"`
	Timeline         any                       `json:"timeline,omitempty"`
	ReplicationState string                    `json:"replication_state,omitempty"`
	Replication      []Sender                  `json:"replication,omitempty"`
	Pause            bool                      `json:"pause,omitempty"`
	Unlocked         bool                      `json:"cluster_unlocked,omitempty"`
	FailsafeActive   bool                      `json:"failsafe_mode_is_active,omitempty"`
	DCSLastSeen      int64                     `json:"dcs_last_seen"`
	Tags             cluster.Tags              `json:"tags,omitempty"`
	SystemID         string                    `json:"database_system_identifier,omitempty"`
	PendingRestart   bool                      `json:"pending_restart,omitempty"`
	PendingReason    map[string]cluster.Change `json:"pending_restart_reason,omitempty"`
	ScheduledRestart json.RawMessage           `json:"scheduled_restart,omitempty"`
	WatchdogFailed   bool                      `json:"watchdog_failed,omitempty"`
	Guard            string                    `json:"guard,omitempty"` // Matriarch's own
	Patroni          patroni                   `json:"patroni"`

	postgres Postgres
}

type patroni struct {
	Version string `json:"version"`
	Scope   string `json:"scope"`
	Name    string `json:"name"`
}

// xlog has the fields of a primary or those of a standby, never both.
type xlog struct {
	Location   *uint64 `json:"location,omitempty"`
	Received   *uint64 `json:"received_location,omitempty"`
	Replayed   *uint64 `json:"replayed_location,omitempty"`
	ReplayedAt any     `json:"replayed_timestamp,omitempty"`
	Paused     *bool   `json:"paused,omitempty"`
}

// null is printed as such where leaving the field out would say something else.
var null = json.RawMessage("null")

// describe joins memory and the server's answer.
func (s *Postgres) describe(p Picture, version string) status {
	d := status{
		State: p.State, Role: p.Role, postgres: *s,
		Pause: p.Settings.Pause, Unlocked: p.View == nil || p.View.Leader.Name == "",
		FailsafeActive: p.FailsafeActive, Tags: p.Tags, SystemID: p.SystemID,
		PendingRestart: p.PendingRestart, PendingReason: p.PendingReason,
		ScheduledRestart: shown(p.ScheduledRestart), WatchdogFailed: p.WatchdogFailed, Guard: p.Guard,
		Patroni: patroni{Version: version, Scope: p.Scope, Name: p.Name},
	}
	if p.EffectiveTags != nil {
		d.Tags = p.EffectiveTags
	}
	if !p.DCSLastSeen.IsZero() {
		d.DCSLastSeen = p.DCSLastSeen.Unix()
	}
	if !s.Known {
		if d.State == cluster.StateRunning {
			d.State = cluster.StateUnknown
		}
		return d
	}
	d.Version, d.Started, d.Replication = s.Version, pythonTime(s.Started), s.Senders
	d.Timeline = null
	if s.Timeline != 0 {
		d.Timeline = s.Timeline
	}
	if !s.InRecovery {
		location := uint64(s.Location)
		d.Role, d.Xlog = cluster.RolePrimary, &xlog{Location: &location}
		return d
	}
	s.describeStandby(&d, p)
	return d
}

func (s *Postgres) describeStandby(d *status, p Picture) {
	d.Role = cluster.RoleReplica
	if p.Settings.StandbyCluster && p.Role == cluster.RoleStandbyLeader {
		d.Role = p.Role
	}
	received, replayed, paused := uint64(s.Received), uint64(s.Replayed), s.ReplayPaused
	if received == 0 {
		received = replayed
	}
	d.Xlog = &xlog{Received: &received, Replayed: &replayed, ReplayedAt: null, Paused: &paused}
	if !s.ReplayedAt.IsZero() {
		d.Xlog.ReplayedAt = pythonTime(s.ReplayedAt)
	}
	d.ReplicationState = s.ReplicationState
	if p.View == nil || p.Settings.StandbyCluster {
		return
	}
	listed := p.View.Sync.Leader != "" && slices.ContainsFunc(p.View.Sync.Standbys, func(n string) bool { return strings.EqualFold(n, p.Name) })
	d.SyncStandby = listed && p.Settings.Synchronous == "on"
	d.QuorumStandby = listed && p.Settings.Synchronous == "quorum"
}

// pythonTime prints a time as Patroni does: with a space, microseconds unless
// they are zero, and a colon in the offset.
func pythonTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	if t.Nanosecond()/1000 == 0 {
		return t.Format("2006-01-02 15:04:05-07:00")
	}
	return t.Format("2006-01-02 15:04:05.000000-07:00")
}

// ask queries the server where its state gives that a meaning.
func ask(ctx context.Context, node Node, p Picture) Postgres {
	switch p.State {
	case cluster.StateRunning, cluster.StateRestarting, cluster.StateStarting:
		ctx, cancel := context.WithTimeout(ctx, queryTimeout)
		defer cancel()
		return node.Postgres(ctx)
	}
	return Postgres{}
}

package api

import (
	"encoding/json"
	"slices"
	"strings"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// clusterDoc is GET /cluster (compat/rest-api.md §8).
type clusterDoc struct {
	Members  []memberDoc   `json:"members"`
	Pause    bool          `json:"pause,omitempty"`
	Schedule *scheduledDoc `json:"scheduled_switchover,omitempty"`
	Scope    string        `json:"scope"`
}

type scheduledDoc struct {
	At   string `json:"at"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// memberDoc is one member. Lags and LSNs are a number or text, or the word
// unknown; on the holder of the leader key they are absent.
type memberDoc struct {
	Name             string                    `json:"name"`
	Role             string                    `json:"role"`
	State            string                    `json:"state"`
	APIURL           *string                   `json:"api_url"`
	Host             string                    `json:"host,omitempty"`
	Port             int                       `json:"port,omitempty"`
	Timeline         wal.Timeline              `json:"timeline,omitempty"`
	PendingRestart   bool                      `json:"pending_restart,omitempty"`
	PendingReason    map[string]cluster.Change `json:"pending_restart_reason,omitempty"`
	ScheduledRestart json.RawMessage           `json:"scheduled_restart,omitempty"`
	Tags             cluster.Tags              `json:"tags,omitempty"`
	ReceiveLag       any                       `json:"receive_lag,omitempty"`
	ReceiveLSN       any                       `json:"receive_lsn,omitempty"`
	ReplayLag        any                       `json:"replay_lag,omitempty"`
	ReplayLSN        any                       `json:"replay_lsn,omitempty"`
	Lag              any                       `json:"lag,omitempty"`
	LSN              any                       `json:"lsn,omitempty"`
}

func describeCluster(v cluster.View, scope string) clusterDoc {
	// A document that cannot be used as settings still says whether it pauses.
	settings, _, err := cluster.ReadSettings(v.Config.Document)
	if err != nil {
		settings = cluster.DefaultSettings()
		settings.Pause = cluster.Truth(v.Config.Document["pause"])
	}
	doc := clusterDoc{Members: []memberDoc{}, Pause: settings.Pause, Scope: scope}
	for _, m := range v.Members {
		doc.Members = append(doc.Members, describeMember(v, settings, m))
	}
	if v.Failover.At != "" {
		doc.Schedule = &scheduledDoc{At: v.Failover.At, From: v.Failover.Leader, To: v.Failover.Candidate}
	}
	return doc
}

func describeMember(v cluster.View, settings cluster.Settings, m cluster.Member) memberDoc {
	d := memberDoc{
		Name: m.Name, Role: memberRole(v, settings, m), State: string(m.State), Timeline: m.Timeline,
		PendingRestart: m.PendingRestart, PendingReason: m.PendingReason,
		ScheduledRestart: m.ScheduledRestart, Tags: m.Tags,
	}
	if m.APIURL != "" {
		d.APIURL = &m.APIURL
	}
	if host, port, ok := m.Address(); ok {
		d.Host, d.Port = host, port
	}
	if d.Role != "leader" && m.ReplicationState != "" {
		d.State = m.ReplicationState
	}
	if m.Name != v.Leader.Name {
		d.ReceiveLSN, d.ReceiveLag = position(v.Status.Optime, m.ReceiveLSN)
		d.ReplayLSN, d.ReplayLag = position(v.Status.Optime, m.ReplayLSN)
		d.LSN, d.Lag = position(v.Status.Optime, m.Location)
	}
	return d
}

// memberRole is a member's role in the cluster's words, not the one that it
// publishes of itself.
func memberRole(v cluster.View, settings cluster.Settings, m cluster.Member) string {
	switch {
	case m.Name == v.Leader.Name && settings.StandbyCluster:
		return "standby_leader"
	case m.Name == v.Leader.Name:
		return "leader"
	case settings.StandbyCluster || settings.Synchronous == "" || v.Sync.Leader == "",
		!slices.ContainsFunc(v.Sync.Standbys, func(n string) bool { return strings.EqualFold(n, m.Name) }):
		return "replica"
	case settings.Synchronous == "quorum":
		return "quorum_standby"
	}
	return "sync_standby"
}

// position is how far a member is and how far that is behind the leader.
func position(optime, at wal.LSN) (lsn, lag any) {
	if at == 0 {
		return "unknown", "unknown"
	}
	return at.String(), int64(max(optime, at) - at)
}

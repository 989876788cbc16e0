package ctl

import (
	"encoding/json"
	"maps"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// full is all that the store tells of a cluster, for machines. The array that
// list -f json prints cannot hold it: its readers expect members and nothing else.
func (p picture) full() map[string]any {
	out := map[string]any{"cluster": p.name}
	if p.citus && p.group == noGroup {
		groups := []any{}
		for _, part := range p.parts {
			groups = append(groups, part.full())
		}
		out["groups"] = groups
		return out
	}
	if p.citus {
		out["group"] = p.group
	}
	out["initialized"] = p.view.Initialize.Value != ""
	out["system_identifier"] = p.view.Initialize.Value
	out["leader"] = orNull(p.view.Leader.Name)
	out["pause"] = p.settings.Pause
	out["standby_cluster"] = p.settings.StandbyCluster
	out["synchronous_mode"] = orNull(p.settings.Synchronous)
	out["scheduled_switchover"] = p.scheduledSwitchover()
	members := []any{}
	for _, m := range p.view.Members {
		members = append(members, p.fullMember(m))
	}
	out["members"] = members
	return out
}

func (p picture) scheduledSwitchover() any {
	f := p.view.Failover
	if f.At == "" {
		return nil
	}
	return map[string]any{"at": f.At, "from": orNull(f.Leader), "to": orNull(f.Candidate)}
}

// fullMember has every field of every member: a reader need not test for presence.
func (p picture) fullMember(m cluster.Member) map[string]any {
	out := map[string]any{
		"name": m.Name, "role": p.role(m), "state": p.state(m), "timeline": nil, "host": nil, "port": nil,
		"api_url": orNull(m.APIURL), "agent_version": orNull(m.Version), "progress": orNull(m.Progress), "guard": orNull(m.Guard),
		"pending_restart": m.PendingRestart, "pending_restart_reason": map[string]any{}, "scheduled_restart": nil, "tags": map[string]any(maps.Clone(m.Tags)),
	}
	if host, port, ok := m.Address(); ok {
		out["host"], out["port"] = host, port
	}
	if m.Timeline != 0 {
		out["timeline"] = int(m.Timeline)
	}
	reasons := map[string]any{}
	for name, c := range m.PendingReason {
		if c.Old != c.New { // set and unset is no difference
			reasons[name] = map[string]any{"old": c.Old, "new": c.New}
		}
	}
	out["pending_restart_reason"] = reasons
	var scheduled any
	if json.Unmarshal(m.ScheduledRestart, &scheduled) == nil {
		out["scheduled_restart"] = scheduled
	}
	for name, at := range map[string]wal.LSN{"receive": m.ReceiveLSN, "replay": m.ReplayLSN} {
		lsn, lag := any(nil), any(nil)
		if at != 0 && m.Name != p.view.Leader.Name {
			lsn, lag = at.String(), int64(max(p.view.Status.Optime, at)-at)
		}
		out[name+"_lsn"], out[name+"_lag_bytes"] = lsn, lag
	}
	return out
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

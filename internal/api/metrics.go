package api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"matriarch/internal/cluster"
)

// Measured is what a Node implements as well if it has metrics of its own. They come
// after those of Patroni, under names of their own (matriarch_…).
type Measured interface {
	// Metrics are the values as of now. It does not block.
	Metrics() []Metric
}

// metrics answers as Patroni does (compat/metrics.md): always 200, whatever is known.
// What is not known is 0, and only the two samples about replication may be absent.
func (s *Server) metrics(a *answer, r *http.Request) {
	d := s.check(r).doc()
	e := exposition{base: []Label{{"scope", d.Patroni.Scope}, {"name", d.Patroni.Name}}}
	for _, m := range d.metrics() {
		if m.Name == stateMetric {
			e.head(m, "Values: "+stateNames())
			e.sample(m.Name, nil, m.Samples[0].text)
			continue
		}
		e.metric(m)
	}
	if node, ok := s.node.(Measured); ok {
		for _, m := range node.Metrics() {
			e.metric(m)
		}
	}
	a.headers("text/plain")
	a.write(http.StatusOK, e.Bytes())
}

// stateMetric carries a table of its values between its HELP and its TYPE.
const stateMetric = "patroni_postgres_state"

// metrics are Patroni's, in its order. Dashboards know names, types and labels.
func (d status) metrics() []Metric {
	p := d.postgres
	var location, received, replayed uint64
	paused, replayedAt := false, time.Time{}
	if x := d.Xlog; x != nil && x.Location != nil {
		location = *x.Location
	} else if x != nil {
		received, replayed, paused, replayedAt = *x.Received, *x.Replayed, *x.Paused, p.ReplayedAt
	}
	out := []Metric{
		plain("patroni_version", "Daemon version, two digits per component, dots removed.", versionDigits(d.Patroni.Version)),
		flag("patroni_postgres_running", "1 when PostgreSQL is in state running.", d.State == cluster.StateRunning),
		plain("patroni_postmaster_start_time", "Postmaster start, Unix time.", unixSeconds(p.Started)),
		flag("patroni_primary", "1 when the role is primary.", d.Role == cluster.RolePrimary),
		counter("patroni_xlog_location", "WAL flush position in bytes, 0 unless primary.", location),
		flag("patroni_standby_leader", "1 when the role is standby_leader.", d.Role == cluster.RoleStandbyLeader),
		flag("patroni_replica", "1 when the role is replica.", d.Role == cluster.RoleReplica),
		flag("patroni_sync_standby", "1 when chosen as synchronous standby.", d.SyncStandby),
		flag("patroni_quorum_standby", "1 when listed as quorum standby.", d.QuorumStandby),
		counter("patroni_xlog_received_location", "Received WAL position in bytes, 0 unless standby.", received),
		counter("patroni_xlog_replayed_location", "Replayed WAL position in bytes, 0 unless standby.", replayed),
		plain("patroni_xlog_replayed_timestamp", "Commit time of the last replayed transaction, Unix time, 0 if none.", unixSeconds(replayedAt)),
		flag("patroni_xlog_paused", "1 when WAL replay is paused.", paused),
	}
	if p.Version >= 90600 {
		out = append(out,
			flag("patroni_postgres_streaming", "1 when the standby streams WAL.", d.ReplicationState == cluster.Streaming),
			flag("patroni_postgres_in_archive_recovery", "1 when the standby restores WAL from the archive.", d.ReplicationState == cluster.InArchiveRecovery))
	}
	return append(out,
		plain("patroni_postgres_server_version", "PostgreSQL version number, 0 if unknown.", strconv.Itoa(p.Version)),
		flag("patroni_cluster_unlocked", "1 when nobody is known to hold the leader lock.", d.Unlocked),
		flag("patroni_failsafe_mode_is_active", "1 while failsafe mode is in effect.", d.FailsafeActive),
		plain("patroni_postgres_timeline", "Timeline of this node, 0 if unknown.", strconv.FormatUint(uint64(p.Timeline), 10)),
		plain("patroni_dcs_last_seen", "Unix time of the last successful read from the DCS.", strconv.FormatInt(d.DCSLastSeen, 10)),
		flag("patroni_pending_restart", "1 when PostgreSQL needs a restart.", d.PendingRestart),
		flag("patroni_is_paused", "1 in maintenance mode.", d.Pause),
		plain(stateMetric, "PostgreSQL state as a number.", strconv.Itoa(stateNumber(d.State))),
	)
}

func plain(name, help, value string) Metric {
	return Metric{Name: name, Help: help, Kind: Gauge, Samples: []Sample{{text: value}}}
}

func flag(name, help string, on bool) Metric {
	if on {
		return plain(name, help, "1")
	}
	return plain(name, help, "0")
}

func counter(name, help string, value uint64) Metric {
	m := plain(name, help, strconv.FormatUint(value, 10)) // a float64 is exact to 2^53 bytes only
	m.Kind = Counter
	return m
}

// versionDigits turns 4.1.4 into 040104.
func versionDigits(version string) string {
	v, _ := cluster.Version3(version)
	return fmt.Sprintf("%02d%02d%02d", v[0], v[1], v[2])
}

// states are numbered by their place, for ever (compat/metrics.md §3).
var states = []struct {
	state cluster.State
	name  string
}{
	{cluster.StateInitializing, "initdb"}, {cluster.StateInitdbFailed, "initdb_failed"},
	{cluster.StateCustomRunning, "custom_bootstrap"}, {cluster.StateCustomFailed, "custom_bootstrap_failed"},
	{cluster.StateCreatingCopy, "creating_replica"}, {cluster.StateRunning, "running"}, {cluster.StateStarting, "starting"},
	{cluster.StateCustomStarting, "bootstrap_starting"}, {cluster.StateStartFailed, "start_failed"},
	{cluster.StateRestarting, "restarting"}, {cluster.StateRestartFailed, "restart_failed"}, {cluster.StateStopping, "stopping"},
	{cluster.StateStopped, "stopped"}, {cluster.StateStopFailed, "stop_failed"}, {cluster.StateCrashed, "crashed"},
}

func stateNumber(state cluster.State) int {
	for i, s := range states {
		if s.state == state {
			return i
		}
	}
	return -1
}

func stateNames() string {
	names := make([]string, len(states))
	for i, s := range states {
		names[i] = fmt.Sprintf("%d=%s", i, s.name)
	}
	return strings.Join(names, ", ")
}

package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"matriarch/internal/cluster"
)

// scraped are the samples of /metrics, by name, and the lines as they came.
func scraped(t *testing.T, n Node) (values map[string]string, body string) {
	t.Helper()
	code, body := call(newServer(t, n), "GET", "/metrics", "")
	if code != 200 {
		t.Fatalf("got %d %s", code, body)
	}
	values = map[string]string{}
	for line := range strings.Lines(body) {
		name, rest, ok := strings.Cut(line, "{")
		if _, value, found := strings.Cut(rest, "} "); ok && found && !strings.HasPrefix(line, "#") {
			values[name] = strings.TrimSuffix(value, "\n")
		}
	}
	return values, body
}

// TestMetricsInSituations is the table of compat/metrics.md §4, and what the list of
// §2 says of single values.
func TestMetricsInSituations(t *testing.T) {
	lost := func(n *fakeNode) *fakeNode {
		n.postgres = Postgres{}
		return n
	}
	away := func(n *fakeNode) *fakeNode {
		n.picture.View = nil
		return n
	}
	failsafe := away(primary())
	failsafe.picture.FailsafeActive = true
	copying := standby()
	copying.picture.State, copying.picture.Role = cluster.StateCreatingCopy, cluster.RoleUninitialized
	demoted := away(standby())
	archive := standby()
	archive.postgres.ReplicationState, archive.postgres.ReplayPaused = cluster.InArchiveRecovery, true
	waiting := primary()
	waiting.picture.PendingRestart, waiting.picture.Settings.Pause = true, true
	promoted := primary()
	promoted.postgres.ReplayedAt, promoted.postgres.Replayed = noon, 700 // left from its recovery
	never := standby()
	never.picture.DCSLastSeen, never.postgres.Timeline = time.Time{}, 0
	for name, c := range map[string]struct {
		node *fakeNode
		want string // name (without patroni_) and value; - stands for absent
	}{
		"primary": {primary(), "postgres_running 1 primary 1 replica 0 standby_leader 0 cluster_unlocked 0 failsafe_mode_is_active 0 postgres_state 5 " +
			"postgres_server_version 150020 xlog_location 1000 xlog_received_location 0 xlog_replayed_location 0 xlog_replayed_timestamp 0 xlog_paused 0 " +
			"postgres_streaming 0 postgres_timeline 1 postmaster_start_time 1795435200.209995 dcs_last_seen 1795435200 version 040104 pending_restart 0 is_paused 0"},
		"standby": {standby(), "postgres_running 1 primary 0 replica 1 standby_leader 0 xlog_location 0 xlog_received_location 900 xlog_replayed_location 800 " +
			"xlog_replayed_timestamp 0 postgres_streaming 1 postgres_in_archive_recovery 0 sync_standby 0 quorum_standby 0"},
		"standby leader": {standbyLeader(), "postgres_running 1 primary 0 replica 0 standby_leader 1 postgres_state 5"},
		"sync standby":   {syncStandby("on"), "sync_standby 1 quorum_standby 0"},
		"quorum standby": {syncStandby("quorum"), "sync_standby 0 quorum_standby 1"},
		"from archive":   {archive, "postgres_streaming 0 postgres_in_archive_recovery 1 xlog_paused 1"},
		"base backup": {copying, "postgres_running 0 primary 0 replica 0 standby_leader 0 cluster_unlocked 0 postgres_state 4 postgres_server_version 0 " +
			"postgres_streaming - postgres_in_archive_recovery - xlog_received_location 0 postmaster_start_time 0"},
		"failsafe":            {failsafe, "postgres_running 1 primary 1 cluster_unlocked 1 failsafe_mode_is_active 1 postgres_state 5 postgres_server_version 150020"},
		"demoted":             {demoted, "postgres_running 1 primary 0 replica 1 cluster_unlocked 1 failsafe_mode_is_active 0 postgres_state 5"},
		"refuses connections": {lost(primary()), "postgres_running 0 primary 1 replica 0 postgres_state -1 postgres_server_version 0 postgres_streaming - postgres_timeline 0 xlog_location 0"},
		"paused and pending":  {waiting, "pending_restart 1 is_paused 1"},
		"promoted":            {promoted, "xlog_replayed_location 0 xlog_replayed_timestamp 0 primary 1"},
		"nothing seen yet":    {never, "dcs_last_seen 0 postgres_timeline 0"},
	} {
		t.Run(name, func(t *testing.T) {
			values, body := scraped(t, c.node)
			words := strings.Fields(c.want)
			for i := 0; i+1 < len(words); i += 2 {
				got, ok := values["patroni_"+words[i]]
				if want := words[i+1]; got != want && (ok || want != "-") {
					t.Errorf("patroni_%s is %q, want %s", words[i], got, want)
				}
			}
			samples := 23
			if values["patroni_postgres_server_version"] == "0" {
				samples = 21
			}
			if len(values) != samples || !strings.HasSuffix(body, "\n") {
				t.Errorf("%d samples, want %d", len(values), samples)
			}
		})
	}
}

func TestStateNumbersAreForEver(t *testing.T) {
	for state, want := range map[cluster.State]int{
		"initializing new cluster": 0, "initdb failed": 1, "running custom bootstrap script": 2, "custom bootstrap failed": 3, "creating replica": 4,
		"running": 5, "starting": 6, "starting after custom bootstrap": 7, "start failed": 8, "restarting": 9, "restart failed": 10, "stopping": 11,
		"stopped": 12, "stop failed": 13, "crashed": 14, "unknown": -1, "new": -1,
	} {
		if got := stateNumber(state); got != want {
			t.Errorf("%s is %d, want %d", state, got, want)
		}
	}
}

// measuredNode has metrics of its own.
type measuredNode struct {
	*fakeNode
	own []Metric
}

func (n measuredNode) Metrics() []Metric { return n.own }

func TestOwnMetrics(t *testing.T) {
	h := NewHistogram(10*time.Millisecond, time.Second)
	for _, d := range []time.Duration{0, 10 * time.Millisecond, 11 * time.Millisecond, 1500 * time.Millisecond} {
		h.Observe(d)
	}
	n := measuredNode{primary(), []Metric{
		{Name: "matriarch_wait_seconds", Kind: HistogramKind, Help: "a\\b\nc", Samples: []Sample{{Labels: []Label{{"member", `n"2\`}}, Histogram: h}}},
		{Name: "matriarch_none_total", Kind: Counter, Help: "none yet"},
		{Name: "matriarch_left_seconds", Kind: Gauge, Help: "left", Samples: []Sample{{Value: 0.000001}}},
	}}
	n.picture.Name = "n\n1"
	_, body := scraped(t, n)
	want := `# HELP matriarch_wait_seconds a\\b\nc
# TYPE matriarch_wait_seconds histogram
matriarch_wait_seconds_bucket{scope="demo",name="n\n1",member="n\"2\\",le="0.01"} 2
matriarch_wait_seconds_bucket{scope="demo",name="n\n1",member="n\"2\\",le="1"} 3
matriarch_wait_seconds_bucket{scope="demo",name="n\n1",member="n\"2\\",le="+Inf"} 4
matriarch_wait_seconds_sum{scope="demo",name="n\n1",member="n\"2\\"} 1.521
matriarch_wait_seconds_count{scope="demo",name="n\n1",member="n\"2\\"} 4
# HELP matriarch_none_total none yet
# TYPE matriarch_none_total counter
# HELP matriarch_left_seconds left
# TYPE matriarch_left_seconds gauge
matriarch_left_seconds{scope="demo",name="n\n1"} 0.000001
`
	if _, own, _ := strings.Cut(body, "5\n"+"# HELP matriarch"); "# HELP matriarch"+own != want {
		t.Errorf("got\n%s\nwant\n%s", body, want)
	}
}

func TestMetricsAreOpenText(t *testing.T) {
	w := httptest.NewRecorder()
	s := newServer(t, primary(), func(o *Options) {
		o.Access = Access{Username: "a", Password: "b"}
		o.Headers = map[string]string{"X-Own": "1"}
	})
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics?lag=1", nil))
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/plain" || w.Header().Get("X-Own") != "1" {
		t.Errorf("got %d with %v", w.Code, w.Header())
	}
}

func TestUnixSeconds(t *testing.T) {
	for want, at := range map[string]time.Time{
		"0": {}, "1795435200": noon, "1795435200.5": noon.Add(time.Second / 2), "1795435200.000001": noon.Add(1999), "1795435200.209995": noon.Add(209995 * time.Microsecond),
	} {
		if got := unixSeconds(at); got != want {
			t.Errorf("%v: got %s, want %s", at, got, want)
		}
	}
}

package api

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"matriarch/internal/cluster"
)

// TestHealthTable is the table observed on Patroni 4.1.4 (compat/rest-api.md §5).
func TestHealthTable(t *testing.T) {
	nodes := []struct {
		name string
		make func() *fakeNode
	}{
		{"primary", primary}, {"async", standby}, {"sync", func() *fakeNode { return syncStandby("on") }},
		{"quorum", func() *fakeNode { return syncStandby("quorum") }}, {"standby leader", standbyLeader},
	}
	for path, want := range map[string]string{
		"/":                                "yNNNN",
		"/primary":                         "yNNNN",
		"/read-write":                      "yNNNN",
		"/master":                          "yNNNN",
		"/leader":                          "yNNNy",
		"/standby-leader":                  "NNNNy",
		"/standby_leader":                  "NNNNy",
		"/replica":                         "NyyyN",
		"/read-only":                       "yyyyy",
		"/async":                           "NyNNN",
		"/asynchronous":                    "NyNNN",
		"/sync":                            "NNyNN",
		"/synchronous":                     "NNyNN",
		"/quorum":                          "NNNyN",
		"/read-only-sync":                  "yNyNy",
		"/read-only-synchronous":           "yNyNy",
		"/read-only-quorum":                "yNNyy",
		"/health":                          "yyyyy",
		"/unknown":                         "NNNNN",
		"/xreplicax":                       "NyyyN",
		"/replica/":                        "NyyyN",
		"/health/x":                        "yyyyy",
		"/my-primary-check":                "yNNNN",
		"/Primary":                         "NNNNN",
		"/sync/":                           "NNNNN",
		"/read-only-x":                     "yyyyy",
		"/replica?lag=200":                 "NyyyN",
		"/replica?lag=199":                 "NNNNN",
		"/replica?lag=":                    "NyyyN",
		"/replica?lag=10mb":                "NyyyN",
		"/replica?lag=0xC8":                "NyyyN",
		"/replica?lag=-1":                  "NNNNN",
		"/primary?lag=0":                   "yNNNN",
		"/read-only?lag=0":                 "yNNNy",
		"/health?lag=0":                    "yyyyy",
		"/replica?tag_zone=east":           "NNNNN",
		"/replica?tag_zone=":               "NyyyN",
		"/replica?replication_state=x":     "NyyyN",
		"/primary?tag_zone=east":           "yNNNN",
		"/async?lag=0":                     "NNNNN",
		"/read-only-quorum?lag=0":          "yNNNy",
		"/standby-leader?lag=0&tag_a=b":    "NNNNy",
		"/replica?lag=200&lag=0":           "NyyyN",
		"/replica?lag=&lag=0":              "NNNNN",
		"/replica?unknown=1&lag=1.5kB":     "NyyyN",
		"/asynchronous?replication_state=": "NyNNN",
	} {
		for i, node := range nodes {
			wantCode := map[byte]int{'y': 200, 'N': 503}[want[i]]
			t.Run(fmt.Sprint(path, " on ", node.name), func(t *testing.T) {
				for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
					n := node.make()
					code, body := call(newServer(t, n), method, path, "")
					if code != wantCode {
						t.Errorf("%s %s = %d, want %d", method, path, code, wantCode)
					}
					if (body == "") != (method != "GET") {
						t.Errorf("%s %s has the body %q", method, path, body)
					}
				}
			})
		}
	}
}

func TestHealthInSpecialSituations(t *testing.T) {
	blind := func(n *fakeNode) { n.picture.View = nil }
	paused := func(n *fakeNode) { n.picture.Settings.Pause = true }
	state := func(s cluster.State) func(*fakeNode) { return func(n *fakeNode) { n.picture.State = s } }
	dead := func(n *fakeNode) { n.postgres = Postgres{} }
	noLock := func(n *fakeNode) { n.picture.LeaderUntil = time.Time{} }
	expired := func(n *fakeNode) { n.picture.LeaderUntil = noon }
	tags := func(tags cluster.Tags) func(*fakeNode) { return func(n *fakeNode) { n.picture.Tags = tags } }
	for _, c := range []struct {
		name string
		node *fakeNode
		with []func(*fakeNode)
		path string
		want int
	}{
		{"a paused primary is still primary", primary(), []func(*fakeNode){paused}, "/primary", 200},
		{"paused and blind, the role decides", primary(), []func(*fakeNode){paused, blind, noLock}, "/primary", 200},
		{"paused and blind, a standby is none", standby(), []func(*fakeNode){paused, blind}, "/primary", 503},
		{"paused and blind, a standby is a replica", standby(), []func(*fakeNode){paused, blind}, "/replica", 200},
		{"paused and blind, leader by role", primary(), []func(*fakeNode){paused, blind, noLock}, "/leader", 200},
		{"paused and blind, nobody is async", standby(), []func(*fakeNode){paused, blind}, "/async", 503},
		{"blind, the lock still counts", primary(), []func(*fakeNode){blind}, "/primary", 200},
		{"blind, a replica stays one", standby(), []func(*fakeNode){blind}, "/replica", 200},
		{"blind, a read-only stays one", standby(), []func(*fakeNode){blind}, "/read-only", 200},
		{"blind, nobody is sync", syncStandby("on"), []func(*fakeNode){blind}, "/sync", 503},
		{"blind, nobody is async either", standby(), []func(*fakeNode){blind}, "/async", 503},
		{"blind, read-only-sync fails even on the primary", primary(), []func(*fakeNode){blind}, "/read-only-sync", 503},
		{"blind, read-only-quorum fails even on the primary", primary(), []func(*fakeNode){blind}, "/read-only-quorum", 503},
		{"blind after demotion the former primary is a replica", standby(), []func(*fakeNode){blind}, "/replica", 200},
		{"with the lock, primary while starting", primary(), []func(*fakeNode){state("starting"), dead}, "/primary", 200},
		{"with the lock, primary though PostgreSQL is silent", primary(), []func(*fakeNode){dead}, "/primary", 200},
		{"with the lock, not healthy when silent", primary(), []func(*fakeNode){dead}, "/health", 503},
		{"a starting standby is no replica", standby(), []func(*fakeNode){state("starting")}, "/replica", 503},
		{"a standby that is being made is no replica", standby(), []func(*fakeNode){state("creating replica"), dead}, "/replica", 503},
		{"a stopped standby is not healthy", standby(), []func(*fakeNode){state("stopped"), dead}, "/health", 503},
		{"the lock's last instant does not count", primary(), []func(*fakeNode){expired}, "/primary", 503},
		{"without the lock a running primary is none", primary(), []func(*fakeNode){noLock}, "/primary", 503},
		{"before promotion, lock and recovery: primary", standby(), []func(*fakeNode){func(n *fakeNode) { n.picture.LeaderUntil = noon.Add(1) }}, "/primary", 200},
		{"before promotion, lock and recovery: replica too", standby(), []func(*fakeNode){func(n *fakeNode) { n.picture.LeaderUntil = noon.Add(1) }}, "/replica", 200},
		{"noloadbalance is no replica", standby(), []func(*fakeNode){tags(cluster.Tags{"noloadbalance": true})}, "/replica", 503},
		{"noloadbalance is healthy", standby(), []func(*fakeNode){tags(cluster.Tags{"noloadbalance": true})}, "/health", 200},
		{"a tag that matches", standby(), []func(*fakeNode){tags(cluster.Tags{"zone": "East", "n": 2, "ssd": true})}, "/replica?tag_zone=East&tag_n=2&tag_ssd=true", 200},
		{"a text tag's case matters", standby(), []func(*fakeNode){tags(cluster.Tags{"zone": "East"})}, "/replica?tag_zone=east", 503},
		{"a truth's is lower", standby(), []func(*fakeNode){tags(cluster.Tags{"ssd": true})}, "/replica?tag_ssd=True", 503},
		{"the sender's end counts for the lag", standby(), []func(*fakeNode){func(n *fakeNode) { n.postgres.LatestEnd = 1001 }}, "/replica?lag=200", 503},
		{"nothing known to lag behind", standby(), []func(*fakeNode){func(n *fakeNode) { n.picture.View.Status.Optime = 0 }}, "/replica?lag=0", 200},
		{"unknown replay counts as zero", standby(), []func(*fakeNode){func(n *fakeNode) { n.postgres.Replayed = 0 }}, "/replica?lag=999", 503},
		{"another standby in the standby cluster", standbyLeader(), []func(*fakeNode){noLock, func(n *fakeNode) { n.picture.Role = "replica" }}, "/replica", 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, f := range c.with {
				f(c.node)
			}
			if code, _ := call(newServer(t, c.node), "GET", c.path, ""); code != c.want {
				t.Errorf("%s = %d, want %d", c.path, code, c.want)
			}
		})
	}
}

func TestHealthOfThePrimaryAsksNobody(t *testing.T) {
	n := primary()
	if code, _ := call(newServer(t, n), "OPTIONS", "/primary", ""); code != 200 || n.queries != 0 {
		t.Errorf("got %d after %d queries, want 200 after none", code, n.queries)
	}
	if code, _ := call(newServer(t, n), "GET", "/sync?lag=5", ""); code != 503 || n.queries != 1 {
		t.Errorf("got %d after %d queries, want 503 after one", code, n.queries)
	}
}

func TestLiveness(t *testing.T) {
	for _, c := range []struct {
		name string
		node *fakeNode
		late time.Duration
		want int
	}{
		{"a primary on time", primary(), 0, 200},
		{"a primary late by less than ttl", primary(), 30*time.Second - 1, 200},
		{"a primary late by ttl", primary(), 30 * time.Second, 503},
		{"a standby late by less than twice ttl", standby(), 59 * time.Second, 200},
		{"a standby late by twice ttl", standby(), 60 * time.Second, 503},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.node.picture.NextPass = noon.Add(-c.late)
			if code, body := call(newServer(t, c.node), "GET", "/liveness", ""); code != c.want || body != "" {
				t.Errorf("got %d %q, want %d", code, body, c.want)
			}
		})
	}
	n := primary()
	n.picture.NextPass, n.picture.Settings.Pause = time.Time{}, true
	if code, _ := call(newServer(t, n), "GET", "/liveness", ""); code != 200 {
		t.Errorf("paused: got %d, want 200", code)
	}
	if code, _ := call(newServer(t, primary()), http.MethodHead, "/liveness", ""); code != 503 {
		t.Errorf("HEAD is a health check of an unknown name: got %d, want 503", code)
	}
}

func TestReadiness(t *testing.T) {
	for _, c := range []struct {
		name  string
		node  *fakeNode
		with  func(*fakeNode)
		query string
		want  int
	}{
		{"the leader", primary(), func(n *fakeNode) { n.postgres = Postgres{} }, "", 200},
		{"a streaming standby", standby(), nil, "", 200},
		{"exactly at the limit", standby(), nil, "?lag=200", 200},
		{"beyond the limit", standby(), nil, "?lag=199", 503},
		{"writing counts when asked for", standby(), nil, "?lag=100&mode=write", 200},
		{"beyond the default limit", standby(), func(n *fakeNode) { n.picture.View.Status.Optime = 800 + 1048577 }, "?lag=x", 503},
		{"at the default limit", standby(), func(n *fakeNode) { n.picture.View.Status.Optime = 800 + 1048576 }, "", 200},
		{"not streaming", standby(), func(n *fakeNode) { n.postgres.ReplicationState = "in archive recovery" }, "", 503},
		{"not running", standby(), func(n *fakeNode) { n.picture.State = "starting" }, "", 503},
		{"blind", standby(), func(n *fakeNode) { n.picture.View = nil }, "", 503},
		{"blind in failsafe mode", standby(), func(n *fakeNode) { n.picture.View, n.picture.FailsafeActive = nil, true }, "", 200},
		{"blind with the sender's end", standby(), func(n *fakeNode) { n.picture.View, n.postgres.LatestEnd = nil, lsn(900) }, "?lag=100", 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.with != nil {
				c.with(c.node)
			}
			if code, body := call(newServer(t, c.node), "GET", "/readiness"+c.query, ""); code != c.want || body != "" {
				t.Errorf("got %d %q, want %d", code, body, c.want)
			}
		})
	}
}

func TestParseBytes(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "10": 10, "-5": -5, "+7": 7, "0x400": 1024, "010": 8, "1.5kB": 1536, "1kB": 1024, " 2 MB ": 2 << 20,
		"1GB": 1 << 30, "1TB": 1 << 40, "3B": 3, "1e3": 1000, "10.6": 11, "08": 8, ".5kB": 512,
	} {
		if got, ok := parseBytes(in); !ok || got != want {
			t.Errorf("parseBytes(%q) = %d, %v, want %d", in, got, ok, want)
		}
	}
	for _, in := range []string{"", "x", "10mb", "10 kb", "1_000", "0b11", "0o7", "1kBB", "MB", "--1", "1 2", ".", "NaN", "inf"} {
		if got, ok := parseBytes(in); ok {
			t.Errorf("parseBytes(%q) = %d, want no number", in, got)
		}
	}
	if got, ok := parseBytes("99999999999TB"); !ok || got <= 0 {
		t.Errorf("a size beyond all measure = %d, %v, want a large one", got, ok)
	}
}

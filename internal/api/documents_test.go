package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"matriarch/internal/cluster"
)

// sameJSON compares documents without regard to order and white space.
func sameJSON(t *testing.T, got, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatalf("%v in %s", err, want)
	}
	if !reflect.DeepEqual(g, w) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestStatusDocument(t *testing.T) {
	address := "127.0.0.1"
	leader := primary()
	leader.picture.Tags, leader.picture.Guard = cluster.Tags{"clonefrom": true}, "freezer"
	leader.postgres.Senders = []Sender{{User: "repl", Application: "n2", Address: &address, State: "streaming", SyncState: "async"}, {User: "repl", Application: "local"}}
	busy := syncStandby("on")
	busy.picture.PendingRestart, busy.picture.PendingReason = true, map[string]cluster.Change{"max_connections": {Old: "50", New: "60"}}
	busy.postgres.ReplayedAt = noon
	copying := standby()
	copying.picture.State, copying.picture.Role, copying.picture.SystemID = "creating replica", "uninitialized", ""
	lost := standby()
	lost.picture.View, lost.picture.Settings.Pause, lost.picture.FailsafeActive, lost.picture.WatchdogFailed = nil, true, true, true
	lost.postgres = Postgres{}
	lost.picture.DCSLastSeen = time.Time{}
	for name, c := range map[string]struct {
		node *fakeNode
		want string
	}{
		"primary": {leader, `{"state":"running","postmaster_start_time":"2026-11-23 12:00:00.209995+00:00","role":"primary","server_version":150020,
			"xlog":{"location":1000},"timeline":1,"replication":[{"usename":"repl","application_name":"n2","client_addr":"127.0.0.1","state":"streaming","sync_state":"async","sync_priority":0},
			{"usename":"repl","application_name":"local","client_addr":null,"state":"","sync_state":"","sync_priority":0}],"dcs_last_seen":1795435200,"tags":{"clonefrom":true},
			"database_system_identifier":"7711295878037623665","guard":"freezer","patroni":{"version":"4.1.4","scope":"demo","name":"n1"}}`},
		"standby": {busy, `{"state":"running","postmaster_start_time":"2026-11-23 12:00:00.209995+00:00","role":"replica","server_version":150020,
			"xlog":{"received_location":900,"replayed_location":800,"replayed_timestamp":"2026-11-23 12:00:00+00:00","paused":false},"sync_standby":true,"timeline":1,
			"replication_state":"streaming","dcs_last_seen":1795435200,"database_system_identifier":"7711295878037623665","pending_restart":true,
			"pending_restart_reason":{"max_connections":{"old_value":"50","new_value":"60"}},"patroni":{"version":"4.1.4","scope":"demo","name":"n2"}}`},
		"no server": {copying, `{"state":"creating replica","role":"uninitialized","dcs_last_seen":1795435200,"patroni":{"version":"4.1.4","scope":"demo","name":"n2"}}`},
		"all lost": {lost, `{"state":"unknown","role":"replica","pause":true,"cluster_unlocked":true,"failsafe_mode_is_active":true,"dcs_last_seen":0,
			"database_system_identifier":"7711295878037623665","watchdog_failed":true,"patroni":{"version":"4.1.4","scope":"demo","name":"n2"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			code, body := call(newServer(t, c.node), "GET", "/patroni/extra?x=1", "")
			if code != 200 {
				t.Errorf("got %d, want 200", code)
			}
			sameJSON(t, body, c.want)
		})
	}
}

func TestStatusOfAStandbyWithGaps(t *testing.T) {
	n := standby()
	n.postgres.Received, n.postgres.Timeline = 0, 0
	_, body := call(newServer(t, n), "GET", "/patroni", "")
	for _, want := range []string{`"received_location":800`, `"timeline":null`, `"replayed_timestamp":null`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is not in %s", want, body)
		}
	}
}

func TestClusterDocument(t *testing.T) {
	n := primary()
	n.store.Config.Document = map[string]any{"pause": true, "synchronous_mode": true}
	n.store.Sync = cluster.Sync{Leader: "n1", Standbys: []string{"n2"}}
	n.store.Failover = cluster.Failover{Leader: "n1", Candidate: "n3", At: "2030-01-01T02:00:00+02:00"}
	code, body := call(newServer(t, n), "GET", "/cluster", "")
	if code != 200 {
		t.Errorf("got %d, want 200", code)
	}
	sameJSON(t, body, `{"members":[
		{"name":"n1","role":"leader","state":"running","api_url":"http://127.0.0.1:1/patroni","host":"127.0.0.1","port":5431,"timeline":1},
		{"name":"n2","role":"sync_standby","state":"streaming","api_url":"http://127.0.0.2:1/patroni","host":"127.0.0.2","port":5432,"timeline":1,
		 "receive_lag":100,"receive_lsn":"0/384","replay_lag":200,"replay_lsn":"0/320","lag":100,"lsn":"0/384"},
		{"name":"n3","role":"replica","state":"creating replica","api_url":null,"receive_lag":"unknown","receive_lsn":"unknown",
		 "replay_lag":"unknown","replay_lsn":"unknown","lag":"unknown","lsn":"unknown"}],
		"pause":true,"scheduled_switchover":{"at":"2030-01-01T02:00:00+02:00","from":"n1","to":"n3"},"scope":"demo"}`)
}

func TestClusterWithoutTheStoreHangsUp(t *testing.T) {
	n := primary()
	n.readErr = errors.New("down")
	s := newServer(t, n)
	for _, c := range [][2]string{{"GET", "/cluster"}, {"POST", "/switchover"}, {"DELETE", "/switchover"}} {
		if !hungUp(func() { call(s, c[0], c[1], `{"leader":"n1"}`) }) {
			t.Errorf("%s %s was answered, want a closed connection", c[0], c[1])
		}
	}
}

func TestHistoryAndConfig(t *testing.T) {
	n := primary()
	n.picture.View.History = cluster.History{Known: true, Lines: []cluster.HistoryLine{{Timeline: 1, LSN: 100, Reason: "no recovery target specified", When: "2026-11-23T09:29:08+00:00", NewLeader: "n2"}}}
	n.readErr = errors.New("down") // the view at hand is enough
	s := newServer(t, n)
	_, body := call(s, "GET", "/history", "")
	sameJSON(t, body, `[[1,100,"no recovery target specified","2026-11-23T09:29:08+00:00","n2"]]`)
	_, body = call(s, "GET", "/config", "")
	sameJSON(t, body, `{"ttl":30}`)
	n.picture.View = &cluster.View{}
	if _, body = call(s, "GET", "/history", ""); body != "[]" {
		t.Errorf("no history = %s, want []", body)
	}
	if code, _ := call(s, "GET", "/config", ""); code != 502 {
		t.Errorf("no config = %d, want 502", code)
	}
}

func TestRoutes(t *testing.T) {
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"POST", "/foo", 501}, {"PUT", "/restart", 501}, {"DELETE", "/failover", 501}, {"PATCH", "/", 501}, {"POST", "/patroni", 501},
		{"get", "/patroni", 501}, {"HEAD", "/patroni", 503}, {"OPTIONS", "/cluster", 503}, {"HEAD", "/readiness", 503},
		{"GET", "//patroni", 200}, {"POST", "/reload", 202}, {"POST", "/reload/x", 202}, {"GET", "/metrics", 200}, {"HEAD", "/metrics", 503}, {"POST", "/sigterm", 202}, {"POST", "/metrics", 501},
		{"DELETE", "/config", 501}, {"PATCH", "/switchover", 501}, {"PUT", "/reload", 501}, {"GET", "/reload", 503}, {"GET", "/restart", 503},
		{"GET", "/config/ttl", 200},
	} {
		n := primary()
		code, body := call(newServer(t, n), c.method, c.path, "")
		if code != c.want {
			t.Errorf("%s %s = %d, want %d", c.method, c.path, code, c.want)
		}
		if code == 501 && !strings.Contains(body, "Server does not support this operation") {
			t.Errorf("%s %s: patronictl does not recognise %q", c.method, c.path, body)
		}
		if strings.HasPrefix(c.path, "/reload") && c.want == 202 && (body != "reload scheduled" || n.reloads != 1) {
			t.Errorf("%s %s: %q after %d reloads", c.method, c.path, body, n.reloads)
		}
	}
}

func TestBodies(t *testing.T) {
	s := newServer(t, primary())
	for name, c := range map[string]struct {
		body string
		with func(*http.Request)
		want int
	}{
		"no length":    {"", func(r *http.Request) { r.Header.Del("Content-Length") }, 411},
		"empty":        {"", func(r *http.Request) { r.Header.Set("Content-Length", "0") }, 400},
		"no JSON":      {"{", nil, 400},
		"no object":    {"[]", nil, 400},
		"null":         {"null", nil, 400},
		"no fields":    {"{}", nil, 400},
		"two objects":  {`{"leader":"n1"} {}`, nil, 400},
		"not UTF-8":    {"{\"leader\":\"\xff\"}", nil, 400},
		"too large":    {`{"leader":"` + strings.Repeat("x", bodyBytes) + `"}`, nil, 413},
		"chunked":      {`{"a":1}`, func(r *http.Request) { r.Header.Del("Content-Length"); r.TransferEncoding = []string{"chunked"} }, 400},
		"just unknown": {`{"a":1}`, nil, 400},
	} {
		t.Run(name, func(t *testing.T) {
			var with []func(*http.Request)
			if c.with != nil {
				with = append(with, c.with)
			}
			if code, _ := call(s, "POST", "/switchover", c.body, with...); code != c.want {
				t.Errorf("got %d, want %d", code, c.want)
			}
		})
	}
}

func TestFaultInAHandlerIsAnswered(t *testing.T) {
	n := primary()
	n.picture.Tags = cluster.Tags{"bad": func() {}} // cannot be encoded
	code, body := call(newServer(t, n), "GET", "/patroni", "")
	if code != 500 || strings.Contains(body, "func") {
		t.Errorf("got %d %s, want 500 without details", code, body)
	}
}

package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// fakeNode is a node of which a test sets what it needs.
type fakeNode struct {
	mu       sync.Mutex
	picture  Picture
	postgres Postgres
	queries  int
	store    cluster.View
	readErr  error
	changed  chan struct{}
	reloads  int

	request func(f cluster.Failover) (int64, error)
	clear   func(modified int64) error
}

func (n *fakeNode) Picture() Picture { n.mu.Lock(); defer n.mu.Unlock(); return n.picture }

func (n *fakeNode) Postgres(context.Context) Postgres {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queries++
	return n.postgres
}

func (n *fakeNode) Changed() <-chan struct{} { n.mu.Lock(); defer n.mu.Unlock(); return n.changed }

func (n *fakeNode) Read(context.Context) (cluster.View, error) { return n.store, n.readErr }

func (n *fakeNode) RequestFailover(_ context.Context, f cluster.Failover) (int64, error) {
	return n.request(f)
}

func (n *fakeNode) ClearFailover(_ context.Context, modified int64) error { return n.clear(modified) }

func (n *fakeNode) Reload() { n.reloads++ }

// show gives the node a new view and tells those who wait.
func (n *fakeNode) show(v cluster.View) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.picture.View = &v
	close(n.changed)
	n.changed = make(chan struct{})
}

// peers are the members that can be promoted, by API URL.
type peers map[string]bool

func (p peers) Eligible(_ context.Context, url string) bool { return p[url] }

// view is a healthy cluster of three: n1 leads, n2 and n3 stream.
func view() cluster.View {
	return cluster.View{
		Revision: 100, Leader: cluster.Leader{Name: "n1"},
		Config: cluster.Config{Valid: true, Document: map[string]any{"ttl": json.Number("30")}},
		Status: cluster.Status{Known: true, Optime: 1000},
		Members: []cluster.Member{
			{Name: "n1", APIURL: "http://127.0.0.1:1/patroni", ConnURL: "postgres://127.0.0.1:5431/postgres", State: "running", Role: "primary", Timeline: 1, Location: 1000},
			{Name: "n2", APIURL: "http://127.0.0.2:1/patroni", ConnURL: "postgres://127.0.0.2:5432/postgres", State: "running", Role: "replica", Timeline: 1,
				ReplicationState: "streaming", Location: 900, ReceiveLSN: 900, ReplayLSN: 800},
			{Name: "n3", State: "creating replica", Role: "uninitialized"},
		},
	}
}

// primary is the node that leads; standby one that follows.
func primary() *fakeNode {
	v := view()
	return &fakeNode{store: v, changed: make(chan struct{}), picture: Picture{
		Scope: "demo", Name: "n1", Role: "primary", State: "running", LeaderUntil: noon.Add(time.Second), View: &v,
		Settings: cluster.DefaultSettings(), SystemID: "7711295878037623665", DCSLastSeen: noon, NextPass: noon,
	}, postgres: Postgres{Known: true, Version: 150020, Started: noon.Add(209995 * time.Microsecond), Timeline: 1, Location: 1000}}
}

func standby() *fakeNode {
	n := primary()
	n.picture.Name, n.picture.Role, n.picture.LeaderUntil = "n2", "replica", time.Time{}
	n.postgres.InRecovery, n.postgres.Location = true, 0
	n.postgres.Received, n.postgres.Replayed, n.postgres.ReplicationState = 900, 800, "streaming"
	return n
}

func syncStandby(mode string) *fakeNode {
	n := standby()
	n.picture.Settings.Synchronous = mode
	n.picture.View.Sync = cluster.Sync{Leader: "n1", Standbys: []string{"N2"}}
	return n
}

func standbyLeader() *fakeNode {
	n := standby()
	n.picture.Settings.StandbyCluster = true
	n.picture.Name, n.picture.Role, n.picture.LeaderUntil = "n1", "standby_leader", noon.Add(time.Second)
	return n
}

func newServer(t *testing.T, n Node, change ...func(*Options)) *Server {
	t.Helper()
	o := Options{Version: "4.1.4", Product: "Matriarch", Now: func() time.Time { return noon }}
	for _, f := range change {
		f(&o)
	}
	s, err := New(t.Context(), o, n, peers{"http://127.0.0.2:1/patroni": true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// call sends one request and returns the code and the body.
func call(s *Server, method, path, body string, change ...func(*http.Request)) (int, string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Length", "1") // the recorder's request has none otherwise
	}
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	data, _ := io.ReadAll(w.Result().Body)
	return w.Code, string(data)
}

// hungUp reports whether the connection would be closed without an answer.
func hungUp(f func()) (yes bool) {
	defer func() {
		fault := recover()
		err, _ := fault.(error)
		yes = errors.Is(err, http.ErrAbortHandler)
	}()
	f()
	return false
}

func lsn(n uint64) wal.LSN { return wal.LSN(n) }

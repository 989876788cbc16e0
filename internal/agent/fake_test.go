package agent

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
	memstore "matriarch/internal/dcs/memory"
	"matriarch/internal/ha"
	"matriarch/internal/wal"
)

const systemID = "7000000000000000001"

// fakeServer says what it was told to and writes down what it was asked to do.
type fakeServer struct {
	mu      sync.Mutex // held in each call but for observed
	seen    ha.Server
	job     ha.Job
	last    ha.Finished
	calls   []string
	fail    map[string]error
	changed chan struct{}
	log     ha.LeaderLog

	heldWrite bool // as told last

	observed func() // called by each look
	begun    func(ha.Action)
	killed   func()
}

// set changes what the server says, or reads what it was asked.
func (s *fakeServer) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *fakeServer) call(format string, args ...any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	s.calls = append(s.calls, text)
	return s.fail[text]
}

func (s *fakeServer) Observe(context.Context) ha.Server {
	if s.observed != nil {
		s.observed()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

func (s *fakeServer) Hold(_ context.Context, mayWrite bool) {
	s.set(func() { s.heldWrite = mayWrite })
}

func (s *fakeServer) Work(time.Time) (ha.Job, ha.Finished) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.job, s.last
}

func (s *fakeServer) Begin(work ha.Action) error {
	s.set(func() {
		if s.begun != nil {
			s.begun(work)
		}
	})
	return s.call("begin %s", name(work))
}

func (s *fakeServer) Cancel(why ha.Purpose) { _ = s.call("cancel %d", why) }

func (s *fakeServer) Kill() {
	s.set(func() {
		if s.killed != nil {
			s.killed()
		}
	})
	_ = s.call("kill")
}

func (s *fakeServer) Changed() <-chan struct{} { return s.changed }
func (s *fakeServer) Follow(_ context.Context, u ha.Upstream) error {
	return s.call("follow %s", u.Member)
}
func (s *fakeServer) SetStandbyNames(_ context.Context, n ha.SetStandbyNames) error {
	return s.call("standby names %q users %v", n.Value, n.Users)
}
func (s *fakeServer) ReadLog(context.Context, ha.Upstream) ha.LeaderLog { return s.log }
func (s *fakeServer) CreateSlot(_ context.Context, slot ha.CreateSlot) error {
	return s.call("create slot %s", slot.Name)
}
func (s *fakeServer) DropSlot(_ context.Context, name string) error {
	return s.call("drop slot %s", name)
}
func (s *fakeServer) AdvanceSlot(_ context.Context, a ha.AdvanceSlot) error {
	return s.call("advance slot %s", a.Name)
}
func (s *fakeServer) ProveSlots(ha.ProveSlots) { _ = s.call("prove slots") }
func (s *fakeServer) Checkpoint()              { _ = s.call("checkpoint") }
func (s *fakeServer) MakeSegment(wal.Point)    { _ = s.call("make segment") }
func (s *fakeServer) Configure(_ context.Context, d map[string]any) error {
	return s.call("configure %v", d["ttl"])
}
func (s *fakeServer) MoveAside(context.Context) error { return s.call("move aside") }

// fakePeers answers by a function.
type fakePeers func(context.Context, []cluster.Member) []ha.Peer

func (f fakePeers) Ask(ctx context.Context, members []cluster.Member) []ha.Peer {
	return f(ctx, members)
}

// node is an agent in a store of its own, with a running primary.
type node struct {
	*Agent
	t      *testing.T
	now    time.Time
	world  *memstore.Cluster
	store  *memstore.Node
	server *fakeServer
	right  *fakeRight
	logged *bytes.Buffer
}

func newNode(t *testing.T, change ...func(*Config)) *node {
	t.Helper()
	n := &node{t: t, now: time.Unix(1_900_000_000, 0), logged: &bytes.Buffer{}}
	n.world = memstore.New(func() time.Time { return n.now })
	n.store = n.world.Node("n1")
	n.server = &fakeServer{fail: map[string]error{}, changed: make(chan struct{}, 1), seen: ha.Server{
		Directory: ha.Data, SystemID: systemID, Running: true, Answering: true, Role: ha.Primary,
		End: wal.Point{Timeline: 1, LSN: 0x3000000}, CheckpointTimeline: 1,
	}}
	n.right = newFakeRight(n.store)
	cfg := Config{
		Me:      ha.Me{Name: "n1", ConnURL: "postgres://n1:5432/postgres", APIURL: "http://n1:8008/patroni", Version: "4.1.4", MayBootstrap: true},
		Dynamic: map[string]any{"ttl": 30, "loop_wait": 10, "retry_timeout": 10},
		Store:   n.store, Server: n.server, Right: n.right, Logger: slog.New(slog.NewTextHandler(n.logged, nil)), Now: func() time.Time { return n.now },
		Peers: fakePeers(func(context.Context, []cluster.Member) []ha.Peer { return nil }),
	}
	for _, c := range change {
		c(&cfg)
	}
	n.Agent = New(cfg)
	return n
}

// step makes one pass, a little later than the last.
func (n *node) step() (ha.Plan, error) {
	n.now = n.now.Add(10 * time.Millisecond)
	return n.Step(n.t.Context(), n.now)
}

// settle makes passes until one has nothing to do.
func (n *node) settle() {
	n.t.Helper()
	for range 20 {
		plan, err := n.step()
		if err == nil && len(plan.Do) == 0 {
			n.server.calls = nil
			return
		}
	}
	n.t.Fatalf("not settled: %v", n.server.calls)
}

func (n *node) put(key, value string) {
	n.t.Helper()
	if _, err := n.world.Node("operator").Commit(n.t.Context(), dcs.Txn{Then: []dcs.Op{{Key: key, Data: []byte(value)}}}); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) stored(key string) string { return string(n.world.Snapshot().Values[key].Data) }

func (n *node) called(want ...string) {
	n.t.Helper()
	n.server.set(func() {
		if !slices.Equal(n.server.calls, want) {
			n.t.Errorf("called %q, want %q", n.server.calls, want)
		}
		n.server.calls = nil
	})
}

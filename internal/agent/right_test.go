package agent

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
	"matriarch/internal/ha"
	"matriarch/internal/wal"
)

// fakeRight goes by the leader key alone: whoever has it leads, and it is free when
// it is absent.
type fakeRight struct {
	mu      sync.Mutex
	store   dcs.Store
	changed chan struct{}
	leading bool
	length  time.Duration // of the permit
	unarmed bool          // the electorate says so
	off     bool          // no guard
	mixed   bool          // Patroni's members are there
	bound   bool          // by a promise not to take over
	known   Knowledge
	calls   []string
	passed  int
}

func newFakeRight(store dcs.Store) *fakeRight {
	return &fakeRight{store: store, changed: make(chan struct{}, 1), length: time.Second}
}

func (r *fakeRight) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

func (r *fakeRight) leader() string {
	snapshot, _ := r.store.Mirror()
	return string(snapshot.Values[dcs.KeyLeader].Data)
}

func (r *fakeRight) See() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.leading {
		return
	}
	switch key := r.leader(); key {
	case "n1": // moved to the present lease
		snapshot, _ := r.store.Mirror()
		if snapshot.Values[dcs.KeyLeader].Lease != r.store.Lease().ID {
			r.put()
		}
	case "":
		r.leading = false
	default:
		r.leading = false
	}
}

func (r *fakeRight) put() {
	_, err := r.store.Commit(context.Background(), dcs.Txn{Then: []dcs.Op{{Key: dcs.KeyLeader, Data: []byte("n1"), Leased: true}}})
	r.leading = err == nil
}

func (r *fakeRight) State(time.Time) ha.Right {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := ha.Right{Leading: r.leading, Guarded: !r.off, FreeIn: ha.Idle, Mixed: r.mixed, Unarmed: r.unarmed}
	switch {
	case r.leading:
		s.Left, s.MayPromote = r.length, r.length > 0
	case r.bound:
	case r.leader() == "", r.leader() == "n1":
		s.Free, s.FreeIn, s.FreeFor = true, 0, time.Hour
	}
	return s
}

func (r *fakeRight) Know(k Knowledge) { r.set(func() { r.known = k }) }
func (r *fakeRight) Passed()          { r.set(func() { r.passed++ }) }

func (r *fakeRight) Changed() <-chan struct{} { return r.changed }

func (r *fakeRight) Stand(int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, "stand")
	if r.store.Lease().ID == 0 {
		_, _, _ = r.store.Renew(context.Background(), 30*time.Second)
	}
	r.put()
	r.tell()
}

func (r *fakeRight) Release(also []dcs.Op) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, "release")
	_, _ = r.store.Commit(context.Background(), dcs.Txn{Then: append([]dcs.Op{{Key: dcs.KeyLeader, Delete: true}}, also...)})
	r.leading = false
	r.tell()
}

func (r *fakeRight) tell() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func TestTheRightIsToldWhatItHangsOn(t *testing.T) {
	n := newNode(t)
	n.settle()
	member := func(name, more string) {
		n.put("members/"+name, `{"conn_url":"postgres://x:5432/postgres","api_url":"http://x:8008/patroni","state":"running","role":"replica"`+more+`}`)
	}
	member("n2", `,"permit":true`)
	member("n3", `,"permit":true,"tags":{"nofailover":true}`)
	n.put(dcs.KeyConfig, `{"ttl":60,"permit":0.4,"postgresql":{"use_slots":false}}`)
	n.settle()
	want := Knowledge{Permit: 400 * time.Millisecond, TTL: time.Minute, Members: []string{"n2"}, Position: wal.Point{Timeline: 1, LSN: 0x3000000}}
	same := func(a, b Knowledge) bool {
		members := slices.Equal(a.Members, b.Members)
		return members && a.Permit == b.Permit && a.TTL == b.TTL && a.Mixed == b.Mixed && a.Position == b.Position
	}
	if got := n.right.known; !same(got, want) {
		t.Errorf("told %+v, want %+v", got, want)
	}
	member("n4", "") // Patroni's
	n.settle()
	if want.Mixed = true; !same(n.right.known, want) {
		t.Errorf("told %+v, want %+v", n.right.known, want)
	}
	passed := n.right.passed
	n.server.fail["configure 61"] = context.DeadlineExceeded
	n.put(dcs.KeyConfig, `{"ttl":61}`)
	if _, err := n.step(); n.right.passed != passed+1 {
		t.Errorf("a pass that ends with %v: %d passes told, %d before", err, n.right.passed, passed)
	}
}

func TestALeadThatIsGivenUpLeavesTheLastPosition(t *testing.T) {
	n := newNode(t)
	n.settle()
	o := n.Latest().Observation
	o.Store.View.Status = cluster.Status{Known: true, Optime: 5, Slots: map[string]wal.LSN{"n2": 4}, Retain: []string{"n3"}}
	if err := n.do(t.Context(), n.now, o, ha.Release{Optime: 9}); err != nil {
		t.Fatal(err)
	}
	if got := n.stored(dcs.KeyStatus); n.stored(dcs.KeyLeader) != "" || got != `{"optime":9,"slots":{"n2":4},"retain_slots":["n3"]}` {
		t.Errorf("leader %q, status %s", n.stored(dcs.KeyLeader), got)
	}
	if n.memory.released.IsZero() {
		t.Error("it is not remembered")
	}
	before := n.stored(dcs.KeyStatus)
	if err := n.do(t.Context(), n.now, o, ha.Release{}); err != nil || n.stored(dcs.KeyStatus) != before {
		t.Errorf("error %v, status %s", err, n.stored(dcs.KeyStatus))
	}
}

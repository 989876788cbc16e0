package memory

import (
	"errors"
	"testing"
	"time"

	"matriarch/internal/dcs"
	"matriarch/internal/dcs/dcstest"
)

// clock is virtual time.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func start() (*Cluster, *clock) {
	c := &clock{at: time.Unix(1000, 0)}
	return New(c.now), c
}

func TestContract(t *testing.T) {
	dcstest.Run(t, func(*testing.T) dcstest.Harness {
		cluster, clock := start()
		return dcstest.Harness{
			Open:    func(name string) dcs.Store { return cluster.Node(name) },
			Stop:    func() { cluster.SetDown(true) },
			Start:   func() { cluster.SetDown(false) },
			Advance: func(d time.Duration) { clock.at = clock.at.Add(d) },
			Now:     clock.now,
		}
	})
}

func put(key, value string) dcs.Txn {
	return dcs.Txn{Then: []dcs.Op{{Key: key, Data: []byte(value)}}}
}

func woken(n *Node) bool {
	select {
	case <-n.Changed():
		return true
	default:
		return false
	}
}

func mustCommit(t *testing.T, n *Node, txn dcs.Txn) {
	t.Helper()
	if _, err := n.Commit(t.Context(), txn); err != nil {
		t.Fatal(err)
	}
}

func TestLostAnswerIsAppliedAllTheSame(t *testing.T) {
	cluster, _ := start()
	n1, n2 := cluster.Node("n1"), cluster.Node("n2")
	n1.SetFaults(Faults{LoseAnswers: true})
	if _, err := n1.Commit(t.Context(), put("a", "1")); !errors.Is(err, ErrNoAnswer) {
		t.Fatalf("got %v", err)
	}
	if s, _ := n2.Mirror(); string(s.Values["a"].Data) != "1" {
		t.Error("the write was not applied")
	}
	if s, current := n1.Mirror(); current || len(s.Values) > 0 {
		t.Errorf("the deaf node's mirror: current %v, %v", current, s.Values)
	}
	if _, _, err := n1.Renew(t.Context(), time.Second); err == nil || n1.Lease().ID != 0 {
		t.Errorf("a lease without an answer: %+v, %v", n1.Lease(), err)
	}
	n1.SetFaults(Faults{})
	if s, current := n1.Mirror(); !current || string(s.Values["a"].Data) != "1" {
		t.Errorf("after the fault: current %v, %v", current, s.Values)
	}
}

func TestDownNodeAppliesNothing(t *testing.T) {
	cluster, _ := start()
	n1, n2 := cluster.Node("n1"), cluster.Node("n2")
	woken(n1)
	n1.SetFaults(Faults{Down: true})
	if !woken(n1) {
		t.Error("losing the store did not wake")
	}
	if _, err := n1.Commit(t.Context(), put("a", "1")); !errors.Is(err, ErrNoAnswer) {
		t.Fatalf("got %v", err)
	}
	if s := cluster.Snapshot(); len(s.Values) > 0 {
		t.Error("the write was applied")
	}
	mustCommit(t, n2, put("b", "2"))
	if woken(n1) {
		t.Error("a node that is cut off was woken by a write")
	}
}

func TestLateWatchHidesOthersAndShowsOwn(t *testing.T) {
	cluster, _ := start()
	n1, n2 := cluster.Node("n1"), cluster.Node("n2")
	n1.SetFaults(Faults{LateWatch: true})
	mustCommit(t, n2, put("theirs", "1"))
	mustCommit(t, n1, put("own", "1"))
	s, current := n1.Mirror()
	if _, there := s.Values["theirs"]; there || !current || s.Values["own"].Modified == 0 {
		t.Errorf("current %v, %v", current, s.Values)
	}
	n1.SetFaults(Faults{})
	if s, _ := n1.Mirror(); s.Values["theirs"].Modified == 0 {
		t.Error("the watch did not catch up")
	}
}

func TestWakesOnlyOnChange(t *testing.T) {
	cluster, clock := start()
	n1, n2 := cluster.Node("n1"), cluster.Node("n2")
	woken(n1)
	woken(n2)
	if _, _, err := n2.Renew(t.Context(), 2*time.Second); err != nil {
		t.Fatal(err)
	}
	if woken(n1) {
		t.Error("another node's lease woke")
	}
	txn := put("members/n2", "x")
	txn.Then[0].Leased = true
	mustCommit(t, n2, txn)
	if !woken(n1) {
		t.Error("a write did not wake")
	}
	next, ok := cluster.NextExpiry()
	if !ok || !next.Equal(clock.at.Add(2*time.Second)) {
		t.Errorf("next expiry %v, %v", next, ok)
	}
	clock.at = next
	cluster.Expire()
	if s, _ := n1.Mirror(); !woken(n1) || len(s.Values) > 0 {
		t.Error("the lease's end did not wake or left its key")
	}
	if _, ok := cluster.NextExpiry(); ok {
		t.Error("a lease is left")
	}
}

func TestOutageGivesLeasesTheirWholeLifeAnew(t *testing.T) {
	cluster, clock := start()
	n1 := cluster.Node("n1")
	if _, _, err := n1.Renew(t.Context(), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	cluster.SetDown(true)
	clock.at = clock.at.Add(time.Minute)
	cluster.SetDown(false)
	if next, ok := cluster.NextExpiry(); !ok || !next.Equal(clock.at.Add(10*time.Second)) {
		t.Errorf("next expiry %v, %v", next, ok)
	}
}

// Package dcstest is the contract of dcs.Store as a test suite, run alike
// against every implementation: the simulator is only worth what its store has
// in common with etcd.
package dcstest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"matriarch/internal/dcs"
)

// Harness is one fresh, empty store under test.
type Harness struct {
	// Open gives the named node's store. All nodes share one prefix.
	Open func(name string) dcs.Store
	// Stop takes the store away from every node; Start brings it back with what
	// it held.
	Stop, Start func()
	// Advance lets time pass; nil where the store goes by the wall clock.
	Advance func(time.Duration)
	// Now is the clock of Lease.Sent.
	Now func() time.Time
}

// patience is how long anything may take on a busy machine.
const patience = 20 * time.Second

// longTTL does not end within a test, shortTTL is soon over.
const (
	longTTL  = 60 * time.Second
	shortTTL = 2 * time.Second
)

// Run runs the contract. open starts a store and registers its end with t.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Harness)
	}{
		{"a condition that holds lets the transaction through, one that does not refuses it whole", conditions},
		{"a transaction is checked even when it writes nothing", onlyChecks},
		{"of many takers of one absent key one wins", race},
		{"an own write is in the mirror when the call returns", ownWrites},
		{"a write of another node wakes and shows", wakes},
		{"created and modified revisions and leases are told as they are", metadata},
		{"a leased put without a lease is refused", noLease},
		{"a lease that ends takes its keys along", expiry},
		{"a renewed lease keeps its keys, a changed ttl makes a new one", renew},
		{"sent is not after the answer nor before the call", sent},
		{"a store that is gone is no answer and no currency, and both return", outage},
		{"a closed store says so", closed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

func conditions(t *testing.T, h Harness) {
	s := h.Open("n1")
	first := commit(t, s, put("a", "1").when(absent("a")))
	for _, c := range []struct {
		name string
		when dcs.Condition
		want error
	}{
		{"absent, but there", absent("a"), dcs.ErrConflict},
		{"absent and so", absent("b"), nil},
		{"equal", dcs.Condition{Key: "a", Equals: []byte("1")}, nil},
		{"not equal", dcs.Condition{Key: "a", Equals: []byte("2")}, dcs.ErrConflict},
		{"equal to nothing, but there", dcs.Condition{Key: "a", Equals: []byte{}}, dcs.ErrConflict},
		{"equal, but not there", dcs.Condition{Key: "b", Equals: []byte("1")}, dcs.ErrConflict},
		{"at its revision", dcs.Condition{Key: "a", Modified: first}, nil},
		{"at another revision", dcs.Condition{Key: "a", Modified: first + 100}, dcs.ErrConflict},
		{"at a revision, but not there", dcs.Condition{Key: "b", Modified: first}, dcs.ErrConflict},
		{"at no revision and not there", dcs.Condition{Key: "b"}, nil},
	} {
		txn := put("probe/"+c.name, "x").and(put("other/"+c.name, "y")).when(absent("never"), c.when)
		_, err := s.Commit(deadline(t), txn.Txn)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
		snapshot, _ := s.Mirror()
		for _, key := range []string{"probe/" + c.name, "other/" + c.name} {
			if _, there := snapshot.Values[key]; there != (c.want == nil) {
				t.Errorf("%s: %s there: %v", c.name, key, there)
			}
		}
	}
}

func onlyChecks(t *testing.T, h Harness) {
	s := h.Open("n1")
	revision := commit(t, s, put("a", "1"))
	got := commit(t, s, txn{}.when(dcs.Condition{Key: "a", Modified: revision}))
	if got < revision {
		t.Errorf("revision %d is before that of the write, %d", got, revision)
	}
	if _, err := s.Commit(deadline(t), txn{}.when(absent("a")).Txn); !errors.Is(err, dcs.ErrConflict) {
		t.Errorf("got %v, want a conflict", err)
	}
}

func race(t *testing.T, h Harness) {
	names := []string{"n1", "n2", "n3"}
	results := make(chan error, len(names))
	var stores []dcs.Store
	for _, name := range names {
		stores = append(stores, h.Open(name))
	}
	ctx := deadline(t)
	for i, s := range stores {
		go func() {
			_, err := s.Commit(ctx, put("leader", names[i]).when(absent("leader")).Txn)
			results <- err
		}()
	}
	won := 0
	for range names {
		switch err := <-results; {
		case err == nil:
			won++
		case !errors.Is(err, dcs.ErrConflict):
			t.Errorf("got %v, want a conflict", err)
		}
	}
	if won != 1 {
		t.Errorf("%d won", won)
	}
	// The answer of a loser shows the winner without waiting for the watch.
	for i, s := range stores {
		if snapshot, _ := s.Mirror(); len(snapshot.Values["leader"].Data) == 0 {
			t.Errorf("%s does not see who won", names[i])
		}
	}
}

func ownWrites(t *testing.T, h Harness) {
	s := h.Open("n1")
	for _, value := range []string{"1", "2", "3"} {
		revision := commit(t, s, put("a", value).and(put("gone", value)))
		snapshot, current := s.Mirror()
		if got := string(snapshot.Values["a"].Data); got != value || !current && snapshot.Revision < revision {
			t.Fatalf("mirror has %q at %d, want %q of %d", got, snapshot.Revision, value, revision)
		}
		commit(t, s, remove("gone"))
		if snapshot, _ := s.Mirror(); len(snapshot.Values["gone"].Data) > 0 {
			t.Fatal("a deleted key is still in the mirror")
		}
	}
	held, _ := s.Mirror()
	commit(t, s, put("a", "4"))
	if got := string(held.Values["a"].Data); got != "3" {
		t.Errorf("a snapshot that was handed out changed: %q", got)
	}
}

func wakes(t *testing.T, h Harness) {
	n1, n2 := h.Open("n1"), h.Open("n2")
	await(t, n2, "currency", func(_ dcs.Snapshot, current bool) bool { return current })
	drain(n2)
	commit(t, n1, put("status", "{}"))
	await(t, n2, "status", func(s dcs.Snapshot, _ bool) bool { return string(s.Values["status"].Data) == "{}" })
	commit(t, n1, remove("status"))
	await(t, n2, "no status", func(s dcs.Snapshot, _ bool) bool { return s.Values["status"].Data == nil })
	revision := commit(t, n1, put("members/n1", "x"))
	snapshot, err := n2.Read(deadline(t))
	if err != nil || snapshot.Revision < revision || string(snapshot.Values["members/n1"].Data) != "x" {
		t.Errorf("read %v at %d, want what was written at %d; %v", snapshot.Values, snapshot.Revision, revision, err)
	}
	if mirror, _ := n2.Mirror(); mirror.Revision < revision {
		t.Errorf("the mirror at %d is behind the read", mirror.Revision)
	}
}

func metadata(t *testing.T, h Harness) {
	n1, n2 := h.Open("n1"), h.Open("n2")
	lease, _, err := n1.Renew(deadline(t), longTTL)
	if err != nil {
		t.Fatal(err)
	}
	created := commit(t, n1, put("a", "1"))
	modified := commit(t, n1, put("a", "2").leased())
	want := dcs.Value{Data: []byte("2"), Created: created, Modified: modified, Lease: lease.ID}
	is := func(s dcs.Snapshot, _ bool) bool {
		v := s.Values["a"]
		return string(v.Data) == "2" && v.Created == want.Created && v.Modified == want.Modified && v.Lease == want.Lease
	}
	if snapshot, _ := n1.Mirror(); !is(snapshot, true) {
		t.Errorf("own mirror has %+v, want %+v", snapshot.Values["a"], want)
	}
	await(t, n2, "the key as it is", is)
	snapshot, err := n2.Read(deadline(t))
	if err != nil || !is(snapshot, true) {
		t.Errorf("read %+v, want %+v; %v", snapshot.Values["a"], want, err)
	}
}

func closed(t *testing.T, h Harness) {
	s := h.Open("n1")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := s.Commit(deadline(t), put("a", "1").Txn)
	wantClosed(t, "commit", err)
	_, err = s.Read(deadline(t))
	wantClosed(t, "read", err)
	_, _, err = s.Renew(deadline(t), longTTL)
	wantClosed(t, "renew", err)
	if _, current := s.Mirror(); current {
		t.Error("a closed store's mirror counts as current")
	}
	again := h.Open("n1")
	commit(t, again, put("a", "1").when(absent("a")))
}

func wantClosed(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, dcs.ErrClosed) {
		t.Errorf("%s after close: got %v", what, err)
	}
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// commit applies what must be applied.
func commit(t *testing.T, s dcs.Store, x txn) int64 {
	t.Helper()
	revision, err := s.Commit(deadline(t), x.Txn)
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return revision
}

// await waits for a condition of the mirror, woken by Changed alone.
func await(t *testing.T, s dcs.Store, what string, holds func(dcs.Snapshot, bool) bool) {
	t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		snapshot, current := s.Mirror()
		if holds(snapshot, current) {
			return
		}
		select {
		case <-s.Changed():
		case <-end.C:
			t.Fatalf("waited %v for %s; last seen: current %v, %s", patience, what, current, text(snapshot))
		}
	}
}

func drain(s dcs.Store) {
	select {
	case <-s.Changed():
	default:
	}
}

func text(s dcs.Snapshot) string {
	var b strings.Builder
	for key, v := range s.Values {
		b.WriteString(key + "=" + string(v.Data) + " ")
	}
	return b.String()
}

// RunOutage runs only the part of the contract that is about a store that goes
// away, for further ways of going away.
func RunOutage(t *testing.T, open func(t *testing.T) Harness) { outage(t, open(t)) }

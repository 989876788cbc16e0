package dcstest

import (
	"context"
	"errors"
	"testing"
	"time"

	"matriarch/internal/dcs"
)

func noLease(t *testing.T, h Harness) {
	s := h.Open("n1")
	_, err := s.Commit(deadline(t), put("leader", "n1").leased().Txn)
	if !errors.Is(err, dcs.ErrNoLease) {
		t.Fatalf("got %v, want no lease", err)
	}
	if lease := s.Lease(); lease.ID != 0 || !lease.Deadline().IsZero() {
		t.Errorf("a lease out of nowhere: %+v", lease)
	}
	if _, _, err := s.Renew(deadline(t), longTTL); err != nil {
		t.Fatal(err)
	}
	commit(t, s, put("leader", "n1").leased())
}

func expiry(t *testing.T, h Harness) {
	n1, n2 := h.Open("n1"), h.Open("n2")
	lease, fresh, err := n1.Renew(deadline(t), shortTTL)
	if err != nil || !fresh || lease.TTL != shortTTL {
		t.Fatalf("got %+v, fresh %v, %v", lease, fresh, err)
	}
	commit(t, n1, put("leader", "n1").leased().and(put("stays", "1")))
	await(t, n2, "the leader", func(s dcs.Snapshot, _ bool) bool { return s.Values["leader"].Lease == lease.ID })
	if h.Advance != nil {
		h.Advance(shortTTL + time.Second)
		n1.Mirror() // virtual time is looked at when somebody calls
	}
	await(t, n2, "the leader's end", func(s dcs.Snapshot, _ bool) bool { return s.Values["leader"].Data == nil })
	if snapshot, _ := n2.Mirror(); string(snapshot.Values["stays"].Data) != "1" {
		t.Error("a key without a lease went too")
	}
	// The store has forgotten the lease; this node does not know it yet.
	if _, err := n1.Commit(deadline(t), put("leader", "n1").leased().Txn); !errors.Is(err, dcs.ErrNoLease) {
		t.Errorf("put under an ended lease: got %v", err)
	}
	next, fresh, err := n1.Renew(deadline(t), shortTTL)
	if err != nil || !fresh || next.ID == lease.ID {
		t.Errorf("renewed to %+v, fresh %v, %v", next, fresh, err)
	}
	commit(t, n1, put("leader", "n1").leased())
}

func renew(t *testing.T, h Harness) {
	s := h.Open("n1")
	first, fresh, err := s.Renew(deadline(t), longTTL)
	if err != nil || !fresh {
		t.Fatalf("first: fresh %v, %v", fresh, err)
	}
	second, fresh, err := s.Renew(deadline(t), longTTL)
	if err != nil || fresh || second.ID != first.ID || second.Sent.Before(first.Sent) {
		t.Errorf("second: %+v after %+v, fresh %v, %v", second, first, fresh, err)
	}
	if got := s.Lease(); got != second {
		t.Errorf("the store tells %+v, renewed was %+v", got, second)
	}
	drain(s)
	other, fresh, err := s.Renew(deadline(t), longTTL+time.Second)
	if err != nil || !fresh || other.ID == first.ID || other.TTL != longTTL+time.Second {
		t.Errorf("other ttl: %+v, fresh %v, %v", other, fresh, err)
	}
	select {
	case <-s.Changed():
	default:
		t.Error("a new lease did not wake")
	}
}

func sent(t *testing.T, h Harness) {
	s := h.Open("n1")
	for range 3 {
		before := h.Now()
		lease, _, err := s.Renew(deadline(t), longTTL)
		if err != nil {
			t.Fatal(err)
		}
		if lease.Sent.Before(before) || lease.Sent.After(h.Now()) {
			t.Errorf("sent %v, called at %v", lease.Sent, before)
		}
		if want := lease.Sent.Add(longTTL); !lease.Deadline().Equal(want) {
			t.Errorf("deadline %v, want %v", lease.Deadline(), want)
		}
	}
}

func outage(t *testing.T, h Harness) {
	n1, n2 := h.Open("n1"), h.Open("n2")
	lease, _, err := n1.Renew(deadline(t), longTTL)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, n1, put("leader", "n1").leased())
	await(t, n2, "the leader", func(s dcs.Snapshot, current bool) bool { return current && s.Values["leader"].Data != nil })

	h.Stop()
	for _, s := range []dcs.Store{n1, n2} {
		await(t, s, "loss of currency", func(_ dcs.Snapshot, current bool) bool { return !current })
	}
	// Each has time of its own: an ended context would be an error as well.
	for _, call := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"commit", func(ctx context.Context) error {
			_, err := n1.Commit(ctx, put("a", "1").when(absent("a")).Txn)
			return err
		}},
		{"read", func(ctx context.Context) error { _, err := n1.Read(ctx); return err }},
		{"renew", func(ctx context.Context) error { _, _, err := n1.Renew(ctx, longTTL); return err }},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		wantUnknown(t, call.name, call.do(ctx))
		cancel()
	}
	if got := n1.Lease(); got != lease {
		t.Errorf("no answer changed the lease from %+v to %+v", lease, got)
	}
	if snapshot, _ := n2.Mirror(); string(snapshot.Values["leader"].Data) != "n1" {
		t.Error("the mirror lost what it had")
	}

	h.Start()
	for _, s := range []dcs.Store{n1, n2} {
		await(t, s, "currency", func(_ dcs.Snapshot, current bool) bool { return current })
	}
	commit(t, n1, put("b", "2").leased())
	await(t, n2, "a write after the outage", func(s dcs.Snapshot, _ bool) bool { return s.Values["b"].Data != nil })
	if got, fresh, err := n1.Renew(deadline(t), longTTL); err != nil || fresh || got.ID != lease.ID {
		t.Errorf("renewed to %+v, fresh %v, %v", got, fresh, err)
	}
}

// wantUnknown: neither done nor refused.
func wantUnknown(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil || errors.Is(err, dcs.ErrConflict) || errors.Is(err, dcs.ErrNoLease) || errors.Is(err, dcs.ErrClosed) {
		t.Errorf("%s without a store: got %v, want no answer", what, err)
	}
}

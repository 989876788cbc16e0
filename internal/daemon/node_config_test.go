package daemon

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"matriarch/internal/api"
	"matriarch/internal/dcs"
	"matriarch/internal/dcs/memory"
)

func TestConfigIsSwappedByRevision(t *testing.T) {
	now := time.Unix(1_900_000_000, 0)
	store := memory.New(func() time.Time { return now })
	times := newStoreTimes()
	n := &node{store: timedStore{store.Node("n1"), times}}
	stored := func() dcs.Value { return store.Snapshot().Values[dcs.KeyConfig] }

	if err := n.SwapConfig(t.Context(), 0, map[string]any{"ttl": 30}); err != nil {
		t.Fatal(err)
	}
	first := stored()
	if string(first.Data) != `{"ttl":30}` || first.Lease != 0 {
		t.Fatalf("stored %q under lease %d", first.Data, first.Lease)
	}
	for _, revision := range []int64{0, first.Modified - 1, first.Modified + 1} {
		if err := n.SwapConfig(t.Context(), revision, map[string]any{"ttl": 40}); !errors.Is(err, api.ErrConflict) {
			t.Errorf("at revision %d, while it is at %d: %v, want a conflict", revision, first.Modified, err)
		}
	}
	if err := n.SwapConfig(t.Context(), first.Modified, map[string]any{"ttl": 20}); err != nil || string(stored().Data) != `{"ttl":20}` {
		t.Errorf("stored %q, %v", stored().Data, err)
	}
	if err := n.PutConfig(t.Context(), map[string]any{"ttl": 25, "pause": nil}); err != nil || string(stored().Data) != `{"pause":null,"ttl":25}` {
		t.Errorf("stored %q, %v", stored().Data, err)
	}
	store.SetDown(true)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for what, err := range map[string]error{"swap": n.SwapConfig(ctx, stored().Modified, nil), "put": n.PutConfig(ctx, nil)} {
		if err == nil || errors.Is(err, api.ErrConflict) {
			t.Errorf("%s without the store: %v, want that nothing is known", what, err)
		}
	}
	got := string(api.PrintMetrics(nil, times.metrics()...))
	for _, want := range []string{
		`matriarch_store_requests_total{request="commit",outcome="ok"} 3`, `matriarch_store_requests_total{request="commit",outcome="no"} 3`,
		`matriarch_store_requests_total{request="commit",outcome="unknown"} 2`, `matriarch_store_requests_total{request="renew",outcome="ok"} 0`,
		`matriarch_store_request_seconds_count{request="commit"} 8`, `matriarch_store_request_seconds_count{request="read"} 0`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("%s is not in\n%s", want, got)
		}
	}
}

func TestTimedStorePassesOn(t *testing.T) {
	store := timedStore{memory.New(time.Now).Node("n1"), newStoreTimes()}
	if _, err := store.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	lease, fresh, err := store.Renew(t.Context(), 30*time.Second)
	if err != nil || !fresh || lease.ID == 0 || store.Lease().ID != lease.ID {
		t.Errorf("got %+v, %v, %v", lease, fresh, err)
	}
	if _, err := store.Commit(t.Context(), dcs.Txn{Then: []dcs.Op{{Key: "x", Data: []byte("1")}}}); err != nil {
		t.Fatal(err)
	}
	if snapshot, current := store.Mirror(); !current || string(snapshot.Values["x"].Data) != "1" {
		t.Errorf("the mirror holds %+v, current %v", snapshot, current)
	}
}

package daemon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"matriarch/internal/agent"
	"matriarch/internal/api"
	"matriarch/internal/boottime"
	"matriarch/internal/dcs"
	"matriarch/internal/dcs/memory"
	"matriarch/internal/ha"
	"matriarch/internal/permit"
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

// TestMetricsOfANode makes sure that each source is among them.
func TestMetricsOfANode(t *testing.T) {
	store := memory.New(time.Now).Node("n1")
	log := slog.New(slog.DiscardHandler)
	n := &node{times: newStoreTimes(), tally: newTally(), hands: &hands{keeper: newTestKeeper(t, shortDir(t))}, right: &right{pulse: newPulse(nil, boottime.Now)}}
	n.store = timedStore{store, n.times}
	n.right.runner = permit.NewRunner(permit.RunnerOptions{Me: "n1", Length: time.Second, TTL: time.Minute, Store: n.store, Now: boottime.Now,
		Instant: boottime.NewClock().Instant, Log: log})
	n.agent = agent.New(agent.Config{Me: ha.Me{Name: "n1"}, Store: n.store, Logger: log, Now: time.Now})
	if _, err := n.store.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range n.Metrics() {
		names = append(names, m.Name)
		if m.Help == "" || m.Kind == "" || !strings.HasPrefix(m.Name, "matriarch_") || (m.Kind == api.Counter) != strings.HasSuffix(m.Name, "_total") {
			t.Errorf("%s is a %q: %s", m.Name, m.Kind, m.Help)
		}
		if again := slices.Index(names, m.Name); again != len(names)-1 {
			t.Errorf("%s comes twice", m.Name)
		}
	}
	for _, want := range []string{"matriarch_leading", "matriarch_permit_left_seconds", "matriarch_guard", "matriarch_freezes_total",
		"matriarch_heartbeat_seconds", "matriarch_store_request_seconds", "matriarch_lead_won_total", "matriarch_work_seconds"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not among %q", want, names)
		}
	}
	if got := string(api.PrintMetrics(nil, n.Metrics()...)); !strings.Contains(got, `matriarch_store_requests_total{request="read",outcome="ok"} 1`+"\n") {
		t.Errorf("the read is not counted in\n%s", got)
	}
}

package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	"matriarch/internal/api"
	"matriarch/internal/boottime"
	"matriarch/internal/dcs"
)

// timedStore measures the requests that go to the store.
type timedStore struct {
	dcs.Store
	*storeTimes
}

// storeTimes are what was measured of all requests to the store since the start.
type storeTimes struct {
	latency map[string]*api.Histogram // by request

	mu       sync.Mutex
	requests map[storeRequest]uint64
}

// storeRequest is a kind of request and what came of it: ok, no (the store answered
// that a condition does not hold) or unknown (there was no answer).
type storeRequest struct{ request, outcome string }

var storeRequests = []string{"commit", "read", "renew"}

func newStoreTimes() *storeTimes {
	s := &storeTimes{latency: map[string]*api.Histogram{}, requests: map[storeRequest]uint64{}}
	for _, name := range storeRequests {
		s.latency[name] = api.NewHistogram(storeLimits...)
	}
	return s
}

var storeLimits = []time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second,
}

// Read is that of the store.
func (s timedStore) Read(ctx context.Context) (out dcs.Snapshot, err error) {
	began := boottime.Now()
	out, err = s.Store.Read(ctx)
	s.note("read", began, err)
	return out, err
}

// Renew is that of the store.
func (s timedStore) Renew(ctx context.Context, ttl time.Duration) (lease dcs.Lease, fresh bool, err error) {
	began := boottime.Now()
	lease, fresh, err = s.Store.Renew(ctx, ttl)
	s.note("renew", began, err)
	return lease, fresh, err
}

// Commit is that of the store.
func (s timedStore) Commit(ctx context.Context, txn dcs.Txn) (revision int64, err error) {
	began := boottime.Now()
	revision, err = s.Store.Commit(ctx, txn)
	s.note("commit", began, err)
	return revision, err
}

func (s *storeTimes) note(request string, began boottime.Instant, err error) {
	outcome := "ok"
	switch {
	case errors.Is(err, dcs.ErrConflict), errors.Is(err, dcs.ErrNoLease):
		outcome = "no"
	case err != nil:
		outcome = "unknown"
	}
	s.latency[request].Observe(boottime.Now().Sub(began))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[storeRequest{request, outcome}]++
}

func (s *storeTimes) metrics() []api.Metric {
	latency := api.Metric{Name: "matriarch_store_request_seconds", Kind: api.HistogramKind, Help: "How long requests to the store took."}
	count := api.Metric{Name: "matriarch_store_requests_total", Kind: api.Counter, Help: "Requests to the store: ok, no (a condition did not hold), unknown (no answer)."}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, request := range storeRequests {
		label := api.Label{Name: "request", Value: request}
		latency.Samples = append(latency.Samples, api.Sample{Labels: []api.Label{label}, Histogram: s.latency[request]})
		for _, outcome := range []string{"ok", "no", "unknown"} {
			count.Samples = append(count.Samples, api.Sample{Labels: []api.Label{label, {Name: "outcome", Value: outcome}},
				Value: float64(s.requests[storeRequest{request, outcome}])})
		}
	}
	return []api.Metric{latency, count}
}

var _ dcs.Store = timedStore{}

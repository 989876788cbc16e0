package daemon

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"matriarch/internal/agent"
	"matriarch/internal/api"
	"matriarch/internal/cluster"
	"matriarch/internal/ha"
)

// tally counts what the agent's passes came to: the lead won and lost, and the long
// work on the server. It looks on; a pass that it misses is one after which nothing
// had changed that another one does not show as well.
type tally struct {
	mu      sync.Mutex
	begun   bool // something was seen before
	leading bool
	request cluster.Failover // what was last asked for while another one led
	before  ha.Reason        // of the last pass that led
	works   int              // that had ended
	working time.Time        // since when work was under way; zero: none was

	won  map[string]uint64    // by how
	lost map[ha.Reason]uint64 // by why
	took map[ended]*api.Histogram
}

// ended is a kind of work and whether it failed.
type ended struct {
	work   ha.Work
	failed bool
}

func newTally() *tally {
	return &tally{won: map[string]uint64{}, lost: map[ha.Reason]uint64{}, took: map[ended]*api.Histogram{}}
}

// watch looks at every pass until ctx ends.
func (t *tally) watch(ctx context.Context, a *agent.Agent) {
	for {
		changed := a.Changed() // before the report, or a pass in between is missed
		t.see(a.Latest())
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// see takes in what a pass saw and decided.
func (t *tally) see(r agent.Report) {
	if r.At.IsZero() {
		return // no pass yet
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	o := r.Observation
	t.seeLead(o, r.Plan.Why)
	t.seeWork(o, r.At)
	t.begun = true
}

func (t *tally) seeLead(o ha.Observation, why ha.Reason) {
	leading := o.Right.Leading
	switch {
	case leading && !t.leading && t.begun: // what an earlier life led is not won again
		t.won[t.how(o)]++
	case !leading && t.leading:
		t.lost[cmp.Or(why, t.before)]++
	}
	if leading {
		t.before = why
	} else if t.leading || o.Store.View.Leader.Name != "" || o.Store.View.Failover.Requested() {
		// The winner clears the request with the same transaction, or soon after.
		t.request = o.Store.View.Failover
	}
	t.leading = leading
}

// how is in which way the lead came to this node.
func (t *tally) how(o ha.Observation) string {
	switch {
	case o.Server.Role == ha.Primary:
		return "in place" // it was the primary already, or has just been created
	case t.request.Switchover():
		return "switchover"
	case t.request.Requested():
		return "requested failover"
	}
	return "failover"
}

// seeWork measures the work from the first pass that saw it. Work that begins and
// ends between two passes is counted with no length.
func (t *tally) seeWork(o ha.Observation, at time.Time) {
	if !t.begun {
		t.works = o.Last.Count
	}
	if o.Last.Count != t.works {
		key := ended{o.Last.Work, o.Last.Failed}
		if t.took[key] == nil {
			t.took[key] = api.NewHistogram(workLimits...)
		}
		length := time.Duration(0)
		if end := at.Add(-o.Last.Ago); !t.working.IsZero() {
			length = max(0, end.Sub(t.working))
		}
		t.took[key].Observe(length)
		t.works, t.working = o.Last.Count, time.Time{}
	}
	if o.Job.Work != ha.NoWork {
		t.working = at.Add(-o.Job.Running)
	}
}

var workLimits = []time.Duration{
	20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second,
	2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour,
}

func (t *tally) metrics() []api.Metric {
	won := api.Metric{Name: "matriarch_lead_won_total", Kind: api.Counter, Help: "Times that this member took the lead, by how."}
	lost := api.Metric{Name: "matriarch_lead_lost_total", Kind: api.Counter, Help: "Times that this member gave up or lost the lead, by why."}
	took := api.Metric{Name: "matriarch_work_seconds", Kind: api.HistogramKind, Help: "How long work on the server took, by its kind and outcome."}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, how := range []string{"failover", "in place", "requested failover", "switchover"} {
		won.Samples = append(won.Samples, api.Sample{Labels: []api.Label{{Name: "reason", Value: how}}, Value: float64(t.won[how])})
	}
	for _, why := range slices.Sorted(maps.Keys(t.lost)) {
		lost.Samples = append(lost.Samples, api.Sample{Labels: []api.Label{{Name: "reason", Value: why.String()}}, Value: float64(t.lost[why])})
	}
	for _, key := range slices.SortedFunc(maps.Keys(t.took), compareEnded) {
		outcome := "ok"
		if key.failed {
			outcome = "failed"
		}
		took.Samples = append(took.Samples, api.Sample{Labels: []api.Label{{Name: "work", Value: workName(key.work)}, {Name: "outcome", Value: outcome}},
			Histogram: t.took[key]})
	}
	return []api.Metric{won, lost, took}
}

func compareEnded(a, b ended) int {
	if a.work == b.work && a.failed != b.failed {
		if a.failed {
			return 1
		}
		return -1
	}
	return cmp.Compare(a.work, b.work)
}

package daemon

import (
	"maps"
	"slices"
	"sync"
	"time"

	"matriarch/internal/api"
	"matriarch/internal/boottime"
	"matriarch/internal/permit"
)

// pulse measures how long members take to acknowledge heartbeats. It stands between
// the right and its links, and adds no wait to either way.
type pulse struct {
	permit.Sender
	now func() boottime.Instant

	mu      sync.Mutex
	sent    [pulseKept]beat           // by sequence, modulo pulseKept
	newest  map[string]beat           // that each member has acknowledged
	latency map[string]*api.Histogram // by member
}

// pulseKept is how many heartbeats are remembered: some ten permits' worth, far more
// than can be unanswered while anybody leads.
const pulseKept = 64

type beat struct {
	term, sequence int64
	at             boottime.Instant
}

func (b beat) after(o beat) bool {
	return b.term > o.term || b.term == o.term && b.sequence > o.sequence
}

func newPulse(to permit.Sender, now func() boottime.Instant) *pulse {
	return &pulse{Sender: to, now: now, newest: map[string]beat{}, latency: map[string]*api.Histogram{}}
}

// Send passes a heartbeat on. One goes to many members; it counts from the first.
func (p *pulse) Send(member, apiURL string, hb permit.Heartbeat) {
	p.mu.Lock()
	if b := &p.sent[uint64(hb.Sequence)%pulseKept]; b.term != hb.Term || b.sequence != hb.Sequence {
		*b = beat{hb.Term, hb.Sequence, p.now()}
	}
	p.mu.Unlock()
	p.Sender.Send(member, apiURL, hb)
}

// acked notes an acknowledgement. One that comes again, or after a newer one, says
// nothing about the way of a heartbeat.
func (p *pulse) acked(a permit.Ack) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.sent[uint64(a.Sequence)%pulseKept]
	if !a.Accepted || b.term != a.Of || b.sequence != a.Sequence || !b.after(p.newest[a.Member]) {
		return
	}
	p.newest[a.Member] = b
	h := p.latency[a.Member]
	if h == nil {
		h = api.NewHistogram(heartbeatLimits...)
		p.latency[a.Member] = h
	}
	h.Observe(p.now().Sub(b.at))
}

// heartbeatLimits lie around the permit's parts: a heartbeat is due every sixth of it,
// and overdue after a third.
var heartbeatLimits = []time.Duration{
	500 * time.Microsecond, time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 350 * time.Millisecond, 500 * time.Millisecond, time.Second,
}

func (p *pulse) samples() []api.Sample {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []api.Sample
	for _, member := range slices.Sorted(maps.Keys(p.latency)) {
		out = append(out, api.Sample{Labels: []api.Label{{Name: "member", Value: member}}, Histogram: p.latency[member]})
	}
	return out
}

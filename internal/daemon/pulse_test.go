package daemon

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"matriarch/internal/api"
	"matriarch/internal/boottime"
	"matriarch/internal/permit"
)

// sent notes what was passed on.
type sent []string

func (s *sent) Send(member, _ string, hb permit.Heartbeat) { *s = append(*s, member) }

func TestPulse(t *testing.T) {
	var to sent
	now := boottime.Instant(1000)
	p := newPulse(&to, func() boottime.Instant { return now })
	hb := func(term, sequence int64) permit.Heartbeat { return permit.Heartbeat{Term: term, Sequence: sequence} }
	ack := func(member string, term, sequence int64) permit.Ack {
		return permit.Ack{Member: member, Of: term, Sequence: sequence, Accepted: true}
	}
	p.acked(ack("n2", 7, 1)) // of an earlier life: never sent
	p.Send("n2", "", hb(7, 1))
	now = now.Add(time.Millisecond)
	p.Send("n3", "", hb(7, 1)) // the same beat, to the next one
	now = now.Add(9 * time.Millisecond)
	p.acked(ack("n3", 7, 1))
	now = now.Add(time.Second)
	p.acked(ack("n3", 7, 1)) // repeated
	p.acked(permit.Ack{Member: "n2", Of: 7, Sequence: 1})
	p.Send("n2", "", hb(7, 2))
	p.acked(ack("n2", 7, 2))
	p.acked(ack("n2", 7, 1)) // overtaken by the newer one
	p.Send("n2", "", hb(9, 1))
	p.acked(ack("n2", 7, 1)) // of a term that has ended
	now = now.Add(2 * time.Second)
	p.acked(ack("n2", 9, 1)) // the sequence began anew with the term
	if want := (sent{"n2", "n3", "n2", "n2"}); !reflect.DeepEqual(to, want) {
		t.Errorf("passed on %q, want %q", to, want)
	}
	got := string(api.PrintMetrics(nil, api.Metric{Name: "hb", Kind: api.HistogramKind, Samples: p.samples()}))
	for _, want := range []string{
		`hb_bucket{member="n2",le="0.0005"} 1`, `hb_bucket{member="n2",le="1"} 1`, `hb_bucket{member="n2",le="+Inf"} 2`, `hb_sum{member="n2"} 2`,
		`hb_bucket{member="n3",le="0.005"} 0`, `hb_bucket{member="n3",le="0.01"} 1`, `hb_count{member="n3"} 1`, `hb_sum{member="n3"} 0.01`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("%s is not in\n%s", want, got)
		}
	}
}

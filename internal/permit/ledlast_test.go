package permit

import (
	"testing"
	"time"

	"matriarch/internal/boottime"
)

// TestWhoLedLast: B may only take itself for the last leader where the store shows that
// nobody else has led since.
func TestWhoLedLast(t *testing.T) {
	own := Electorate{Leader: "B", Members: []string{"A", "C"}, Permit: Default}
	released, others := own, Electorate{Leader: "A", Members: []string{"B", "C"}, Permit: Default}
	released.Released = true
	for _, c := range []struct {
		name string
		view View
		then func(f *Follower, now boottime.Instant)
		want bool
	}{
		{"it gave up", View{At: 20, Electorate: released, Revision: 12}, nil, true},
		{"its key has ended", View{At: 20, Electorate: own, Revision: 12}, nil, true},
		{"its key is there still", View{At: 20, Leader: "B", Term: 10, Electorate: own, Revision: 12}, nil, true},
		{"another took over", View{At: 20, Electorate: others, Revision: 12}, nil, false},
		{"there is no electorate", View{At: 20}, nil, false},
		{"the electorate cannot be read", View{At: 20, Electorate: Electorate{Permit: Default}, Revision: 12}, nil, false},
		{"Patroni leads", View{At: 20, Leader: "P", Term: 15, Electorate: released, Revision: 12}, nil, false},
		{"Patroni led, and its key is gone", View{At: 20, Leader: "P", Term: 15, Electorate: released, Revision: 12},
			func(f *Follower, now boottime.Instant) { f.See(View{At: 21, Electorate: released, Revision: 12}, now) }, false},
		{"a later leader is known from its heartbeat", View{At: 20, Electorate: own, Revision: 12},
			func(f *Follower, now boottime.Instant) {
				f.Heartbeat(Heartbeat{Leader: "A", Term: 22, Electorate: 22, Permit: Default}, Position{}, now)
			}, false},
	} {
		now := boottime.Instant(time.Minute)
		f := newFollower("B", 5, now, &ids{}, omitted{})
		if f.ledLast() {
			t.Errorf("%s: it says so before it has seen the store", c.name)
		}
		f.See(c.view, now)
		if c.then != nil {
			c.then(f, now)
		}
		if got := f.ledLast(); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	h := drive(t, nil)
	h.See(Sight{View: View{At: 20, Electorate: released, Revision: 12}, Current: true}, h.now)
	if !h.State(h.now).LedLast {
		t.Error("the agent is not told")
	}
}

package permit

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/dcs"
)

// postbox is a Sender that keeps what it gets.
type postbox struct {
	mu   sync.Mutex
	sent map[string]Heartbeat // by member and address
}

func (p *postbox) Send(member, apiURL string, hb Heartbeat) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent[member+" "+apiURL] = hb
}

// TestARestartGoesOnWithoutTheStore: the record that one life has kept is enough for
// the next to reach the members and to have its permit extended, though the store
// shows nothing and answers nothing.
func TestARestartGoesOnWithoutTheStore(t *testing.T) {
	now := boottime.Instant(time.Hour)
	life := func(st *mirrorOf, g *fakeGuard) (*Runner, *postbox) {
		post := &postbox{sent: map[string]Heartbeat{}}
		r := NewRunner(RunnerOptions{
			Me: "n1", Length: Default, TTL: 30 * time.Second, Store: st, Guard: g, Sender: post,
			Now: func() boottime.Instant { return now }, Instant: func(time.Time) boottime.Instant { return 0 },
			Log: slog.New(slog.DiscardHandler),
		})
		t.Cleanup(r.end)
		return r, post
	}
	led := Electorate{Leader: "n1", Members: []string{"n2"}, Permit: Default}
	values := map[string]dcs.Value{
		dcs.KeyLeader:         {Data: []byte("n1"), Modified: 5, Lease: 1},
		Key:                   {Data: led.Encode(), Modified: 5},
		dcs.KeyMembers + "n2": {Data: []byte(`{"permit":true,"api_url":"http://n2"}`), Modified: 3},
	}
	guard := &fakeGuard{}
	first, _ := life(&mirrorOf{snapshot: dcs.Snapshot{Revision: 10, Values: values}}, guard)
	first.Adopt(Kept{Term: 5, Revision: 5, Electorate: led}, now.Add(time.Second))
	first.See()
	kept := guard.holds()
	if kept == nil || kept.Term != 5 || kept.URLs["n2"] != "http://n2" {
		t.Fatalf("kept: %+v", kept)
	}

	now = now.Add(200 * time.Millisecond)
	next, post := life(&mirrorOf{}, guard)
	next.Adopt(*kept, now.Add(300*time.Millisecond))
	next.Want(nil, false) // a pass that has never seen the store knows of nobody
	hb, ok := post.sent["n2 http://n2"]
	if !ok {
		t.Fatalf("no heartbeat goes out: %+v", post.sent)
	}
	next.Acked(Ack{Member: "n2", Of: hb.Term, Sequence: hb.Sequence, Accepted: true, Term: hb.Term, Leader: "n1"})
	if s := next.State(); !s.Leading || s.Permit != now.Add(span(Default)) || len(s.Electorate.Members) != 1 {
		t.Errorf("the acknowledgement of the electorate extends the permit: %+v", s)
	}
}

// TestTheRecordSaysThatAPutHasCome: in the quiet state nothing is put for hours, and
// the record of before the last put would leave the next life with a doubt about it.
// Here the doubt would be whether anybody may race, and peers would count for nothing.
func TestTheRecordSaysThatAPutHasCome(t *testing.T) {
	runTogether(t, []string{"n1", "n2"}, func(c *runners) {
		c.eventually(20*time.Second, "one leads, and has taken the other in", func() bool {
			w := c.writer()
			return w != "" && len(c.members[w].State().Electorate.Members) == 1
		})
		m := c.members[c.writer()]
		kept := m.guard.holds()
		if kept == nil || len(kept.Puts) != 0 || len(kept.Electorate.Members) != 1 {
			t.Errorf("kept: %+v", kept)
		}
	})
}

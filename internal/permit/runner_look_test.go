package permit

import (
	"context"
	"log/slog"
	"maps"
	"testing"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/dcs"
)

// mirrorOf is a store of which nothing but the mirror is asked.
type mirrorOf struct{ snapshot dcs.Snapshot }

func (m *mirrorOf) Mirror() (dcs.Snapshot, bool) { return m.snapshot, true }
func (m *mirrorOf) Lease() dcs.Lease             { return dcs.Lease{} }
func (m *mirrorOf) Read(context.Context) (dcs.Snapshot, error) {
	return dcs.Snapshot{}, context.DeadlineExceeded
}
func (m *mirrorOf) Commit(context.Context, dcs.Txn) (int64, error) {
	return 0, context.DeadlineExceeded
}

// TestWhatComesAtTheRevisionOfAnOwnWriteIsSeen: a member writes its own key while the
// leader gives up. The mirror has the own write, and with it its revision, before the
// watch brings the leader's, which is older.
func TestWhatComesAtTheRevisionOfAnOwnWriteIsSeen(t *testing.T) {
	led := Electorate{Leader: "n1", Members: []string{"n2", "n3"}, Permit: Default}
	before := map[string]dcs.Value{
		dcs.KeyLeader: {Data: []byte("n1"), Modified: 5, Lease: 1},
		Key:           {Data: led.Encode(), Modified: 5},
	}
	st := &mirrorOf{snapshot: dcs.Snapshot{Revision: 10, Values: before}}
	r := NewRunner(RunnerOptions{
		Me: "n2", Length: Default, TTL: 30 * time.Second, Store: st, Guard: &fakeGuard{},
		Now:     func() boottime.Instant { return boottime.Instant(time.Hour) },
		Instant: func(time.Time) boottime.Instant { return 0 }, Log: slog.New(slog.DiscardHandler),
	})
	defer r.end()
	r.See()
	if s := r.State(); s.Free {
		t.Fatalf("free under a leader: %+v", s)
	}

	own := maps.Clone(before)
	own[dcs.KeyMembers+"n2"] = dcs.Value{Data: []byte(`{"permit":true}`), Modified: 15}
	st.snapshot = dcs.Snapshot{Revision: 15, Values: own}
	r.See()
	if s := r.State(); s.Free {
		t.Fatalf("free under a leader: %+v", s)
	}

	led.Released = true
	released := maps.Clone(own)
	delete(released, dcs.KeyLeader)
	released[Key] = dcs.Value{Data: led.Encode(), Modified: 12}
	st.snapshot = dcs.Snapshot{Revision: 15, Values: released}
	r.See()
	if s := r.State(); !s.Free {
		t.Errorf("the leader has given up, and this member does not see it: %+v", s)
	}
}

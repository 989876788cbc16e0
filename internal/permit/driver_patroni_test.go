package permit

import (
	"reflect"
	"testing"
	"time"

	"matriarch/internal/dcs"
)

// member is one of ours, or Patroni's, in a snapshot.
func member(permit bool) dcs.Value {
	if permit {
		return dcs.Value{Data: []byte(`{"state":"running","permit":true}`), Modified: 1}
	}
	return dcs.Value{Data: []byte(`{"state":"running"}`), Modified: 1}
}

func TestASightTellsPatronisMembersFromOurs(t *testing.T) {
	for _, c := range []struct {
		name  string
		mixed bool
		keys  map[string]dcs.Value
	}{
		{"nobody", false, nil},
		{"all ours", false, map[string]dcs.Value{"members/B": member(true), "members/C": member(true)}},
		{"one of Patroni's", true, map[string]dcs.Value{"members/B": member(true), "members/C": member(false)}},
		{"what Patroni left under this node's own name", false, map[string]dcs.Value{"members/B": member(false), "members/C": member(true)}},
		{"a member that cannot be read", true, map[string]dcs.Value{"members/C": {Data: []byte("?"), Modified: 1}}},
	} {
		var g Glance
		s, members, fresh := g.At("B", dcs.Snapshot{Revision: 9, Values: c.keys})
		if s.Mixed != c.mixed || s.View.At != 9 || len(members) != len(c.keys) || !fresh {
			t.Errorf("%s: %+v, members %+v, fresh %v", c.name, s, members, fresh)
		}
	}
	leader := map[string]dcs.Value{dcs.KeyLeader: {Data: []byte("A"), Modified: 4, Lease: 44}}
	var g Glance
	if s, _, _ := g.At("B", dcs.Snapshot{Revision: 9, Values: leader}); s.LeaderLease != 44 || s.View.Term != 4 {
		t.Errorf("%+v", s)
	}
}

func TestBesidePatronisMembersThePermitEndsWithTheLease(t *testing.T) {
	h := drive(t, nil).leads()
	s := h.sight
	s.Mixed, s.LeaseEnd = true, h.now.Add(800*time.Millisecond)
	h.See(s, h.now)
	if want := s.LeaseEnd.Add(-leaseMargin); h.State(h.now).Permit != want || h.deadline != want || !h.State(h.now).Mixed {
		t.Errorf("%+v, the guard's deadline %d, want %d", h.State(h.now), h.deadline, want)
	}
	woken := h.woken
	h.after(400 * time.Millisecond)
	if h.State(h.now).MayPromote || h.woken == woken {
		t.Error("may promote when the lease is about to end")
	}
	s.LeaseEnd = h.now.Add(30 * time.Second)
	h.See(s, h.now)
	if p := h.State(h.now).Permit; p <= h.now || p > h.now.Add(time.Second) || h.deadline != p {
		t.Errorf("renewed: permit in %v", p.Sub(h.now))
	}
	s.LeaderLease = 99 // hangs on another lease, of which nothing is known
	h.See(s, h.now)
	if p := h.State(h.now).Permit; p > h.now || h.deadline != p {
		t.Errorf("under another lease: permit in %v", p.Sub(h.now))
	}
}

func TestPatronisMembersAreForgottenWhenTheLeaderKeyIsSafe(t *testing.T) {
	h := drive(t, nil).leads()
	s := h.sight
	s.Mixed = true
	h.See(s, h.now)
	gone := s
	gone.Mixed, gone.View.Leader, gone.View.Term, gone.LeaderLease = false, "", 0, 0
	gone.View.At++
	h.See(gone, h.now) // the store was away so long that all keys are gone
	if !h.State(h.now).Mixed {
		t.Error("Patroni's member may be back before our key is")
	}
	h.wins()
	if s := h.State(h.now); s.Mixed || s.Permit <= h.now {
		t.Errorf("the key is there again, and no member of Patroni's: %+v", s)
	}
}

func TestWithoutTheStoreMembersTellOfPatronis(t *testing.T) {
	h := drive(t, nil).leads()
	tell := func(mixed bool) {
		hb := h.sent["C"]
		h.Acked(Ack{Member: "C", Of: hb.Term, Sequence: hb.Sequence, Accepted: true, Term: hb.Term, Leader: "B", Mixed: mixed}, h.now)
	}
	tell(true)
	if h.State(h.now).Mixed {
		t.Error("the mirror is current and knows better")
	}
	s := h.sight
	s.Current = false
	h.See(s, h.now)
	if !h.State(h.now).Mixed || h.kept == nil || !h.kept.Mixed {
		t.Errorf("state %+v, kept %+v", h.State(h.now), h.kept)
	}
	tell(false)
	if h.State(h.now).Mixed {
		t.Error("C has taken it back")
	}
	m := drive(t, nil).underA()
	s = m.sight
	s.Mixed = true
	m.See(s, m.now)
	if !m.beatOfA(1).Mixed {
		t.Error("a member does not tell what its mirror shows")
	}
}

func TestARestartedLeaderGoesByTheRecordUntilItSeesTheStore(t *testing.T) {
	e := Electorate{Leader: "B", Members: []string{"C"}, Permit: Default}
	for _, c := range []struct {
		kept  Kept
		mixed bool
	}{
		{Kept{Term: 5, Revision: 6, Electorate: e}, false},
		{Kept{Term: 5, Revision: 6, Electorate: e, Mixed: true}, true},
		{Kept{Term: 5}, true},
	} {
		h := drive(t, func(o *Options) { o.Term = 5 })
		deadline := h.now.Add(700 * time.Millisecond)
		h.Adopt(c.kept, deadline, h.now)
		if s := h.State(h.now); s.Mixed != c.mixed || s.Permit != deadline || !s.Leading || s.Term != 5 {
			t.Errorf("%+v: %+v", c.kept, s)
		}
		h.acked("C")
		if p := h.State(h.now).Permit; (p > deadline) == c.mixed {
			t.Errorf("%+v: acknowledged, and the permit ends in %v", c.kept, p.Sub(h.now))
		}
	}
}

func TestAMemberRetiresTheElectorateWhenPatroniLeads(t *testing.T) {
	h := drive(t, nil).underA()
	s := h.cluster("P", 20, Electorate{Leader: "A", Members: []string{"B", "C"}, Permit: Default}, 5)
	h.See(s, h.now)
	h.after(1049 * time.Millisecond)
	if len(h.writes) > 0 {
		t.Fatal("while a permit of A's may be left")
	}
	h.after(2 * time.Millisecond)
	want := dcs.Txn{
		If:   []dcs.Condition{{Key: dcs.KeyLeader, Modified: 20}, {Key: Key, Modified: 5}},
		Then: []dcs.Op{{Key: Key, Data: []byte(`{"leader":"P","members":[],"permit_ms":1000,"released":true}`)}},
	}
	if len(h.writes) != 1 || !reflect.DeepEqual(h.writes[0].Txn, want) {
		t.Fatalf("written: %+v", h.writes)
	}
	h.wins()
	h.after(time.Minute)
	if state := h.State(h.now); len(h.writes) != 1 || state.Free || state.FreeAt != 0 || state.Overdue {
		t.Errorf("%d writes under Patroni's leader, %+v", len(h.writes), state)
	}
	s = h.sight
	s.View.At++
	s.View.Leader, s.View.Term = "", 0
	h.See(s, h.now)
	if !h.State(h.now).Free {
		t.Error("Patroni's key is gone, and nobody may take over at once")
	}
	h.Stand(h.State(h.now).Key, h.now)
	h.Passed(h.now)
	h.wins()
	if state := h.State(h.now); !state.Leading || !state.MayPromote {
		t.Errorf("%+v", state)
	}
}

func TestTheElectorateIsRetiredAgainWhenPatroniLeadsAnew(t *testing.T) {
	h := drive(t, nil).underA()
	retired := Electorate{Leader: "P", Permit: Default, Released: true}
	h.See(h.cluster("P", 20, retired, 21), h.now)
	h.after(5 * time.Second)
	if len(h.writes) > 0 {
		t.Error("retired twice")
	}
	h.See(h.cluster("P", 30, retired, 21), h.now)
	h.after(1100 * time.Millisecond)
	if len(h.writes) != 1 {
		t.Errorf("%d writes", len(h.writes))
	}
	h.after(1100 * time.Millisecond)
	if len(h.writes) != 2 {
		t.Errorf("%d writes; one without an answer is repeated", len(h.writes))
	}
}

func TestALeaderKeyThatPatroniLeftUnderOurNameIsTakenUp(t *testing.T) {
	for _, c := range []struct {
		name     string
		e        Electorate
		revision int64
	}{
		{"in a cluster of Patroni's alone", Electorate{}, 0},
		{"after a leader of ours", Electorate{Leader: "C", Members: []string{"A", "B"}, Permit: Default}, 5},
		{"after members of ours have retired the electorate", Electorate{Leader: "B", Permit: Default, Released: true}, 21},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := drive(t, nil)
			h.deadline = h.now.Add(time.Hour) // nobody guards it yet
			s := h.cluster("B", 20, c.e, c.revision)
			h.See(s, h.now)
			if h.State(h.now).Leading {
				t.Fatal("before the store was read")
			}
			h.Learned(s.View, h.now)
			if state := h.State(h.now); !state.Leading || state.MayPromote || h.deadline != 0 {
				t.Fatalf("%+v, the guard's deadline %d", state, h.deadline)
			}
			h.Learned(s.View, h.now)
			if len(h.writes) != 1 || len(h.writes[0].Txn.Then) != 3 {
				t.Fatalf("written: %+v", h.writes)
			}
			h.wins()
			if state := h.State(h.now); state.Permit <= h.now || h.deadline != state.Permit || state.Electorate.Leader != "B" || !state.MayPromote {
				t.Errorf("%+v, the guard's deadline %d", state, h.deadline)
			}
		})
	}
}

func TestALeaderKeyOfOursIsNotTakenForPatronis(t *testing.T) {
	h := drive(t, nil)
	s := h.cluster("B", 20, Electorate{Leader: "B", Members: []string{"C"}, Permit: Default}, 20)
	h.See(s, h.now)
	h.Learned(s.View, h.now)
	if h.State(h.now).Leading {
		t.Error("an agent without a record leads though it may have acknowledged another leader")
	}
	h.after(1100 * time.Millisecond)
	if !h.State(h.now).Free {
		t.Error("it may not even take over after the quiet period")
	}
}

// TestTheWordOfWhoNeedNotAcknowledgeIsOfLongAgo: with the store away the members say whether
// Patroni's are there. One that has become Patroni's, and has left, said so when it was ours.
func TestTheWordOfWhoNeedNotAcknowledgeIsOfLongAgo(t *testing.T) {
	h := newHolder("A", won{term: 5, electorate: Electorate{Leader: "A", Members: []string{"B"}, Permit: Default}}, Default, 0, 1, &ids{}, omitted{})
	for _, c := range []struct {
		says string
		want bool
	}{{"B", true}, {"C", false}} {
		d := &Driver{node: &Node{me: "A", holder: h}, mix: mix{away: true, others: map[string]bool{c.says: true}}}
		if got := d.mixed(); got != c.want {
			t.Errorf("%s has said that Patroni's members are there: mixed %v", c.says, got)
		}
	}
}

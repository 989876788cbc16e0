package agent

import (
	"errors"
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
	"matriarch/internal/ha"
)

// life lets a memory see one observation after the other.
type life struct {
	memory
	now time.Time
	o   ha.Observation
}

func newLife() *life {
	l := &life{now: time.Unix(1000, 0)}
	l.begin(l.now, nil)
	l.o.Me.Name, l.o.Store.Current = "n1", true
	l.o.Server.Running = true
	return l
}

func (l *life) sees(change func(o *ha.Observation)) ha.Memory {
	l.now = l.now.Add(time.Second)
	if change != nil {
		change(&l.o)
	}
	l.notice(l.now, &l.o)
	return l.o.Memory
}

func TestACrashIsRememberedUntilTheServerRuns(t *testing.T) {
	down := func(o *ha.Observation) { o.Server.Running = false }
	l := newLife()
	if l.sees(nil).Crashed {
		t.Error("a running server has crashed")
	}
	if !l.sees(down).Crashed {
		t.Error("a server that died under our eyes has not crashed")
	}
	if !l.sees(nil).Crashed {
		t.Error("forgotten while it is down")
	}
	if l.sees(func(o *ha.Observation) { o.Server.Running = true }).Crashed {
		t.Error("remembered when it runs again")
	}
	l = newLife()
	l.sees(nil)
	if l.sees(func(o *ha.Observation) { down(o); o.Last = ha.Finished{Count: 1, Work: ha.StoppingServer} }).Crashed {
		t.Error("a server that was stopped has crashed")
	}
	if newLife().sees(down).Crashed {
		t.Error("a server that was down already when the agent came has crashed")
	}
}

func TestALostRewindIsRememberedForItsLeader(t *testing.T) {
	leads := func(name string) func(*ha.Observation) {
		return func(o *ha.Observation) { o.Store.View.Leader.Name = name }
	}
	l := newLife()
	l.sees(leads("n2"))
	if !l.sees(func(o *ha.Observation) {
		o.Last = ha.Finished{Count: 1, Work: ha.Rewinding, From: "n2", Failed: true, Hopeless: true}
	}).RewindLost {
		t.Error("not remembered")
	}
	if !l.sees(func(o *ha.Observation) { o.Last = ha.Finished{Count: 2, Work: ha.StartingStandby} }).RewindLost {
		t.Error("other work makes it forgotten")
	}
	if l.sees(leads("n3")).RewindLost {
		t.Error("another leader gets no other try (B-307)")
	}
	l.sees(func(o *ha.Observation) {
		o.Last = ha.Finished{Count: 3, Work: ha.Rewinding, From: "n3", Failed: true, Hopeless: true}
	})
	if l.sees(func(o *ha.Observation) { o.Last = ha.Finished{Count: 4, Work: ha.Copying} }).RewindLost {
		t.Error("a copy does not end it")
	}
	if l.sees(func(o *ha.Observation) {
		o.Last = ha.Finished{Count: 5, Work: ha.Rewinding, From: "n2", Failed: true, Hopeless: true}
	}).RewindLost {
		t.Error("L2: what the last leader refused is held against this one")
	}
}

func TestTheLeaderRemembersWhoseSlotsItKeeps(t *testing.T) {
	l := newLife()
	leading := func(o *ha.Observation) {
		o.Store.View.Leader.Name, o.Right.Leading = "n1", true
		o.Store.View.Status.Retain = []string{"n4"}
		o.Store.View.Members = []cluster.Member{{Name: "n2"}, {Name: "n3", Tags: cluster.Tags{"nostream": true}}}
	}
	seen := l.sees(leading).Seen
	if _, nostream := seen["n3"]; len(seen) != 2 || seen["n2"] != 0 || seen["n4"] != 0 || nostream {
		t.Errorf("at first: %v", seen)
	}
	if seen = l.sees(nil).Seen; seen["n2"] != 0 || seen["n4"] != time.Second {
		t.Errorf("then: %v", seen)
	}
	if seen = l.sees(func(o *ha.Observation) { o.Store.View.Leader.Name, o.Right.Leading = "n2", false }).Seen; len(seen) != 0 {
		t.Errorf("when it leads no more: %v", seen)
	}
}

func TestTheTimeWithoutALeader(t *testing.T) {
	var m memory
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	led, unled := cluster.View{Leader: cluster.Leader{Name: "n2"}}, cluster.View{}
	for _, c := range []struct {
		at      int
		current bool
		view    cluster.View
		right   ha.Right
		want    time.Duration
	}{
		{100, true, led, ha.Right{}, 0}, {101, true, unled, ha.Right{}, 0}, {103, true, unled, ha.Right{}, 2 * time.Second},
		{104, false, unled, ha.Right{}, 0}, {105, true, unled, ha.Right{}, 4 * time.Second}, {106, true, led, ha.Right{}, 0},
		{107, true, unled, ha.Right{}, 0}, {108, true, led, ha.Right{}, 0},
		{109, true, led, ha.Right{Overdue: true, FreeIn: time.Second}, 0}, {110, true, led, ha.Right{Free: true}, time.Second},
		{111, true, led, ha.Right{Overdue: true, FreeIn: ha.Idle}, 0},
	} {
		o := ha.Observation{Me: ha.Me{Name: "n1"}, Right: c.right}
		o.Store.Current, o.Store.View = c.current, c.view
		if got := m.leaderless(at(c.at), o); got != c.want {
			t.Errorf("at %d: %v, want %v", c.at, got, c.want)
		}
	}
}

func TestOldAnswersAboutAnotherLeaderAreDropped(t *testing.T) {
	l := newLife()
	l.log, l.logAt = ha.LeaderLog{Leader: "n2", Primary: true}, l.now
	l.peers, l.peersAt, l.peersDone = ha.Peers{Asked: true}, l.now, l.now.Add(500*time.Millisecond)
	l.sees(func(o *ha.Observation) { o.Store.View.Leader.Name = "n2" })
	if l.o.Log.Leader != "n2" || l.o.Log.Age != time.Second {
		t.Errorf("the leader's log: %+v", l.o.Log)
	}
	if l.o.Peers.Age != time.Second || l.o.Peers.Done != 500*time.Millisecond {
		t.Errorf("the answers: %+v", l.o.Peers)
	}
	l.sees(func(o *ha.Observation) { o.Store.View.Leader.Name = "n3" })
	if l.o.Log.Leader != "" {
		t.Errorf("the log of another: %+v", l.o.Log)
	}
}

func TestWhatPrePromoteSaidIsRememberedForItsReign(t *testing.T) {
	said := func(failed bool) func(*ha.Observation) {
		return func(o *ha.Observation) {
			o.Last = ha.Finished{Count: o.Last.Count + 1, Work: ha.Preparing, Failed: failed}
		}
	}
	leads := func(yes bool) func(*ha.Observation) { return func(o *ha.Observation) { o.Right.Leading = yes } }
	l := newLife()
	l.sees(leads(true))
	if m := l.sees(said(false)); !m.Prepared || m.Unprepared != 0 {
		t.Errorf("it agreed: %+v", m)
	}
	if !l.sees(nil).Prepared || l.sees(leads(false)).Prepared || l.sees(leads(true)).Prepared {
		t.Error("its word holds for the reign in which it was given, and for no other")
	}
	if m := l.sees(said(true)); m.Prepared || m.Unprepared == 0 {
		t.Errorf("it refused: %+v", m)
	}
	if m := l.sees(leads(false)); m.Unprepared != time.Second {
		t.Errorf("that outlasts the reign: %+v", m)
	}
	l = newLife()
	if m := l.sees(said(true)); m.Unprepared != 0 {
		t.Errorf("one that was broken off since the lead was lost did not refuse: %+v", m)
	}
}

// TestALeadThatWasWonByAnotherSyncKey: the last leader has let this member go, and the
// store has shown that only after the lead was asked for.
func TestALeadThatWasWonByAnotherSyncKey(t *testing.T) {
	l := newLife()
	l.o.Store.Settings.Synchronous, l.o.Server.Role = "on", ha.Standby
	l.o.Store.View.Sync = cluster.Sync{Leader: "n2", Standbys: []string{"n1"}, Modified: 5}
	l.raced = 5
	leads := func(o *ha.Observation) { o.Right.Leading = true }
	if l.sees(leads).SyncLost {
		t.Error("lost by the very key that it was won by")
	}
	if !l.sees(func(o *ha.Observation) { o.Store.View.Sync = cluster.Sync{Leader: "n2", Modified: 7} }).SyncLost {
		t.Error("not lost")
	}
	if l.sees(func(o *ha.Observation) { o.Right.Leading = false }).SyncLost {
		t.Error("it does not outlast the reign")
	}
	l.raced = 7
	if l.sees(leads).SyncLost || l.sees(func(o *ha.Observation) { o.Store.View.Sync = cluster.Sync{Leader: "n1", Modified: 9} }).SyncLost {
		t.Error("lost by its own key")
	}
}

func TestAWriteOfTheSyncKeyMayStillBeApplied(t *testing.T) {
	l := newLife()
	l.o.Store.Current, l.o.Store.View.Sync = false, cluster.Sync{}
	at := func(revision int64) func(*ha.Observation) {
		return func(o *ha.Observation) { o.Store.Current, o.Store.View.Sync.Modified = true, revision }
	}
	if !l.sees(nil).SyncDoubt || !l.sees(at(5)).SyncDoubt || !l.sees(nil).SyncDoubt {
		t.Error("nobody knows what the agent's last life has written")
	}
	if l.sees(at(6)).SyncDoubt {
		t.Error("the key has been put since")
	}
	l.doubt.written(6, dcs.ErrConflict)
	l.doubt.written(6, nil)
	if l.sees(nil).SyncDoubt {
		t.Error("these are answers")
	}
	l.doubt.written(6, errors.New("no answer"))
	if !l.sees(nil).SyncDoubt || !l.sees(at(6)).SyncDoubt || l.sees(at(8)).SyncDoubt || l.sees(nil).SyncDoubt {
		t.Error("in doubt from a write without an answer until the key has been put again")
	}
}

// A member that was silent is not waited for again at once, but it is asked again: its
// vote may be what is missing, and nobody leads until then.
func TestASilentMemberIsAskedAgain(t *testing.T) {
	l := newLife()
	silent := ha.Peer{Name: "n3", Silent: true}
	round := func(after time.Duration, answers ...ha.Peer) (names []string) {
		l.now = l.now.Add(after)
		l.memory.peers.Answers = l.withSilent(l.now, 7, answers)
		for _, p := range l.memory.peers.Answers {
			names = append(names, p.Name)
		}
		return names
	}
	n2 := ha.Peer{Name: "n2"}
	if got := round(0, n2, silent); len(got) != 2 || l.memory.peers.Answers[1].Unheard != 7 {
		t.Fatal(got, l.memory.peers.Answers)
	}
	if got := round(silentFor-time.Millisecond, n2); len(got) != 2 {
		t.Errorf("forgotten a moment later: %v", got)
	}
	if got := round(time.Millisecond, n2); len(got) != 1 {
		t.Errorf("its silence is carried on for ever: %v", got)
	}
}

func TestWhoIsLeftOutOfTheElectorateIsSilent(t *testing.T) {
	l := newLife()
	l.o.Store.View.Members = []cluster.Member{{Name: "n1", Permit: true}, {Name: "n2", Permit: true}, {Name: "n3", Permit: true},
		{Name: "n4"}, {Name: "n5", Permit: true, Tags: cluster.Tags{"nofailover": true}}}
	l.o.Right = ha.Right{Leading: true, Electorate: []string{"n2"}}
	l.sees(nil)
	if got := l.sees(nil).Silent; len(got) != 1 || got["n3"] != time.Second {
		t.Errorf("of the leader's: %v", got)
	}
	if got := l.sees(func(o *ha.Observation) { o.Right.Electorate = []string{"n2", "n3"} }).Silent; len(got) != 0 {
		t.Errorf("after it was taken in: %v", got)
	}
	l.sees(func(o *ha.Observation) { o.Right.Electorate = nil })
	if got := l.sees(func(o *ha.Observation) { o.Right.Leading = false }).Silent; len(got) != 0 {
		t.Errorf("of one who does not lead: %v", got)
	}
}

package permit

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/dcs"
)

// lasts runs heartbeats and store heartbeats by the clock, and fails when the
// permit has a gap. It returns how many transactions were put.
func (s *story) lasts(d time.Duration, store bool, answering ...string) (puts int) {
	s.t.Helper()
	for end := s.now + int64(d); s.now < end; s.now += int64(10 * time.Millisecond) {
		h := s.host("A")
		if left := h.node.Permit().Sub(s.clockOf("A")); left <= 0 {
			s.t.Fatalf("at %v the permit has run out by %v", time.Duration(s.now), -left)
		}
		if s.now/1e7%5 == 0 { // every 50 ms, a sixth of the shortest permit
			s.beats("A", answering...)
		}
		if w, ok := s.puts("A"); ok {
			puts++
			if store {
				s.answers("A", w, true)
			} else {
				s.told("A", w, Unknown, 0)
			}
		}
	}
	return puts
}

func members(s *story) []string { return s.store.view().Electorate.Members }

func TestInTheQuietStateNothingGoesToTheStore(t *testing.T) {
	s := newStory(t, 0)
	s.begin("B", "C")
	if puts := s.lasts(10*time.Second, true, "B", "C"); puts > 0 {
		t.Errorf("%d puts", puts)
	}
}

func TestWithEveryMemberReachableNoOutageOfTheStoreEndsThePermit(t *testing.T) {
	s := newStory(t, 0)
	s.begin("B", "C")
	s.lasts(60*time.Second, false, "B", "C") // L3
}

func TestASilentMemberIsCarriedByTheStoreThenLeftOutThenTakenBack(t *testing.T) {
	s := newStory(t, 0)
	s.begin("B", "C")
	if puts := s.lasts(1400*time.Millisecond, true, "B"); puts < 3 || !slices.Contains(members(s), "C") {
		t.Errorf("before 1.5 permits: %d puts, members %v", puts, members(s))
	}
	s.lasts(400*time.Millisecond, true, "B")
	if !slices.Equal(members(s), []string{"B"}) {
		t.Errorf("after 1.5 permits: members %v", members(s))
	}
	if puts := s.lasts(5*time.Second, true, "B"); puts > 0 {
		t.Errorf("with C left out: %d puts", puts)
	}
	if puts := s.lasts(time.Second, true, "B", "C"); puts != 1 || !slices.Equal(members(s), []string{"B", "C"}) {
		t.Errorf("when it answers again: %d puts, members %v", puts, members(s))
	}
}

func TestAloneThePermitHangsOnTheStore(t *testing.T) {
	s := newStory(t, 0)
	s.begin("B")
	s.host("A").node.Want(nil, false)
	s.lasts(5*time.Second, true)
	if len(members(s)) > 0 {
		t.Fatalf("members %v", members(s))
	}
	s.host("A").node.Want([]string{"B"}, false)
	s.lasts(500*time.Millisecond, true, "B")
	if puts := s.lasts(5*time.Second, true, "B"); puts > 0 {
		t.Errorf("with a member again: %d puts", puts)
	}
}

func TestTheLengthChangesWithoutAGap(t *testing.T) {
	s := newStory(t, 0)
	s.begin("B", "C")
	for _, length := range []time.Duration{2 * time.Second, Shortest, Default} {
		s.lengthen(length)
		s.lasts(4*time.Second, true, "B", "C")
		left := s.host("A").node.Permit().Sub(s.clockOf("A"))
		if left > span(length) || left < span(length)-length/3 || s.store.view().Electorate.Permit != length {
			t.Errorf("at %v: %v left, the key says %v", length, left, s.store.view().Electorate.Permit)
		}
	}
}

func TestNobodyWaitsAfterARelease(t *testing.T) {
	s := newStory(t, 0)
	s.begin("B", "C")
	s.host("A").promoted = false // the server was stopped
	w, ok := s.host("A").node.Release(s.clockOf("A"))
	if s.host("A").node.Permit() != 0 {
		t.Error("a permit after the release")
	}
	s.answers("A", w, ok)
	if !s.host("A").node.Released() || s.store.view().Leader != "" {
		t.Error("not released")
	}
	s.at(1201) // B acknowledged A 1 ms ago
	s.watch("B")
	s.takesOver("B")
	if !s.host("B").promoted {
		t.Error("B is not promoted at once")
	}
}

func TestAReleaseWithoutAnAnswerIsRepeated(t *testing.T) {
	s := newStory(t, 0)
	s.begin("B")
	s.host("A").promoted = false
	w, _ := s.host("A").node.Release(s.clockOf("A"))
	s.told("A", w, Unknown, 0)
	s.at(1300)
	if s.host("A").node.Released() {
		t.Error("an answer was taken that did not come")
	}
	s.renews("A")
	if !s.host("A").node.Released() || !s.store.view().Electorate.Released {
		t.Errorf("not released: %+v", s.store.view())
	}
	if _, ok := s.puts("A"); ok {
		t.Error("released twice")
	}
}

func TestAReleaseIsNotRepeatedUnderAnotherLeader(t *testing.T) { // found by lot, run 3077
	s := newStory(t, 0)
	s.begin("B", "C")
	s.host("A").promoted = false
	w, _ := s.host("A").node.Release(s.clockOf("A")) // lost on its way
	s.told("A", w, Unknown, 0)
	s.at(2300)
	s.takesOver("B")
	s.store.remove(dcs.KeyLeader) // B's lease ends; B is carried by C
	s.watch("A")
	if w, ok := s.puts("A"); ok {
		t.Errorf("A releases what B holds: %+v", w.Txn)
	}
}

func TestALateAnswerDoesNotBringBackATermThatWasGivenUp(t *testing.T) { // found by lot, run 534
	s := newStory(t, 0)
	s.at(1100)
	w, ok := s.takes("A")
	answer, revision := s.applies("A", w, ok)
	s.watch("A")
	if _, ok := s.host("A").node.Leading(); !ok || s.host("A").node.Permit() != 0 {
		t.Fatal("seen in the mirror before the answer: the key without a permit")
	}
	_, ok = s.host("A").node.Release(s.clockOf("A"))
	s.told("A", w, answer, revision)
	if _, leads := s.host("A").node.Leading(); leads || !ok {
		t.Error("A leads the term that it gave up")
	}
}

func TestATakeoverWhoseAnswerIsLostLeadsByTheNextPut(t *testing.T) {
	s := newStory(t, 0)
	s.begin("B")
	s.at(2300)
	w, ok := s.takes("B")
	s.applies("B", w, ok)
	s.watch("B")
	h := s.host("B")
	if h.promoted || h.node.Permit() != 0 {
		t.Error("a permit without an answer: which takeover won is not known")
	}
	s.renews("B")
	if !h.promoted {
		t.Error("not promoted after its put succeeded")
	}
}

func TestTheAnswerAfterTheMirrorGivesTheFirstPermit(t *testing.T) {
	s := newStory(t, 0)
	s.begin("B")
	s.at(2300)
	w, ok := s.takes("B")
	answer, revision := s.applies("B", w, ok)
	s.watch("B")
	s.told("B", w, answer, revision)
	if want := w.Sent.Add(950 * time.Millisecond); s.host("B").node.Permit() != want || !s.host("B").promoted {
		t.Errorf("permit %v, want %v", s.host("B").node.Permit(), want)
	}
}

func TestALeaderKeyThatWentIsPutAgainWhilePeersCarryTheLeader(t *testing.T) {
	s := newStory(t, 0)
	s.begin("B", "C")
	before, _ := s.host("A").node.Leading()
	s.store.remove(dcs.KeyLeader)
	s.watch("B", "C")
	s.lasts(3*time.Second, false, "B", "C") // the members know no newer term
	s.watch("A")
	s.renews("A")
	after, ok := s.host("A").node.Leading()
	if v := s.store.view(); !ok || after <= before || v.Leader != "A" || v.Term != after || v.Revision != after {
		t.Errorf("term %d after %d: %+v", after, before, v)
	}
	s.lasts(3*time.Second, true, "B", "C")
}

func TestPatronisLeaderIsSucceededOnlyWhenItsKeyIsGone(t *testing.T) {
	s := newStory(t, 0)
	s.begin("B")
	// A's node goes back to Patroni, which puts the leader key alone.
	s.store.apply("A", dcs.Txn{Then: []dcs.Op{{Key: dcs.KeyLeader, Data: []byte("A"), Leased: true}}})
	s.watch("B")
	s.at(9000)
	if _, ok := s.takes("B"); ok {
		t.Error("B takes over from Patroni by the electorate that Patroni does not keep")
	}
	s.store.remove(dcs.KeyLeader)
	s.watch("B")
	s.takesOver("B")
	if !s.host("B").promoted {
		t.Error("B does not lead though the key is gone")
	}
}

func TestPatronisLeaderKeyIsCarriedOnByItsOwnNode(t *testing.T) {
	s := newStory(t, 0)
	_, term := s.store.apply("A", dcs.Txn{Then: []dcs.Op{{Key: dcs.KeyLeader, Data: []byte("A"), Leased: true}}})
	s.watch("A")
	s.host("A").node.Adopt(Kept{Term: term}, 0, s.clockOf("A"))
	if s.host("A").node.Permit() > s.clockOf("A") {
		t.Error("a permit before the store was asked")
	}
	s.host("A").node.Learn(s.store.view(), s.clockOf("A"))
	s.renews("A")
	if s.host("A").node.Permit() <= s.clockOf("A") || s.store.view().Electorate.Leader != "A" {
		t.Errorf("no permit after the put: %+v", s.store.view())
	}
}

func TestARestartedAgentGoesOnWithoutTheStore(t *testing.T) {
	s := newStory(t, 0)
	s.begin("B", "C")
	kept, _ := s.host("A").node.Keep()
	data, err := json.Marshal(kept)
	var back Kept
	if err != nil || json.Unmarshal(data, &back) != nil || !reflect.DeepEqual(back, kept) {
		t.Fatalf("%s comes back as %+v: %v", data, back, err)
	}
	s.forget("A")
	s.host("A").node.Adopt(back, s.host("A").deadline, s.clockOf("A"))
	s.lasts(5*time.Second, false, "B", "C") // L3
}

func TestAPromiseOutlivesTheWayToTheKey(t *testing.T) { // P4
	f := newFollower("B", 1, 0, &ids{}, omitted{})
	f.See(View{At: 5, Leader: "A", Term: 5, Electorate: Electorate{Leader: "A", Members: []string{"B"}, Permit: Default}, Revision: 5}, 0)
	at := f.wait.Add(time.Second)
	f.Heartbeat(Heartbeat{Leader: "A", Term: 5, Permit: Default}, Position{}, at)
	h := newHolder("B", won{term: 6, electorate: Electorate{Leader: "B", Permit: Default}}, Default, f.Promised(), at, &ids{}, omitted{})
	put := func(later time.Duration) bool {
		now := at.Add(later)
		w, ok := h.Put(false, now)
		h.Answered(w.ID, Yes, h.revision+1, now)
		return ok && h.Permit() > now
	}
	if put(900 * time.Millisecond) {
		t.Error("a permit within permit + margin of an acknowledgement to another leader")
	}
	if !put(1050 * time.Millisecond) {
		t.Error("no permit after it")
	}
}

// TestTheWaitForAnEarlierLifeCountsFromTheStart: what it acknowledged it did before, and
// a store that is first seen later is no reason to wait longer.
func TestTheWaitForAnEarlierLifeCountsFromTheStart(t *testing.T) {
	start := boottime.Instant(time.Hour)
	n := New("n1", time.Second, 5, start)
	v := View{At: 9, Leader: "n1", Term: 5, Electorate: Electorate{Leader: "n1", Members: []string{"n2"}, Permit: 2 * time.Second}, Revision: 9}
	seen := start.Add(400 * time.Millisecond)
	n.Learn(v, seen)
	if got, want := n.follower.Promised(), start.Add(quiet(2*time.Second)); got != want {
		t.Errorf("promises of an earlier life are kept until %v after the start, want %v", got.Sub(start), want.Sub(start))
	}
	// The quiet period of a candidate is another matter: the leader's last put may have
	// been as late as the first look (P2).
	if at, ok := n.FreeAt(); !ok || at != seen.Add(quiet(2*time.Second)) {
		t.Errorf("it may take over %v after the start, %v", at.Sub(start), ok)
	}
}

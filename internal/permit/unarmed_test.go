package permit

import "testing"

func (s *story) says(name string) bool { return s.host(name).node.saysUnarmed() }

// TestTheKeySaysUnarmedBeforeTheGuardIsDisarmed: and it counts as said only while no put
// can take it back.
func TestTheKeySaysUnarmedBeforeTheGuardIsDisarmed(t *testing.T) {
	s := newStory(t, 0)
	s.begin("B")
	n := s.host("A").node
	n.Unarmed(true, s.store.view().Revision)
	w, ok := s.puts("A")
	if !ok || s.says("A") {
		t.Fatalf("put %v, said %v before it was", ok, s.says("A"))
	}
	s.answers("A", w, ok)
	s.watch("B")
	if e := s.store.view().Electorate; !e.Unarmed || !s.says("A") || !s.says("B") {
		t.Fatalf("%+v, A says %v, B %v", e, s.says("A"), s.says("B"))
	}
	s.at(1300)
	s.beats("A", "B")
	if w, ok := s.puts("A"); ok {
		t.Errorf("and again: %+v", w)
	}
	n.Unarmed(false, s.store.view().Revision)
	w, ok = s.puts("A")
	if n.Unarmed(true, s.store.view().Revision); !ok || s.says("A") {
		t.Fatalf("put %v, and another pause begins before its answer: %v", ok, s.says("A"))
	}
	s.told("A", w, Unknown, 0)
	if s.says("A") {
		t.Error("it may be applied still")
	}
	s.applies("A", w, ok)
	s.watch("A")
	s.at(1500)
	s.beats("A", "B")
	if s.renews("A"); !s.says("A") || !s.store.view().Electorate.Unarmed {
		t.Error("the second pause is not in the key")
	}
}

// TestARestartedAgentKeepsTheWordUntilItHasLooked: the guard's record has it.
func TestARestartedAgentKeepsTheWordUntilItHasLooked(t *testing.T) {
	s := newStory(t, 0)
	s.begin("B")
	s.host("A").node.Unarmed(true, s.store.view().Revision)
	s.renews("A")
	kept, _ := s.host("A").node.Keep()
	s.forget("A")
	s.host("A").node.Adopt(kept, s.clockOf("A")+1e9, s.clockOf("A"))
	s.at(2000)
	s.renews("A")
	if e := s.store.view().Electorate; !e.Unarmed || !s.says("A") {
		t.Errorf("after the restart: %+v", e)
	}
}

// TestATakeoverInAPauseIsUnarmed, and what is given up is not.
func TestATakeoverInAPauseIsUnarmed(t *testing.T) {
	s := newStory(t, 0)
	s.begin("B")
	s.at(9000)
	s.host("B").node.Unarmed(true, s.store.view().Revision)
	s.takesOver("B")
	if e := s.store.view().Electorate; e.Leader != "B" || !e.Unarmed {
		t.Fatalf("%+v", e)
	}
	w, ok := s.host("B").node.Release(s.clockOf("B"))
	s.applies("B", w, ok)
	s.watch("C")
	if e := s.store.view().Electorate; !e.Released || e.Unarmed || s.says("C") {
		t.Errorf("given up: %+v", e)
	}
}

// TestTheOldLeaderTakesItsWordBack when its server is no primary any more: then others may
// take over without a person. It is for the lead that the pass has seen, and its own alone.
func TestTheOldLeaderTakesItsWordBack(t *testing.T) {
	s := newStory(t, 0)
	s.begin("B")
	s.host("A").node.Unarmed(true, s.store.view().Revision)
	s.renews("A")
	s.restart("A")
	s.watch("B")
	key := s.store.view().Revision
	for _, c := range []struct {
		name    string
		unarmed bool
		key     int64
	}{{"A", true, key}, {"A", false, 0}, {"A", false, key - 1}, {"B", false, key}} {
		s.host(c.name).node.Unarmed(c.unarmed, c.key)
		if w, ok := s.host(c.name).node.Disown(s.clockOf(c.name)); ok {
			t.Errorf("%+v: %+v", c, w)
		}
	}
	s.host("A").node.Unarmed(false, key)
	w, ok := s.host("A").node.Disown(s.clockOf("A"))
	s.applies("A", w, ok)
	s.watch("A", "B")
	if e := s.store.view().Electorate; e.Unarmed || e.Leader != "A" || len(e.Members) != 1 || s.says("B") {
		t.Errorf("%+v", e)
	}
	if w, ok := s.host("A").node.Disown(s.clockOf("A") + 1e9); ok {
		t.Errorf("and again: %+v", w)
	}
}

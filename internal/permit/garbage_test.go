package permit

import (
	"testing"
	"time"

	"matriarch/internal/dcs"
)

// garbage is what a person or a script may put where it does not belong.
var garbage = []string{"", "null", "5", "\xff\xfe", `{"leader":`, `{"leader":""}`, `["n1"]`, "nobody", "n9"}

// scribble puts garbage under a key as etcdctl does: without a lease.
func (s *store) scribble(key, text string) {
	s.revision++
	s.values[key] = dcs.Value{Data: []byte(text), Modified: s.revision}
	s.w.log("store: %d by hand: %s is %q", s.revision, key, text)
	s.watched()
}

// TestGarbageUnderTheKeysDemotesNobody: the leader puts both keys right, and its permit
// has no gap meanwhile.
func TestGarbageUnderTheKeysDemotesNobody(t *testing.T) {
	for _, key := range []string{dcs.KeyLeader, Key} {
		for _, text := range garbage {
			s := newStory(t, 0)
			s.begin("B", "C")
			s.store.scribble(key, text)
			s.watch("B", "C")
			s.beats("A", "B", "C") // the members see it first, and stay with their leader
			for _, name := range []string{"B", "C"} {
				if w, ok := s.takes(name); ok {
					t.Errorf("%s %q: %s takes over: %+v", key, text, name, w)
				}
			}
			s.watch("A")
			s.lasts(3*time.Second, true, "B", "C")
			v := s.store.view()
			if v.Leader != "A" || v.Stray != 0 || v.Electorate.Leader != "A" || len(v.Electorate.Members) != 2 || v.Electorate.Permit != Default {
				t.Errorf("%s %q: not put right: %+v", key, text, v)
			}
			if term, ok := s.host("A").node.Leading(); !ok || term != v.Term {
				t.Errorf("%s %q: A is at term %d, %v; the key's is %d", key, text, term, ok, v.Term)
			}
		}
	}
}

// TestAStrayLeaderKeyHoldsUpNobody: with the leader gone, a member takes over past it.
func TestAStrayLeaderKeyHoldsUpNobody(t *testing.T) {
	s := newStory(t, 0)
	s.begin("B", "C")
	s.store.scribble(dcs.KeyLeader, "nobody")
	s.watch("B", "C")
	s.at(9000)
	s.takesOver("B")
	if v := s.store.view(); v.Leader != "B" || !s.host("B").promoted {
		t.Errorf("B has not taken over: %+v", v)
	}
}

// TestGarbageInRunsByLotKeepsS1: both keys are scribbled over time and again, under all
// the other faults.
func TestGarbageInRunsByLotKeepsS1(t *testing.T) {
	n, scribbles, mended := seeds(t, 150), 0, 0
	for seed := range uint64(n) {
		w := newWorld(seed, designed)
		var scribble func()
		scribble = func() {
			if w.calm {
				return
			}
			scribbles++
			w.store.scribble([]string{dcs.KeyLeader, Key}[w.rnd.IntN(2)], garbage[w.rnd.IntN(len(garbage))])
			w.after(w.upTo(6*time.Second), scribble)
		}
		w.after(w.upTo(6*time.Second), scribble)
		w.run(w.now + int64(designed.faults))
		if w.violation != "" {
			t.Fatalf("seed %d: S1: %s", seed, w.violation)
		}
		w.heal()
		w.run(w.now + int64(quiet(w.longer)))
		if seen := w.store.view(); w.writer() == nil && seen.illegible() { // the leader was lost with it
			mended++
			w.store.scribble(Key, `{"leader":"n1","released":true}`)
			w.store.remove(dcs.KeyLeader)
			w.store.watched()
		}
		if _, err := progress(w); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	t.Logf("%d scribbles; a person had to say that the leader is gone in %d of %d runs", scribbles, mended, n)
	if scribbles < 3*n || mended == 0 || mended > n/3 {
		t.Errorf("%d scribbles in %d runs: the lots are drawn badly", scribbles, n)
	}
}

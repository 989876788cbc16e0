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
	n, total := seeds(t, 150), littered{}
	for seed := range uint64(n) {
		total.run(t, seed, designed, scribbled)
	}
	t.Logf("%d scribbles; a person had to say that the leader is gone in %d of %d runs", total.times, total.mended, n)
	if total.times < 3*n || total.mended == 0 || total.mended > n/3 {
		t.Errorf("%d scribbles in %d runs: the lots are drawn badly", total.times, n)
	}
}

// TestKeysDeletedInRunsByLotKeepS1: any of the keys is scribbled over, or deleted, or the
// electorate and the leader key go together.
func TestKeysDeletedInRunsByLotKeepS1(t *testing.T) {
	n, total := seeds(t, 150), littered{}
	for seed := range uint64(n) {
		total.run(t, seed, designed, deleted)
	}
	t.Logf("%d times; a person had to say that the leader is gone in %d of %d runs", total.times, total.mended, n)
	if total.times < 3*n || total.mended == 0 || total.mended > n/2 {
		t.Errorf("%d times in %d runs: the lots are drawn badly", total.times, n)
	}
}

// TestALeaderThatCameAndWentUnderGarbage: in these runs nothing was left of it, and the one
// before put its keys back beside it. Without the term key the model still finds that.
func TestALeaderThatCameAndWentUnderGarbage(t *testing.T) {
	for _, c := range []struct {
		seed   uint64
		litter func(*world)
	}{{1888, scribbled}, {3318, scribbled}} {
		var total littered
		total.run(t, c.seed, designed, c.litter)
		s := designed
		s.omit = takenIsKept
		w := newWorld(c.seed, s)
		w.litter(new(int), c.litter)
		if w.run(w.now + int64(s.faults)); w.violation == "" {
			t.Errorf("seed %d: the model does not notice that the rule is left out", c.seed)
		}
	}
}

// littered counts over runs.
type littered struct{ times, mended int }

// scribbled puts garbage under the leader key or the electorate.
func scribbled(w *world) {
	w.store.scribble([]string{dcs.KeyLeader, Key}[w.rnd.IntN(2)], garbage[w.rnd.IntN(len(garbage))])
}

// deleted does that or deletes. The term key is only written over: of one who deletes all
// three nobody can tell that there was ever a leader.
func deleted(w *world) {
	key := []string{dcs.KeyLeader, Key}[w.rnd.IntN(2)]
	switch w.rnd.IntN(4) {
	case 0:
		w.store.scribble([]string{key, TermKey}[w.rnd.IntN(2)], garbage[w.rnd.IntN(len(garbage))])
	case 1:
		w.log("by hand: %s is deleted", key)
		w.store.remove(key)
	default:
		w.log("by hand: leader and electorate are deleted")
		w.store.remove(dcs.KeyLeader)
		w.store.remove(Key)
	}
}

// litter does it time and again until the faults end.
func (w *world) litter(times *int, do func(*world)) {
	var again func()
	again = func() {
		if !w.calm {
			*times++
			do(w)
			w.after(w.upTo(6*time.Second), again)
		}
	}
	w.after(w.upTo(6*time.Second), again)
}

// run is one of them. A leader that was lost with the electorate leaves a person to say so.
func (l *littered) run(t *testing.T, seed uint64, s setting, do func(*world)) {
	t.Helper()
	w := newWorld(seed, s)
	w.litter(&l.times, do)
	w.run(w.now + int64(s.faults))
	if w.violation != "" {
		t.Fatalf("seed %d: S1: %s", seed, w.violation)
	}
	w.heal()
	w.run(w.now + int64(quiet(w.longer)))
	if seen := w.store.view(); w.writer() == nil && seen.Electorate.Leader == "" {
		l.mended++
		w.store.scribble(Key, `{"leader":"n1","released":true}`)
		w.store.remove(dcs.KeyLeader)
		w.store.watched()
		w.run(w.now + int64(10*time.Millisecond)) // or the news were lost with the faults' end
	}
	if _, err := progress(w); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
}

// TestDriversAmongDeletedKeysKeepS1: the same for drivers, with leases as the store grants
// them, and for leaders that are their own quorum at times.
func TestDriversAmongDeletedKeysKeepS1(t *testing.T) {
	n, times, promotions := seeds(t, 60), 0, 0
	for seed := range uint64(n) {
		s := designed
		s.driven, s.lone = seed%2 == 0, seed%3 > 0
		w := newWorld(seed, s)
		w.litter(&times, deleted)
		if w.run(w.now + int64(s.faults)); w.violation != "" {
			t.Fatalf("seed %d: S1: %s", seed, w.violation)
		}
		promotions += w.promotions
	}
	if times < 3*n || promotions < n {
		t.Errorf("%d times and %d promotions in %d runs: the lots are drawn badly", times, promotions, n)
	}
}

// erasures are what a person may do to the electorate.
var erasures = map[string]func(*store){
	"written over": func(s *store) { s.scribble(Key, "nobody") },
	"deleted":      func(s *store) { s.remove(Key) },
}

// TestALeaderPutsBackOnlyWhatNobodyElseHadMeanwhile: B has led, or has not, and what the
// leader key and the electorate said of it is gone.
func TestALeaderPutsBackOnlyWhatNobodyElseHadMeanwhile(t *testing.T) {
	for name, erase := range erasures {
		for _, led := range []bool{false, true} {
			s := newStory(t, 0)
			s.begin("B")
			s.at(9000)
			if led {
				s.watch("B")
				if s.takesOver("B"); !s.host("B").promoted {
					t.Fatal("B has not taken over")
				}
			}
			erase(s.store)
			s.store.remove(dcs.KeyLeader)
			s.watch("A")
			w, put := s.puts("A")
			if _, leads := s.host("A").node.Leading(); put == led || leads == led {
				t.Errorf("%s, B has led %v: A puts %v, leads %v", name, led, put, leads)
			}
			if led {
				continue
			}
			s.answers("A", w, put)
			if v := s.store.view(); v.Leader != "A" || v.Electorate.Leader != "A" || s.host("A").node.Permit() == 0 {
				t.Errorf("%s: not put back: %+v", name, v)
			}
		}
	}
}

// TestALatePutBringsNoLeaderBack: A's keys are gone by hand and it puts them back, but
// before that arrives B's were there, and are gone as well.
func TestALatePutBringsNoLeaderBack(t *testing.T) {
	s := newStory(t, 0)
	s.begin("B")
	s.store.remove(Key)
	s.store.remove(dcs.KeyLeader)
	s.watch("A")
	w, ok := s.puts("A")
	if !ok {
		t.Fatal("A puts nothing back, though its permit runs")
	}
	s.store.scribble(TermKey, "B") // of B's takeover nothing else is left
	if answer, _ := s.applies("A", w, ok); answer != No {
		t.Error("A's put was applied")
	}
}

// TestAMissingTermKeyIsPutAgain: it was deleted by hand, or there was none yet.
func TestAMissingTermKeyIsPutAgain(t *testing.T) {
	s := newStory(t, 0)
	s.begin("B")
	s.store.remove(TermKey)
	s.watch("A")
	s.at(1400)
	s.renews("A")
	if s.store.view().Taken == 0 {
		t.Error("there is none")
	}
	s.watch("A")
	s.beats("A", "B")
	s.at(1500)
	if w, ok := s.puts("A"); ok {
		t.Errorf("and again: %+v", w)
	}
}

// TestNobodyBeginsAnewWhereAnElectorateWasDeleted: an agent that was just started, and has
// seen none, takes the cluster neither for one without a leader nor for one of Patroni's.
func TestNobodyBeginsAnewWhereAnElectorateWasDeleted(t *testing.T) {
	for name, erase := range erasures {
		s := newStory(t, 0)
		s.begin("B")
		erase(s.store)
		s.restart("C")
		s.at(9000)
		if f := s.host("C").node.follower; f.RetireAt() != 0 {
			t.Errorf("%s: C says that the leader is Patroni's", name)
		}
		s.store.remove(dcs.KeyLeader)
		s.watch("C")
		s.at(20000)
		if w, ok := s.takes("C"); ok {
			t.Errorf("%s: C takes over: %+v", name, w)
		}
	}
}

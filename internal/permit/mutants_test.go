package permit

import (
	"testing"
)

// mutants are rules left out, with the number of runs within which the model has
// to notice. Those of the stories that are not here need a coincidence too rare
// for lots; rare ones are looked for when PERMIT_SEEDS asks for as many runs.
var mutants = []struct {
	name   string
	omit   rule
	within int
	lone   bool
}{
	{"P1: the permit counts from the answer", countFromSend, 20, false},
	{"P2: a restarted agent does not wait", startIsQuiet, 20, false},
	{"P2: an acknowledgement does not begin the wait anew", ackIsQuiet | promiseHolds, 20, false},
	{"P2: a change of the key does not begin the wait anew", changeIsQuiet, 20, false},
	{"P3: transactions without an answer are forgotten", mayStillApply | promiseHolds, 600, false},
	{"P4: a candidate acknowledges while its takeover may be applied", noAckWhileTaking | promiseHolds, 600, false},
	{"P5: puts do not compare the revision", compareRevision, 20, false},
	{"P5: a member is added to the key before it has to acknowledge", demandThenPut, 1500, false},
	{"P5: a member need not acknowledge while it is being removed", putThenRelease, 100, false},
	{"P6: whoever is not in the electorate races too", onlyElectorate, 20, false},
	{"P6: peers count though anyone may race", aloneByStore, 200, false},
	{"P7: old terms are acknowledged", newestTermOnly, 100, false},
	{"P8: a new leader demands nothing of who never answered", demandWhole, 100, false},
	{"P9: a longer permit is used before all have acknowledged it", longerWhenAcked | longerWhenPut, 200, false},
	{"P9: a longer permit is used before the key says so", longerWhenPut, 10000, false},
	{"P9: the key is shortened while a longer permit runs", shorterAfterEnd, 5000, false},
	{"P9: a candidate forgets the longer wait", waitLongest | promiseHolds, 200, false},
	{"P6: others race though the leader is the sole quorum", onlyElectorate, 20, true},
	{"P6: a put that lets others race does not end the sole right", soleToTheEnd, 200, true},
}

// usual is how many runs a mutant may take when nobody asks for more.
const usual = 600

func TestTheModelNoticesEachRuleThatIsLeftOut(t *testing.T) {
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			if m.within > seeds(t, usual) {
				t.Skipf("PERMIT_SEEDS=%d or more looks for it", m.within)
			}
			t.Parallel()
			s := designed
			s.omit, s.lone = m.omit, m.lone
			for seed := range uint64(m.within) {
				w := newWorld(seed, s)
				w.run(w.now + int64(s.faults))
				if w.violation != "" {
					t.Logf("found by run %d: %s", seed+1, w.violation)
					return
				}
			}
			t.Errorf("not found within %d runs", m.within)
		})
	}
}

// TestTheMarginIsNotIdle: a guard that is slower than the margins allow is found.
func TestTheMarginIsNotIdle(t *testing.T) {
	s := designed
	s.guard = 2
	for seed := range uint64(500) {
		w := newWorld(seed, s)
		w.run(w.now + int64(s.faults))
		if w.violation != "" {
			t.Logf("found by run %d: %s", seed+1, w.violation)
			return
		}
	}
	t.Error("a guard twice as slow as the margins allow went unnoticed")
}

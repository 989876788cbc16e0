package sim

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	mutantsAll  = flag.Bool("mutants", false, "look for all mutants, not only for those that a test run has time for")
	mutantSeeds = flag.Int("mutant-seeds", 0, "look for each within that many seeds; 0: within as many as are stated for it")
	mutantOnly  = flag.String("mutant", "", "only mutants whose name contains this")
)

// mutantHours is how long a seed's cluster lives under dense faults.
const mutantHours = 0.2

// search says in which worlds a mutant is looked for, and within how many seeds it has
// to be found: some three times as many as it took.
type search struct {
	worlds func(seed uint64, m Mutant) Settings
	within int
	quick  bool // any test run has time for it
}

// searches are the mutants' by name. What the rules of the permit are for happens in
// moments that a fault at a time by lot hardly ever meets, so they are looked for where
// faults wait for their moment. Two rules that cover the same case mask each other, and
// package permit's Omissions leave out both: that a promise holds however one came to
// the key (P4) covers for P2's acknowledgement, P3, P4's refusal and P9's wait, and what
// the key says of the permit covers for what has been acknowledged (P9).
var searches = map[string]search{
	"P1: the permit counts from the answer":                          {Timed, 12, false},
	"P2: a restarted agent does not wait":                            {Timed, 6, true},
	"P2: an acknowledgement does not begin the wait anew":            {Timed, 6, false},
	"P2: a change of the key does not begin the wait anew":           {Timed, 12, false},
	"P3: transactions without an answer are forgotten":               {Timed, 12, true},
	"P4: a candidate acknowledges while its takeover may be applied": {Timed, 100, false},
	"P5: puts do not compare the revision":                           {Timed, 50, false},
	"P5: a member is added to the key before it has to acknowledge":  {Timed, 20, true},
	"P5: a member need not acknowledge while it is being removed":    {Timed, 20, false},
	"P6: whoever is not in the electorate races too":                 {Timed, 40, false},
	"P6: peers count though anyone may race":                         {Timed, 20, false},
	"P7: old terms are acknowledged":                                 {Timed, 6, false},
	"P8: a new leader demands nothing of who never answered":         {Timed, 20, false},
	"P9: a longer permit is used before all have acknowledged it":    {Timed, 30, true},
	"P9: a candidate forgets the longer wait":                        {Timed, 12, false},
	"the guard does not freeze":                                      {Dense, 3, true},
	"positions are compared without timelines":                       {Dense, 200, false},
	"the system identifier is not looked at":                         {Dense, 40, false},
	"a stale position is believed":                                   {Dense, 20, false},
	"nofailover is not kept to":                                      {Dense, 6, true},
	"maximum_lag_on_failover is not kept to":                         {Dense, 60, false},
	"a log that has parted is followed":                              {Dense, 6, true},

	"a standby counts as synchronous before it has what was acknowledged": {Counted, 6, true},
}

// hunt looks for a mutant, and says how many seeds it took.
func hunt(m Mutant, in search) (found Result, seeds int, hours float64) {
	for seed := uint64(1); seed <= uint64(in.within); seed++ {
		w := NewWorld(seed, in.worlds(seed, m))
		r := w.Simulate(mutantHours)
		w.End()
		hours += r.Hours
		if r.Broken != "" && m.shownBy(r.Broken) && lives(seed, in.worlds(seed, m)) {
			return r, int(seed), hours
		}
	}
	return Result{}, in.within, hours
}

// shownBy reports that what broke proves the mutant. A rule of the permit that is left out
// shows as two primaries, or as members that take the lead from each other for ever (L1,
// L2), and a worse candidate that was passed by (S6) is no proof of it. Of a standby that
// counts too early nothing but a lost commit is (S2).
func (m Mutant) shownBy(broken string) bool {
	switch {
	case m.omits != nil:
		return !strings.HasPrefix(broken, "S6")
	case m.confirmOff:
		return strings.HasPrefix(broken, "S2")
	}
	return true
}

// lives reports that nothing breaks in the same world when nothing is left out: it is the
// mutant that was found, and not something else.
func lives(seed uint64, set Settings) bool {
	set.Mutant = Mutant{}
	w := NewWorld(seed, set)
	defer w.End()
	return w.Simulate(mutantHours).Broken == ""
}

// TestMutants leaves out, or does wrong, one thing at a time, and wants to see an
// invariant break. `make sim-mutants` prints the whole table.
func TestMutants(t *testing.T) {
	var wait sync.WaitGroup
	turns := make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, m := range Mutants() {
		in, stated := searches[m.Name]
		if !stated {
			t.Errorf("%s: nothing says where it is to be looked for", m.Name)
		}
		if *mutantSeeds > 0 {
			in.within = *mutantSeeds
		}
		if !stated || !in.quick && !*mutantsAll || !strings.Contains(m.Name, *mutantOnly) {
			continue
		}
		wait.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			start := time.Now()
			r, seeds, hours := hunt(m, in)
			took := fmt.Sprintf("%-68s seed %3d of %3d, after %5.2f h and %4.0f s", m.Name, seeds, in.within, hours, time.Since(start).Seconds())
			switch {
			case r.Broken == "":
				t.Error(took + ": not found")
			case testing.Verbose():
				fmt.Printf("%s: %.60s\n", took, r.Broken)
			}
		})
	}
	wait.Wait()
}

package chaos

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestNamed deals faults by their names, as a story has them: CHAOS_FAULT is one, or
// several with ";" between them, dealt one after the other; with " + " between two
// they are dealt together. CHAOS_HOLD is how many seconds each lasts.
func TestNamed(t *testing.T) {
	words := os.Getenv("CHAOS_FAULT")
	if words == "" {
		t.Skip("CHAOS_FAULT is not set")
	}
	var faults []fault
	for name := range strings.SplitSeq(words, ";") {
		first, second, both := strings.Cut(name, " + ")
		x := named(t, first)
		if both {
			x = and(x, named(t, second), 100*time.Millisecond)
			x.keeps, x.clean = false, false
		}
		faults = append(faults, x.during(seconds("CHAOS_HOLD", 5)))
	}
	f := newField(t)
	var names []string
	var results []result
	for _, x := range faults {
		names, results = append(names, x.name), append(results, f.deal(x))
	}
	t.Log(f.finish())
	t.Log(table(names, results))
}

func named(t *testing.T, name string) fault {
	t.Helper()
	var known []string
	for _, x := range catalogue() {
		if x.name == strings.TrimSpace(name) {
			return x
		}
		known = append(known, x.name)
	}
	t.Fatalf("there is no fault %q; there are:\n%s", name, strings.Join(known, "\n"))
	return fault{}
}

// catalogue is every simple fault there is.
func catalogue() []fault {
	var of []fault // a node
	for _, s := range everySignals() {
		of = append(of, processFault(s))
	}
	for _, from := range []string{"all", "etcd", "peers"} {
		for _, way := range []direction{bothWays, hears, speaks} {
			of = append(of, cutFault(from, way))
		}
	}
	of = append(of, cableFault, crashFault)
	all := []fault{switchFault, terminateFault, restartFault, etcdAway, etcdStutters, etcdFull, etcdBeheaded}
	for _, x := range of {
		all = append(all, x, x.onStandby(1), x.onStandby(2))
	}
	return all
}

package fence

import (
	"testing"
	"time"

	"matriarch/internal/boottime"
)

// TestHurryLeavesNoTrace looks whether a server that has been frozen and thawed under
// load is scheduled as before, whichever processes it has by then.
func TestHurryLeavesNoTrace(t *testing.T) {
	n := newNode(t, time.Minute)
	n.crowd(4)
	n.shell(`i=0; while [ $i -lt 4 ]; do (while :; do /bin/true; done) & i=$((i+1)); done; wait`, true, time.Minute)
	n.awaitProcesses(5)
	ordinary := func(when string) {
		t.Helper()
		for _, p := range n.server() {
			if p.policy != 0 || p.nice != 0 {
				t.Errorf("%s: process %d has policy %d and nice %d", when, p.pid, p.policy, p.nice)
			}
		}
	}
	for range 4 {
		if err := n.Freeze(limited(t)); err != nil {
			t.Fatal(err)
		}
		n.status() // it answers the freeze before it makes them ordinary again
		ordinary("frozen")
		if err := n.Release(limited(t)); err != nil {
			t.Fatal(err)
		}
		n.event(WasThawed)
		ordinary("thawed")
		if err := n.Cut(boottime.Now()); err != nil {
			t.Fatal(err)
		}
		if err := n.Extend(boottime.Now().Add(time.Minute)); err != nil { // often in the middle of the freeze
			t.Fatal(err)
		}
		n.status()
		ordinary("cut and extended")
	}
}

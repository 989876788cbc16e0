package chaos

import (
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"matriarch/test/e2e/lab"
)

// stepsClock is true when this machine's clock may be set, which concerns everything
// on it: whoever asks for that by CHAOS_CLOCK lends the whole machine.
var stepsClock = os.Getenv("CHAOS_CLOCK") != ""

// clockFault sets the wall clock of all nodes, forward or (below zero) back, and back
// again when it is healed. No permit may notice: PostgreSQL does, whose senders and
// receivers of WAL measure their timeouts by it, and break off.
func clockFault(by time.Duration) fault {
	return fault{name: fmt.Sprintf("set the clock by %v", by), keeps: true, clean: true, deal: func(f *field, _ *lab.Node) func() {
		return f.stepClock(by)
	}}
}

// stepClock sets the clock until the returned function is called, or the test ends.
func (f *field) stepClock(by time.Duration) (back func()) {
	f.t.Helper()
	if err := setClock(by); err != nil {
		f.t.Fatal(err)
	}
	stepped := true
	back = func() {
		if !stepped {
			return
		}
		stepped = false
		if err := setClock(-by); err != nil {
			f.t.Errorf("the clock is off by %v: %v", by, err)
		}
	}
	f.t.Cleanup(back)
	return back
}

// setClock adds to the wall clock. What passes between reading and setting it, some
// microseconds, is lost.
func setClock(by time.Duration) error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
		return fmt.Errorf("read the clock: %w", err)
	}
	then := unix.NsecToTimespec(now.Nano() + by.Nanoseconds())
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &then); err != nil {
		return fmt.Errorf("set the clock by %v (it takes CAP_SYS_TIME): %w", by, err)
	}
	return nil
}

// TestClockSteps sets the clock forward and back under a writing cluster, within the
// timeouts of replication and far beyond them.
func TestClockSteps(t *testing.T) {
	if !stepsClock {
		t.Skip("CHAOS_CLOCK is not set: the whole machine's clock is not to be touched")
	}
	f := newField(t)
	var names []string
	var results []result
	for _, by := range []time.Duration{time.Second, -time.Second, 45 * time.Second, -45 * time.Second, 10 * time.Minute, -10 * time.Minute} {
		x := clockFault(by).during(5 * time.Second)
		names, results = append(names, x.name), append(results, f.deal(x))
	}
	x := and(clockFault(-5*time.Minute), cableFault, time.Second).during(5 * time.Second).taking()
	names, results = append(names, x.name), append(results, f.deal(x))
	t.Log(f.finish())
	t.Log(table(names, results))
}

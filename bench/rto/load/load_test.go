package load

import (
	"context"
	"math"
	"runtime"
	"testing"
	"time"
)

func TestWhatIsReadFromTheKernel(t *testing.T) {
	busy, err := busyTime("cpu  100 20 30 4000 500 6 7 8 9 10\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
	if err != nil || busy != 171*tick { // guest time, 9 and 10, is in user time already
		t.Errorf("%v, %v", busy, err)
	}
	used, err := usedTime("usage_usec 1500\nuser_usec 1000\n")
	if err != nil || used != 1500*time.Microsecond {
		t.Errorf("%v, %v", used, err)
	}
	for _, text := range []string{"", "cpu 1 2 3\n", "cpu a b c d e f g h i j\n"} {
		if _, err := busyTime(text); err == nil {
			t.Errorf("%q is taken for /proc/stat", text)
		}
	}
	if _, err := usedTime("user_usec 1\n"); err == nil {
		t.Error("a file without usage is taken for cpu.stat")
	}
}

func TestTheShareOfOthers(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	all := time.Duration(runtime.NumCPU())
	o := New("somewhere")
	// Others idle for a second, then take all processors for one; we use 0.1 s of each.
	for i := range 21 {
		at := time.Duration(i) * step
		s := sample{at: start.Add(at), busy: at / 10, ours: at / 10}
		if at > time.Second {
			s.busy += (at - time.Second) * all
		}
		o.samples = append(o.samples, s)
	}
	for _, c := range []struct {
		from, to time.Duration
		want     float64
	}{{0, time.Second, 0}, {time.Second, 2 * time.Second, 1}, {0, 2 * time.Second, 0.5}, {1450 * time.Millisecond, 1460 * time.Millisecond, 1},
		{5 * time.Second, 6 * time.Second, 0}} {
		if got := o.Share(start.Add(c.from), start.Add(c.to)); math.Abs(got-c.want) > 0.01 {
			t.Errorf("from %v to %v: %v, want %v", c.from, c.to, got, c.want)
		}
	}
	o.Forget(start.Add(time.Second))
	if got := len(o.samples); got != 11 {
		t.Errorf("%d samples are left", got)
	}
}

func TestWithoutACgroupNothingIsKnown(t *testing.T) {
	o := New("")
	if err := o.Watch(context.Background()); err != nil || o.Known() || o.Share(time.Time{}, time.Now()) != 0 {
		t.Errorf("%v %v", err, o.Known())
	}
}

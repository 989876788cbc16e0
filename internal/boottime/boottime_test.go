package boottime

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The kernel's own word for the time since boot is /proc/uptime (proc(5)), in
// hundredths of a second, suspend included.
func TestNowIsTheTimeSinceBoot(t *testing.T) {
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), " ")
	seconds, err := strconv.ParseFloat(first, 64)
	if err != nil {
		t.Fatal(err)
	}
	uptime := time.Duration(seconds * float64(time.Second))
	if off := time.Duration(Now()) - uptime; off < -50*time.Millisecond || off > 5*time.Second {
		t.Errorf("Now is %v, /proc/uptime said %v before", time.Duration(Now()), uptime)
	}
}

func TestAClockIsAnchoredOnce(t *testing.T) {
	c := NewClock()
	before := Now()
	at := c.Now()
	after := Now()
	if i := c.Instant(at); i < before || i > after {
		t.Errorf("%v stands for %d, it was between %d and %d", at, i, before, after)
	}
	if d := time.Since(at); d < -time.Second || d > time.Second {
		t.Errorf("the clock is %v off the wall at its start", d)
	}
	if later := before.Add(time.Second); later.Sub(before) != time.Second {
		t.Error("Add and Sub disagree")
	}
}

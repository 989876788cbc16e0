package sim

import (
	"time"

	"matriarch/internal/boottime"
)

// clock is a machine's CLOCK_BOOTTIME. It runs at its own rate, and on while the
// machine is suspended.
type clock struct {
	booted instant
	ppm    int64 // parts per million by which it is fast
}

// million is what rates are parts of.
const million = 1_000_000

// read is what the clock shows.
func (c clock) read(now instant) boottime.Instant {
	passed := int64(now - c.booted)
	return boottime.Instant(passed + passed/million*c.ppm + passed%million*c.ppm/million)
}

// real is the first instant at which the clock shows at least i.
func (c clock) real(i boottime.Instant) instant {
	shown := int64(i)
	guess := c.booted + instant(shown-shown/(million+c.ppm)*c.ppm)
	for c.read(guess) > i {
		guess -= instant(c.read(guess)-i) + 1
	}
	for c.read(guess) < i {
		guess += instant(i - c.read(guess))
	}
	return guess
}

// epoch is what a node's clock shows at its boot, as a time.Time.
var epoch = time.Unix(1_900_000_000, 0).UTC()

func timeOf(i boottime.Instant) time.Time { return epoch.Add(time.Duration(i)) }

func instantOf(t time.Time) boottime.Instant { return boottime.Instant(t.Sub(epoch)) }

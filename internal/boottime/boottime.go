// Package boottime reads the clock that runs on while the machine is suspended.
//
// Every deadline that guards the right to write is measured here (S1): the wall
// clock can be stepped, and CLOCK_MONOTONIC, which Go's time package uses, stands
// still in suspend, so that a virtual machine that was paused for an hour would
// wake up believing in a lease that ended long ago.
package boottime

import (
	"time"

	"golang.org/x/sys/unix"
)

// Instant is a moment on CLOCK_BOOTTIME (clock_gettime(2)), in nanoseconds since
// the machine was booted. Instants of two machines have nothing to do with each
// other.
type Instant int64

// Now reads the clock.
func Now() Instant {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		// Linux has had it since 2.6.39; without it no deadline can be trusted.
		panic("read CLOCK_BOOTTIME: " + err.Error())
	}
	return Instant(ts.Nano())
}

// Add returns the instant d later.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Sub returns how long after j the instant i is.
func (i Instant) Sub(j Instant) time.Duration { return time.Duration(i - j) }

// Clock gives boot time as a time.Time, anchored once to the wall clock: good
// for durations and close enough to the wall for a log, and never stepped.
type Clock struct {
	wall time.Time
	at   Instant
}

// NewClock anchors a clock at the present moment.
func NewClock() Clock { return Clock{wall: time.Now().Round(0), at: Now()} }

// Now is the anchor plus the time that has passed since, suspend included.
func (c Clock) Now() time.Time { return c.wall.Add(Now().Sub(c.at)) }

// Instant is the moment on the boot clock that one of this clock's times stands
// for.
func (c Clock) Instant(t time.Time) Instant { return c.at.Add(t.Sub(c.wall)) }

// Monotonic is CLOCK_MONOTONIC, which stands still in suspend. Only systemd's
// notifications ask for it (sd_notify(3)).
func Monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("read CLOCK_MONOTONIC: " + err.Error())
	}
	return time.Duration(ts.Nano())
}

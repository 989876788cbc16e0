// Package boottime reads the clock that runs on while the machine is suspended.
//
// Every deadline that guards the right to write is measured here (S1): the wall
// clock can be stepped, and CLOCK_MONOTONIC, which Go's time package uses, stands
// still in suspend, so that a virtual machine that was paused for an hour would
// wake up believing in a lease that ended long ago.
package boottime

import (
	"syscall"
	"time"
	"unsafe"
)

// Instant is a moment on CLOCK_BOOTTIME (clock_gettime(2)), in nanoseconds since
// the machine was booted. Instants of two machines have nothing to do with each
// other.
type Instant int64

// The clocks of clock_gettime(2), by their numbers in linux/time.h.
const (
	clockMonotonic = 1
	clockBoottime  = 7
)

// read asks the kernel directly: golang.org/x/sys would bring reflect along, and
// with it much that must not be initialised in the guard's process.
func read(clock uintptr) time.Duration {
	var ts syscall.Timespec
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		// Linux has had both since 2.6.39; without them no deadline can be trusted.
		panic("read the clock: " + errno.Error())
	}
	return time.Duration(ts.Nano())
}

// Now reads the clock.
func Now() Instant { return Instant(read(clockBoottime)) }

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
func Monotonic() time.Duration { return read(clockMonotonic) }

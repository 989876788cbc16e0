package watchdog

import (
	"fmt"
	"time"
)

// Mode says what a leader does about the device. Any other text counts as Off
// (B-600).
type Mode string

// The modes, as the configuration names them once its synonyms are read.
const (
	Off       Mode = "off"
	Automatic Mode = "automatic" // use the device if it works
	Required  Mode = "required"  // no leadership without it
)

// The drivers. Any other name is a device that cannot be opened.
const (
	Kernel  = "default" // also when no driver is named
	Testing = "testing" // a FIFO, without ioctls
)

// Settings are the watchdog section of the configuration, with the timings of
// the cluster by which the device is set.
type Settings struct {
	Mode         Mode
	Device       string
	Driver       string
	SafetyMargin time.Duration // between the reset and the end of ttl; negative: half of ttl
	TTL          time.Duration
	LoopWait     time.Duration
}

// On reports that a device is wanted at all.
func (s Settings) On() bool { return s.Mode == Automatic || s.Mode == Required }

// Timeout is how long after the last keepalive the machine is to be reset: in
// whole seconds, the kernel's unit (B-601).
func (s Settings) Timeout() time.Duration {
	if s.SafetyMargin < 0 {
		return (s.TTL / 2).Truncate(time.Second)
	}
	return (s.TTL - s.SafetyMargin).Truncate(time.Second)
}

// Slack is what a pass may take beyond loop_wait until the reset. Below zero the
// machine would be reset in the normal course of things.
func (s Settings) Slack() time.Duration { return s.Timeout() - s.LoopWait }

// freshLeast is the age up to which a confirmation counts whatever the margin:
// a margin of 0 gives up the guarantee, not the feeding.
const freshLeast = time.Second

// Fresh is how old a confirmation may be to be worth a keepalive. The right that
// it confirmed ends ttl after it was asked for, the reset comes Timeout after the
// keepalive, and must not come later. Patroni leaves this delay to the margin
// (B-609), so that an agent that was suspended in it feeds too late.
func (s Settings) Fresh() time.Duration { return max(s.TTL-s.Timeout(), freshLeast) }

// Pace is the least time between two keepalives. Confirmations come several times
// a second, devices count in seconds, and on some a keepalive takes long (IPMI).
func (s Settings) Pace() time.Duration { return min(s.Timeout()/8, time.Second) }

// timeoutMin and timeoutMax are what is asked of a driver (B-602).
const (
	timeoutMin = 1 * time.Second
	timeoutMax = 65534 * time.Second
)

// usable tells why no device can serve under these settings, if so.
func (s Settings) usable() error {
	switch {
	case s.Slack() < 0:
		return fmt.Errorf("watchdog device %s: its timeout would be %v, shorter than loop_wait %v: ttl %v leaves no room for safety_margin",
			s.Device, s.Timeout(), s.LoopWait, s.TTL)
	case s.Timeout() < timeoutMin, s.Timeout() > timeoutMax:
		return fmt.Errorf("watchdog device %s: its timeout would be %v, which is not between %v and %v",
			s.Device, s.Timeout(), timeoutMin, timeoutMax)
	}
	return nil
}

// judge compares the timeout that is in effect with the wanted one (B-603). A
// device that is not kept is disabled, if it can be, and the leader has none. The
// complaint may come with one that is kept, too.
func judge(s Settings, effective time.Duration, canDisable bool) (keep bool, complaint string) {
	switch {
	case effective < s.LoopWait:
		// One that cannot be disabled is better fed than left to reset the machine.
		return !canDisable, fmt.Sprintf("its timeout is %v, shorter than loop_wait %v", effective, s.LoopWait)
	case effective > s.Timeout():
		return s.Mode != Required, fmt.Sprintf("its timeout is %v, longer than %v: "+
			"the leader key can end before the machine is reset", effective, s.Timeout())
	}
	return true, ""
}

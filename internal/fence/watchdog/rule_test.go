package watchdog

import (
	"strings"
	"testing"
	"time"
)

// guide are the settings of compat/config.md's defaults.
func guide(change func(*Settings)) Settings {
	s := Settings{Mode: Automatic, Device: "/dev/watchdog", SafetyMargin: 5 * time.Second, TTL: 30 * time.Second, LoopWait: 10 * time.Second}
	if change != nil {
		change(&s)
	}
	return s
}

func TestTimings(t *testing.T) {
	const s = time.Second
	for name, c := range map[string]struct {
		change                      func(*Settings)
		timeout, slack, fresh, pace time.Duration
		usable                      bool
	}{
		"B-601, B-609: the defaults":                       {nil, 25 * s, 15 * s, 5 * s, s, true},
		"B-601: margin -1 is half of ttl":                  {func(c *Settings) { c.SafetyMargin = -s }, 15 * s, 5 * s, 15 * s, s, true},
		"B-601: half of an odd ttl is cut":                 {func(c *Settings) { c.SafetyMargin, c.TTL = -s, 25*s }, 12 * s, 2 * s, 13 * s, s, true},
		"a margin of 0 can be fed all the same":            {func(c *Settings) { c.SafetyMargin = 0 }, 30 * s, 20 * s, s, s, true},
		"no slack is enough slack":                         {func(c *Settings) { c.TTL = 15 * s }, 10 * s, 0, 5 * s, s, true},
		"B-601: negative slack":                            {func(c *Settings) { c.TTL = 14 * s }, 9 * s, -s, 5 * s, s, false},
		"B-602: 0 is no timeout":                           {func(c *Settings) { c.TTL, c.LoopWait = 5*s, 0 }, 0, 0, 5 * s, 0, false},
		"B-602: the longest":                               {func(c *Settings) { c.TTL = 65539 * s }, 65534 * s, 65524 * s, 5 * s, s, true},
		"B-602: one more":                                  {func(c *Settings) { c.TTL = 65540 * s }, 65535 * s, 65525 * s, 5 * s, s, false},
		"a short timeout is fed more often than it counts": {func(c *Settings) { c.TTL, c.SafetyMargin, c.LoopWait = 20*s, 18*s, s }, 2 * s, s, 18 * s, s / 4, true},
	} {
		t.Run(name, func(t *testing.T) {
			set := guide(c.change)
			if set.Timeout() != c.timeout || set.Slack() != c.slack || set.Fresh() != c.fresh || set.Pace() != c.pace {
				t.Errorf("timeout %v, slack %v, fresh %v, pace %v", set.Timeout(), set.Slack(), set.Fresh(), set.Pace())
			}
			if err := set.usable(); (err == nil) != c.usable {
				t.Errorf("usable: %v", err)
			}
		})
	}
}

// TestResetComesBeforeTheRightEnds: the sum that the freshness is for.
func TestResetComesBeforeTheRightEnds(t *testing.T) {
	for _, margin := range []time.Duration{-time.Second, time.Second, 5 * time.Second, 15 * time.Second} {
		s := guide(func(s *Settings) { s.SafetyMargin = margin })
		if latest := s.Fresh() + s.Timeout(); latest > s.TTL {
			t.Errorf("margin %v: fed %v after the question, the machine is reset %v after it, and ttl is %v", margin, s.Fresh(), latest, s.TTL)
		}
	}
}

func TestJudge(t *testing.T) {
	const s = time.Second
	for name, c := range map[string]struct {
		mode      Mode
		effective time.Duration
		disable   bool
		keep      bool
		complaint string
	}{
		"as wanted":                         {Required, 25 * s, true, true, ""},
		"shorter than wanted":               {Required, 11 * s, true, true, ""},
		"as short as loop_wait":             {Required, 10 * s, true, true, ""},
		"B-603: shorter than loop_wait":     {Automatic, 9 * s, true, false, "shorter than loop_wait"},
		"the same, required":                {Required, 9 * s, true, false, "shorter than loop_wait"},
		"the same, and it cannot be undone": {Required, 9 * s, false, true, "shorter than loop_wait"},
		"B-603: too long is a warning":      {Automatic, 26 * s, true, true, "longer than 25s"},
		"B-603: too long, required":         {Required, 26 * s, true, false, "longer than 25s"},
		"too long, and it cannot be undone": {Required, 60 * s, false, false, "longer than 25s"},
	} {
		t.Run(name, func(t *testing.T) {
			keep, complaint := judge(guide(func(s *Settings) { s.Mode = c.mode }), c.effective, c.disable)
			if keep != c.keep || !strings.Contains(complaint, c.complaint) || (c.complaint == "") != (complaint == "") {
				t.Errorf("keep %v, %q", keep, complaint)
			}
		})
	}
}

func TestModes(t *testing.T) {
	for mode, on := range map[Mode]bool{Off: false, Automatic: true, Required: true, "": false, "sometimes": false} { // B-600
		if got := (Settings{Mode: mode}).On(); got != on {
			t.Errorf("%q: %v", mode, got)
		}
	}
}

package watchdog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"matriarch/internal/boottime"
)

// fakeDevice writes down what is done to it.
type fakeDevice struct {
	can      support
	limit    time.Duration // longest timeout that it takes; 0: any
	fixed    time.Duration // of one that cannot set it
	err      map[string]error
	did      []string
	setTo    time.Duration
	disarmed bool
	closed   bool
}

func (d *fakeDevice) do(what string) error {
	d.did = append(d.did, what)
	return d.err[strings.Fields(what)[0]]
}

func (d *fakeDevice) support() support { return d.can }

func (d *fakeDevice) setTimeout(v time.Duration) error {
	d.setTo = v
	if d.limit > 0 {
		d.setTo = min(v, d.limit)
	}
	return d.do(fmt.Sprint("set ", v))
}

func (d *fakeDevice) timeout() (time.Duration, error) {
	if d.fixed > 0 {
		return d.fixed, d.err["timeout"]
	}
	return d.setTo, d.err["timeout"]
}

func (d *fakeDevice) keepalive() error { return d.do("feed") }

func (d *fakeDevice) close(disarm bool) error {
	d.closed, d.disarmed = true, disarm
	if disarm {
		return d.do("disable")
	}
	return d.do("close")
}

// bench is a watchdog with a device, a clock and a log to look at.
type bench struct {
	*Watchdog
	device  *fakeDevice // the next or present one
	opened  int
	openErr error
	clock   boottime.Instant
	log     bytes.Buffer
}

func newBench(s Settings, change func(*fakeDevice)) *bench {
	b := &bench{device: &fakeDevice{can: support{name: "fake", setTimeout: true, magicClose: true}}, clock: boottime.Instant(time.Hour)}
	if change != nil {
		change(b.device)
	}
	b.Watchdog = New(s, slog.New(slog.NewTextHandler(&b.log, nil)))
	b.Watchdog.now = func() boottime.Instant { return b.clock }
	b.Watchdog.open = func(Settings) (device, error) {
		if b.openErr != nil {
			return nil, b.openErr
		}
		b.opened++
		return b.device, nil
	}
	return b
}

// did returns what was done to the device since the last call.
func (b *bench) did() string {
	defer func() { b.device.did = nil }()
	return strings.Join(b.device.did, ", ")
}

// times counts how often the log holds the text.
func (b *bench) times(text string) int { return strings.Count(b.log.String(), text) }

func required(s *Settings) { s.Mode = Required }

func TestActivate(t *testing.T) {
	for name, c := range map[string]struct {
		settings func(*Settings)
		device   func(*fakeDevice)
		openErr  error
		did      string
		running  bool
		err      string // of mode Required
		log      string
	}{
		"it works":                {nil, nil, nil, "set 25s", true, "", "timeout=25s"},
		"it works, and must":      {required, nil, nil, "set 25s", true, "", "timeout=25s"},
		"B-600: off":              {func(s *Settings) { s.Mode = Off }, nil, nil, "", false, "", ""},
		"B-600: another word":     {func(s *Settings) { s.Mode = "often" }, nil, nil, "", false, "", ""},
		"B-601: negative slack":   {func(s *Settings) { s.TTL = 14 * time.Second }, nil, nil, "", false, "", "shorter than loop_wait"},
		"the same, required":      {func(s *Settings) { s.TTL, s.Mode = 14*time.Second, Required }, nil, nil, "", false, "shorter than loop_wait", ""},
		"B-603: no device":        {nil, nil, unix.ENOENT, "", false, "", "no such file"},
		"no device, required":     {required, nil, unix.ENOENT, "", false, "no such file", ""},
		"B-603: it stays longer":  {nil, func(d *fakeDevice) { d.fixed = time.Minute }, nil, "set 25s", true, "", "longer than 25s"},
		"it stays long, required": {required, func(d *fakeDevice) { d.fixed = time.Minute }, nil, "set 25s, disable", false, "longer than 25s", ""},
		"B-603: too short":        {nil, func(d *fakeDevice) { d.limit = 8 * time.Second }, nil, "set 25s, disable", false, "", "shorter than loop_wait"},
		"too short, required":     {required, func(d *fakeDevice) { d.limit = 8 * time.Second }, nil, "set 25s, disable", false, "shorter than loop_wait", ""},
		"too short for ever": {required, func(d *fakeDevice) { d.limit, d.can.magicClose = 8*time.Second, false }, nil,
			"set 25s", true, "", "cannot be disabled"},
		"B-602: nothing to set":       {required, func(d *fakeDevice) { d.can.setTimeout, d.fixed = false, 20*time.Second }, nil, "", true, "", "timeout=20s"},
		"the timeout is refused":      {required, func(d *fakeDevice) { d.err = map[string]error{"set": unix.EINVAL} }, nil, "set 25s, disable", false, "invalid argument", ""},
		"the timeout cannot be read":  {required, func(d *fakeDevice) { d.err = map[string]error{"timeout": unix.EOPNOTSUPP} }, nil, "set 25s, disable", false, "not supported", ""},
		"it cannot be read, and runs": {nil, func(d *fakeDevice) { d.err = map[string]error{"timeout": unix.EOPNOTSUPP} }, nil, "set 25s, disable", false, "", "not supported"},
		"unfit, and not to be disabled": {required, func(d *fakeDevice) { d.fixed, d.can.magicClose = time.Minute, false }, nil,
			"set 25s, feed, close", false, "longer than 25s", "the machine will be reset"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(guide(c.settings), c.device)
			b.openErr = c.openErr
			err := b.Activate()
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got %v, want %q", err, c.err)
			}
			if did := b.did(); did != c.did || b.Running() != c.running || b.State().Running != c.running {
				t.Errorf("did %q, running %v; want %q, %v", did, b.Running(), c.did, c.running)
			}
			if c.log != "" && b.times(c.log) == 0 || c.log == "" && b.log.Len() > 0 {
				t.Errorf("logged %q, want %q", b.log.String(), c.log)
			}
		})
	}
}

// TestActivateInEveryPass: it costs nothing while one runs, tries again while none
// does, and says the same only once (B-273).
func TestActivateInEveryPass(t *testing.T) {
	b := newBench(guide(nil), nil)
	b.openErr = unix.EBUSY
	for range 3 {
		if err := b.Activate(); err != nil {
			t.Error(err)
		}
	}
	if n := b.times("device or resource busy"); n != 1 {
		t.Errorf("logged %d times", n)
	}
	b.openErr = nil
	for range 3 {
		if err := b.Activate(); err != nil {
			t.Error(err)
		}
	}
	if b.opened != 1 || b.did() != "set 25s" {
		t.Errorf("opened %d times", b.opened)
	}
}

func TestFeeding(t *testing.T) {
	b := newBench(guide(nil), nil)
	b.Keepalive(b.clock) // B-604: nothing to feed
	if b.did() != "" || b.opened != 0 {
		t.Error("a device was opened for a keepalive")
	}
	_ = b.Activate()
	b.did()
	asked := b.clock
	b.clock = b.clock.Add(5 * time.Second)
	b.Keepalive(asked)
	if did := b.did(); did != "feed" {
		t.Errorf("did %q", did)
	}
	// B-609 and beyond: the agent was suspended between the answer and the keepalive.
	b.clock = b.clock.Add(time.Millisecond)
	b.Keepalive(asked)
	b.Keepalive(asked)
	if did := b.did(); did != "" || b.times("not fed") != 1 {
		t.Errorf("a stale confirmation: did %q, logged %q", did, b.log.String())
	}
	b.Keepalive(b.clock)
	if did := b.did(); did != "feed" || !b.Running() {
		t.Errorf("after it: did %q", did)
	}
}

func TestFeedingFails(t *testing.T) {
	for _, c := range []struct {
		err  error
		runs bool
	}{{unix.EIO, true}, {unix.EAGAIN, true}, {unix.ENODEV, false}, {fmt.Errorf("feed: %w", unix.EPIPE), false}} {
		b := newBench(guide(required), nil)
		_ = b.Activate()
		b.did()
		b.device.err = map[string]error{"feed": c.err}
		b.Keepalive(b.clock)
		b.Keepalive(b.clock)
		if b.Running() != c.runs || b.device.closed == c.runs || b.device.disarmed || b.times(c.err.Error()) != 1 {
			t.Errorf("%v: running %v, closed %v, log %q", c.err, b.Running(), b.device.closed, b.log.String())
		}
		b.device.err, b.openErr = nil, unix.ENXIO
		if err := b.Activate(); (err == nil) != c.runs { // a leader without its device must hear of it
			t.Errorf("%v: activated again: %v", c.err, err)
		}
	}
}

func TestDisable(t *testing.T) {
	b := newBench(guide(nil), nil)
	b.Disable()
	_ = b.Activate()
	b.did()
	b.Disable()
	b.Disable()
	if did := b.did(); did != "disable" || b.Running() || b.State() != (State{}) {
		t.Errorf("did %q, %+v", did, b.State())
	}
	_ = b.Activate()
	if b.opened != 2 || !b.Running() { // resumed
		t.Errorf("opened %d times", b.opened)
	}
}

// TestDisableWithoutMagicClose: B-602, a last keepalive gives the machine its
// whole time for an orderly end.
func TestDisableWithoutMagicClose(t *testing.T) {
	b := newBench(guide(nil), func(d *fakeDevice) { d.can.magicClose = false })
	_ = b.Activate()
	b.did()
	b.Disable()
	if did := b.did(); did != "feed, close" || b.Running() || b.times("the machine will be reset") != 2 {
		t.Errorf("did %q, log %q", did, b.log.String())
	}
}

func TestReload(t *testing.T) {
	longer := func(s *Settings) { s.TTL = 40 * time.Second }
	for name, c := range map[string]struct {
		from, to func(*Settings)
		device   func(*fakeDevice)
		atOnce   string
		then     string // with the next keepalive
		running  bool
		err      bool // of the pass after that
	}{
		"B-607: a longer ttl":      {nil, longer, nil, "", "feed, set 35s", true, false},
		"nothing new":              {nil, nil, nil, "", "feed", true, false},
		"B-607: off is at once":    {nil, func(s *Settings) { s.Mode = Off }, nil, "disable", "", false, false},
		"another device":           {nil, func(s *Settings) { s.Device = "/dev/watchdog1" }, nil, "", "feed, disable, set 25s", true, false},
		"another driver":           {nil, func(s *Settings) { s.Driver = Testing }, nil, "", "feed, disable, set 25s", true, false},
		"required from now on":     {nil, required, nil, "", "feed, set 25s", true, false},
		"required, and it is not":  {nil, required, func(d *fakeDevice) { d.fixed = time.Minute }, "", "feed, set 25s, disable", false, true},
		"no slack any more":        {required, func(s *Settings) { s.Mode, s.LoopWait = Required, 26*time.Second }, nil, "", "feed, disable", false, true},
		"no slack, but not needed": {nil, func(s *Settings) { s.LoopWait = 26 * time.Second }, nil, "", "feed, disable", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(guide(c.from), c.device)
			if err := b.Activate(); err != nil {
				t.Fatal(err)
			}
			b.did()
			b.Reload(guide(c.to))
			if did := b.did(); did != c.atOnce {
				t.Errorf("at once %q, want %q", did, c.atOnce)
			}
			b.Keepalive(b.clock)
			if did := b.did(); did != c.then || b.Running() != c.running {
				t.Errorf("with the keepalive %q, want %q; running %v", did, c.then, b.Running())
			}
			if err := b.Activate(); (err != nil) != c.err {
				t.Errorf("the next pass: %v", err)
			}
		})
	}
}

func TestReloadWhileInactive(t *testing.T) {
	b := newBench(guide(func(s *Settings) { s.Mode = Off }), nil)
	_ = b.Activate()
	b.Reload(guide(func(s *Settings) { s.TTL = 40 * time.Second }))
	if b.opened != 0 {
		t.Error("a member that does not lead has opened the device")
	}
	_ = b.Activate()
	if did := b.did(); did != "set 35s" {
		t.Errorf("did %q", did)
	}
}

func TestHealthy(t *testing.T) {
	there := filepath.Join(t.TempDir(), "device")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct { // B-608
		change func(*Settings)
		want   bool
	}{
		"there":               {func(s *Settings) { s.Mode, s.Device = Required, there }, true},
		"not there":           {func(s *Settings) { s.Mode, s.Device = Required, there+".absent" }, false},
		"not required":        {func(s *Settings) { s.Device = there + ".absent" }, true},
		"no slack":            {func(s *Settings) { s.Mode, s.Device, s.TTL = Required, there, 14*time.Second }, false},
		"an unknown driver":   {func(s *Settings) { s.Mode, s.Device, s.Driver = Required, there, "homemade" }, false},
		"the driver of tests": {func(s *Settings) { s.Mode, s.Device, s.Driver = Required, there, Testing }, true},
	} {
		if got := New(guide(c.change), slog.New(slog.DiscardHandler)).Healthy(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestRun runs the real goroutine under virtual time.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(guide(nil), nil)
		began := time.Now()
		b.Watchdog.now = func() boottime.Instant { return boottime.Instant(time.Hour).Add(time.Since(began)) }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()

		b.Confirmed(b.Watchdog.now()) // a standby: nothing is open
		synctest.Wait()
		_ = b.Activate()
		b.did()
		// Ten seconds of heartbeats at a permit of 1 s.
		tick := time.NewTicker(time.Second / 6)
		for range 60 {
			<-tick.C
			b.Confirmed(b.Watchdog.now())
			b.Confirmed(b.Watchdog.now().Add(-time.Second / 10)) // a late answer to an older one
			synctest.Wait()
		}
		tick.Stop()
		if n := len(b.device.did); n < 8 || n > 10 || slices.ContainsFunc(b.device.did, func(s string) bool { return s != "feed" }) {
			t.Errorf("did %q", b.did())
		}
		// A process that was stopped finds an old confirmation in its queue.
		b.did()
		old := b.Watchdog.now().Add(time.Second)
		<-time.After(20 * time.Second)
		b.Confirmed(old)
		synctest.Wait()
		if did := b.did(); did != "" {
			t.Errorf("a stale confirmation: did %q", did)
		}
		cancel()
		if err := <-done; err != nil || !b.Running() || b.device.closed {
			t.Errorf("its end: %v, closed %v", err, b.device.closed)
		}
	})
}

func TestALateAnswerIsNotTheNewest(t *testing.T) {
	b := newBench(guide(nil), nil)
	b.Confirmed(b.clock)
	b.Confirmed(b.clock.Add(-10 * time.Second))
	if got := boottime.Instant(b.newest.Load()); got != b.clock {
		t.Errorf("the newest was asked for %v before the newest", b.clock.Sub(got))
	}
}

// TestADeviceThatHangsHoldsUpNobody: a confirmation comes from where the permit is
// kept, and the health from where it is decided.
func TestADeviceThatHangsHoldsUpNobody(t *testing.T) {
	b := newBench(guide(required), nil)
	if err := b.Activate(); err != nil {
		t.Fatal(err)
	}
	hung := &hangingDevice{device: b.Watchdog.device, entered: make(chan struct{}), leave: make(chan struct{})}
	b.Watchdog.device = hung
	var wait sync.WaitGroup
	wait.Go(func() { b.Keepalive(b.clock) })
	<-hung.entered
	b.Confirmed(b.clock.Add(time.Second))
	b.Confirmed(b.clock.Add(2 * time.Second))
	if !b.Running() || b.State().Timeout != 25*time.Second || b.Healthy() {
		t.Errorf("%+v", b.State())
	}
	close(hung.leave)
	wait.Wait()
}

type hangingDevice struct {
	device
	entered, leave chan struct{}
}

func (d *hangingDevice) keepalive() error {
	close(d.entered)
	<-d.leave
	return errors.New("interrupted")
}

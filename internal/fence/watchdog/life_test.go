package watchdog

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"matriarch/internal/boottime"
)

// TestLifeOfALeader goes through promotion, leadership, pause, resume, a changed
// ttl and a demotion, with a device behind the kernel's own calls.
func TestLifeOfALeader(t *testing.T) {
	made := makeDevice(t, nil)
	s := guide(func(s *Settings) { s.Mode, s.Device, s.TTL = Required, made.path, 20*time.Second })
	w := New(s, slog.New(slog.DiscardHandler))
	if !w.Healthy() {
		t.Error("not healthy")
	}
	if err := w.Activate(); err != nil {
		t.Fatal(err)
	}
	made.await(t, "activated", func() bool { return made.armed && made.seconds == 15 && made.pings == 0 })
	w.Keepalive(boottime.Now())
	made.await(t, "fed", func() bool { return made.pings == 1 })

	s.TTL = 30 * time.Second
	w.Reload(s)
	w.Keepalive(boottime.Now())
	made.await(t, "set anew", func() bool { return made.pings == 2 && made.seconds == 25 })
	if got := w.State(); got != (State{Running: true, Name: "made for a test", Timeout: 25 * time.Second}) {
		t.Errorf("got %+v", got)
	}

	w.Disable()
	made.await(t, "paused", func() bool { return !made.open && !made.armed })
	if err := w.Activate(); err != nil {
		t.Fatal(err)
	}
	made.await(t, "resumed", func() bool { return made.armed })
	w.Disable()
	made.await(t, "demoted", func() bool { return !made.open && !made.armed })
}

func TestRequiredDeviceWithHardwareLimits(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*madeDevice)
		err    string
		armed  bool
	}{
		"its steps are long":               {func(d *madeDevice) { d.least = 60 }, "longer than 25s", false},
		"it cannot be set, and fits":       {func(d *madeDevice) { d.options, d.seconds = unix.WDIOF_MAGICCLOSE, 20 }, "", true},
		"it cannot be set, nor fit":        {func(d *madeDevice) { d.options = unix.WDIOF_MAGICCLOSE }, "longer than 25s", false},
		"it tells no timeout":              {func(d *madeDevice) { d.noAnswer = true }, "not supported", false},
		"it is unfit and not to be undone": {func(d *madeDevice) { d.options, d.least = unix.WDIOF_SETTIMEOUT, 60 }, "longer than 25s", true},
	} {
		t.Run(name, func(t *testing.T) {
			made := makeDevice(t, c.change)
			w := New(guide(func(s *Settings) { s.Mode, s.Device = Required, made.path }), slog.New(slog.DiscardHandler))
			err := w.Activate()
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Fatalf("got %v, want %q", err, c.err)
			}
			if w.Running() != (c.err == "") {
				t.Errorf("running %v after %v", w.Running(), err)
			}
			made.await(t, "settled", func() bool { return made.armed == c.armed && made.open == w.Running() })
			if err == nil {
				w.Disable()
			}
		})
	}
}

func TestDeviceThatIsTakenAway(t *testing.T) {
	made := makeDevice(t, nil)
	w := New(guide(func(s *Settings) { s.Mode, s.Device = Required, made.path }), slog.New(slog.DiscardHandler))
	if err := w.Activate(); err != nil {
		t.Fatal(err)
	}
	made.mu.Lock()
	made.writeErr = unix.ENODEV
	made.mu.Unlock()
	w.Keepalive(boottime.Now())
	if w.Running() {
		t.Error("it runs on without a device")
	}
	made.await(t, "closed", func() bool { return !made.open })
}

// TestTestingDriver is what Patroni's acceptance suite reads from its FIFO.
func TestTestingDriver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	s := guide(func(s *Settings) { s.Mode, s.Device, s.Driver, s.TTL = Required, path, Testing, 20*time.Second })
	w := New(s, slog.New(slog.DiscardHandler))
	alone := make(chan error, 1)
	go func() { alone <- w.Activate() }()
	select {
	case err := <-alone:
		if err == nil || w.Running() {
			t.Fatalf("activated with nobody behind it: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it waits for somebody who reads")
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := w.Activate(); err != nil {
		t.Fatal(err)
	}
	w.Keepalive(boottime.Now())
	s.TTL = 30 * time.Second
	w.Reload(s)
	w.Keepalive(boottime.Now())
	w.Disable()
	data := make([]byte, 100)
	n, err := reader.Read(data)
	if got, want := string(data[:n]), "Ctimeout=15\n11Ctimeout=25\nV"; got != want || err != nil {
		t.Errorf("read %q, %v, want %q", got, err, want)
	}
	if _, err := reader.Read(data); err == nil || err.Error() != "EOF" {
		t.Errorf("after it: %v, want the end", err)
	}

	// A full FIFO is an error, not a wait: the leader has other things to do.
	if err := w.Activate(); err != nil {
		t.Fatal(err)
	}
	for range 1 << 20 {
		if err = w.device.keepalive(); err != nil {
			break
		}
	}
	if err == nil {
		t.Error("a FIFO that nobody reads took a million keepalives")
	}
	w.Keepalive(boottime.Now())
	if !w.Running() {
		t.Error("a full FIFO counts as gone")
	}
	reader.Close()
	w.Keepalive(boottime.Now())
	if w.Running() {
		t.Error("a FIFO without a reader counts as a device")
	}
}

package daemon

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/fence/watchdog"
)

// told is what a FIFO, which stands for the device, has been told.
type told struct {
	path string
	file *os.File
	text string
}

func device(t *testing.T) *told {
	t.Helper()
	d := &told{path: filepath.Join(t.TempDir(), "device")}
	if err := syscall.Mkfifo(d.path, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Open(d.path, syscall.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	d.file = os.NewFile(uintptr(fd), d.path)
	t.Cleanup(func() { d.file.Close() })
	return d
}

// all is what it was told so far: "on" for a timeout of 25 s.
func (d *told) all(t *testing.T) string {
	t.Helper()
	buffer := make([]byte, 4096)
	if err := d.file.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for {
		n, err := d.file.Read(buffer)
		if d.text += string(buffer[:n]); err != nil {
			return strings.ReplaceAll(d.text, "Ctimeout=25\n", "on ")
		}
	}
}

// wardenOf is a warden with a clock that the test moves.
func wardenOf(t *testing.T, mode watchdog.Mode, path string) (*warden, *boottime.Instant) {
	t.Helper()
	w := newWarden(watchdog.Settings{Mode: mode, Device: path, Driver: watchdog.Testing, SafetyMargin: 5 * time.Second,
		TTL: 30 * time.Second, LoopWait: 10 * time.Second}, slog.New(slog.DiscardHandler))
	now := boottime.Now()
	w.now = func() boottime.Instant { return now }
	w.know(time.Second)
	return w, &now
}

func TestTheDeviceCountsWhileTheServerMayWriteUnderAPermit(t *testing.T) {
	d := device(t)
	w, now := wardenOf(t, watchdog.Automatic, d.path)
	step := func(what, want string, do func()) {
		t.Helper()
		do()
		if got := d.all(t); got != want {
			t.Fatalf("%s: the device was told %q, want %q", what, got, want)
		}
	}
	step("a primary of which no permit is known", "", func() { w.hold(true, false) })
	step("with a permit", "on ", func() {
		w.confirmed(now.Add(time.Second))
		w.hold(true, false)
	})
	step("again", "on ", func() { w.hold(true, false) })
	step("the permit is over, and nothing is frozen yet", "on ", func() {
		*now = now.Add(2 * time.Second)
		w.hold(true, false)
	})
	step("the guard has frozen it", "on V", func() { w.hold(true, true) })
	step("frozen still", "on V", func() { w.hold(true, true) })
	step("thawed", "on Von ", func() {
		w.confirmed(now.Add(time.Second))
		w.hold(true, false)
	})
	step("it cannot write any more", "on Von V", func() { w.hold(false, false) })
	step("before a promotion", "on Von Von ", func() {
		if err := w.activate(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestTheDeviceIsFedWhenThePermitIsConfirmed(t *testing.T) {
	d := device(t)
	w, _ := wardenOf(t, watchdog.Required, d.path)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.dog.Run(ctx) }()
	defer func() { stop(); <-ended }()
	w.confirmed(boottime.Now().Add(time.Second))
	w.hold(true, false)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(20 * time.Second)
	for !strings.Contains(d.all(t), "1") {
		select {
		case <-tick.C:
			w.confirmed(boottime.Now().Add(time.Second)) // as a leader that is acknowledged
		case <-end:
			t.Fatal("never fed")
		}
	}
}

func TestARequiredDeviceThatDoesNotWorkBarsTheNode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "device")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w, now := wardenOf(t, watchdog.Required, path)
	woken := 0
	w.changed = func() { woken++ }
	if w.barred() {
		t.Error("barred before it was tried")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if !w.barred() {
		t.Error("not barred without a device")
	}
	w.confirmed(now.Add(time.Second))
	w.hold(true, false)
	w.hold(true, false)
	if err := w.activate(); err == nil || woken != 1 || !w.barred() {
		t.Errorf("error %v, woken %d times, barred %v", err, woken, w.barred())
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if !w.barred() {
		t.Error("a device that did not come up a moment ago is good again before it was tried")
	}
	*now = now.Add(10 * time.Second)
	if w.barred() {
		t.Error("barred after loop_wait, with a device that looks usable")
	}
	if err := w.activate(); err != nil || w.barred() {
		t.Errorf("error %v, barred %v", err, w.barred())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if w.barred() {
		t.Error("barred while the device counts")
	}
	w.hold(false, false)
	s := w.settings
	s.Mode = watchdog.Automatic
	if !w.barred() {
		t.Error("not barred without a device")
	}
	if w.reload(s); w.barred() || w.activate() != nil {
		t.Error("barred though none is required")
	}
}

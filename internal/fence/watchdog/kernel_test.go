package watchdog

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestKernelProtocol speaks to a device through the kernel's ioctl and write.
func TestKernelProtocol(t *testing.T) {
	made := makeDevice(t, nil)
	d, err := open(Settings{Device: made.path})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := d.support(), (support{name: "made for a test", setTimeout: true, magicClose: true}); got != want {
		t.Errorf("it can do %+v, want %+v", got, want)
	}
	if err := d.setTimeout(25 * time.Second); err != nil {
		t.Error(err)
	}
	if got, err := d.timeout(); got != 25*time.Second || err != nil {
		t.Errorf("its timeout is %v, %v", got, err)
	}
	if err := d.keepalive(); err != nil {
		t.Error(err)
	}
	made.await(t, "a keepalive and nothing that disables", func() bool { return made.armed && made.pings == 1 && !made.magic })
	if err := d.close(true); err != nil {
		t.Error(err)
	}
	made.await(t, "a disabled device", func() bool { return !made.armed && !made.open })
}

func TestKernelDeviceKeepsCountingWhenItsKeeperEnds(t *testing.T) {
	made := makeDevice(t, nil)
	d, err := open(Settings{Device: made.path})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.close(false); err != nil {
		t.Error(err)
	}
	made.await(t, "a device that counts with nobody behind it", func() bool { return made.armed && !made.open })
}

// TestChildrenDoNotHoldTheDevice: a process started meanwhile must not keep the
// device open after its keeper closed it.
func TestChildrenDoNotHoldTheDevice(t *testing.T) {
	made := makeDevice(t, nil)
	d, err := open(Settings{Device: made.path})
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	if err := d.close(true); err != nil {
		t.Error(err)
	}
	made.await(t, "a closed device", func() bool { return !made.open && !made.armed })
}

// TestWhatIsNoWatchdogIsLeftAlone: a wrong path must not be written to.
func TestWhatIsNoWatchdogIsLeftAlone(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{plain: unix.ENOTTY, "/dev/null": unix.ENOTTY, plain + ".absent": unix.ENOENT, filepath.Dir(plain): unix.EISDIR} {
		if _, err := open(Settings{Device: path}); !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
	if data, err := os.ReadFile(plain); string(data) != "precious" || err != nil {
		t.Errorf("the file holds %q, %v", data, err)
	}
	if _, err := open(Settings{Device: plain, Driver: "homemade"}); err == nil || !strings.Contains(err.Error(), "homemade") {
		t.Errorf("an unknown driver: %v", err)
	}
}

func TestBusyDevice(t *testing.T) {
	made := makeDevice(t, nil)
	d, err := open(Settings{Device: made.path})
	if err != nil {
		t.Fatal(err)
	}
	defer d.close(true)
	if _, err := open(Settings{Device: made.path}); !errors.Is(err, unix.EBUSY) {
		t.Errorf("opened a second time: %v", err)
	}
}

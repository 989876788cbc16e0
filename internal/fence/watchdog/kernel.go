package watchdog

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// kernelDevice is a device of a Linux watchdog driver.
type kernelDevice struct {
	file
	can support
}

// openKernel opens the device and asks what it is. To anything else than a
// watchdog the question is an error, and nothing has been written to it.
func openKernel(path string) (device, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	info, err := unix.IoctlGetWatchdogInfo(f.fd)
	if err != nil {
		_ = f.close(false)
		return nil, fmt.Errorf("ask watchdog device %s what it can do: %w", path, err)
	}
	return &kernelDevice{file: f, can: support{
		name:       unix.ByteSliceToString(info.Identity[:]),
		setTimeout: info.Options&unix.WDIOF_SETTIMEOUT != 0,
		magicClose: info.Options&unix.WDIOF_MAGICCLOSE != 0,
	}}, nil
}

func (k *kernelDevice) support() support { return k.can }

func (k *kernelDevice) setTimeout(d time.Duration) error {
	if err := unix.IoctlSetPointerInt(k.fd, unix.WDIOC_SETTIMEOUT, int(d/time.Second)); err != nil {
		return fmt.Errorf("set the timeout of watchdog device %s to %v: %w", k.path, d, err)
	}
	return nil
}

// timeout reads back what the driver made of it: hardware has steps and limits.
func (k *kernelDevice) timeout() (time.Duration, error) {
	seconds, err := unix.IoctlGetUint32(k.fd, unix.WDIOC_GETTIMEOUT)
	if err != nil {
		return 0, fmt.Errorf("read the timeout of watchdog device %s: %w", k.path, err)
	}
	return time.Duration(seconds) * time.Second, nil
}

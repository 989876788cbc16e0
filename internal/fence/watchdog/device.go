package watchdog

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// device is an open watchdog: from opening on it counts down.
type device interface {
	support() support
	setTimeout(time.Duration) error
	timeout() (time.Duration, error)
	keepalive() error

	// close gives the device up. Disarmed, it stops counting, if it can; otherwise
	// it goes on, and the machine is reset.
	close(disarm bool) error
}

// support is what a device says that it can do.
type support struct {
	name       string
	setTimeout bool
	magicClose bool // without it the device cannot be disabled
}

// The protocol of linux/Documentation/watchdog/watchdog-api.rst: one byte is a
// keepalive, V right before the end of the file disables.
const (
	keepaliveByte = '1'
	magicByte     = 'V'
)

// open opens the device that the settings name.
func open(s Settings) (device, error) {
	switch s.Driver {
	case "", Kernel:
		return openKernel(s.Device)
	case Testing:
		return openFIFO(s.Device)
	}
	return nil, fmt.Errorf("watchdog.driver %q is not known", s.Driver)
}

// writable reports that the device is there for this process to open.
func (s Settings) writable() bool {
	switch s.Driver {
	case "", Kernel, Testing:
		return unix.Access(s.Device, unix.W_OK) == nil
	}
	return false
}

// file is what both drivers have in common. It is no os.File: that would wait for
// a FIFO that is full, where an answer is wanted.
type file struct {
	path string
	fd   int
}

// openFile opens for writing only. Nobody may inherit the descriptor: the device
// counts as closed only when the last holder has closed it. Without O_NONBLOCK a
// FIFO that nobody reads would hold up the leader; the kernel's devices ignore it.
func openFile(path string) (file, error) {
	for {
		fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return file{}, fmt.Errorf("open watchdog device %s: %w", path, err)
		}
		return file{path: path, fd: fd}, nil
	}
}

func (f file) write(what string, data []byte) error {
	for len(data) > 0 {
		n, err := unix.Write(f.fd, data)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s watchdog device %s: %w", what, f.path, err)
		}
		data = data[n:]
	}
	return nil
}

func (f file) keepalive() error { return f.write("feed", []byte{keepaliveByte}) }

func (f file) close(disarm bool) error {
	var err error
	if disarm {
		err = f.write("disable", []byte{magicByte})
	}
	// close(2) is not to be tried again after EINTR: the descriptor is gone.
	if failed := unix.Close(f.fd); failed != nil {
		err = errors.Join(err, fmt.Errorf("close watchdog device %s: %w", f.path, failed))
	}
	return err
}

// gone reports that there is no device any more behind what was opened.
func gone(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.EPIPE) || errors.Is(err, unix.EBADF)
}

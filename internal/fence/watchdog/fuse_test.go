package watchdog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// madeDevice is a watchdog device that this test answers for: a file of FUSE, so
// that open, ioctl, write and close go through the kernel as with a real one. It
// keeps the protocol's state as the kernel's own drivers do.
type madeDevice struct {
	path string

	// What the device is. Set before it is opened.
	options  uint32
	least    uint32 // seconds
	most     uint32
	noAnswer bool // to WDIOC_GETTIMEOUT, as drivers without one

	mu       sync.Mutex
	changed  chan struct{} // closed and made anew on every change
	armed    bool
	open     bool
	magic    bool
	seconds  uint32
	pings    int // writes without V
	set      []uint32
	writeErr unix.Errno
}

const allOptions = unix.WDIOF_SETTIMEOUT | unix.WDIOF_MAGICCLOSE | unix.WDIOF_KEEPALIVEPING

// makeDevice mounts the device at a file of its own.
func makeDevice(t *testing.T, change func(*madeDevice)) *madeDevice {
	t.Helper()
	d := &madeDevice{path: filepath.Join(t.TempDir(), "watchdog"), options: allOptions, least: 1, most: 65535, seconds: 60, changed: make(chan struct{})}
	if change != nil {
		change(d)
	}
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no device can be made here: open /dev/fuse: %v", err)
	}
	if err := os.WriteFile(d.path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=100600,user_id=%d,group_id=%d", fd, os.Getuid(), os.Getgid())
	if err := unix.Mount("watchdog-test", d.path, "fuse", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		_ = unix.Close(fd)
		t.Skipf("no device can be made here: mount: %v", err)
	}
	done := make(chan struct{})
	go func() { defer close(done); d.serve(fd) }()
	t.Cleanup(func() {
		if err := unix.Unmount(d.path, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount the made device: %v", err)
		}
		<-done
		_ = unix.Close(fd)
	})
	return d
}

// The requests of linux/fuse.h that a device's file can see.
const (
	fuseForget, fuseGetattr, fuseOpen, fuseWrite, fuseRelease      = 2, 3, 14, 16, 18
	fuseFlush, fuseInit, fuseInterrupt, fuseIoctl, fuseBatchForget = 25, 26, 36, 39, 42
	fuseDestroy                                                    = 38

	fuseInHeader, fuseOutHeader, fuseWriteIn, fuseIoctlIn = 40, 16, 40, 32
)

// serve answers until the mount is gone.
func (d *madeDevice) serve(fd int) {
	buffer := make([]byte, 256<<10) // more than any request
	for {
		n, err := unix.Read(fd, buffer)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil || n < fuseInHeader {
			return // ENODEV: unmounted
		}
		opcode, id := order.Uint32(buffer[4:]), order.Uint64(buffer[8:])
		body, errno, silent := d.answer(opcode, buffer[fuseInHeader:n])
		if silent {
			continue
		}
		out := order.AppendUint32(nil, uint32(fuseOutHeader+len(body)))
		out = order.AppendUint32(out, uint32(-int32(errno)))
		out = order.AppendUint64(out, id)
		_, _ = unix.Write(fd, append(out, body...)) // ENOENT: the asker has given up
		if opcode == fuseDestroy {
			return
		}
	}
}

var order = binary.NativeEndian

func (d *madeDevice) answer(opcode uint32, in []byte) (body []byte, errno unix.Errno, silent bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch opcode {
	case fuseForget, fuseBatchForget, fuseInterrupt:
		return nil, 0, true
	case fuseInit:
		body = make([]byte, 64)
		order.PutUint32(body, 7)
		order.PutUint32(body[4:], 31)
		order.PutUint32(body[20:], 4096) // max_write
	case fuseGetattr:
		body = make([]byte, 104)
		order.PutUint64(body[16:], 1)                      // inode
		order.PutUint32(body[16+60:], unix.S_IFREG|0o600)  // mode
		order.PutUint32(body[16+64:], 1)                   // links
		order.PutUint32(body[16+68:], uint32(os.Getuid())) // owner
		order.PutUint32(body[16+72:], uint32(os.Getgid()))
	case fuseOpen:
		if d.open {
			return nil, unix.EBUSY, false
		}
		d.open, d.armed, d.magic = true, true, false
		d.tell()
		body = make([]byte, 16)
		order.PutUint32(body[8:], 1) // direct_io: every write comes here as it is
	case fuseWrite:
		return d.written(in[fuseWriteIn:])
	case fuseIoctl:
		return d.ioctl(in)
	case fuseRelease:
		d.open = false
		if d.magic && d.options&unix.WDIOF_MAGICCLOSE != 0 {
			d.armed = false
		}
		d.tell()
	case fuseFlush, fuseDestroy:
	default:
		return nil, unix.ENOSYS, false
	}
	return body, 0, false
}

func (d *madeDevice) written(data []byte) ([]byte, unix.Errno, bool) {
	if d.writeErr != 0 {
		return nil, d.writeErr, false
	}
	d.magic = bytes.IndexByte(data, 'V') >= 0
	if !d.magic {
		d.pings++
	}
	d.tell()
	out := make([]byte, 8)
	order.PutUint32(out, uint32(len(data)))
	return out, 0, false
}

func (d *madeDevice) ioctl(in []byte) ([]byte, unix.Errno, bool) {
	var out []byte
	data := in[fuseIoctlIn:]
	switch cmd := order.Uint32(in[12:]); cmd {
	case unix.WDIOC_GETSUPPORT:
		out = order.AppendUint32(nil, d.options)
		out = order.AppendUint32(out, 0)
		out = append(out, append([]byte("made for a test"), make([]byte, 17)...)...)
	case unix.WDIOC_SETTIMEOUT:
		wanted := order.Uint32(data)
		d.set = append(d.set, wanted)
		if d.options&unix.WDIOF_SETTIMEOUT == 0 {
			return nil, unix.EOPNOTSUPP, false
		}
		d.seconds = min(max(wanted, d.least), d.most)
		d.tell()
		out = order.AppendUint32(nil, d.seconds)
	case unix.WDIOC_GETTIMEOUT:
		if d.noAnswer {
			return nil, unix.EOPNOTSUPP, false
		}
		out = order.AppendUint32(nil, d.seconds)
	default:
		return nil, unix.ENOTTY, false
	}
	return append(make([]byte, 16), out...), 0, false
}

// tell wakes those who await. The caller holds the lock.
func (d *madeDevice) tell() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// await waits until the device is as wanted: close(2) returns before the device
// has heard of it.
func (d *madeDevice) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.NewTimer(5 * time.Second)
	defer limit.Stop()
	for {
		d.mu.Lock()
		changed, done := d.changed, ok()
		seen := fmt.Sprintf("open %v, armed %v, timeout %d, pings %d, asked for %v", d.open, d.armed, d.seconds, d.pings, d.set)
		d.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-limit.C:
			t.Fatalf("%s: last seen: %s", what, seen)
		}
	}
}

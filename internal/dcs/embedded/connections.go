package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A member reads what another sends it from a connection that stands for weeks. etcd
// means to give one up that was silent for 5 s, and does not: from 3.5 on its timeouts
// are given to http.Transport.Dial, which is not used where DialContext is set
// (client/pkg/transport, NewTimeoutTransport). A member whose network was away for 40 s
// then hears nothing for up to 25 s after it is back, until the kernels of the others
// repeat what they had sent: it takes part in no election, so the loss of another node
// in that time leaves etcd without a leader (seen: 12 s).
//
// The kernel can do the same, if somebody tells it to: it probes a connection on which
// nothing comes for keepIdle, and gives it up deadAfter later at the latest, also one
// on which something was sent that nobody acknowledges. etcd then dials again, ten times
// a second.
const (
	keepIdle  = 2 * time.Second
	keepEvery = time.Second
	deadAfter = 5 * time.Second // etcd's own ConnReadTimeout

	// tendEvery is how often it is looked for new connections: etcd lets nobody in where
	// it makes them, so they are found among this process's files.
	tendEvery = time.Second
)

// tend looks after the connections between the members until ctx ends.
func (c Config) tend(ctx context.Context) {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	failed := false
	for {
		err := c.each(probe)
		if err != nil && !failed {
			c.Logger.Warn("connections between the members of embedded etcd may be kept for long after a network has failed", "err", err)
		}
		failed = err != nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// each calls do with every connection between members. The descriptor is good until do
// returns: it is not the one that was found, which could be closed meanwhile, and its
// number be that of something else.
func (c Config) each(do func(fd int) error) error {
	const files = "/proc/self/fd"
	entries, err := os.ReadDir(files)
	if err != nil {
		return fmt.Errorf("look for connections to other members: %w", err)
	}
	var errs []error
	for _, e := range entries {
		target, _ := os.Readlink(filepath.Join(files, e.Name()))
		number, err := strconv.Atoi(e.Name())
		if err != nil || !strings.HasPrefix(target, "socket:") {
			continue
		}
		fd, err := unix.FcntlInt(uintptr(number), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			continue
		}
		if c.between(fd) {
			errs = append(errs, do(fd))
		}
		errs = append(errs, unix.Close(fd))
	}
	return errors.Join(errs...)
}

// probe has the kernel look after a connection.
func probe(fd int) error {
	if idle, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE); err == nil && idle == int(keepIdle/time.Second) {
		return nil // done before
	}
	for _, o := range []struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadAfter / time.Millisecond)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(keepEvery / time.Second)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(keepIdle / time.Second)}, // last: it says that it is done
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("have the kernel probe a connection to another member: %w", err)
		}
	}
	return nil
}

// between reports that a socket is a connection from this member's peer port, or to that
// of another.
func (c Config) between(fd int) bool {
	local, err := unix.Getsockname(fd)
	if err != nil {
		return false
	}
	remote, err := unix.Getpeername(fd)
	if err != nil {
		return false // it listens, or is not connected
	}
	own, _ := c.own()
	if portOf(local) == own.peerPort() {
		return true
	}
	for _, m := range c.Members {
		if m.Name != c.Name && portOf(remote) == m.peerPort() {
			return true
		}
	}
	return false
}

// portOf is 0 for what is not TCP over IP.
func portOf(a unix.Sockaddr) int {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return a.Port
	case *unix.SockaddrInet6:
		return a.Port
	}
	return 0
}

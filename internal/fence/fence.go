// Package fence stops a server that has lost its right to write.
//
// A Guard is the agent's end of the guard process (package guard), which is the
// parent of the postmaster and outlives the agent. The agent tells it until when
// the server may run as a primary; at that instant the guard freezes the server,
// whatever has become of the agent by then.
//
// Callers must not assume that the server stops because they stopped calling: it
// stops because the deadline came. And a call that fails tells nothing about what
// the guard did; Status does.
package fence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"matriarch/internal/fence/guard"
)

// Options say where the guard is, and how one is started.
type Options struct {
	// Socket is the path of the guard's socket: one for each data directory, in a
	// directory that only the server's user can write. At most 100 bytes.
	Socket string

	// GiveUp is how long a frozen server is kept when no new permit comes: the
	// cluster's ttl.
	GiveUp time.Duration

	// Output is where a guard that is started writes its log, and the server where
	// its Command says nothing. Nil: this process's stderr.
	Output *os.File
}

// startTimeout is how long a guard may take until it answers. It takes a few
// milliseconds; a machine that is out of memory can take long to start anything.
const startTimeout = 10 * time.Second

// socketMax is in bytes: sockaddr_un (unix(7)) has room for 108, the lock's name
// beside it is longer.
const socketMax = 100

// Start connects to the guard that lives at the socket, or starts one. The guard
// and its server are found as they are: see Status.
func Start(ctx context.Context, o Options) (*Guard, error) {
	if len(o.Socket) > socketMax {
		return nil, fmt.Errorf("start the guard: the path of its socket has %d bytes, the limit is %d: %s", len(o.Socket), socketMax, o.Socket)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		g, err := connect(ctx, o)
		if err == nil {
			return g, nil
		}
		if errors.Is(err, ErrVersion) {
			return nil, err
		}
		if absent(err) {
			err = launch(ctx, o)
		}
		if err == nil {
			continue
		}
		// One that is just ending holds the lock, or hangs up on us.
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("start the guard at %s: %w, last seen: %w", o.Socket, ctx.Err(), err)
		case <-tick.C:
		}
	}
}

func absent(err error) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED)
}

// connect takes the connection to a living guard.
func connect(ctx context.Context, o Options) (*Guard, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", o.Socket)
	if err != nil {
		return nil, err
	}
	g, err := newGuard(ctx, conn.(*net.UnixConn), o)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return g, nil
}

// launch starts a guard and waits for its word. It is this very program, by the
// kernel's name for it, so that it is of the same build even after an upgrade has
// replaced the file.
func launch(ctx context.Context, o Options) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("start the guard: %w", err)
	}
	defer null.Close()
	word, ready, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start the guard: %w", err)
	}
	defer word.Close()
	output := o.Output
	if output == nil {
		output = os.Stderr
	}
	process, err := os.StartProcess("/proc/self/exe", []string{guard.Name, o.Socket}, &os.ProcAttr{
		Dir: "/",
		// One processor's worth of the Go runtime is all that the guard needs; the
		// server gets its environment in its command.
		Env:   []string{"GOMAXPROCS=1"},
		Files: []*os.File{null, output, output, ready}, // ready is guard.Ready
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	ready.Close()
	if err != nil {
		return fmt.Errorf("start the guard: %w", err)
	}
	// Reaps it. It ends with the guard, which may be long after us.
	go func() { _, _ = process.Wait() }()
	return hearWord(ctx, word)
}

// hearWord reads what a new guard says.
func hearWord(ctx context.Context, word *os.File) error {
	stop := context.AfterFunc(ctx, func() { _ = word.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	said, err := io.ReadAll(io.LimitReader(word, 4096))
	switch text := strings.TrimSpace(string(said)); {
	case text == "ready":
		return nil
	case text != "":
		return fmt.Errorf("start the guard: it said: %s", text)
	case err != nil:
		return fmt.Errorf("start the guard: wait for its word: %w", err)
	default:
		return errors.New("start the guard: it ended without a word")
	}
}

// peer is the process at the other end, as the kernel knows it.
func peer(conn *net.UnixConn) (pidfd int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	var credentials *unix.Ucred
	var failure error
	if err := raw.Control(func(fd uintptr) {
		credentials, failure = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return -1, err
	}
	if failure != nil {
		return -1, failure
	}
	if uid := int(credentials.Uid); uid != 0 && uid != os.Geteuid() {
		return -1, fmt.Errorf("the socket belongs to user %d", uid)
	}
	return unix.PidfdOpen(int(credentials.Pid), 0)
}

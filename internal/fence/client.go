package fence

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"matriarch/internal/boottime"
	"matriarch/internal/fence/guard"
)

var (
	// ErrVersion is a guard of another build that speaks otherwise. It keeps to its
	// deadline; a new one can be had when its server has been stopped.
	ErrVersion = errors.New("the guard speaks another version")

	// ErrGone is a connection that has ended: the guard is dead, or another agent
	// has taken its place.
	ErrGone = errors.New("the guard is gone")
)

// Guard is the connection to a guard process. Its methods may be called from any
// goroutine.
type Guard struct {
	conn   *net.UnixConn
	pidfd  int
	giveUp time.Duration
	events chan Event
	done   chan struct{} // closed when nothing is read any more

	sending sync.Mutex // a message goes out as a whole

	mu      sync.Mutex
	next    uint64
	waiting map[string]chan guard.Message
	found   Status

	server     int // the postmaster that the guard has
	protection Protection
}

// callTimeout ends a call whose context has no deadline of its own.
const callTimeout = 2 * time.Second

// killTimeout is the same for Kill, which waits until no process is left: one that
// is in the kernel with a slow disk ends only when that answers.
const killTimeout = 30 * time.Second

// sendTimeout is how long a message may take into the socket's buffer. It takes
// microseconds unless the guard is stopped and the buffer is full.
const sendTimeout = 50 * time.Millisecond

// newGuard makes itself known and reads how things stand.
func newGuard(ctx context.Context, conn *net.UnixConn, o Options) (*Guard, error) {
	pidfd, err := peer(conn)
	if err != nil {
		return nil, fmt.Errorf("connect to the guard at %s: %w", o.Socket, err)
	}
	g := &Guard{
		conn: conn, pidfd: pidfd, giveUp: o.GiveUp,
		events: make(chan Event, 256), done: make(chan struct{}),
		waiting: map[string]chan guard.Message{},
	}
	reader := bufio.NewReaderSize(conn, 64<<10)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	line, err := reader.ReadString('\n')
	if !stop() {
		err = errors.Join(err, ctx.Err())
	}
	hello, bad := guard.ParseMessage(line)
	switch {
	case err != nil || bad != nil || hello.Verb != "hello":
		err = fmt.Errorf("connect to the guard at %s: read its greeting: %w", o.Socket, errors.Join(err, bad))
	case hello.Int("version") != guard.Version:
		err = fmt.Errorf("connect to the guard at %s: %w: %d, and not %d", o.Socket, ErrVersion, hello.Int("version"), guard.Version)
	}
	if err != nil {
		unix.Close(pidfd)
		return nil, err
	}
	g.found = statusOf(hello)
	g.server, g.protection = g.found.PID, g.found.Protection
	go g.read(reader)
	if g.giveUp > 0 {
		if err := g.SetGiveUp(ctx, g.giveUp); err != nil {
			return nil, errors.Join(err, g.Close())
		}
	}
	return g, nil
}

// Found is the status that the guard had when this connection was made: whether it
// has a server, and until when that may run.
func (g *Guard) Found() Status { return g.found }

// Protection is how well the server is guarded now: Off when there is none, or
// when the connection has ended.
func (g *Guard) Protection() Protection {
	select {
	case <-g.done:
		return Off
	default:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.protection
}

// Server is the postmaster that the guard has, as it said last; 0: none. One that has
// ended at once is gone from here before the call that began it returns, or its end is
// among the events to come.
func (g *Guard) Server() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.server
}

// learn takes server and protection out of the answer that begins a server, and out of
// the word that it has ended. They come in the order in which it changes.
func (g *Guard) learn(m guard.Message) {
	now := Protection(m.Get("protection"))
	if Kind(m.Verb) == Exited {
		now = Off
	}
	if now == "" {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch pid := int(m.Int("pid")); {
	case Kind(m.Verb) == Exited:
		g.server, g.protection = 0, now
	case m.Verb != "ok":
		g.protection = now
	case pid != 0:
		g.server, g.protection = pid, now
	}
}

// Events tells what the guard did and saw. It is closed when the connection ends.
// Whoever does not read loses events, and asks Status.
func (g *Guard) Events() <-chan Event { return g.events }

// Close ends the connection and lets guard and server live on.
func (g *Guard) Close() error {
	err := g.conn.Close()
	<-g.done
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pidfd >= 0 {
		unix.Close(g.pidfd)
		g.pidfd = -1
	}
	return err
}

// read hands out what comes. It ends with the connection.
func (g *Guard) read(reader *bufio.Reader) {
	defer close(g.done)
	defer close(g.events)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return
		}
		m, err := guard.ParseMessage(line)
		if err != nil {
			g.conn.Close()
			return
		}
		g.learn(m)
		if m.Verb != "ok" && m.Verb != "error" {
			select {
			case g.events <- eventOf(m):
			default:
			}
			continue
		}
		g.mu.Lock()
		answer := g.waiting[m.Get("id")]
		delete(g.waiting, m.Get("id"))
		g.mu.Unlock()
		if answer != nil {
			answer <- m
		}
	}
}

// call sends a request and waits for its answer.
func (g *Guard) call(ctx context.Context, m guard.Message, limit time.Duration, files ...*os.File) (guard.Message, error) {
	doing := m.Verb
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answer := make(chan guard.Message, 1)
	g.mu.Lock()
	g.next++
	id := strconv.FormatUint(g.next, 10)
	g.waiting[id] = answer
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		delete(g.waiting, id)
		g.mu.Unlock()
	}()
	if err := g.send(m.With("id", id), files...); err != nil {
		return guard.Message{}, fmt.Errorf("tell the guard to %s: %w", doing, err)
	}
	select {
	case m := <-answer:
		if m.Verb == "error" {
			return m, fmt.Errorf("the guard was to %s: %s", doing, m.Get("text"))
		}
		return m, nil
	case <-g.done:
		return guard.Message{}, fmt.Errorf("wait for the guard to %s: %w", doing, ErrGone)
	case <-ctx.Done():
		return guard.Message{}, fmt.Errorf("wait for the guard to %s: %w", doing, ctx.Err())
	}
}

// send writes one message. A message that was written in part would garble all
// that follow, so that then the connection is given up.
func (g *Guard) send(m guard.Message, files ...*os.File) error {
	line := m.Line()
	if len(line) > guard.LineMax {
		return fmt.Errorf("the message has %d bytes, the limit is %d", len(line), guard.LineMax)
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	g.sending.Lock()
	defer g.sending.Unlock()
	n, err := g.sendNow(line, rights)
	if err == nil && n < len(line) {
		n, err = g.sendRest(line, n, rights)
	}
	if err != nil && n > 0 {
		g.conn.Close()
	}
	return err
}

// sendNow sends what the socket takes without waiting: as a rule all. No deadline is
// set for it, since one can pass before anything was tried, on a machine that lets us
// wait for a processor.
func (g *Guard) sendNow(line, rights []byte) (n int, err error) {
	raw, err := g.conn.SyscallConn()
	if err != nil {
		return 0, errors.Join(ErrGone, err)
	}
	var failure error
	err = raw.Write(func(fd uintptr) bool {
		for {
			n, failure = unix.SendmsgN(int(fd), line, rights, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
			if !errors.Is(failure, unix.EINTR) {
				return true
			}
		}
	})
	if errors.Is(failure, unix.EAGAIN) {
		return 0, err
	}
	return max(n, 0), errors.Join(err, failure)
}

// sendRest waits until the socket takes the rest of a line of which n bytes are gone.
func (g *Guard) sendRest(line []byte, n int, rights []byte) (int, error) {
	if err := g.conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return n, errors.Join(ErrGone, err)
	}
	defer g.conn.SetWriteDeadline(time.Time{}) // sendNow knows none
	if n == 0 && rights != nil {
		sent, oob, err := g.conn.WriteMsgUnix(line, rights, nil)
		if err == nil && oob < len(rights) {
			err = errors.New("the descriptors were not sent")
		}
		if n = sent; err != nil {
			return n, err
		}
	}
	more, err := g.conn.Write(line[n:])
	return n + more, err
}

// Extend moves the deadline on. It does not wait for an answer: it is for the
// heartbeat, which nothing slow may hold up. An earlier deadline than the guard
// knows is without effect.
func (g *Guard) Extend(deadline boottime.Instant) error {
	if err := g.send(guard.Message{Verb: "deadline"}.WithInt("at", int64(deadline))); err != nil {
		return fmt.Errorf("extend the guard's deadline: %w", err)
	}
	return nil
}

// Cut takes back what Extend has given: the deadline is not later than this one,
// from now on. It does not wait for an answer either.
func (g *Guard) Cut(deadline boottime.Instant) error {
	if err := g.send(guard.Message{Verb: "cut"}.WithInt("at", int64(deadline))); err != nil {
		return fmt.Errorf("cut the guard's deadline: %w", err)
	}
	return nil
}

// Continue lets a guard go on that somebody has stopped (SIGSTOP). To one that
// runs it makes no difference.
func (g *Guard) Continue() error { return g.signal(unix.SIGCONT) }

// Break kills the guard at once, for one that does not answer: the kernel then
// sends SIGQUIT to the postmaster that was its child. A server that was adopted
// gets nothing, and a frozen one stays frozen.
func (g *Guard) Break() error { return g.signal(unix.SIGKILL) }

func (g *Guard) signal(sig unix.Signal) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pidfd < 0 {
		return ErrGone
	}
	if err := unix.PidfdSendSignal(g.pidfd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("send the guard a %s: %w", unix.SignalName(sig), err)
	}
	return nil
}

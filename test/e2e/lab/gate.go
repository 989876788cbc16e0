package lab

import (
	"errors"
	"net"
	"sync"
	"testing"
)

// Gate is a way to a server that can be shut for those who go through it: what they
// send and what is sent to them is held back, as by a network that loses everything,
// and comes through when it is opened again.
type Gate struct {
	Address string

	to       string
	listener net.Listener
	wait     sync.WaitGroup

	shut sync.RWMutex // whoever passes something on reads it; written: shut

	mu    sync.Mutex
	open  bool
	conns []net.Conn
	ended bool
}

// NewGate opens a way to an address.
func NewGate(t testing.TB, at, to string) *Gate {
	t.Helper()
	listener, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	g := &Gate{Address: at, to: to, listener: listener, open: true}
	g.wait.Go(g.accept)
	t.Cleanup(g.end)
	return g
}

// Shut lets nothing through from now on.
func (g *Gate) Shut() { g.set(false) }

// Open lets everything through again.
func (g *Gate) Open() { g.set(true) }

func (g *Gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == open {
		return
	}
	if g.open = open; open {
		g.shut.Unlock()
	} else {
		g.shut.Lock()
	}
}

func (g *Gate) accept() {
	for {
		conn, err := g.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			g.wait.Go(func() { g.join(conn) })
		}
	}
}

// join connects one who came with the server, and ends when either does.
func (g *Gate) join(conn net.Conn) {
	g.shut.RLock()
	there, err := net.Dial("tcp", g.to)
	g.shut.RUnlock()
	if err != nil || !g.keep(conn, there) {
		_ = conn.Close()
		return
	}
	g.wait.Go(func() { g.pass(there, conn) })
	g.pass(conn, there)
}

// keep has the connections closed at the end; false: this is it.
func (g *Gate) keep(conns ...net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.conns = append(g.conns, conns...)
	if g.ended {
		for _, c := range conns {
			_ = c.Close()
		}
	}
	return !g.ended
}

func (g *Gate) pass(from, to net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			g.shut.RLock()
			_, failed := to.Write(buffer[:n])
			g.shut.RUnlock()
			err = errors.Join(err, failed)
		}
		if err != nil {
			return
		}
	}
}

func (g *Gate) end() {
	_ = g.listener.Close()
	g.Open()
	g.mu.Lock()
	g.ended = true
	for _, c := range g.conns {
		_ = c.Close()
	}
	g.mu.Unlock()
	g.wait.Wait()
}

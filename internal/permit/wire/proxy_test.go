package wire

import (
	"net"
	"sync"
	"testing"
	"time"
)

// proxy forwards TCP, and can stop doing so without closing anything: what a
// network does that loses packets.
type proxy struct {
	listener net.Listener
	to       string
	gone     sync.WaitGroup

	mu       sync.Mutex
	conns    []net.Conn
	accepted int
	still    chan struct{} // closed: what was accepted before forwards nothing any more
	deaf     chan struct{} // closed: nor anything back to who connected
	hole     bool          // and neither does what is accepted from now on
}

func newProxy(t testing.TB, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, to: to, still: make(chan struct{}), deaf: make(chan struct{})}
	p.gone.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		for _, c := range p.conns {
			c.Close()
		}
		p.mu.Unlock()
		p.gone.Wait()
	})
	return p
}

func (p *proxy) url() string { return "http://" + p.listener.Addr().String() + "/patroni" }

func (p *proxy) accept() {
	for {
		here, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.accepted++
		p.conns = append(p.conns, here)
		still, deaf, hole := p.still, p.deaf, p.hole
		p.mu.Unlock()
		if hole {
			continue
		}
		there, err := net.Dial("tcp", p.to)
		if err != nil {
			here.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, there)
		p.mu.Unlock()
		p.gone.Go(func() { forward(here, there, still, deaf) })
		p.gone.Go(func() { forward(there, here, still, still) })
	}
}

// forward copies until one side ends, which it passes on, or all is still.
func forward(to, from net.Conn, still, also <-chan struct{}) {
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		select {
		case <-still:
			return
		case <-also:
			return
		default:
		}
		if n > 0 {
			_, _ = to.Write(buffer[:n])
		}
		if err != nil {
			to.Close()
			return
		}
	}
}

// stall silences the connections that there are; hole also those to come.
func (p *proxy) stall(hole bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.still)
	p.still, p.hole = make(chan struct{}), hole
}

// deafen lets the connections that there are carry heartbeats and nothing back, and
// those to come nothing at all: what a network that is cut in one direction does.
func (p *proxy) deafen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.deaf)
	p.deaf, p.hole = make(chan struct{}), true
}

func (p *proxy) heal() { p.mu.Lock(); defer p.mu.Unlock(); p.hole = false }

func (p *proxy) dials() int { p.mu.Lock(); defer p.mu.Unlock(); return p.accepted }

// within fails when something took longer than it may, with what the machine's
// other work adds.
func within(t testing.TB, what string, since time.Time, limit time.Duration) {
	t.Helper()
	if took := time.Since(since); took > limit {
		t.Errorf("%s took %v, want at most %v", what, took, limit)
	}
}

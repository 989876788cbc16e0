package etcd

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between the store and a member, and can lose the answers.
type proxy struct {
	address string
	lose    atomic.Bool

	mu    sync.Mutex
	conns []net.Conn
}

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: l.Addr().String()}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				_ = in.Close()
				continue
			}
			p.keep(in, out)
			running.Go(func() { _, _ = io.Copy(out, in); _ = out.Close() })
			running.Go(func() { p.answer(in, out) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.hangUp()
		running.Wait()
	})
	return p
}

func (p *proxy) keep(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, conns...)
}

// hangUp closes what is connected.
func (p *proxy) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// recover lets answers through again, on new connections.
func (p *proxy) recover() {
	p.lose.Store(false)
	p.hangUp()
}

func (p *proxy) loseAnswers() { p.lose.Store(true) }

func (p *proxy) answer(in, out net.Conn) {
	defer in.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := out.Read(buffer)
		if err != nil {
			return
		}
		if p.lose.Load() {
			continue
		}
		if _, err := in.Write(buffer[:n]); err != nil {
			return
		}
	}
}

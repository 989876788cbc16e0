package api

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
)

// hostless lets in requests of HTTP/1.1 without a Host header. The library refuses
// them, as it should, but Patroni answers them, and monitors of load balancers that
// leave the header out are around. The first request of a connection is enough: such
// a monitor sends no second one.
//
// With TLS they are refused: the library must see the TLS connection itself.
type hostless struct{ net.Listener }

func (l hostless) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &hostlessConn{Conn: c}, nil
}

// hostlessConn keeps the head of the first request back until it is complete. One
// goroutine reads at a time, as http.Server does.
type hostlessConn struct {
	net.Conn
	head   []byte // read, and not passed on yet
	passed bool   // the head is complete: what comes is passed on as it is
}

func (c *hostlessConn) Read(p []byte) (int, error) {
	for !c.passed {
		n, err := c.Conn.Read(p)
		c.head = append(c.head, p[:n]...)
		if err != nil && len(c.head) == 0 {
			return 0, err
		}
		// Of an error with something before it: the next read finds it again.
		if c.passed = err != nil || judged(c.head) || len(c.head) > headerBytes; c.passed {
			c.head = withHost(c.head)
		}
	}
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

var version11 = []byte(" HTTP/1.1")

// judged reports that enough is there to judge the request.
func judged(head []byte) bool {
	line, _, whole := bytes.Cut(head, []byte("\n"))
	if !whole {
		return false
	}
	return !bytes.HasSuffix(bytes.TrimRight(line, "\r"), version11) ||
		bytes.Contains(head, []byte("\n\r\n")) || bytes.Contains(head, []byte("\n\n"))
}

// withHost makes a request of HTTP/1.1 that has no Host header one of HTTP/1.0, which
// needs none. Its length stays the same.
func withHost(head []byte) []byte {
	line, rest, _ := bytes.Cut(head, []byte("\n"))
	line = bytes.TrimRight(line, "\r")
	if !bytes.HasSuffix(line, version11) {
		return head
	}
	for field := range bytes.SplitSeq(rest, []byte("\n")) {
		field = bytes.TrimRight(field, "\r")
		if len(field) == 0 {
			break // what follows is the body
		}
		if name, _, _ := bytes.Cut(field, []byte(":")); bytes.EqualFold(name, []byte("Host")) {
			return head
		}
	}
	line[len(line)-1] = '0'
	return head
}

// handedOver is a response whose connection is handed over as it was accepted, for those
// who tune it.
type handedOver struct{ http.ResponseWriter }

// Unwrap is for http.ResponseController.
func (t handedOver) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// Hijack is for http.ResponseController.
func (t handedOver) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, buffered, err := http.NewResponseController(t.ResponseWriter).Hijack()
	if inner, ok := c.(*hostlessConn); ok && len(inner.head) == 0 {
		c = inner.Conn
	}
	return c, buffered, err
}

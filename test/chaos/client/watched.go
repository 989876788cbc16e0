package client

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// glance is how long a read waits before it looks at the clock. It bounds how much
// later than it was given an acknowledgement may seem to be given.
const glance = 5 * time.Millisecond

// watched is a connection that knows until when it was silent.
//
// A statement that waits in a frozen server is answered long after it was sent,
// and the interval in between would hide when the server ran again. So a read looks
// up now and then: if nothing had come when it did, then what comes later was sent
// later. Server and client are on one host, where what was sent is there at once.
type watched struct {
	net.Conn
	now    func() time.Duration
	silent atomic.Int64 // the latest instant of which it is known

	mu       sync.Mutex
	deadline time.Time // for reads, as the owner wants it
}

func (w *watched) Read(p []byte) (int, error) {
	for {
		w.mu.Lock()
		owners := w.deadline
		w.mu.Unlock()
		until := time.Now().Add(glance)
		last := !owners.IsZero() && owners.Before(until)
		if last {
			until = owners
		}
		// Before the read, not at its end: what arrives as it ends may be older than it seems.
		began := w.now()
		if err := w.Conn.SetReadDeadline(until); err != nil {
			return 0, err
		}
		n, err := w.Conn.Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		w.silent.Store(int64(began))
		if last {
			return n, err
		}
	}
}

// SetReadDeadline is heeded by a read under way after a glance at most.
func (w *watched) SetReadDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline = t
	return nil
}

// SetDeadline is for both directions.
func (w *watched) SetDeadline(t time.Time) error {
	if err := w.SetReadDeadline(t); err != nil {
		return err
	}
	return w.Conn.SetWriteDeadline(t)
}

package wire

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"matriarch/internal/permit"
)

// ReceiverOptions are what a Receiver needs of its node.
type ReceiverOptions struct {
	Cluster string // which cluster this is, in any words that its members share
	Member  string // this node's name in it

	// Answer answers a heartbeat, at once. It is called by many goroutines.
	Answer func(permit.Heartbeat) permit.Ack

	// Lost tells that the connection of a leader was closed or reset, and no newer
	// one of the same leader is there: evidence that its agent is gone. It is not
	// told of a connection that the leader gave up or that was closed here.
	Lost func(leader string)

	Log *slog.Logger
}

// Receiver is a member's side: an http.Handler that takes connections over. Who
// may connect is checked before, by whoever mounts it.
type Receiver struct {
	ReceiverOptions
	present *present
}

// NewReceiver makes a Receiver; Close ends it.
func NewReceiver(o ReceiverOptions) *Receiver {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Receiver{ReceiverOptions: o, present: newPresent()}
}

// Close ends all connections, and returns when they have. It must not be called
// from Answer or Lost, nor under a lock that they take.
func (r *Receiver) Close() { r.present.end() }

// ServeHTTP upgrades the request and serves the connection until it ends, the
// request's context does, or Close is called.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if no, code := r.refuse(q); code != 0 {
		upgrade(w.Header())
		w.Header().Set("Connection", "close")
		http.Error(w, no, code)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "the connection cannot be taken over", http.StatusInternalServerError)
		return
	}
	// What the client sent along with the request is in the buffer; the rest is read
	// past it, for the buffer's reader belongs to the HTTP server.
	early, err := buffered.Reader.Peek(buffered.Reader.Buffered())
	if err == nil {
		err = tune(conn)
	}
	if err != nil {
		r.Log.Warn("a heartbeat connection could not be taken over", "from", q.RemoteAddr, "err", err)
		cut(conn)
		return
	}
	// The client waits for the answer, so this fits into the kernel's buffer.
	_ = conn.SetWriteDeadline(time.Now().Add(firstWait))
	if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+Protocol+"\r\n\r\n"); err != nil {
		cut(conn)
		return
	}
	r.Serve(q.Context(), conn, early)
}

// refuse says why a request is not upgraded; code 0: it is.
func (r *Receiver) refuse(q *http.Request) (why string, code int) {
	given := q.URL.Query()
	switch {
	case q.Method != http.MethodGet || !q.ProtoAtLeast(1, 1) || q.Header.Get("Upgrade") != Protocol ||
		!strings.EqualFold(q.Header.Get("Connection"), "Upgrade"):
		return "only an upgrade to " + Protocol + " is served here", http.StatusUpgradeRequired
	case given.Get(clusterField) != r.Cluster || given.Get(memberField) != r.Member:
		return "this is another member, or another cluster", http.StatusMisdirectedRequest
	case r.present.full():
		return "there are too many heartbeat connections, or the node stops", http.StatusServiceUnavailable
	}
	return "", 0
}

// inbound is one connection from a leader.
type inbound struct {
	conn   net.Conn
	leader string // empty: nothing was heard yet
	lines  *bufio.Reader
	out    *lineWriter
}

// Serve answers the heartbeats on a connection, and closes it. early is what was
// read of it before.
func (r *Receiver) Serve(ctx context.Context, conn net.Conn, early []byte) {
	c := &inbound{conn: conn, out: newLineWriter(),
		lines: bufio.NewReaderSize(io.MultiReader(bytes.NewReader(early), conn), lineBytes)}
	defer cut(conn)
	if !r.present.enter(c) {
		r.Log.Warn("a heartbeat connection was refused: there are too many, or the node stops", "from", conn.RemoteAddr())
		return
	}
	defer r.present.gone.Done()
	defer context.AfterFunc(ctx, func() { cut(conn) })()
	bye, err := r.answerAll(c)
	switch newest := r.present.leave(c.leader, c); {
	case !newest || bye || ctx.Err() != nil:
	case errors.Is(err, errGarbage) || errors.Is(err, os.ErrDeadlineExceeded):
		r.Log.Warn("a heartbeat connection was given up", "leader", c.leader, "from", conn.RemoteAddr(), "err", err)
	default:
		r.Lost(c.leader)
	}
}

// answerAll returns when the connection has ended: with a goodbye, or with an error.
func (r *Receiver) answerAll(c *inbound) (bye bool, err error) {
	wait := firstWait
	for {
		if err := c.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return false, err
		}
		line, err := c.lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return false, fmt.Errorf("%w: it is longer than %d bytes", errGarbage, lineBytes)
		}
		if err != nil {
			return false, err
		}
		hb, bye, err := parseHeartbeat(line)
		if bye || err != nil {
			return bye, err
		}
		if c.leader == "" {
			c.leader = hb.Leader
			r.present.heard(c.leader, c)
		}
		if hb.Leader != c.leader {
			return false, fmt.Errorf("%w: a heartbeat of another leader", errGarbage)
		}
		if err := r.answer(c, hb); err != nil {
			return false, err
		}
		wait = silentWait
	}
}

// answer waits for a leader that does not read no longer than its permit would
// last: an acknowledgement is worth nothing then.
func (r *Receiver) answer(c *inbound, hb permit.Heartbeat) error {
	line, err := c.out.line(r.Answer(hb))
	if err != nil {
		return err
	}
	if err := c.conn.SetWriteDeadline(time.Now().Add(min(hb.Permit, firstWait))); err != nil {
		return err
	}
	_, err = c.conn.Write(line)
	return err
}

package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"matriarch/internal/permit"
)

// outbound is one connection to a member. Its link owns it but for lines, which
// are its reader's.
type outbound struct {
	conn    net.Conn
	target  target
	address string // where the member was found
	lines   *bufio.Reader

	term, sequence int64     // of the newest heartbeat sent
	asked          time.Time // since when nothing was acknowledged; zero: nothing is awaited
	proven         bool      // something was acknowledged
}

// send writes a heartbeat, and waits no longer than until the next is due.
func (c *outbound) send(line []byte, hb permit.Heartbeat, now time.Time) error {
	if err := c.conn.SetWriteDeadline(now.Add(pace(hb) / 6)); err != nil {
		return err
	}
	if _, err := c.conn.Write(line); err != nil {
		return fmt.Errorf("send a heartbeat to %s: %w", c.address, err)
	}
	c.term, c.sequence = hb.Term, hb.Sequence
	if c.asked.IsZero() {
		c.asked = now
	}
	return nil
}

// heard takes an acknowledgement: of the newest heartbeat, or of an older one,
// which shows at least that the path is alive.
func (c *outbound) heard(ack permit.Ack, now time.Time) {
	c.asked, c.proven = now, true
	if ack.Of == c.term && ack.Sequence == c.sequence {
		c.asked = time.Time{}
	}
}

// overdue is the instant from which the connection is not trusted alone. A third
// of a permit leaves time for another one: after a short loss TCP repeats what it
// sent no sooner than after 200 ms, and then after twice that and so on (RFC 6298;
// TCP_RTO_MIN in linux/tcp.h), so that a path that is well again stays silent.
func (c *outbound) overdue(pace time.Duration) (at time.Time, ok bool) {
	return c.asked.Add(pace / 3), !c.asked.IsZero()
}

// mute reports that nothing more is to be sent: the member answers nothing, and may
// hear all the same. A promise that never comes back helps nobody, and binds the
// member. What was sent before is enough to show that the path is well again.
func (c *outbound) mute(now time.Time, pace time.Duration) bool {
	return !c.asked.IsZero() && now.Sub(c.asked) > pace/2
}

// retire gives the connection up while another one serves, or none is needed: the
// member is told, so that it does not take the end for a death. The reader closes
// it when the member has. It waits for up to retireWait.
func (c *outbound) retire() {
	_ = c.conn.SetDeadline(time.Now().Add(retireWait))
	_, err := c.conn.Write([]byte(goodbye))
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok && err == nil {
		err = half.CloseWrite() // TLS sets another deadline for it, of 5 s
	}
	if err != nil {
		cut(c.conn)
	}
}

const retireWait = time.Second

// read hands the acknowledgements out until the connection ends, and closes it.
func (c *outbound) read(ctx context.Context, heard func(permit.Ack)) error {
	defer cut(c.conn)
	defer context.AfterFunc(ctx, func() { cut(c.conn) })()
	for {
		line, err := c.lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			err = fmt.Errorf("%w: it is longer than %d bytes", errGarbage, lineBytes)
		}
		var ack permit.Ack
		if err == nil {
			ack, err = parseAck(line)
		}
		if err == nil && ack.Member != c.target.member {
			err = fmt.Errorf("%w: another member acknowledges", errGarbage)
		}
		if err != nil {
			return fmt.Errorf("read the acknowledgements from %s: %w", c.address, err)
		}
		heard(ack)
	}
}

// pace is what all waiting is measured by: the permit, within reason.
func pace(hb permit.Heartbeat) time.Duration { return min(max(hb.Permit, paceMin), paceMax) }

const (
	paceMin = 60 * time.Millisecond
	paceMax = time.Minute
)

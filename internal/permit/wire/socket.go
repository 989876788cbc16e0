package wire

import (
	"crypto/tls"
	"net"
	"syscall"
	"time"
)

// tcpUserTimeout is TCP_USER_TIMEOUT of linux/tcp.h, in milliseconds: how long
// sent data may stay unacknowledged until the kernel gives the connection up. It
// would try for 15 minutes otherwise (tcp_retries2).
const tcpUserTimeout = 18

// keepAlive finds out about a host that is gone when nothing is being sent. The
// kernel counts in whole seconds (tcp(7)).
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 3}

// receiverPatience is the TCP_USER_TIMEOUT of a member's side.
const receiverPatience = 5 * time.Second

func setUserTimeout(raw syscall.RawConn, d time.Duration) error {
	var fault error
	err := raw.Control(func(fd uintptr) {
		fault = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(d.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return fault
}

// tune makes a connection that the listener accepted as quick to notice a loss as
// the one that dialed it. What is no TCP, as in a test, is left alone.
func tune(c net.Conn) error {
	t, ok := below(c).(*net.TCPConn)
	if !ok {
		return nil
	}
	if err := t.SetNoDelay(true); err != nil {
		return err
	}
	if err := t.SetKeepAliveConfig(keepAlive); err != nil {
		return err
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return err
	}
	return setUserTimeout(raw, receiverPatience)
}

// below is the connection that TLS runs on, if it does.
func below(c net.Conn) net.Conn {
	if t, ok := c.(*tls.Conn); ok {
		return t.NetConn()
	}
	return c
}

// cut closes a connection at once. TLS would first send a farewell, and wait for
// up to 5 s where the other side does not read.
func cut(c net.Conn) { _ = below(c).Close() }

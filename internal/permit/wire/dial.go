package wire

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// Options are how the members are called; as for every other call to their REST
// interface.
type Options struct {
	Cluster            string // as ReceiverOptions has it
	Username, Password string // none: no authentication
	TLS                *tls.Config
	UserAgent          string
}

// target is where a connection leads and how it is made.
type target struct {
	member  string
	apiURL  string // of the member key; the path does not matter
	options *Options
}

// refused is an answer other than the upgrade. To ask again at once is useless.
type refused struct{ status string }

func (r *refused) Error() string { return "the member answers " + r.status }

// patience is how long the steps of a connection may take.
type patience struct {
	connect time.Duration // for the TCP connection to each address
	whole   time.Duration // for all, with TLS and the upgrade
	user    time.Duration // TCP_USER_TIMEOUT from then on
}

// dial makes a connection that is ready for heartbeats. known is the address at
// which the member was found before, for when its name cannot be resolved: name
// servers are away when much else is.
func dial(ctx context.Context, t target, known string, p patience) (*outbound, error) {
	u, err := url.Parse(t.apiURL)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the member's api_url is no http or https address")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	ctx, cancel := context.WithTimeout(ctx, p.whole)
	defer cancel()
	conn, err := connect(ctx, net.JoinHostPort(u.Hostname(), port), known, p)
	if err != nil {
		return nil, err
	}
	c := &outbound{conn: conn, target: t, address: conn.RemoteAddr().String()}
	// The handshake below knows no context but that of TLS.
	stop := context.AfterFunc(ctx, func() { cut(conn) })
	if u.Scheme == "https" {
		c.conn, err = handshake(ctx, conn, u.Hostname(), t.options.TLS)
	}
	if err == nil {
		err = c.ask(u.Host)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		cut(conn)
		if ctx.Err() != nil {
			err = ctx.Err() // the cause; the closed connection is what followed
		}
		return nil, fmt.Errorf("upgrade the connection to %s: %w", c.address, err)
	}
	return c, nil
}

func connect(ctx context.Context, address, known string, p patience) (net.Conn, error) {
	dialer := net.Dialer{Timeout: p.connect, KeepAliveConfig: keepAlive,
		Control: func(_, _ string, raw syscall.RawConn) error { return setUserTimeout(raw, p.user) }}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if unresolved := (*net.DNSError)(nil); known != "" && errors.As(err, &unresolved) {
		conn, err = dialer.DialContext(ctx, "tcp", known)
	}
	return conn, err // TCP_NODELAY is Go's default
}

func handshake(ctx context.Context, conn net.Conn, host string, config *tls.Config) (net.Conn, error) {
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	config = config.Clone()
	config.NextProtos = []string{"http/1.1"} // HTTP/2 has no upgrade
	if config.ServerName == "" {
		config.ServerName = host
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("agree on TLS: %w", err)
	}
	return secure, nil
}

// ask asks for the upgrade.
func (c *outbound) ask(host string) error {
	o := c.target.options
	q := &http.Request{Method: http.MethodGet, Host: host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		URL:    &url.URL{Path: Path, RawQuery: query(o.Cluster, c.target.member)},
		Header: http.Header{"User-Agent": {or(o.UserAgent, "Matriarch")}}}
	upgrade(q.Header)
	if o.Username != "" || o.Password != "" {
		q.SetBasicAuth(o.Username, o.Password)
	}
	if err := q.Write(c.conn); err != nil {
		return fmt.Errorf("send the request: %w", err)
	}
	limit := &io.LimitedReader{R: c.conn, N: answerBytes}
	c.lines = bufio.NewReaderSize(limit, lineBytes)
	answer, err := http.ReadResponse(c.lines, q)
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Upgrade") != Protocol {
		_ = answer.Body.Close()
		return &refused{status: answer.Status}
	}
	limit.N = math.MaxInt64 // lines have their own limit
	return nil
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

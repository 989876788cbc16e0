package etcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dialing makes the connections to one endpoint.
type dialing struct {
	timeout time.Duration
	lookup  func(ctx context.Context, host string) ([]string, error)
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
}

// newDialing connects with the kernel's own detection of a dead host: keep-alive
// probes after 2 s of silence, and 3 s for data that nobody acknowledges.
func newDialing(timeout time.Duration) dialing {
	d := &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{
			Enable:   true,
			Idle:     2 * time.Second,
			Interval: time.Second,
			Count:    2,
		},
		Control: func(_, _ string, raw syscall.RawConn) error {
			const unacknowledgedMs = 3000
			var fault error
			err := raw.Control(func(fd uintptr) {
				fault = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, unacknowledgedMs)
			})
			return errors.Join(err, fault)
		},
	}
	return dialing{timeout: timeout, lookup: net.DefaultResolver.LookupHost, dial: d.DialContext}
}

// dialEvery is the time after which a connection that does not come about is tried
// once more beside the first. The kernel repeats a lost SYN after 1 s only, and a
// network that is well again is to be noticed at once.
const dialEvery = 250 * time.Millisecond

// connect returns the first connection that stands. An error ends it: that was an
// answer of every address. Of a name with several addresses each try begins with the
// next one: one that is silent would else take the time of all of them.
func (d dialing) connect(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	type answer struct {
		conn net.Conn
		err  error
	}
	answers := make(chan answer)
	again := time.NewTicker(dialEvery)
	defer again.Stop()
	for try := 0; ; try++ {
		go func() {
			conn, err := d.tryFrom(ctx, address, try)
			select {
			case answers <- answer{conn, err}:
			case <-ctx.Done(): // the first one has won, or nobody waits any more
				if conn != nil {
					conn.Close()
				}
			}
		}()
		select {
		case a := <-answers:
			return a.conn, a.err
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-again.C:
		}
	}
}

// tryFrom tries the addresses of a name one after the other, from the given one on.
func (d dialing) tryFrom(ctx context.Context, address string, first int) (net.Conn, error) {
	places, err := d.places(ctx, address)
	if err != nil {
		return nil, err
	}
	for i := range places {
		var conn net.Conn
		if conn, err = d.dial(ctx, "tcp", places[(first+i)%len(places)]); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// places are the addresses of host:port.
func (d dialing) places(ctx context.Context, address string) ([]string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || isAddress(host) {
		return []string{address}, nil // the dialer says what is wrong with it
	}
	hosts, err := d.lookup(ctx, host)
	if err == nil && len(hosts) == 0 {
		err = errors.New("it has no address")
	}
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", host, err)
	}
	out := make([]string, len(hosts))
	for i, h := range hosts {
		out[i] = net.JoinHostPort(h, port)
	}
	return out, nil
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// eachAddress replaces an http name that has several addresses by an endpoint for each,
// with the name behind them for the day on which it has others (compat/dcs.md §17): one
// that is silent is then noticed by one request, and the next goes to another. With TLS
// the name is what the certificate is for.
func eachAddress(ctx context.Context, urls []string, lookup func(ctx context.Context, host string) ([]string, error)) []string {
	var out []string
	for _, raw := range urls {
		u, err := url.Parse(raw)
		if err == nil && u.Scheme == "http" && !isAddress(u.Hostname()) && !strings.EqualFold(u.Hostname(), "localhost") {
			hosts, err := lookup(ctx, u.Hostname())
			slices.Sort(hosts)
			if hosts = slices.Compact(hosts); err == nil && len(hosts) > 1 {
				for _, h := range hosts {
					own := *u
					own.Host = net.JoinHostPort(h, u.Port())
					out = append(out, own.String())
				}
			}
		}
		out = append(out, raw)
	}
	return out
}

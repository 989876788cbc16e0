// Package etcd is the store over etcd's v3 API: 3.4, 3.5 and 3.6.
//
// It mirrors one prefix by one watch, keeps one lease, and commits transactions.
// Each etcd member is spoken to over a connection of its own, and this package,
// not gRPC's balancer, decides which member is asked: the balancer hides which
// member a call went to and whether it was sent, and a call without a deadline
// of its own hangs for 6 to 7 s when its member dies (measured). Here a refused
// connection costs nothing, a silent member costs one RequestTimeout, and a
// write goes to exactly one member once.
package etcd

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"
)

// Config says where etcd is and how to speak to it.
type Config struct {
	// Endpoints are host:port or whole URLs. At least one, unless SRV gives some.
	Endpoints []string
	// Scheme is http or https, for endpoints that are not URLs. Default http.
	Scheme string
	// KeepOrder starts with the first endpoint; otherwise the start is drawn by
	// lot, so that nodes with the same file do not all lean on one member.
	KeepOrder bool
	// Home says that the first endpoint is a member in this very process: it is asked first
	// whenever it answers, and the watch goes back to it after it was away. A member that
	// is elsewhere would be lost just when its node is.
	Home bool
	// UseProxies takes Endpoints as the final list: the members' advertised
	// client URLs are not asked for.
	UseProxies bool
	// SRV is a domain whose SRV records name the endpoints; SRVSuffix is
	// appended to the service names after a dash.
	SRV, SRVSuffix string

	TLS                TLS
	Username, Password string

	// Prefix is the cluster's base path, as "/service/demo/".
	Prefix string

	// RequestTimeout bounds one request to one member. Default 1 s.
	RequestTimeout time.Duration
	// RetryTimeout bounds one call with all its tries, below the context's own
	// deadline. Default 10 s.
	RetryTimeout time.Duration
	// DialTimeout bounds one attempt to connect. Default: RequestTimeout.
	DialTimeout time.Duration
	// DiscoverEvery is how often the member list is asked for; it is asked for
	// after each rebuilt watch too. Default 5 min.
	DiscoverEvery time.Duration

	// Now is the clock of Lease.Sent. Default time.Now.
	Now func() time.Time
	// Logger gets changes of state. Default: none.
	Logger *slog.Logger
}

// The watch is probed when it was silent for probeAfter, and given up when the
// probe is not answered within RequestTimeout. gRPC's own keep-alive would not
// do: its client never pings more often than every 10 s, and etcd's server hangs
// up on clients that ping more often than every 5 s. A probe costs etcd no
// agreement: the member answers from its own memory.
const probeAfter = 2 * time.Second

// replaceAfter is for how long nothing but older or foreign answers must have
// come before another store is believed to have taken the place of the known one.
const replaceAfter = 10 * time.Second

// prepared is the configuration with its defaults, or all its faults at once.
func (c Config) prepared() (Config, error) {
	var errs []error
	if c.Scheme == "" {
		c.Scheme = "http"
	}
	if c.Scheme != "http" && c.Scheme != "https" {
		errs = append(errs, fmt.Errorf("etcd protocol %q is neither http nor https", c.Scheme))
	}
	if len(c.Endpoints) == 0 && c.SRV == "" {
		errs = append(errs, errors.New("no etcd endpoint is given"))
	}
	if !strings.HasPrefix(c.Prefix, "/") || !strings.HasSuffix(c.Prefix, "/") || len(c.Prefix) < 2 {
		errs = append(errs, fmt.Errorf("etcd prefix %q does not start and end with a slash", c.Prefix))
	}
	orDefault(&c.RequestTimeout, time.Second)
	orDefault(&c.RetryTimeout, 10*time.Second)
	orDefault(&c.DialTimeout, c.RequestTimeout)
	orDefault(&c.DiscoverEvery, 5*time.Minute)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, errors.Join(errs...)
}

func orDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

// urls are the configured endpoints as URLs, in the order of use.
func (c Config) urls() []string {
	list := make([]string, 0, len(c.Endpoints))
	for _, e := range c.Endpoints {
		if !strings.Contains(e, "://") {
			e = c.Scheme + "://" + e
		}
		list = append(list, strings.TrimRight(e, "/"))
	}
	if !c.KeepOrder && len(list) > 1 {
		at := rand.IntN(len(list))
		list = append(list[at:], list[:at]...)
	}
	return list
}

// rangeEnd is the first key after all keys that begin with prefix. The prefix
// ends in a slash, so its last byte can be incremented.
func rangeEnd(prefix string) []byte {
	end := []byte(prefix)
	end[len(end)-1]++
	return end
}

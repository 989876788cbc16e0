// Package embedded runs an etcd server member inside this process, so that a
// cluster of three nodes needs no etcd installation: each agent is a member, and
// they find each other by the list that stands in every node's file.
//
// It is a full etcd member: etcdctl and other clients may talk to it. The store
// of a node that runs one is package etcd's, with this member's own endpoint
// first.
package embedded

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
)

// Default ports, etcd's own.
const (
	DefaultClientPort = 2379
	DefaultPeerPort   = 2380
)

// Member is one entry of the list that is the same on every node.
type Member struct {
	Name       string
	Host       string
	ClientPort int // 0: DefaultClientPort
	PeerPort   int // 0: DefaultPeerPort
}

// TLS names certificate files. Cert and Key switch TLS on; CACert demands and
// verifies the other side's certificate.
type TLS struct {
	Cert, Key, CACert string
}

// Config describes this node's member.
type Config struct {
	Name    string // this node's entry in Members
	DataDir string
	Members []Member
	// ClusterToken tells clusters apart that share addresses by mistake. It is
	// derived from the cluster's namespace and scope.
	ClusterToken string

	// ClientListen and PeerListen are the addresses (IP:port) to listen at.
	// Default: the member's own, or all addresses when its host is a name.
	ClientListen, PeerListen string

	ClientTLS, PeerTLS TLS

	// Heartbeat and Election are raft's intervals. Default 100 ms and 1 s, right
	// for a LAN.
	Heartbeat, Election time.Duration

	Logger *slog.Logger // default: none
}

const (
	// quotaBytes bounds the database. A cluster's keys are some kilobytes; the
	// rest is their history of an hour.
	quotaBytes = 256 << 20
	// snapshotCount and catchUpEntries bound the raft log, in entries. A cluster
	// writes about one in three seconds.
	snapshotCount  = 5000
	catchUpEntries = 1000
	// walSegmentBytes is preallocated twice. etcd's 64 MB each are meant for a
	// store of millions of keys.
	walSegmentBytes = 16 << 20
)

// etcd has this as a variable of the package, not as a setting. It is set before
// any member starts, since members of one process (in tests) share it.
func init() { wal.SegmentSizeBytes = walSegmentBytes }

func (c Config) prepared() (Config, error) {
	if c.Heartbeat <= 0 {
		c.Heartbeat = 100 * time.Millisecond
	}
	if c.Election <= 0 {
		c.Election = 10 * c.Heartbeat
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	var errs []error
	if c.DataDir == "" {
		errs = append(errs, errors.New("embedded etcd has no data_dir"))
	}
	if c.ClusterToken == "" {
		errs = append(errs, errors.New("embedded etcd has no cluster token"))
	}
	seen := map[string]string{}
	for _, m := range c.Members {
		if m.Name == "" || m.Host == "" {
			errs = append(errs, fmt.Errorf("embedded etcd member %q at host %q: both name and host are needed", m.Name, m.Host))
		}
		for _, key := range []string{"name " + m.Name, "peer address " + m.peerAddress()} {
			if other, twice := seen[key]; twice {
				errs = append(errs, fmt.Errorf("embedded etcd members %s and %s have the same %s", other, m.Name, key))
			}
			seen[key] = m.Name
		}
	}
	if _, ok := c.own(); !ok {
		errs = append(errs, fmt.Errorf("node %q is not in the list of embedded etcd members", c.Name))
	}
	return c, errors.Join(errs...)
}

// own is this node's entry.
func (c Config) own() (Member, bool) {
	for _, m := range c.Members {
		if m.Name == c.Name {
			return m, true
		}
	}
	return Member{}, false
}

// Endpoints are the client addresses of all members, this node's own first, for
// package etcd's Config.
func (c Config) Endpoints() []string {
	var own, others []string
	for _, m := range c.Members {
		if m.Name == c.Name {
			own = append(own, m.clientAddress())
		} else {
			others = append(others, m.clientAddress())
		}
	}
	return append(own, others...)
}

// Scheme is that of the client addresses.
func (c Config) Scheme() string { return c.ClientTLS.scheme() }

func (m Member) clientAddress() string { return address(m.Host, m.ClientPort, DefaultClientPort) }
func (m Member) peerAddress() string   { return address(m.Host, m.PeerPort, DefaultPeerPort) }

func (m Member) peerPort() int { return cmp.Or(m.PeerPort, DefaultPeerPort) }

func address(host string, port, otherwise int) string {
	if port == 0 {
		port = otherwise
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

func (c Config) peerURL(m Member) string   { return c.PeerTLS.scheme() + "://" + m.peerAddress() }
func (c Config) clientURL(m Member) string { return c.ClientTLS.scheme() + "://" + m.clientAddress() }

func (t TLS) scheme() string {
	if t.Cert != "" {
		return "https"
	}
	return "http"
}

func (t TLS) info() transport.TLSInfo {
	return transport.TLSInfo{
		CertFile:       t.Cert,
		KeyFile:        t.Key,
		TrustedCAFile:  t.CACert,
		ClientCertAuth: t.CACert != "",
	}
}

// listen is the address to bind to: etcd binds to IP addresses only.
func listen(given, own string) string {
	if given != "" {
		return given
	}
	host, port, err := net.SplitHostPort(own)
	if err != nil || net.ParseIP(host) == nil {
		return net.JoinHostPort("0.0.0.0", port)
	}
	return own
}

// etcd is the configuration in etcd's terms, for a member that founds the
// cluster or has its data.
func (c Config) etcd(stopping *atomic.Bool) (*embed.Config, error) {
	own, _ := c.own()
	ec := embed.NewConfig()
	ec.Name, ec.Dir = c.Name, c.DataDir
	ec.TickMs = uint(c.Heartbeat.Milliseconds())
	ec.ElectionMs = uint(c.Election.Milliseconds())
	ec.PreVote = true // a member that comes back does not unseat the leader
	ec.SnapshotCount, ec.SnapshotCatchUpEntries = snapshotCount, catchUpEntries
	ec.QuotaBackendBytes = quotaBytes
	// Only etcd's own main sets it; 0 means that every request is a slow one.
	ec.WarningUnaryRequestDuration = embed.DefaultWarningUnaryRequestDuration
	ec.AutoCompactionMode, ec.AutoCompactionRetention = embed.CompactorModePeriodic, "1h"
	ec.ClientTLSInfo, ec.PeerTLSInfo = c.ClientTLS.info(), c.PeerTLS.info()
	ec.InitialClusterToken = c.ClusterToken
	ec.ClusterState = embed.ClusterStateFlagNew
	ec.ZapLoggerBuilder = embed.NewZapLoggerBuilder(bridge(c.Logger, stopping))
	var initial []string
	for _, m := range c.Members {
		initial = append(initial, m.Name+"="+c.peerURL(m))
	}
	ec.InitialCluster = strings.Join(initial, ",")

	var errs []error
	set := func(urls *[]url.URL, raw string) {
		u, err := url.Parse(raw)
		if err != nil {
			errs = append(errs, fmt.Errorf("address of embedded etcd: %w", err))
			return
		}
		*urls = []url.URL{*u}
	}
	set(&ec.ListenClientUrls, c.ClientTLS.scheme()+"://"+listen(c.ClientListen, own.clientAddress()))
	set(&ec.ListenPeerUrls, c.PeerTLS.scheme()+"://"+listen(c.PeerListen, own.peerAddress()))
	set(&ec.AdvertiseClientUrls, c.clientURL(own))
	set(&ec.AdvertisePeerUrls, c.peerURL(own))
	return ec, errors.Join(errs...)
}

// hasData tells whether the member has taken part before.
func (c Config) hasData() bool { return wal.Exist(filepath.Join(c.DataDir, "member", "wal")) }

package lab

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// Etcd is a cluster of etcd servers of its own.
type Etcd struct {
	Endpoints []string // host:port

	t       testing.TB
	in      []Network // by member
	options []string  // further words of the command line
	dir     string
	members []*Process
	client  *clientv3.Client
}

// StartEtcd starts n servers and waits until they take writes.
func StartEtcd(t testing.TB, n int) *Etcd {
	t.Helper()
	subnet := Subnet(t)
	var hosts []string
	for i := range n {
		hosts = append(hosts, fmt.Sprintf("%s%d", subnet, 11+i))
	}
	return startEtcd(t, "", hosts)
}

// StartEtcdIn starts one server on a host of a network.
func StartEtcdIn(t testing.TB, in Network, host string, clients Network) *Etcd {
	t.Helper()
	e := NewEtcd(t, []Network{in}, []string{host})
	e.Begin(clients)
	return e
}

// NoFsync is for tests that kill processes and not machines: what the kernel has
// taken counts as written.
const NoFsync = "--unsafe-no-fsync"

// NewEtcd prepares a server on each of the hosts, which are in networks of their
// own. Options are further words of the command line; if there is none, it is
// NoFsync. Begin starts them.
func NewEtcd(t testing.TB, in []Network, hosts []string, options ...string) *Etcd {
	t.Helper()
	if len(options) == 0 {
		options = []string{NoFsync}
	}
	e := &Etcd{t: t, in: in, options: options, dir: Dir(t), members: make([]*Process, len(hosts))}
	for _, h := range hosts {
		e.Endpoints = append(e.Endpoints, h+":2379")
	}
	return e
}

func startEtcd(t testing.TB, in Network, hosts []string) *Etcd {
	t.Helper()
	e := NewEtcd(t, slices.Repeat([]Network{in}, len(hosts)), hosts)
	e.Begin(in)
	return e
}

// Begin starts all servers and waits until they take writes. Clients is where the
// tests' own connections come from.
func (e *Etcd) Begin(clients Network) {
	e.t.Helper()
	require(e.t, "etcd")
	e.t.Cleanup(func() {
		for _, m := range e.members {
			if m != nil {
				m.Kill()
			}
		}
	})
	for i := range e.members {
		e.Start(i)
	}
	e.client = connectEtcd(e.t, clients, e.Endpoints)
	e.t.Cleanup(func() { showLogs(e.t, filepath.Join(e.dir, "*.log")) })
	e.WaitReady()
}

// Start starts a member, again after it was killed.
func (e *Etcd) Start(i int) {
	e.t.Helper()
	var initial []string
	for j, endpoint := range e.Endpoints {
		host, _, _ := net.SplitHostPort(endpoint)
		initial = append(initial, fmt.Sprintf("e%d=http://%s:2380", j, host))
	}
	host, _, _ := net.SplitHostPort(e.Endpoints[i])
	client, peer := "http://"+e.Endpoints[i], "http://"+host+":2380"
	e.members[i] = launch(e.t, e.in[i], filepath.Join(e.dir, fmt.Sprintf("e%d.log", i)), "etcd", append([]string{
		fmt.Sprintf("--name=e%d", i), "--data-dir=" + e.Data(i), "--logger=zap", "--log-level=warn",
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client, "--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer, "--initial-cluster=" + strings.Join(initial, ","),
	}, e.options...)...)
}

// Data is a member's directory.
func (e *Etcd) Data(i int) string { return filepath.Join(e.dir, fmt.Sprintf("e%d", i)) }

// Put writes a key, and gives up when ctx ends.
func (e *Etcd) Put(ctx context.Context, key, value string) error {
	_, err := e.client.Put(ctx, key, value)
	return err
}

// Running reports that a member has not ended.
func (e *Etcd) Running(i int) bool { return e.members[i] != nil && e.members[i].Running() }

// Signal sends a signal to a member.
func (e *Etcd) Signal(i int, s syscall.Signal) { e.members[i].Signal(s) }

// Kill kills a member.
func (e *Etcd) Kill(i int) { e.members[i].Kill() }

// Leader is the number of the member that leads the others.
func (e *Etcd) Leader() int {
	e.t.Helper()
	found := -1
	Eventually(e.t, Patience, "etcd has a leader", func(ctx context.Context) (bool, string) {
		seen := "every member that runs follows another"
		for i, endpoint := range e.Endpoints {
			if !e.Running(i) {
				continue
			}
			ask, cancel := context.WithTimeout(ctx, time.Second)
			status, err := e.client.Status(ask, endpoint)
			cancel()
			if err != nil {
				seen = err.Error() // it may be cut off or frozen, and another lead
				continue
			}
			if status.Leader == status.Header.MemberId {
				found = i
				return true, ""
			}
		}
		return false, seen
	})
	return found
}

// WaitReady waits until etcd takes writes.
func (e *Etcd) WaitReady() {
	e.t.Helper()
	Eventually(e.t, Patience, "etcd takes writes", func(ctx context.Context) (bool, string) {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := e.client.Put(ctx, "/lab/ready", "yes")
		return err == nil, fmt.Sprint(err)
	})
}

func connectEtcd(t testing.TB, from Network, endpoints []string) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{
		Endpoints: endpoints, DialTimeout: time.Second, Logger: zap.NewNop(),
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return from.Dial(ctx, "tcp", address)
		})},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

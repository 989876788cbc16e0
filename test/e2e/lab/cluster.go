package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Cluster is the nodes of one scope.
type Cluster struct {
	Scope   string
	Nodes   []*Node
	Archive string
	Client  Network // where the tests' own connections come from

	t      testing.TB
	etcd   *Etcd // nil: embedded
	change func(*Node, Settings)
	store  *clientv3.Client
}

// Option alters a cluster before its nodes are made.
type Option func(*Cluster)

// Changed alters the configuration of every node.
func Changed(change func(*Node, Settings)) Option {
	return func(c *Cluster) { c.change = change }
}

var scopes atomic.Int64

// lastOctets are the guide's nodes.
var lastOctets = []int{31, 32, 164}

// New prepares a cluster of n nodes over etcd, or with etcd embedded where that
// is nil. Nothing is started.
func New(t testing.TB, n int, etcd *Etcd, options ...Option) *Cluster {
	t.Helper()
	subnet := Subnet(t)
	var hosts []string
	for i := range n {
		hosts = append(hosts, fmt.Sprintf("%s%d", subnet, lastOctets[i]))
	}
	return NewAt(t, hosts, etcd, options...)
}

// NewAt prepares a cluster with a node on each of the hosts.
func NewAt(t testing.TB, hosts []string, etcd *Etcd, options ...Option) *Cluster {
	t.Helper()
	require(t, filepath.Join(BinDir, "postgres"))
	c := &Cluster{Scope: fmt.Sprintf("e2e%d", scopes.Add(1)), t: t, etcd: etcd}
	base := Dir(t)
	c.Archive = filepath.Join(base, "archive")
	makeOwned(t, c.Archive)
	var endpoints []string
	for i, host := range hosts {
		name := fmt.Sprintf("node%d", i+1)
		dir := filepath.Join(base, name)
		makeOwned(t, dir)
		c.Nodes = append(c.Nodes, &Node{
			Name: name, Host: host, Dir: dir, Data: filepath.Join(dir, "data"), PgPass: filepath.Join(dir, "pgpass"),
			Config: filepath.Join(dir, "patroni.yml"), Log: filepath.Join(dir, "log"), t: t, cluster: c,
		})
		endpoints = append(endpoints, host+":2379")
	}
	for _, o := range options {
		o(c)
	}
	t.Cleanup(c.end)
	if etcd != nil {
		c.store = etcd.client
	} else {
		c.store = connectEtcd(t, c.Client, endpoints)
	}
	return c
}

func makeOwned(t testing.TB, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	Own(t, dir)
}

// end brings everything down and shows the logs if the test has failed.
func (c *Cluster) end() {
	for _, n := range c.Nodes {
		n.disconnect()
		n.Clear()
	}
	for _, n := range c.Nodes {
		showLogs(c.t, n.Log)
	}
}

// Use makes a subtest the one that fails when the cluster disappoints. It goes
// back with the subtest's end.
func (c *Cluster) Use(t *testing.T) {
	before := c.t
	set := func(t testing.TB) {
		c.t = t
		for _, n := range c.Nodes {
			n.t = t
		}
	}
	set(t)
	t.Cleanup(func() { set(before) })
}

// Start starts all agents together.
func (c *Cluster) Start() {
	c.t.Helper()
	for _, n := range c.Nodes {
		n.Start()
	}
}

// Node finds a node by its name.
func (c *Cluster) Node(name string) *Node {
	for _, n := range c.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// Others are all nodes but one.
func (c *Cluster) Others(than *Node) []*Node {
	var out []*Node
	for _, n := range c.Nodes {
		if n != than {
			out = append(out, n)
		}
	}
	return out
}

// WaitPrimary waits until a node holds the leader key and takes writes, other
// than the given one (nil: any).
func (c *Cluster) WaitPrimary(limit time.Duration, not *Node) *Node {
	c.t.Helper()
	var leader *Node
	what := "a node leads and takes writes"
	if not != nil {
		what = "another node than " + not.Name + " leads and takes writes"
	}
	Eventually(c.t, limit, what, func(ctx context.Context) (bool, string) {
		picture, err := c.Picture(ctx)
		if err != nil {
			return false, err.Error()
		}
		n := c.Node(picture.Leader)
		if n == nil || n == not {
			return false, picture.String()
		}
		place, err := n.Place(ctx)
		if err != nil || place.Recovery {
			return false, fmt.Sprintf("%s, whose server is %+v, %v", picture, place, err)
		}
		leader = n
		return true, ""
	})
	return leader
}

// WaitWhole waits until one node leads and all the others that run stream from
// it, on its timeline, through their own slots. It returns the leader.
func (c *Cluster) WaitWhole(limit time.Duration) *Node {
	c.t.Helper()
	var leader *Node
	Eventually(c.t, limit, "one node leads and the others stream on its timeline", func(ctx context.Context) (bool, string) {
		n, err := c.whole(ctx)
		leader = n
		return err == nil, fmt.Sprint(err)
	})
	return leader
}

func (c *Cluster) whole(ctx context.Context) (*Node, error) {
	picture, err := c.Picture(ctx)
	if err != nil {
		return nil, err
	}
	leader := c.Node(picture.Leader)
	if leader == nil {
		return nil, fmt.Errorf("no leader: %s", picture)
	}
	at, err := leader.Place(ctx)
	if err != nil || at.Recovery {
		return nil, fmt.Errorf("the leader %s is not primary: %+v, %v", leader.Name, at, err)
	}
	var wrong []error
	for _, n := range c.Others(leader) {
		if n.Agent == nil || !n.Agent.Running() {
			continue
		}
		place, err := n.Place(ctx)
		switch {
		case err != nil:
			wrong = append(wrong, fmt.Errorf("%s: %w", n.Name, err))
		case !place.Recovery, place.Timeline != at.Timeline, place.Slot != n.Name, place.Host != leader.Host:
			wrong = append(wrong, fmt.Errorf("%s: %+v, the leader %s is on timeline %d", n.Name, place, leader.Name, at.Timeline))
		case n.Patroni != nil: // older versions say less of themselves
		case picture.Members[n.Name].ReplicationState != "streaming", picture.Members[n.Name].Timeline != at.Timeline:
			wrong = append(wrong, fmt.Errorf("%s says of itself: %+v", n.Name, picture.Members[n.Name]))
		}
	}
	return leader, errors.Join(wrong...)
}

// Addresses are the servers of all nodes, for a multi-host connection string.
func (c *Cluster) Addresses() string {
	var list []string
	for _, n := range c.Nodes {
		list = append(list, n.Host+":5432")
	}
	return strings.Join(list, ",")
}

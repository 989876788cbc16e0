package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"matriarch/bench/rto/world"
)

// Cluster is three nodes of one setup.
type Cluster struct {
	Setup Setup
	Nodes []*Node

	programs *Programs
	archive  string
}

// Node is one of them.
type Node struct {
	*world.Node

	cluster *Cluster
	conn    *pgx.Conn // for looking, kept
}

// The guide's nodes.
var hosts = []string{"192.168.110.31", "192.168.110.32", "192.168.110.164"}

// New prepares a cluster. Nothing is started.
func New(w *world.World, setup Setup, programs *Programs) (*Cluster, error) {
	// Short: a socket's path has 107 bytes at most.
	base := filepath.Join(w.Dir, strings.NewReplacer(" ", "", ".", "").Replace(setup.System[:1]+setup.Name))
	c := &Cluster{Setup: setup, programs: programs, archive: filepath.Join(base, "archive")}
	for i, host := range hosts {
		name := fmt.Sprintf("node%d", i+1)
		n, err := w.NewNode(name, host, filepath.Join(base, name), programs.UID, programs.GID)
		if err != nil {
			return nil, err
		}
		c.Nodes = append(c.Nodes, &Node{Node: n, cluster: c})
	}
	if err := os.Mkdir(c.archive, 0o700); err != nil {
		return nil, err
	}
	return c, os.Chown(c.archive, programs.UID, programs.GID)
}

// Start boots all nodes.
func (c *Cluster) Start(ctx context.Context) error {
	for _, n := range c.Nodes {
		if err := n.writeConfig(); err != nil {
			return err
		}
		if err := n.Boot(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Stop turns all nodes off.
func (c *Cluster) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, n := range c.Nodes {
		n.disconnect()
		if err := n.Off(ctx); err != nil {
			return err
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

// Node finds a node by its name.
func (c *Cluster) Node(name string) *Node {
	for _, n := range c.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// The services of a node.
const (
	agent = "agent"
	etcd  = "etcd"
)

// Boot turns the node on: the system, etcd and the agent.
func (n *Node) Boot(ctx context.Context) error {
	if err := n.Node.Boot(ctx, n.cluster.programs.UID, n.cluster.programs.GID); err != nil {
		return err
	}
	if !n.cluster.Setup.Embedded {
		if err := n.StartEtcd(ctx); err != nil {
			return err
		}
	}
	return n.StartAgent(ctx)
}

// StartAgent starts the agent.
func (n *Node) StartAgent(ctx context.Context) error {
	args, env := n.cluster.programs.agent(n.cluster.Setup.System)
	if n.cluster.Setup.System == Matriarch {
		args = append(args, "run")
	}
	return n.Start(ctx, world.Service{
		Name: agent, Args: append(args, n.config()), Log: filepath.Join(n.Dir, "agent.log"), Env: append(n.environment(), env...),
	})
}

// StopAgent tells it to end, as a service manager does, and waits until it has.
func (n *Node) StopAgent(ctx context.Context) error { return n.End(ctx, agent, syscall.SIGTERM) }

// KillAgent kills it and waits until it is gone.
func (n *Node) KillAgent(ctx context.Context) error { return n.End(ctx, agent, syscall.SIGKILL) }

// FreezeAgent stops it where it is; ThawAgent lets it go on.
func (n *Node) FreezeAgent(ctx context.Context) error { return n.Signal(ctx, agent, syscall.SIGSTOP) }

// ThawAgent lets a frozen agent go on.
func (n *Node) ThawAgent(ctx context.Context) error { return n.Signal(ctx, agent, syscall.SIGCONT) }

// KillPostmaster kills the postmaster alone.
func (n *Node) KillPostmaster(ctx context.Context) error {
	return n.SignalPostmaster(ctx, n.data(), syscall.SIGKILL)
}

// StartEtcd starts the node's etcd, with etcd's own settings.
func (n *Node) StartEtcd(ctx context.Context) error {
	var initial []string
	for _, m := range n.cluster.Nodes {
		initial = append(initial, fmt.Sprintf("%s=http://%s:2380", m.Name, m.Host))
	}
	client, peer := "http://"+n.Host+":2379", "http://"+n.Host+":2380"
	return n.Start(ctx, world.Service{
		Name: etcd, Log: filepath.Join(n.Dir, "etcd.log"), Env: n.environment(),
		Args: []string{n.cluster.programs.Etcd, "--name=" + n.Name, "--data-dir=" + filepath.Join(n.Dir, "etcd"),
			"--listen-client-urls=" + client, "--advertise-client-urls=" + client, "--listen-peer-urls=" + peer,
			"--initial-advertise-peer-urls=" + peer, "--initial-cluster=" + strings.Join(initial, ",")},
	})
}

// KillEtcd kills the node's etcd.
func (n *Node) KillEtcd(ctx context.Context) error { return n.End(ctx, etcd, syscall.SIGKILL) }

func (n *Node) data() string   { return filepath.Join(n.Dir, "data") }
func (n *Node) config() string { return filepath.Join(n.Dir, "patroni.yml") }

func (n *Node) environment() []string {
	return []string{"PATH=" + n.cluster.programs.PostgreSQL + ":/usr/local/bin:/usr/bin:/bin", "HOME=" + n.Dir, "USER=postgres", "LC_ALL=C.UTF-8"}
}

func (n *Node) writeConfig() error {
	c := n.cluster
	p := place{name: n.Name, host: n.Host, data: n.data(), bin: c.programs.PostgreSQL, archive: c.archive, subnet: world.Subnet}
	for _, m := range c.Nodes {
		p.stores = append(p.stores, m.Host+":2379")
		p.members = append(p.members, m.Name, m.Host)
	}
	if err := os.WriteFile(n.config(), []byte(c.Setup.file(p)), 0o600); err != nil {
		return err
	}
	return os.Chown(n.config(), c.programs.UID, c.programs.GID)
}

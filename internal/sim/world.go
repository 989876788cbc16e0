// Package sim runs a whole cluster on one goroutine under virtual time: the real
// agents and their decisions against a simulated store, network and PostgreSQL.
//
// The servers keep what decisions hang on: timelines, log positions, who streams
// from whom, what a crash leaves behind. The same calls in the same order give the
// same story, so a failure is replayed by its seed.
package sim

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"matriarch/internal/agent"
	"matriarch/internal/cluster"
	"matriarch/internal/dcs/memory"
	"matriarch/internal/ha"
)

// tick is the step of virtual time.
const tick = 5 * time.Millisecond

// World is one cluster and all that surrounds it.
type World struct {
	now     time.Time
	store   *memory.Cluster
	nodes   []*node
	systems int // how many times initdb was run
	dynamic map[string]any

	row     int
	acked   map[int]time.Time // rows that a client was told are written
	faults  []string          // invariants that were broken
	story   []string
	logger  *slog.Logger
	primary string // who ran as primary at the last look
}

// node is one host: an agent and a server.
type node struct {
	world  *World
	name   string
	server *server
	agent  *agent.Agent
	store  *memory.Node
	alive  bool // the agent runs
	look   time.Time
	failed int
	tags   cluster.Tags
}

// New makes a world of members that have never run.
func New(logger *slog.Logger, names ...string) *World {
	w := &World{now: time.Unix(1_900_000_000, 0).UTC(), acked: map[int]time.Time{}, logger: logger}
	w.store = memory.New(func() time.Time { return w.now })
	w.dynamic = map[string]any{"ttl": 30, "loop_wait": 10, "retry_timeout": 10, "maximum_lag_on_failover": 1048576,
		"postgresql": map[string]any{"use_pg_rewind": true}}
	for _, name := range names {
		n := &node{world: w, name: name, tags: cluster.Tags{}}
		n.server = newServer(w, name)
		w.nodes = append(w.nodes, n)
	}
	return w
}

func (w *World) node(name string) *node {
	for _, n := range w.nodes {
		if n.name == name {
			return n
		}
	}
	panic("no node " + name)
}

// serverAt is a running server as seen from another node; nil if it cannot be
// reached.
func (w *World) serverAt(_, name string) *server {
	for _, n := range w.nodes {
		if n.name == name && n.server.running {
			return n.server
		}
	}
	return nil
}

// Start starts the node's agent.
func (w *World) Start(name string) {
	n := w.node(name)
	if n.alive {
		return
	}
	n.store = w.store.Node(name)
	n.agent = agent.New(agent.Config{
		Me: ha.Me{
			Name: name, Tags: n.tags, Version: "4.1.4", MayBootstrap: true, UseRewind: true,
			ConnURL: "postgres://" + name + ":5432/postgres", APIURL: "http://" + name + ":8008/patroni",
		},
		Dynamic: w.dynamic, Store: n.store, Server: n.server, Peers: n,
		Logger: w.logger.With("member", name), Now: func() time.Time { return w.now },
	})
	n.alive, n.look, n.failed = true, w.now, 0
	w.tell("%s: agent started", name)
}

// Kill ends the node's agent and its server at once, as the loss of the host does.
func (w *World) Kill(name string) {
	n := w.node(name)
	w.tell("%s: lost", name)
	n.leave()
	n.server.Kill()
}

// Crash kills the node's server; the agent sees it die.
func (w *World) Crash(name string) {
	w.tell("%s: server crashed", name)
	w.node(name).server.Kill()
}

// Stop tells the node's agent to end, as SIGTERM does.
func (w *World) Stop(name string) {
	w.tell("%s: agent told to end", name)
	if n := w.node(name); n.alive {
		n.agent.Stop()
		n.look = w.now
	}
}

func (n *node) leave() {
	if n.alive {
		n.alive = false
		_ = n.store.Close() // its lease runs on until it ends
	}
}

// Run lets time pass.
func (w *World) Run(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.step()
	}
}

// RunUntil lets time pass until the condition holds, and reports whether it did
// within the limit.
func (w *World) RunUntil(limit time.Duration, holds func() bool) bool {
	for end := w.now.Add(limit); w.now.Before(end); {
		if holds() {
			return true
		}
		w.step()
	}
	return holds()
}

func (w *World) step() {
	w.now = w.now.Add(tick)
	w.store.Expire()
	for _, n := range w.nodes {
		n.server.advance()
		n.server.stream()
	}
	w.write()
	w.check()
	for _, n := range w.nodes {
		if n.alive && (n.woken() || !w.now.Before(n.look)) {
			n.pass()
		}
	}
}

func (n *node) woken() bool {
	select {
	case <-n.store.Changed():
		return true
	case <-n.server.Changed():
		return true
	default:
		return false
	}
}

// pass is one pass of the node's agent, as Run of the agent makes it.
func (n *node) pass() {
	plan, err := n.agent.Step(context.Background(), n.world.now)
	switch {
	case agent.Ended(err):
		n.world.tell("%s: agent ended: %v", n.name, err)
		n.leave()
		return
	case err != nil:
		n.failed++
		n.look = n.world.now.Add(min(50*time.Millisecond<<min(n.failed, 6), 2*time.Second))
		return
	}
	n.failed = 0
	n.look = n.world.now.Add(plan.LookAgain)
}

// Ask answers for the other members' agents.
func (n *node) Ask(_ context.Context, members []cluster.Member) []ha.Peer {
	var out []ha.Peer
	for _, m := range members {
		other := n.world.node(m.Name)
		p := ha.Peer{Name: m.Name, Silent: !other.alive || !other.server.running}
		if !p.Silent {
			p.Primary, p.End = other.server.primary, other.server.disk.point()
			p.Nofailover, p.Priority = other.tags.Nofailover(), other.tags.FailoverPriority()
		}
		out = append(out, p)
	}
	return out
}

func (w *World) tell(format string, args ...any) {
	w.story = append(w.story, fmt.Sprintf("%8.2fs ", w.now.Sub(time.Unix(1_900_000_000, 0)).Seconds())+fmt.Sprintf(format, args...))
}

// restart is the supervisor: it starts an agent that has ended.
func (w *World) restart(n *node) {
	if !n.alive {
		w.Start(n.name)
	}
}

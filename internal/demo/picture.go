package demo

import (
	"context"
	"fmt"
	"sync"
	"time"

	"matriarch/internal/api/client"
	"matriarch/internal/cluster"
)

// picture keeps the live table: roles and leader by the store, positions by the
// nodes' REST API, which tells them as they are and not as last published.
type picture struct {
	demo   *demo
	client *client.Client
	writer *writer

	mu    sync.Mutex
	watch *watch // nil until the store answers
}

// drawEvery is how often the table is drawn, and askLimit how long a node has to
// answer for it.
const (
	drawEvery = 500 * time.Millisecond
	askLimit  = 400 * time.Millisecond
)

func newPicture(d *demo, w *writer) (*picture, error) {
	c, err := client.New(client.Options{})
	if err != nil {
		return nil, fmt.Errorf("make the REST client: %w", err)
	}
	return &picture{demo: d, client: c, writer: w}, nil
}

// run draws until ctx ends.
func (p *picture) run(ctx context.Context) {
	if !p.demo.screen.live {
		return
	}
	tick := time.NewTicker(drawEvery)
	defer tick.Stop()
	for {
		p.demo.screen.Draw("\n" + p.text(ctx))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (p *picture) see(w *watch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watch = w
}

// text is the table as it is now.
func (p *picture) text(ctx context.Context) string {
	var view cluster.View
	p.mu.Lock()
	if p.watch != nil {
		view, _ = p.watch.look()
	}
	p.mu.Unlock()
	answers := p.ask(ctx)
	var end uint64
	for i, a := range answers {
		if a.answered && p.demo.nodes[i].name == view.Leader.Name {
			end = uint64(a.status.Location)
		}
	}
	var rows []row
	for i, n := range p.demo.nodes {
		rows = append(rows, p.row(n, answers[i], view, end))
	}
	progress, _ := p.writer.look()
	return drawTable(rows) + drawWriter(progress, p.demo.layout, time.Now())
}

// answer is what a node's REST API said.
type answer struct {
	status   client.Status
	answered bool
}

// ask asks all nodes at once.
func (p *picture) ask(ctx context.Context) []answer {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	out := make([]answer, nodeCount)
	var wait sync.WaitGroup
	for i, n := range p.demo.nodes {
		if n.wanted.Load() {
			wait.Go(func() {
				s, err := p.client.Status(ctx, p.demo.layout.apiURL(i))
				out[i] = answer{s, err == nil}
			})
		}
	}
	wait.Wait()
	return out
}

func (l *layout) apiURL(i int) string {
	return fmt.Sprintf("http://%s:%d/patroni", host, l.ports.api(i))
}

// row joins what the store and the node itself say.
func (p *picture) row(n *node, a answer, view cluster.View, end uint64) row {
	r := row{member: n.name, address: fmt.Sprintf("%s:%d", host, p.demo.layout.ports.postgres(n.number))}
	m, known := view.Member(n.name)
	leader := view.Leader.Name == n.name
	switch {
	case !n.wanted.Load():
		r.state, r.doing = "down", "killed: agent, PostgreSQL and its part of the store"
		if leader {
			r.role, r.doing = "leader", "killed; its permit has to end before another may lead"
		}
		return r
	case !a.answered && !known:
		r.state, r.doing = "starting", "the agent starts"
		return r
	case a.answered:
		m.State, m.Role, m.Timeline = a.status.State, a.status.Role, a.status.Timeline
	}
	r.role, r.state = string(m.Role), string(m.State)
	if leader {
		r.role = "leader"
	}
	if m.Timeline > 0 {
		r.timeline = fmt.Sprint(uint32(m.Timeline))
	}
	if at := uint64(a.status.Position()); a.answered && !leader && end > 0 && at > 0 {
		r.lag = size(end - min(at, end))
	}
	r.doing = doing(m, leader)
	return r
}

// doing is a member's activity in words.
func doing(m cluster.Member, leader bool) string {
	var words string
	switch {
	case m.State == cluster.StateRunning && leader && m.Role == cluster.RolePrimary:
		words = "takes writes"
	case m.State == cluster.StateRunning && leader:
		words = "is being promoted"
	case m.ReplicationState == cluster.Streaming:
		words = "streams from the leader"
	case m.State == cluster.StateRunning:
		words = "looks for the leader"
	case m.Progress != "":
		words = m.Progress
	default:
		words = string(m.State)
	}
	return words
}

package sim

import (
	"context"

	"matriarch/internal/cluster"
	"matriarch/internal/ha"
)

// peers asks the other members' agents over the network (agent.Peers).
type peers struct{ p *agentProcess }

// Ask asks all at once. The slowest answer, or the end of the time, ends the round.
func (x peers) Ask(ctx context.Context, members []cluster.Member) []ha.Peer {
	w, h := x.p.w, x.p.h
	out := make([]ha.Peer, len(members))
	for i, m := range members {
		out[i] = ha.Peer{Name: m.Name, Silent: true}
	}
	limit := limitOf(ctx)
	x.p.block(func(done func()) {
		missing := len(members)
		life := x.p.life
		w.after(limit, func() { x.p.do(life, done) })
		answered := make([]bool, len(members))
		for i, m := range members {
			other := w.host(m.Name)
			if other == nil {
				continue
			}
			x.ask(other, func(answer ha.Peer, there bool) {
				if answered[i] {
					return
				}
				answered[i] = true
				if there {
					out[i] = answer
				}
				if missing--; missing == 0 {
					done()
				}
			})
		}
		if missing == 0 {
			w.after(0, func() { x.p.do(life, done) })
		}
	})
	if w.telling && w.words {
		w.tell("%s: asked, and was answered %+v", h.name, out)
	}
	return w.mutatePeers(h, append([]ha.Peer(nil), out...))
}

// ask brings the question to the other's agent, which asks its server, and the
// answer back. Where there is no agent the machine refuses.
func (x peers) ask(other *host, answer func(ha.Peer, bool)) {
	w, h, life := x.p.w, x.p.h, x.p.life
	back := func(p ha.Peer, there bool) {
		w.net.send(other.machine, h.machine, func() { x.p.do(life, func() { answer(p, there) }) })
	}
	w.net.send(h.machine, other.machine, func() {
		if !w.machineRuns(other.machine) {
			return
		}
		o := other.agent
		if !o.alive {
			back(ha.Peer{}, false)
			return
		}
		o.do(o.life, func() {
			w.after(w.cost(askTakes), func() {
				o.do(o.life, func() { back(other.position()) })
			})
		})
	})
}

// position is what a host says of its server when it is asked.
func (h *host) position() (ha.Peer, bool) {
	s := h.server
	if !s.runs() || s.phase == starting {
		return ha.Peer{}, false
	}
	return ha.Peer{Name: h.name, Primary: s.primary, End: s.disk.point(), Nofailover: h.tags.Nofailover(), Priority: h.tags.FailoverPriority()}, true
}

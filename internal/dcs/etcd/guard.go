package etcd

import (
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// guard refuses answers from members that were left behind: a member cut off
// from its cluster still answers, with a past that it takes for the present. It
// is known by its raft term, which never falls within one cluster.
//
// A store that was replaced by a new one (restored, or begun anew) looks the
// same at first. It is believed when nothing else answered for replaceAfter, and
// then only by a linearizable read, for which a majority stands.
type guard struct {
	now func() time.Time

	mu          sync.Mutex
	cluster     uint64
	term        uint64
	heard       time.Time // last acceptable answer
	incarnation int       // counts replacements of the store
}

// accept judges the header of an answer. The incarnation tells the mirror which
// store the answer is from.
func (g *guard) accept(h *pb.ResponseHeader) (incarnation int, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if h == nil || h.ClusterId != g.cluster || h.RaftTerm < g.term {
		return g.incarnation, false
	}
	g.term, g.heard = h.RaftTerm, g.now()
	return g.incarnation, true
}

// acceptRead judges the header of a linearizable read.
func (g *guard) acceptRead(h *pb.ResponseHeader) (incarnation int, ok bool) {
	if incarnation, ok = g.accept(h); ok || h == nil {
		return incarnation, ok
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if g.incarnation > 0 && now.Sub(g.heard) < replaceAfter {
		return g.incarnation, false
	}
	g.incarnation++
	g.cluster, g.term, g.heard = h.ClusterId, h.RaftTerm, now
	return g.incarnation, true
}

// sameStore judges the header of what one member has by itself. It is only compared: the
// term of a member that stands for election over and over, cut off, is beyond that of the
// others, who are not to be refused for it.
func (g *guard) sameStore(h *pb.ResponseHeader) (incarnation int, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.incarnation, h != nil && g.incarnation > 0 && h.ClusterId == g.cluster && h.RaftTerm >= g.term
}

// applied notes the answer to a write. It is not judged by its term: that a
// write was applied or refused is a fact, agreed by a majority, also when a later
// answer overtook it.
func (g *guard) applied(h *pb.ResponseHeader) (incarnation int, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if h == nil || h.ClusterId != g.cluster {
		return g.incarnation, false
	}
	g.term = max(g.term, h.RaftTerm)
	g.heard = g.now()
	return g.incarnation, true
}

package wire

import (
	"slices"
	"sync"
)

// present knows which connections there are, and by which of them each leader was
// heard. It is safe for concurrent use.
type present struct {
	mu       sync.Mutex
	ended    bool
	open     map[*inbound]struct{}
	byLeader map[string][]*inbound // in the order of their first heartbeats
	gone     sync.WaitGroup
}

func newPresent() *present {
	return &present{open: map[*inbound]struct{}{}, byLeader: map[string][]*inbound{}}
}

// enter lets a connection in, unless there are too many or this is the end.
func (p *present) enter(c *inbound) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fullLocked() {
		return false
	}
	p.open[c] = struct{}{}
	p.gone.Add(1)
	return true
}

// full reports whether nobody is let in.
func (p *present) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fullLocked()
}

func (p *present) fullLocked() bool { return p.ended || len(p.open) >= connectionsMax }

// heard notes the first heartbeat on a connection.
func (p *present) heard(leader string, c *inbound) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byLeader[leader] = append(p.byLeader[leader], c)
}

// leave takes the connection out, and reports whether it was the newest of its
// leader: when an older one ends, a newer one has taken its place.
func (p *present) leave(leader string, c *inbound) (newest bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
	all := p.byLeader[leader]
	i := slices.Index(all, c)
	if i < 0 {
		return false
	}
	newest = i == len(all)-1 && !p.ended
	if all = slices.Delete(all, i, i+1); len(all) == 0 {
		delete(p.byLeader, leader)
	} else {
		p.byLeader[leader] = all
	}
	return newest
}

// end closes all, lets nobody in any more and waits until all have left.
func (p *present) end() {
	p.mu.Lock()
	p.ended = true
	for c := range p.open {
		cut(c.conn)
	}
	p.mu.Unlock()
	p.gone.Wait()
}

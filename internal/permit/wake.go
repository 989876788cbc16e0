package permit

import (
	"slices"
	"time"

	"matriarch/internal/boottime"
)

// next collects the earliest instant after now.
type next struct{ now, at boottime.Instant }

// idle is how long a driver with nothing to do sleeps.
const idle = time.Minute

func (n *next) consider(at boottime.Instant) {
	if at > n.now && (n.at == 0 || at < n.at) {
		n.at = at
	}
}

// due is when Put may have something to send, if nothing is heard until then. What
// follows from silence is left to the next heartbeat, which is not far.
func (h *Holder) due(n *next) {
	if h.lastPut != 0 {
		n.consider(h.lastPut.Add(h.length / 12))
		if h.awaited != 0 {
			n.consider(h.lastPut.Add(h.length / 4))
		}
	}
	if h.over {
		return
	}
	length := h.usable()
	behind := h.permit.Add(-span(length)) + 1 // Overdue asks for more than the part, not for all of it
	n.consider(behind.Add(length / 3))
	n.consider(behind.Add(length / 6))
	n.consider(h.permit)
	n.consider(h.held)
}

// Unsent takes back a Write that was returned and not sent: it will never be
// applied.
func (n *Node) Unsent(id int64) {
	for _, h := range []*Holder{n.holder, n.leaving} {
		if h != nil {
			h.unsent(id)
		}
	}
}

func (h *Holder) unsent(id int64) {
	if id == h.awaited {
		h.awaited = 0
	}
	if i := slices.IndexFunc(h.sent, func(p write) bool { return p.id == id }); i >= 0 {
		h.sent = refused(h.sent, i)
	}
}

package permit

import (
	"matriarch/internal/boottime"
)

// Kept is what a leader's agent leaves with the guard, so that the next life of
// the agent can go on where the last one ended without asking the store. It is
// stored before a Write is sent: the puts in it are those that may be applied
// after the restart, and whoever they let race has to acknowledge from the first
// heartbeat on (P5).
type Kept struct {
	Term       int64        `json:"term"`
	Revision   int64        `json:"revision"`
	Electorate Electorate   `json:"electorate"`
	Puts       []Electorate `json:"puts,omitempty"`
	// Mixed: a member of Patroni's was in the scope. The Driver fills it in.
	Mixed bool `json:"mixed,omitempty"`
	// URLs are where the members listen, for a restart while the store is away. The
	// Runner fills it in.
	URLs map[string]string `json:"urls,omitempty"`
}

// Keep is what to store; false when this node does not lead, and then what was
// stored is removed: before a Release is sent, for what it gives up must not be
// adopted.
func (n *Node) Keep() (Kept, bool) {
	h := n.holder
	if h == nil {
		return Kept{}, false
	}
	k := Kept{Term: h.term, Revision: h.revision, Electorate: h.known}
	if h.blind {
		k.Revision = 0
	}
	for p := range h.puts() {
		k.Puts = append(k.Puts, p.electorate)
	}
	return k, true
}

// Adopt makes a restarted agent the leader of a term that an earlier life won: its
// server runs on under the guard, and permit is the guard's deadline, so that the
// key is not made to promise less than that.
//
// With only the term in kept (what a guard without the rest knows, or a leader
// key that Patroni's agent left to this one) nothing that peers say counts before
// a put has succeeded.
//
// Without a deadline from a guard, a key that this node may have won without being
// promoted gives no permit before the promises of its earlier life have ended (P4).
func (n *Node) Adopt(kept Kept, permit boottime.Instant, now boottime.Instant) {
	var held boottime.Instant
	if f := n.follower; permit == 0 && (!f.seen || f.view.governed()) {
		held = f.Promised()
	}
	h := newHolder(n.me, won{term: kept.Term, electorate: kept.Electorate}, n.length, held, now, n.ids, n.omitted)
	h.permit, h.revision = permit, kept.Revision
	h.blind = kept.Revision == 0 && n.keeps(adoptWhole)
	if kept.Revision > 0 && n.keeps(adoptWhole) {
		for _, e := range kept.Puts {
			h.sent = append(h.sent, write{compared: kept.Revision, electorate: e})
		}
	}
	h.stale = kept.Revision == 0
	n.holder, n.leaving = h, nil
	if v := n.follower.view; n.follower.seen {
		h.See(v, now)
	}
	n.settle(now)
	if n.holder != nil {
		if n.holder.unarmed = n.unarmed; n.toldArmed == 0 { // nothing is said anew before the agent has looked
			n.holder.unarmed = h.known.Unarmed
		}
		n.Want(wantedAtFirst(n.wanted, h), n.sole || n.wanted == nil && h.isSole())
	}
}

// wantedAtFirst: until the agent has said who is wanted, nobody is removed for
// not being so.
func wantedAtFirst(said []string, h *Holder) []string {
	if said != nil {
		return said
	}
	return h.demanded()
}

package permit

import (
	"matriarch/internal/boottime"
	"matriarch/internal/dcs"
)

// An agent that ends in a pause leaves a server that nothing stops. After the pause the
// cluster is to go on as before, but of that one the end of a permit says nothing. So the
// electorate tells, from before the guard is disarmed until after it is armed.

// saysUnarmed reports that the electorate says so, for certain: a leader goes by what it
// will say after every put that may still be applied.
func (n *Node) saysUnarmed() bool {
	h := n.holder
	if h == nil {
		e := n.follower.view.Electorate
		return e.Unarmed && !e.Released
	}
	says := h.known.Unarmed && !h.blind
	for p := range h.puts() {
		says = says && p.electorate.Unarmed
	}
	return says
}

// Disown takes the word back for a lead of this node's that is over: its server is no
// primary, or is guarded, so that nothing is left of it but the permit that it had.
// The others need not wait for a person then.
func (n *Node) Disown(now boottime.Instant) (Write, bool) {
	f := n.follower
	if n.holder != nil || n.unarmed || n.toldArmed != f.view.Revision || !n.saysUnarmed() || !f.ledLast() || f.stale || f.pending() || now < f.retry {
		return Write{}, false
	}
	f.retry = now.Add(n.length / 4)
	e := f.view.Electorate
	e.Unarmed = false
	return Write{ID: n.ids.next(), Sent: now, Txn: dcs.Txn{
		If:   []dcs.Condition{f.view.leaderIs(), electorateIs(f.view.Revision)},
		Then: []dcs.Op{{Key: Key, Data: e.Encode()}},
	}}, true
}

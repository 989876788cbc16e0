package api

import (
	"net/http"
	"sync/atomic"

	"matriarch/internal/cluster"
)

// heartbeats hands a connection over on which a leader wants to send heartbeats.
// They bind this node, so the rules of what changes something apply. Without an
// upgrade it is a health check like every unknown path, as in Patroni.
//
// From then on the connection is the handler's. It stays when the rules change, so
// that a password can be changed node by node; it ends with the request's context,
// which is when Run is told to.
func (s *Server) heartbeats(a *answer, r *http.Request) (taken bool) {
	if a.set.Heartbeats == nil || r.Header.Get("Upgrade") == "" {
		return false
	}
	if s.permits(a, r, s.recalled.update(s.node)) {
		a.set.Heartbeats.ServeHTTP(handedOver{a.w}, r)
	}
	return true
}

// permits checks the rules for what changes something. If they forbid it the
// request has been answered.
func (s *Server) permits(a *answer, r *http.Request, node Node) bool {
	no := a.set.gate.check(r, node)
	if no == nil {
		return true
	}
	if no.code == http.StatusUnauthorized {
		a.w.Header().Set("WWW-Authenticate", `Basic realm="Patroni"`)
	}
	a.text(no.code, no.text)
	return false
}

// recalled is the view as it was last at hand. Heartbeats carry a leader while the
// store is away, and a member that may send them then is one that was there before.
type recalled struct{ view atomic.Pointer[cluster.View] }

// recalledNode is a node whose picture never loses the view.
type recalledNode struct {
	Node
	view *cluster.View
}

func (m *recalled) update(n Node) Node {
	if view := n.Picture().View; view != nil {
		m.view.Store(view)
		return n
	}
	return recalledNode{Node: n, view: m.view.Load()}
}

func (n recalledNode) Picture() Picture {
	p := n.Node.Picture()
	p.View = n.view
	return p
}

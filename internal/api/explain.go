package api

import (
	"net/http"

	"matriarch/internal/cluster"
)

// Explained is what a Node implements as well if it can tell how the leader changed.
type Explained interface {
	// Accounts are those that are kept, the oldest first. It does not block.
	Accounts() []cluster.Account
}

// explain answers GET /history/explain, an endpoint of Matriarch's own. Patroni's
// members answer it as /history.
func (s *Server) explain(a *answer) bool {
	node, ok := s.node.(Explained)
	if ok {
		a.raw(http.StatusOK, cluster.EncodeAccounts(node.Accounts()))
	}
	return ok
}

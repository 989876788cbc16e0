package api

import (
	"context"
	"errors"
	"net/http"

	"matriarch/internal/cluster"
)

// Reinitializer is what a Node implements as well if its data can be thrown away and
// copied anew on request.
type Reinitializer interface {
	// Reinitialize begins to remove the data directory and to copy it anew, and
	// returns when that has been begun or refused; the member's state is "creating
	// replica" from then until the copy is done. It is allowed in pause (B-512), and
	// it does not wait for a release from synchronous duty (B-455).
	//
	// The errors are ErrNoLeader, ErrLeader, and *Busy when other long work is under
	// way. With Force that work is cancelled first, and its end waited for within ctx.
	// Anything else means that nothing was removed. S4 is the node's to keep: nothing
	// is removed unless another member with the same system identifier runs as leader
	// at that moment, with Force as well.
	Reinitialize(ctx context.Context, r Reinitialize) error
}

// Reinitialize is a request to copy this member's data anew.
type Reinitialize struct {
	Force      bool // cancel what is under way
	FromLeader bool // from the leader, even if there are members with the tag clonefrom
}

// What speaks against a reinitialisation.
var (
	ErrNoLeader = errors.New("the cluster has no leader")
	ErrLeader   = errors.New("this member is the leader")
)

// Busy is the answer of a node that has other long work under way. patronictl knows
// it by the end of its text.
type Busy struct{ Action string } // for example: restart, reinitialize, base backup

func (b *Busy) Error() string { return b.Action + " already in progress" }

func (s *Server) reinitialize(a *answer, r *http.Request) {
	node, ok := s.node.(Reinitializer)
	if !ok {
		a.unsupported(r)
		return
	}
	given, ok := a.optional(r)
	if !ok {
		return // Patroni 4.1.4 goes on here
	}
	view, ok := s.fresh(a, r)
	if !ok {
		return
	}
	var err error
	switch {
	case view.Leader.Name == "":
		err = ErrNoLeader
	case view.Leader.Name == s.node.Picture().Name:
		err = ErrLeader
	default:
		a.unhurried()
		err = node.Reinitialize(r.Context(), Reinitialize{
			Force: cluster.Truth(given.fields["force"]), FromLeader: cluster.Truth(given.fields["from_leader"]),
		})
	}
	code, text := http.StatusServiceUnavailable, "reinitialize failed"
	var busy *Busy
	switch {
	case err == nil:
		code, text = http.StatusOK, "reinitialize started"
	case errors.Is(err, ErrNoLeader):
		text = "Cluster has no leader, can not reinitialize"
	case errors.Is(err, ErrLeader):
		text = "I am the leader, can not reinitialize"
	case errors.As(err, &busy):
		text = busy.Error()
	default:
		s.log.Error("a reinitialisation was asked for and not begun", "err", err)
	}
	a.text(code, text)
}

package api

import (
	"encoding/json"
	"net/http"
	"strconv"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// Failsafe is what a Node implements as well if it takes part in failsafe mode. To
// one that does not, the mode is off.
type Failsafe interface {
	// AcceptFailsafe takes the word of a primary that has lost the store. Accepted
	// is a promise not to race for ttl; a node that can be taking writes itself, or
	// is about to, must not give it. The position is how far this node's log goes,
	// 0 if that is not known. It does not block.
	AcceptFailsafe(call cluster.FailsafeCall) (position wal.LSN, accepted bool)
}

// FailsafeAccepted is the whole body by which a member accepts. The caller compares
// it byte by byte.
const FailsafeAccepted = "Accepted"

// withoutMembers are the settings under which a failsafe request is judged: an
// allowlist counts, but whose address belongs to a member is a question to the
// store, which is away (B-545).
func (o *settings) withoutMembers() *settings {
	out := *o
	out.gate.members = false
	return &out
}

// failsafe answers a primary that has lost the store (compat/rest-api.md §15).
func (s *Server) failsafe(a *answer, r *http.Request) {
	node, ok := s.node.(Failsafe)
	if !ok || !s.node.Picture().Settings.Failsafe {
		a.page(http.StatusBadGateway, "Failsafe mode is off")
		return
	}
	doc, ok := a.object(r)
	if !ok {
		return
	}
	call, err := cluster.ReadFailsafeCall(doc.fields)
	if err != nil {
		// Patroni closes the connection here, and takes the call as heard.
		a.page(http.StatusBadRequest, err.Error())
		return
	}
	position, accepted := node.AcceptFailsafe(call)
	if !accepted {
		a.text(http.StatusInternalServerError, "Running as a leader")
		return
	}
	if position > 0 {
		a.w.Header()["lsn"] = []string{strconv.FormatUint(uint64(position), 10)} // in Patroni's spelling
	}
	a.text(http.StatusOK, FailsafeAccepted)
}

// failsafeKey answers with the key as last seen, whether the mode is on or not.
func (s *Server) failsafeKey(a *answer) {
	p := s.node.Picture()
	var key map[string]json.RawMessage
	switch {
	case p.DCSLastSeen.IsZero():
		a.raw(http.StatusOK, []byte("{}"))
	case json.Unmarshal(p.Failsafe, &key) != nil || key == nil:
		a.page(http.StatusBadGateway, "There is no failsafe key")
	default:
		a.raw(http.StatusOK, p.Failsafe)
	}
}

package api

import "net/http"

// Reloaded is what came of reading the configuration again.
type Reloaded struct {
	Count   int           `json:"count"`             // of this agent's reloads
	Refused string        `json:"refused,omitempty"` // why the file is not in force; empty: it is
	Changed []ReloadedKey `json:"changed"`
	Invalid []string      `json:"invalid"` // what is not used as it stands, and what is used instead
}

// ReloadedKey is a key that has changed. Values are left out: they can be secret.
type ReloadedKey struct {
	Key     string `json:"key"`
	Restart bool   `json:"restart"` // it does not count yet
	How     string `json:"how"`     // what it takes to count
}

// Reloading is what a Node implements as well if it can tell what came of a reload.
type Reloading interface {
	// Reloaded is the last one; its Count is 0 where there was none.
	Reloaded() Reloaded
}

func (s *Server) reload(a *answer, _ *http.Request) {
	s.node.Reload()
	a.text(http.StatusAccepted, "reload scheduled")
}

// reloaded answers GET /reload/result, an endpoint of Matriarch's own. Patroni's members
// answer it with their status.
func (s *Server) reloaded(a *answer, r *http.Request) bool {
	node, ok := s.node.(Reloading)
	if ok && s.permits(a, r, s.node) { // who may ask for a reload may see what came of it
		a.json(http.StatusOK, node.Reloaded())
	}
	return ok
}

package api

import (
	"context"
	"errors"
	"maps"
	"net/http"

	"matriarch/internal/cluster"
)

// Configurer is what a Node implements as well if the dynamic configuration can be
// changed through it. Both return once the store has answered, and the node's loop
// looks at the new configuration at once.
type Configurer interface {
	// SwapConfig replaces the config key if it is still at the revision; else
	// ErrConflict.
	SwapConfig(ctx context.Context, modified int64, document map[string]any) error

	// PutConfig replaces the config key, whatever it holds.
	PutConfig(ctx context.Context, document map[string]any) error
}

// patchConfig merges the body into the dynamic configuration. The store compares the
// revision that was merged into, so that no change of another one is lost.
func (s *Server) patchConfig(a *answer, r *http.Request) {
	node, ok := s.node.(Configurer)
	if !ok {
		a.unsupported(r)
		return
	}
	patch, ok := a.object(r)
	if !ok {
		return
	}
	view, ok := s.fresh(a, r)
	if !ok {
		return
	}
	if !view.Config.Valid {
		a.page(http.StatusServiceUnavailable, "There is no dynamic configuration yet")
		return
	}
	document, changed := merged(view.Config.Document, patch.fields)
	if !changed {
		a.json(http.StatusOK, document)
		return
	}
	switch err := node.SwapConfig(r.Context(), view.Config.Modified, document); {
	case errors.Is(err, ErrConflict):
		a.page(http.StatusConflict, "The dynamic configuration was changed meanwhile")
	case err != nil:
		// Whether it was written is not known, and a code would be taken for a no.
		s.log.Warn("the dynamic configuration could not be written", "err", err)
		a.hangUp()
	default:
		s.judge(document)
		a.json(http.StatusOK, document)
	}
}

// putConfig replaces the dynamic configuration by the body.
func (s *Server) putConfig(a *answer, r *http.Request) {
	node, ok := s.node.(Configurer)
	if !ok {
		a.unsupported(r)
		return
	}
	given, ok := a.object(r)
	if !ok {
		return
	}
	view, ok := s.fresh(a, r)
	if !ok {
		return
	}
	if !view.Config.Valid || !alike(view.Config.Document, given.fields) {
		if err := node.PutConfig(r.Context(), maps.Clone(given.fields)); err != nil {
			s.log.Warn("the dynamic configuration could not be written", "err", err)
			a.page(http.StatusBadGateway, "The dynamic configuration could not be written")
			return
		}
		s.judge(given.fields)
	}
	a.json(http.StatusOK, given.fields)
}

// judge says in the log what the members will not take over of a configuration that
// has been written. Patroni checks nothing here, and its tools count on that.
func (s *Server) judge(document map[string]any) {
	_, notes, err := cluster.ReadSettings(document)
	if err != nil {
		s.log.Warn("the dynamic configuration that was written will be refused by the members", "err", err)
	}
	for _, note := range notes {
		s.log.Warn("the dynamic configuration that was written will be corrected by the members: " + note)
	}
}

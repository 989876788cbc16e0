package agent

import (
	"errors"

	"matriarch/internal/dcs"
	"matriarch/internal/ha"
)

// syncDoubt is whether a write of the sync key that had no answer may still be applied:
// it compares a revision of the key, and may be for as long as the key is at that. What
// an earlier life of the agent has written nobody knows, so every life begins in doubt.
type syncDoubt struct {
	begun, over bool
	at          int64 // the revision of the key that it compares
}

// about reports whether there is such a write, by the present view.
func (d *syncDoubt) about(s ha.Store) bool {
	key := s.View.Sync.Modified
	switch {
	case !d.begun && !s.Current:
		return true
	case !d.begun:
		d.begun, d.at = true, key
	case d.at != key:
		d.over = true
	}
	return !d.over
}

// written takes the outcome of a write that compared the key at a revision. No is an
// answer: nothing was written.
func (d *syncDoubt) written(at int64, err error) {
	if err != nil && !errors.Is(err, dcs.ErrConflict) {
		d.begun, d.over, d.at = true, false, at
	}
}

package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"matriarch/internal/boottime"
	"matriarch/internal/fence"
	"matriarch/internal/permit"
)

// Left is what an earlier life of the agent has left with the guard.
type Left struct {
	Kept    permit.Kept
	Leading bool // there is a record: the earlier life led

	Server   int // the postmaster; 0: none
	Armed    bool
	Deadline boottime.Instant
}

// Find connects to the guard and tells what was left with it. To be asked before
// anything is kept or told.
func (k *keeper) Find(ctx context.Context) (Left, error) {
	k.turn.Lock()
	defer k.turn.Unlock()
	g, err := k.connect(ctx)
	if err != nil {
		return Left{}, fmt.Errorf("find what is left with the guard: %w", err)
	}
	found := g.Found()
	left := Left{Server: found.PID, Armed: found.Armed, Deadline: found.Deadline}
	if found.Kept == nil {
		return left, nil
	}
	if err := json.Unmarshal(found.Kept, &left.Kept); err != nil {
		// Of another build. Without a record the store is asked, which takes longer.
		k.log.Warn("what was kept with the guard cannot be read", "err", err)
		return left, nil
	}
	left.Leading = true
	return left, nil
}

var errNotConnected = errors.New("the guard is not connected")

// Keep leaves with the guard what the next life needs to go on as the leader; not
// leading, what was left is removed. It is fast: to be called before a write is sent.
//
// Where there is no guard, nothing is kept, and that is no error: the next life finds
// nothing and asks the store. It is one while the guard does not stop the server at the
// end of the permit: what follows lets others count on that. And it is one when there may be an older record that could
// not be replaced, for that one promises less than what is about to be sent.
func (k *keeper) Keep(kept permit.Kept, leading bool) error {
	var record []byte
	if leading {
		var err error
		if record, err = json.Marshal(kept); err != nil {
			return fmt.Errorf("keep the term with the guard: %w", err)
		}
	}
	k.keeping.Lock()
	defer k.keeping.Unlock()
	if k.sure && bytes.Equal(record, k.record) {
		return nil
	}
	k.mu.Lock()
	g, off := k.guard, k.off
	k.mu.Unlock()
	switch {
	case g != nil:
		if leading {
			if err := k.covered(); err != nil {
				return fmt.Errorf("keep the term with the guard: %w", err)
			}
		}
		if err := g.Keep(context.Background(), record); err != nil { // it has a deadline of its own
			k.sure = false // it has this one or the last, and nothing was sent that needs this one
			return err
		}
	case !off:
		return errNotConnected // the agent connects in every pass
	}
	k.kept, k.sure, k.record = true, true, record
	return nil
}

// keepAgain brings a guard to the state of this life: it may be a new one, or have
// missed the last word. Keeping is ours.
func (k *keeper) keepAgain(ctx context.Context, g *fence.Guard) error {
	if !k.kept || bytes.Equal(g.Found().Kept, k.record) {
		return nil
	}
	return g.Keep(ctx, k.record)
}

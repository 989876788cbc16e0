package daemon

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"matriarch/internal/ha"
	"matriarch/internal/postgres"
)

// TestLogicalSlotsArePendingUntilProved follows one slot from its copy to its proof
// (B-380 to B-384).
func TestLogicalSlotsArePendingUntilProved(t *testing.T) {
	var said strings.Builder
	var wait sync.WaitGroup
	now := time.Now()
	theirs, own := map[string]uint32{}, map[string]uint32{"cdc": 700}
	var away error
	p := &slotProofs{log: slog.New(slog.NewTextHandler(&said, nil)), base: t.Context(), wait: &wait, notify: func() {}, now: func() time.Time { return now },
		horizons: func(_ context.Context, from *postgres.Upstream, _ []string) (map[string]uint32, error) {
			if from == nil {
				return own, nil
			}
			return theirs, away
		}}
	p.forget()
	look := func() {
		now = now.Add(provePause)
		p.prove(ha.ProveSlots{Slots: []string{"cdc"}, Carrier: "n2", From: ha.Upstream{Member: "n1", Host: "n1"}})
		wait.Wait()
	}
	wants := func(step string, pending bool, words string) {
		t.Helper()
		if p.pending("cdc") != pending || !strings.Contains(said.String(), words) {
			t.Errorf("%s: pending %v, said %q", step, p.pending("cdc"), said.String())
		}
		said.Reset()
	}
	away = errors.New("no route")
	look()
	wants("the leader does not answer", true, "no route")
	away = nil
	look()
	wants("there is no feedback yet", true, "n2 has no catalog_xmin")
	theirs = map[string]uint32{"cdc": 710, "n2": 705}
	look()
	wants("the feedback has not reached the leader's", true, "")
	p.warn()
	wants("a promotion now", true, "may not be usable after this promotion")
	theirs = map[string]uint32{"cdc": 730, "n2": 710} // what the leader had when it was seen first counts
	look()
	wants("the copy is behind the feedback", true, "")
	own = map[string]uint32{"cdc": 712}
	look()
	wants("all is held", false, "can be used after a promotion")
	p.warn()
	if said.Len() != 0 {
		t.Errorf("a promotion then says %q", said.String())
	}
	p.forget()
	wants("the server was started anew", true, "")
}

func TestAProofIsNotLookedForInEveryPass(t *testing.T) {
	var wait sync.WaitGroup
	now, asked := time.Now(), 0
	p := &slotProofs{log: slog.New(slog.DiscardHandler), base: t.Context(), wait: &wait, notify: func() {}, now: func() time.Time { return now },
		horizons: func(context.Context, *postgres.Upstream, []string) (map[string]uint32, error) {
			asked++
			return nil, nil
		}}
	p.forget()
	for range 3 {
		p.prove(ha.ProveSlots{Slots: []string{"cdc"}, Carrier: "n2"})
		wait.Wait()
	}
	if asked != 2 { // the leader, and our own server
		t.Errorf("asked %d times", asked)
	}
}

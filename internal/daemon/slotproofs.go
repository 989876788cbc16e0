package daemon

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"matriarch/internal/ha"
	"matriarch/internal/postgres"
)

// slotProofs finds out whether a standby's copies of logical slots could be used after a
// promotion. A copy keeps no row of the catalogue on the leader, so until the standby's
// feedback is known to hold them, decoding by it may fail or give nonsense (B-380 to
// B-383). Such a slot stays, and a promotion warns of it (B-384).
type slotProofs struct {
	horizons func(ctx context.Context, from *postgres.Upstream, names []string) (map[string]uint32, error)
	log      *slog.Logger
	base     context.Context
	wait     *sync.WaitGroup
	notify   func()
	now      func() time.Time

	mu     sync.Mutex
	life   int // counts what makes all proofs void
	busy   bool
	asked  time.Time
	said   string            // the last fault
	seen   map[string]uint32 // the leader's horizon of each pending slot; 0: not known yet
	proved map[string]bool
}

func newSlotProofs(h *hands) *slotProofs {
	p := &slotProofs{horizons: h.pg.CatalogHorizons, log: h.log, base: h.base, wait: &h.wait, notify: h.notify, now: h.now}
	p.forget()
	return p
}

// forget makes every slot pending: the server is about to be started, changed or
// promoted.
func (p *slotProofs) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.life++
	p.asked, p.said, p.seen, p.proved = time.Time{}, "", map[string]uint32{}, map[string]bool{}
}

// pending reports that a logical slot of this standby is not proved.
func (p *slotProofs) pending(slot string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.proved[slot]
}

// provePause is the least time between two looks. The proof needs the standby's feedback,
// which it sends every wal_receiver_status_interval, 10 s by default.
const provePause = 5 * time.Second

// prove looks, unless that was just done.
func (p *slotProofs) prove(what ha.ProveSlots) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, slot := range what.Slots {
		p.seen[slot] += 0 // pending from now on, for the warning
	}
	if p.busy || !p.asked.IsZero() && p.now().Sub(p.asked) < provePause {
		return
	}
	p.busy, p.asked = true, p.now()
	life := p.life
	p.wait.Go(func() {
		ctx, cancel := context.WithTimeout(p.base, provePause)
		defer cancel()
		from := fromHA(what.From)
		theirs, err := p.horizons(ctx, &from, append(slices.Clone(what.Slots), what.Carrier))
		var own map[string]uint32
		if err == nil {
			own, err = p.horizons(ctx, nil, what.Slots)
		}
		p.judge(life, what, theirs, own, err)
	})
}

// judge takes the answers in.
func (p *slotProofs) judge(life int, what ha.ProveSlots, theirs, own map[string]uint32, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy = false
	if life != p.life {
		return
	}
	carrier := theirs[what.Carrier]
	fault := ""
	switch {
	case err != nil:
		fault = err.Error()
	case carrier == 0:
		fault = "the leader's slot " + what.Carrier + " has no catalog_xmin: this standby does not stream by it yet, or its hot_standby_feedback is off"
	}
	if fault != p.said && fault != "" {
		p.log.Info("whether logical slots could be used after a promotion is not known yet", "slots", what.Slots, "why", fault)
	}
	p.said = fault
	if fault != "" {
		return
	}
	for _, slot := range what.Slots {
		if p.seen[slot] == 0 {
			p.seen[slot] = theirs[slot] // B-382
		}
		if (ha.CatalogHorizons{Leader: p.seen[slot], Carrier: carrier, Own: own[slot]}).Proved() {
			p.proved[slot] = true
			delete(p.seen, slot)
			p.log.Info("a logical slot can be used after a promotion", "slot", slot)
			p.notify()
		}
	}
}

// warn tells of the slots that are pending: this server is about to be promoted.
func (p *slotProofs) warn() {
	p.mu.Lock()
	pending := slices.Sorted(maps.Keys(p.seen))
	p.mu.Unlock()
	if len(pending) > 0 {
		p.log.Warn("logical slots may not be usable after this promotion: rows of the catalogue that they need may be gone on this server; "+
			"check what their clients get, and make them anew if it is not right", "slots", strings.Join(pending, ", "))
	}
}

// ProveSlots looks, beside the passes, whether logical slots could be used.
func (h *hands) ProveSlots(slots ha.ProveSlots) { h.proofs.prove(slots) }

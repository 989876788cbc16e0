package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/ha"
	"matriarch/internal/postgres"
)

// logicalSlots does to logical slots what can take long, beside the passes: to make one
// waits for open transactions, to move one decodes all of the log on the way.
type logicalSlots struct {
	pg     *postgres.Server
	log    *slog.Logger
	base   context.Context // ends all of it when the daemon ends
	wait   *sync.WaitGroup
	during func(context.Context) (context.Context, context.CancelFunc) // until the server is frozen
	notify func()

	mu     sync.Mutex
	epoch  context.Context // ends what is under way
	end    context.CancelFunc
	making map[string]bool
	moves  map[string]ha.AdvanceSlot // to be made, by slot
	moving bool
	spent  map[string]bool   // slots whose log is gone
	told   map[string]string // the last fault of each slot
}

func newLogicalSlots(h *hands) *logicalSlots {
	l := &logicalSlots{pg: h.pg, log: h.log, base: h.base, wait: &h.wait, during: h.keeper.whileRunning, notify: h.notify, told: map[string]string{}}
	l.begin()
	return l
}

func (l *logicalSlots) begin() {
	l.epoch, l.end = context.WithCancel(l.base)
	l.making, l.moves, l.spent = map[string]bool{}, map[string]ha.AdvanceSlot{}, map[string]bool{}
}

// halt ends what is under way, and forgets what was found out: the server is about to
// be promoted, stopped or changed (B-205). It does not wait.
func (l *logicalSlots) halt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end()
	l.begin()
}

// makingMost is how long the making of a slot may wait for open transactions before it
// is tried anew: until then the slot holds back vacuum.
const makingMost = time.Minute

// create makes a slot, unless that is under way.
func (l *logicalSlots) create(slot ha.CreateSlot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.making[slot.Name] {
		return
	}
	making, epoch := l.making, l.epoch
	making[slot.Name] = true
	l.wait.Go(func() {
		ctx, cancel := context.WithTimeout(epoch, makingMost)
		defer cancel()
		ctx, done := l.during(ctx)
		defer done()
		err := l.pg.CreateLogicalSlot(ctx, slot.Name, slot.Database, slot.Plugin)
		l.mu.Lock()
		delete(making, slot.Name)
		l.mu.Unlock()
		l.tell(epoch, slot.Name, err)
		if err == nil {
			l.log.Info("logical slot made", "slot", slot.Name, "database", slot.Database, "plugin", slot.Plugin)
			l.notify()
		}
	})
}

// advance moves a slot on. What was asked for last counts.
func (l *logicalSlots) advance(move ha.AdvanceSlot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.moves[move.Name] = move
	if !l.moving {
		l.moving = true
		l.wait.Go(l.move)
	}
}

// move makes the moves that are to be made, database by database, until there are none.
func (l *logicalSlots) move() {
	for {
		l.mu.Lock()
		epoch, moves := l.epoch, l.moves
		if len(moves) == 0 || l.base.Err() != nil {
			l.moving = false
			l.mu.Unlock()
			return
		}
		l.moves = map[string]ha.AdvanceSlot{}
		l.mu.Unlock()
		in := map[string][]postgres.Advance{}
		for _, name := range slices.Sorted(maps.Keys(moves)) {
			in[moves[name].Database] = append(in[moves[name].Database], postgres.Advance{Slot: name, To: moves[name].To})
		}
		for _, database := range slices.Sorted(maps.Keys(in)) {
			l.moveIn(epoch, database, in[database])
		}
	}
}

func (l *logicalSlots) moveIn(epoch context.Context, database string, moves []postgres.Advance) {
	ctx, done := l.during(epoch)
	defer done()
	err := l.pg.AdvanceLogical(ctx, database, moves, func(m postgres.Advance, err error) {
		l.tell(epoch, m.Slot, err)
		if errors.Is(err, postgres.ErrLogGone) {
			l.mu.Lock()
			if epoch == l.epoch {
				l.spent[m.Slot] = true
			}
			l.mu.Unlock()
			l.notify()
		}
	})
	l.tell(epoch, "of "+database, err)
}

// tell logs a fault that is not the last one of the slot. What was broken off is none.
func (l *logicalSlots) tell(epoch context.Context, slot string, err error) {
	if epoch.Err() != nil || errors.Is(err, context.Canceled) {
		return
	}
	said := ""
	if err != nil {
		said = err.Error()
	}
	l.mu.Lock()
	news := l.told[slot] != said
	l.told[slot] = said
	l.mu.Unlock()
	if news && err != nil {
		l.log.Warn("a logical slot is not in order; it will be tried again", "slot", slot, "err", err)
	}
}

// isSpent reports that a slot could not be moved on since its log is gone.
func (l *logicalSlots) isSpent(slot string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.spent[slot]
}

// errNotPlaceable says that the slots were read, and are of no use here as they are.
var errNotPlaceable = errors.New("copy logical slots: none can be placed now")

// copySlots brings logical slots over from the leader's server, with a restart of this
// one (B-375, B-376). Nothing is stopped before it is known that there is something to
// be placed, and that the server will start with it.
func (h *hands) copySlots(ctx context.Context, a ha.CopySlots) error {
	var names []string
	for _, slot := range a.Slots {
		names = append(names, slot.Name)
	}
	found, err := h.pg.ReadSlots(ctx, fromHA(a.From), names)
	if err != nil {
		return err
	}
	slots := slices.DeleteFunc(found, func(f postgres.SlotState) bool {
		return !slices.ContainsFunc(a.Slots, func(p cluster.PermanentSlot) bool {
			return p.Name == f.Name && p.Database == f.Database && p.Plugin == f.Plugin
		})
	})
	if len(slots) == 0 {
		return fmt.Errorf("copy logical slots: %s has none of %v as the configuration has them", a.From.Member, names)
	}
	slots, err = h.pg.Placeable(ctx, slots)
	if len(slots) == 0 {
		return fmt.Errorf("%w: %w", errNotPlaceable, err)
	}
	if err != nil {
		h.log.Warn("not all logical slots can be copied", "err", err)
	}
	h.log.Info("the server is restarted to take over logical slots", "from", a.From.Member, "slots", names)
	if err := h.pg.Stop(ctx, postgres.StopOptions{Mode: postgres.Fast}); err != nil {
		return err
	}
	placed := h.pg.PlaceSlots(slots)
	return errors.Join(placed, h.startStandby(ctx, a.Upstream))
}

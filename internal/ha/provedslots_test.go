package ha

import (
	"strings"
	"testing"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

func TestLogicalSlotsAreProved(t *testing.T) {
	n1, n3 := slot("n1", false), slot("n3", false)
	pending := but(cdc(9), func(s *Slot) { s.Pending = true })
	start := func() Observation {
		o := standby()
		o.Store.Settings.Permanent = []cluster.PermanentSlot{decoded}
		o.Store.View.Status.Slots = map[string]wal.LSN{"n1": flushed, "n2": flushed, "n3": flushed, "cdc": 9}
		feedback(&o)
		o.Server.Slots = []Slot{pending, n1, n3}
		return o
	}
	look := ProveSlots{Slots: []string{"cdc"}, Carrier: "n2", From: bare(fromN1())}
	decided(t, start, []decision{
		{"B-381: while it is pending", nil, after(Following, loop, look)},
		{"not any more when it is proved", slots(cdc(9), n1, n3), wait(Following, loop)},
		{"not one that nobody asked for", both(func(o *Observation) { o.Store.Settings.Permanent = nil }, slots(but(pending, func(s *Slot) { s.Active = true }), n1, n3)),
			do(RejoinReading, ReadLog{From: bare(fromN1())})}, // the feedback is switched off first
	})
}

func TestWhenALogicalSlotIsProved(t *testing.T) {
	const late = 1<<32 - 5 // transaction numbers go round
	for _, c := range []struct {
		name   string
		have   CatalogHorizons
		proved bool
	}{
		{"B-383: the feedback has reached the leader's, and the copy is not behind it", CatalogHorizons{700, 700, 700}, true},
		{"and beyond", CatalogHorizons{700, 710, 720}, true},
		{"the feedback holds more than the leader's slot did: rows may be gone that it asks for", CatalogHorizons{700, 690, 720}, false},
		{"the copy needs more than the feedback holds", CatalogHorizons{700, 710, 705}, false},
		{"the leader's is not known", CatalogHorizons{0, 710, 720}, false},
		{"there is no feedback", CatalogHorizons{700, 0, 720}, false},
		{"there is no copy", CatalogHorizons{700, 710, 0}, false},
		{"numbers that have gone round", CatalogHorizons{late, 3, 9}, true},
		{"and the other way", CatalogHorizons{3, late, 9}, false},
	} {
		if got := c.have.Proved(); got != c.proved {
			t.Errorf("%s: %+v is %v", c.name, c.have, got)
		}
	}
}

func TestASlotThatIsInUseAndWantedByNobody(t *testing.T) {
	x := slot("x", true)
	for _, c := range []struct {
		name   string
		change func(*Observation)
		kept   int
	}{
		{"B-346: is told of", nil, 1},
		{"not while the cluster is paused, when it would stay in any case", paused, 0},
		{"not one that is to be ignored", func(o *Observation) { o.Store.Settings.Ignore = []cluster.IgnoreSlot{{Name: "x"}} }, 0},
		{"not one of the configuration", permanent(cluster.PermanentSlot{Name: "x"}), 0},
		{"not one that is not in use: it is dropped", func(o *Observation) { o.Server.Slots[0].Active = false }, 0},
		{"not one that somebody has just made", func(o *Observation) { o.Server.Slots[0].Young = true }, 0},
	} {
		o := leader()
		o.Server.Slots = append([]Slot{x}, o.Server.Slots...)
		if c.change != nil {
			c.change(&o)
		}
		clashes, kept := o.SlotFaults()
		if len(clashes) != 0 || len(kept) != c.kept || c.kept == 1 && !strings.Contains(kept[0], "slot x is no member's") {
			t.Errorf("%s: %q %q", c.name, clashes, kept)
		}
	}
}

package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func logical(c *Config) {
	c.Parameters["wal_level"], c.Parameters["hot_standby_feedback"] = "logical", "off"
}

func (n *node) slot(name string) Slot {
	n.t.Helper()
	for _, slot := range n.Status(within(n.t)).Slots {
		if slot.Name == name {
			return slot
		}
	}
	n.t.Fatalf("there is no slot %s", name)
	return Slot{}
}

// copySlot takes a slot of the primary over, as a standby does (B-375, B-376).
func (n *node) copySlot(primary *node, up Upstream, names ...string) {
	n.t.Helper()
	slots, err := n.ReadSlots(within(n.t), primary.self, names)
	n.must(err)
	slots, err = n.Placeable(within(n.t), slots)
	n.must(err)
	if len(slots) != len(names) {
		n.t.Fatalf("can be placed: %+v", slots)
	}
	n.must(n.Stop(within(n.t), StopOptions{Mode: Fast}))
	n.must(n.PlaceSlots(slots))
	n.must(n.StartStandby(within(n.t), up))
	n.must(n.WaitReady(within(n.t)))
	n.waitStreaming()
}

// A consumer of a logical slot goes on at the standby that was promoted, from where it
// was, and with all that came after.
func TestALogicalSlotOutlivesItsPrimary(t *testing.T) {
	n1 := newPrimary(t, "n1", logical)
	n2 := newStandby(t, "n2", n1, logical)
	n1.must(n1.inDatabase(within(t), "postgres", func(q querier) error {
		_, err := q.Exec(within(t), "create database app")
		return err
	}))
	for range 2 { // the second finds it there
		n1.must(n1.CreateLogicalSlot(within(t), "cdc", "app", "test_decoding"))
	}
	if err := n1.CreateLogicalSlot(within(t), "other", "app", "no_such_plugin"); err == nil || !strings.Contains(err.Error(), "create logical slot other in app") {
		t.Fatalf("a plugin that is not there: %v", err)
	}
	if slots, err := n2.ReadSlots(within(t), n2.self, []string{"cdc"}); err != nil || len(slots) != 0 {
		t.Fatalf("B-375: a standby is no source: %+v, %v", slots, err)
	}

	up := n1.self
	up.Slot, up.Feedback = "n2", true
	n2.caughtUp(n1)
	n2.copySlot(n1, up, "cdc")
	n2.wantSQL("select current_setting('hot_standby_feedback')", "on")
	for name, from := range map[string]*Upstream{"the primary": &n1.self, "the standby": nil, "a standby that is asked as a primary": &n2.self} {
		have, err := n2.CatalogHorizons(within(t), from, []string{"cdc", "absent"})
		if err != nil || len(have) != map[bool]int{true: 0, false: 1}[from == &n2.self] {
			t.Errorf("the horizons of %s: %v, %v", name, have, err)
		}
	}
	made := n2.slot("cdc")
	if made.Type != "logical" || made.Database != "app" || made.Plugin != "test_decoding" || made.ConfirmedFlush == 0 || made.RestartLSN == 0 {
		t.Fatalf("copied: %+v", made)
	}

	// The consumer reads on the primary, and the copy follows.
	change := func(who string) string { return fmt.Sprintf("select pg_logical_emit_message(true, 'test', '%s')", who) }
	consume := func(n *node) string {
		return strings.Join(n.consume("app", "cdc"), "\n")
	}
	n1.inApp(change("before"))
	if got := consume(n1); !strings.Contains(got, "before") {
		t.Fatalf("decoded: %s", got)
	}
	n1.inApp(change("between"))
	target := n1.slot("cdc").ConfirmedFlush
	n2.caughtUp(n1)
	n2.must(n2.AdvanceLogical(within(t), "app", []Advance{{"cdc", target}}, func(_ Advance, err error) { t.Error(err) }))
	if got := n2.slot("cdc").ConfirmedFlush; got < target {
		t.Fatalf("B-352: advanced to %s, not %s", got, target)
	}
	n2.must(n2.AdvanceLogical(within(t), "app", []Advance{{"cdc", made.ConfirmedFlush}}, func(_ Advance, err error) { t.Errorf("back: %v", err) }))

	n1.must(n1.KillAll(within(t)))
	n2.must(n2.Promote(within(t), 0))
	n2.inApp(change("after"))
	if got := consume(n2); strings.Contains(got, "before") || !strings.Contains(got, "between") || !strings.Contains(got, "after") {
		t.Fatalf("decoded after the failover: %s", got)
	}
}

// inApp runs a statement in the database app.
func (n *node) inApp(statement string) {
	n.t.Helper()
	n.must(n.inDatabase(within(n.t), "app", func(q querier) error {
		_, err := q.Exec(within(n.t), statement)
		return err
	}))
}

// consume reads a logical slot to its end.
func (n *node) consume(database, slot string) (lines []string) {
	n.t.Helper()
	n.must(n.inDatabase(within(n.t), database, func(q querier) error {
		return q.QueryRow(within(n.t), "select coalesce(array_agg(data), '{}') from pg_logical_slot_get_changes($1, null, null)", slot).Scan(&lines)
	}))
	return lines
}

func TestASlotThatWouldDoHarmIsNotPlaced(t *testing.T) {
	n1 := newPrimary(t, "n1", logical)
	n2 := newStandby(t, "n2", n1, logical)
	state := SlotState{Name: "cdc", Restart: n2.Status(within(t)).Replayed - 1}
	gone := state
	gone.Name, gone.Restart = "gone", 1
	placeable, err := n2.Placeable(within(t), []SlotState{gone, state})
	if len(placeable) != 1 || placeable[0].Name != "cdc" || !errors.Is(err, ErrLogGone) || errors.Is(err, ErrLogToCome) {
		t.Errorf("one whose log is not here: %+v, %v", placeable, err)
	}
	ahead := state
	ahead.Name, ahead.Restart = "ahead", n2.Status(within(t)).Position+1 // in a segment that is here
	placeable, err = n2.Placeable(within(t), []SlotState{ahead, state})
	if len(placeable) != 1 || placeable[0].Name != "cdc" || !errors.Is(err, ErrLogToCome) || errors.Is(err, ErrLogGone) {
		t.Errorf("one whose log is to come: %+v, %v", placeable, err)
	}
	if err := n2.PlaceSlots(placeable); !errors.Is(err, ErrRunning) {
		t.Errorf("under a running server: %v", err)
	}
	cfg := n2.Config()
	cfg.Parameters["max_replication_slots"] = "4"
	n2.Reconfigure(cfg)
	five := []SlotState{state, state, state, state, state}
	for i := range five {
		five[i].Name = fmt.Sprintf("s%d", i)
	}
	if placeable, err := n2.Placeable(within(t), five); len(placeable) != 4 || err == nil {
		t.Errorf("beyond max_replication_slots: %d, %v", len(placeable), err)
	}
	cfg.Parameters["wal_level"] = "replica"
	n2.Reconfigure(cfg)
	if placeable, err := n2.Placeable(within(t), five); len(placeable) != 0 || err == nil || !strings.Contains(err.Error(), "wal_level") {
		t.Errorf("without logical wal_level: %+v, %v", placeable, err)
	}
	if entries, err := n2.slotFiles(); err != nil || len(entries) != 0 {
		t.Errorf("nothing was to be placed: %v, %v", entries, err)
	}
}

func TestASlotWithoutItsLogSaysSo(t *testing.T) {
	n1 := newPrimary(t, "n1", logical, func(c *Config) { c.Parameters["max_slot_wal_keep_size"] = "1MB" })
	n1.must(n1.CreateLogicalSlot(within(t), "cdc", "postgres", "test_decoding"))
	n1.sql("create table t (x text)")
	eventually(t, "the slot has lost its log", func() (bool, string) {
		n1.sql("insert into t select repeat('x', 1000) from generate_series(1, 20000); select pg_switch_wal(); checkpoint")
		slot := n1.slot("cdc")
		return slot.WALStatus == "lost", fmt.Sprintf("%+v", slot)
	})
	var told error
	n1.must(n1.AdvanceLogical(within(t), "postgres", []Advance{{"cdc", n1.Status(within(t)).Position}}, func(_ Advance, err error) { told = err }))
	if !errors.Is(told, ErrLogGone) {
		t.Errorf("B-352: %v", told)
	}
	n1.must(n1.DropSlot(within(t), "cdc"))
}

func TestALogicalSlotIsNotWaitedForBeyondItsTime(t *testing.T) {
	n1 := newPrimary(t, "n1", logical)
	conn, err := n1.connectLocal(within(t), "test", false)
	n1.must(err)
	defer conn.Close(context.Background())
	if _, err := conn.Exec(within(t), "begin; create table public.t (x int)"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := n1.CreateLogicalSlot(ctx, "cdc", "postgres", "test_decoding"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("with a transaction open: %v", err)
	}
	eventually(t, "nothing is left of it", func() (bool, string) {
		slots := n1.Status(t.Context()).Slots
		return len(slots) == 0, fmt.Sprintf("%+v", slots)
	})
}

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
)

// TestPermanentSlots: the slots of the configuration are on every member, those of
// standbys follow, and a reader of changes goes on at the new primary where it was.
func TestPermanentSlots(t *testing.T) {
	c := lab.New(t, 3, lab.StartEtcd(t, 1), lab.Changed(func(_ *lab.Node, s lab.Settings) {
		s.Set("bootstrap.dcs.postgresql.parameters.wal_level", "logical")
	}))
	c.Start()
	leader := c.WaitWhole(lab.Patience)
	slots := `{"slots":{"backup":null,"cdc":{"type":"logical","database":"postgres","plugin":"test_decoding"}}}`
	if got, err := leader.Ask(t.Context(), lab.Patience, "PATCH", "/config", slots); err != nil || got.Code != 200 {
		t.Fatalf("PATCH /config: %+v, %v", got, err)
	}

	read := func(n *lab.Node) string {
		return n.Value("SELECT coalesce(string_agg(data, ' '), '') FROM pg_logical_slot_get_changes('cdc', NULL, NULL)")
	}
	lab.Eventually(t, lab.Patience, "every member has the logical slot", func(ctx context.Context) (bool, string) {
		var seen []string
		for _, n := range c.Nodes {
			seen = append(seen, position(ctx, n, "cdc"))
		}
		return !slices.Contains(seen, ""), fmt.Sprint(seen)
	})
	leader.Run("SELECT pg_logical_emit_message(true, 'test', 'read before')")
	if got := read(leader); !strings.Contains(got, "read before") {
		t.Fatalf("read at first: %s", got)
	}
	leader.Run("SELECT pg_replication_slot_advance('backup', pg_current_wal_lsn())", "SELECT pg_logical_emit_message(true, 'test', 'not read')")
	want := map[string]string{"cdc": position(t.Context(), leader, "cdc"), "backup": position(t.Context(), leader, "backup")}
	for _, n := range c.Others(leader) {
		for name, at := range want {
			lab.Eventually(t, lab.Patience, n.Name+" has moved "+name+" to "+at, func(ctx context.Context) (bool, string) {
				is := position(ctx, n, name)
				return is == at, is
			})
		}
	}

	for _, n := range c.Others(leader) {
		n.WaitLog(0, "a logical slot can be used after a promotion")
	}
	c.WaitReplayed(leader)
	began := time.Now()
	leader.KillNode()
	next := c.WaitPrimary(lab.Patience, leader)
	t.Logf("%s leads after %v", next.Name, milliseconds(time.Since(began)))
	next.Run("SELECT pg_logical_emit_message(true, 'test', 'after the failover')")
	if got := read(next); strings.Contains(got, "read before") || !strings.Contains(got, "not read") || !strings.Contains(got, "after the failover") {
		t.Fatalf("read after the failover: %s", got)
	}
}

// position is where a slot of a node stands. Empty: there is none, or the server, which
// is restarted for a logical one, does not answer.
func position(ctx context.Context, n *lab.Node, slot string) (at string) {
	conn, err := n.Connect(ctx)
	if err != nil {
		return ""
	}
	defer conn.Close(context.WithoutCancel(ctx))
	const query = "SELECT coalesce(confirmed_flush_lsn, restart_lsn)::text FROM pg_replication_slots WHERE slot_name = $1"
	if err := conn.QueryRow(ctx, query, slot).Scan(&at); err != nil {
		return ""
	}
	return at
}

package postgres

import "testing"

// A shutdown with archiving switches the segment. What it fills then is filled before.
func TestLastSegmentIsPaddedWhereAShutdownWouldFillIt(t *testing.T) {
	rest := "select 16777216 - mod(pg_current_wal_insert_lsn() - '0/0'::pg_lsn, 16777216) <= 1048576"
	segment := "select pg_walfile_name(pg_current_wal_insert_lsn())"
	for _, c := range []struct {
		name    string
		archive string
		slot    bool
		want    bool
	}{
		{name: "archiving", archive: "on", want: true},
		{name: "no archiving", archive: "off"},
		{name: "a logical slot, whose reader would be shown the padding", archive: "on", slot: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newPrimary(t, "n1", func(cfg *Config) {
				cfg.Parameters["archive_mode"], cfg.Parameters["archive_command"] = c.archive, "true"
				cfg.Parameters["wal_level"] = "logical"
			})
			if c.slot {
				n.sql("select pg_create_logical_replication_slot('reader', 'test_decoding')")
			}
			before := n.sql(segment)[0]
			padded, err := n.PadSegment(within(t))
			if err != nil || (padded > 0) != c.want {
				t.Fatalf("padded %v, %v", padded, err)
			}
			if got := n.sql(rest)[0] == "t"; got != c.want {
				t.Fatalf("close to the segment's end: %v", got)
			}
			if after := n.sql(segment)[0]; after != before {
				t.Fatalf("segment %s, then %s", before, after)
			}
			if again, err := n.PadSegment(within(t)); err != nil || again != 0 {
				t.Fatalf("padded again: %v, %v", again, err)
			}
		})
	}
}

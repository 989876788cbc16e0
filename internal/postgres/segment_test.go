package postgres

import (
	"os"
	"testing"

	"matriarch/internal/wal"
)

// A standby goes on in a segment that was made ahead as in one of its own.
func TestNextSegmentOfAStandbyIsMadeAhead(t *testing.T) {
	archiving := func(c *Config) { c.Parameters["archive_mode"], c.Parameters["archive_command"] = "on", "true" }
	n1 := newPrimary(t, "n1", archiving)
	n2 := newStandby(t, "n2", n1, archiving)
	n1.sql("create table t(a int)")
	at := wal.Point{Timeline: 1, LSN: n1.Status(within(t)).Position}
	next := n2.cfg().data("pg_wal", segmentAfter(at, 16<<20))
	_ = os.Remove(next) // of a server that made it ahead by itself, which it does near the end of a segment only
	if !n2.LacksSegment(at) {
		t.Fatalf("%s is not missed", next)
	}
	for range 2 {
		n2.must(n2.MakeSegment(within(t), at))
		info, err := os.Stat(next)
		n2.must(err)
		if info.Size() != 16<<20 || info.Mode().Perm() != 0o600 || n2.LacksSegment(at) {
			t.Fatalf("%s: %d bytes, mode %v", next, info.Size(), info.Mode())
		}
	}
	n1.sql("select pg_switch_wal(); insert into t values (1)")
	eventually(t, "the row is there", func() (bool, string) {
		rows := n2.sql("select a from t")
		return len(rows) == 1, ""
	})

	at.LSN = n2.Status(within(t)).Position
	n2.must(n2.Promote(within(t), 0))
	n2.must(n2.MakeSegment(within(t), at))
	if _, err := os.Stat(n2.cfg().data("pg_wal", segmentAfter(at, 16<<20))); err == nil {
		t.Fatal("a segment of the timeline that was left was made")
	}
}

// What an agent that was killed has left under the temporary name can be part of the log
// by now: nothing is ever written to it.
func TestALeftOverOfASegmentIsNotWrittenTo(t *testing.T) {
	archiving := func(c *Config) { c.Parameters["archive_mode"], c.Parameters["archive_command"] = "on", "true" }
	n1 := newPrimary(t, "n1", archiving)
	n2 := newStandby(t, "n2", n1, archiving)
	at := wal.Point{Timeline: 1, LSN: n1.Status(within(t)).Position}
	precious := n2.cfg().data("pg_wal", "precious")
	n2.must(os.WriteFile(precious, []byte("log"), 0o600))
	n2.must(os.Link(precious, n2.cfg().data("pg_wal", "xlogtemp.matriarch")))
	_ = os.Remove(n2.cfg().data("pg_wal", segmentAfter(at, 16<<20)))
	n2.must(n2.MakeSegment(within(t), at))
	if text, err := os.ReadFile(precious); err != nil || string(text) != "log" {
		t.Fatalf("it holds %q now: %v", text, err)
	}
	if n2.LacksSegment(at) {
		t.Error("and no segment was made")
	}
	if _, err := os.Lstat(n2.cfg().data("pg_wal", "xlogtemp.matriarch")); err == nil {
		t.Error("the temporary name is left")
	}
}

func TestSegmentAfter(t *testing.T) {
	for at, want := range map[wal.LSN]string{
		0x6000001: "000000030000000000000007", 0x6FFFFFF: "000000030000000000000007", 0x7000000: "000000030000000000000007",
		0x7000001: "000000030000000000000008", 0xFFFFFFFF: "000000030000000100000000",
	} {
		if got := segmentAfter(wal.Point{Timeline: 3, LSN: at}, 16<<20); got != want {
			t.Errorf("after %s: %s, want %s", at, got, want)
		}
	}
}

package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"matriarch/internal/wal"
)

// crash kills the server as the loss of its host would.
func (n *node) crash() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	n.must(n.KillAll(ctx))
}

func TestEndOfACrashedPrimarysLogIsItsLastRecord(t *testing.T) {
	n := newPrimary(t, "n1")
	n.sql("create table t(a int); checkpoint; insert into t select generate_series(1, 100000); select pg_switch_wal(); insert into t values (1)")
	if end, err := n.CrashEnd(within(t)); !errors.Is(err, ErrRunning) {
		t.Fatalf("of a running server: %s, %v", end, err)
	}
	n.crash()
	end, err := n.CrashEnd(within(t))
	n.must(err)
	control, err := n.Control(within(t))
	n.must(err)
	// The tool's list of all records ends with the same one, and nothing comes after it.
	last, err := n.record(within(t), wal.Point{Timeline: 1, LSN: end.LSN - 1})
	n.must(err)
	if end.Timeline != 1 || last.at != end.LSN-1 || last.at <= control.Checkpoint.LSN {
		t.Fatalf("end %s, last record %+v, checkpoint %s", end, last, control.Checkpoint)
	}
	n.must(n.StartPrimary(within(t)))
	n.must(n.WaitReady(within(t)))
	n.wantSQL("select count(*) from t", "100001")
	n.must(n.Stop(within(t), StopOptions{Mode: Fast}))
	if end, err := n.CrashEnd(within(t)); !errors.Is(err, ErrEndUnknown) {
		t.Fatalf("of a server that was stopped in order: %s, %v", end, err)
	}
}

// A standby archives nothing: what a crashed primary had ready is archived before it
// becomes one, or it would be missing in the archive for ever.
func TestReadySegmentsOfACrashedPrimaryAreArchived(t *testing.T) {
	archive := t.TempDir()
	n := newPrimary(t, "n1", func(c *Config) {
		c.Parameters["archive_mode"], c.Parameters["archive_command"] = "on", "test -e "+archive+"/may && cp %p "+archive+"/%f"
	})
	if err := os.Chmod(archive, 0o777); err != nil {
		t.Fatal(err)
	}
	n.sql("create table t(a int); select pg_switch_wal()")
	eventually(t, "a segment is ready", func() (bool, string) {
		ready, err := filepath.Glob(n.cfg().data("pg_wal", "archive_status", "*.ready"))
		return len(ready) > 0, fmt.Sprint(ready, err)
	})
	n.crash()
	n.must(os.WriteFile(filepath.Join(archive, "may"), nil, 0o644))
	n.must(n.StartStandby(within(t), Nobody))
	n.must(n.WaitReady(within(t)))
	if got, err := filepath.Glob(filepath.Join(archive, "0000*")); err != nil || len(got) == 0 {
		t.Fatalf("archived: %v, %v", got, err)
	}
}

// Between its promotion and its next checkpoint a server's control file names the
// timeline that it has left.
func TestEndOfALogThatMayGoOnElsewhereIsNotKnown(t *testing.T) {
	n := newPrimary(t, "n1")
	n.crash()
	if _, err := n.CrashEnd(within(t)); err != nil {
		t.Fatal(err)
	}
	n.must(os.WriteFile(n.cfg().data("pg_wal", "00000002.history"), []byte("1\t0/3000000\tno recovery target specified\n"), 0o600))
	if end, err := n.CrashEnd(within(t)); !errors.Is(err, ErrEndUnknown) {
		t.Fatalf("with the history of a newer timeline: %s, %v", end, err)
	}
}

// What was lost by nobody needs no repair: a primary that crashed with all of its log
// sent follows its successor as it is.
func TestCrashedPrimaryThatHadSentEverythingFollowsWithoutARewind(t *testing.T) {
	n1 := newPrimary(t, "n1")
	n2 := newStandby(t, "n2", n1)
	n1.sql("create table t(a int); insert into t values (1)")
	end := n1.Status(within(t)).Position
	eventually(t, "the standby has everything", func() (bool, string) {
		st := n2.Status(t.Context())
		return st.Position >= end, st.Position.String()
	})
	n1.crash()
	n2.must(n2.Promote(within(t), 0))
	n2.sql("insert into t values (2)")

	mine, err := n1.CrashEnd(within(t))
	n1.must(err)
	history, err := n1.TimelineHistory(within(t), n2.self, 2)
	n1.must(err)
	forked, _ := history.End(1)
	if mine.LSN > forked {
		t.Skipf("the old primary wrote %s that the standby never got, up to %s", mine, forked)
	}
	n1.must(n1.StartStandby(within(t), n2.self))
	n1.must(n1.WaitReady(within(t)))
	eventually(t, "the old primary streams", func() (bool, string) {
		st := n1.Status(t.Context())
		return st.Receiver != nil && st.Receiver.Status == "streaming" && st.Timeline == 2, "no stream"
	})
	n1.wantSQL("select count(*) from t", "2")
}

package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"matriarch/internal/wal"
)

func TestCloneStreamPromoteRewind(t *testing.T) {
	n1 := newPrimary(t, "n1")
	n1.sql("create table t as select g as id, 'common' as who from generate_series(1, 20000) g")
	n2 := newStandby(t, "n2", n1)
	n3 := newStandby(t, "n3", n1)
	n2.caughtUp(n1)
	for _, n := range []*node{n1, n2, n3} {
		n.noPasswords()
	}
	if conninfo := n2.sql("select conninfo from pg_stat_wal_receiver")[0]; strings.Contains(conninfo, testPassword[:8]) {
		t.Fatalf("password in the walreceiver's conninfo: %s", conninfo)
	}
	st := n1.Status(within(t))
	if len(st.Replication) != 2 || len(st.Slots) != 2 || !st.Slots[0].Active || st.Replication[0].FlushLSN == 0 {
		t.Fatalf("primary's status %+v", st)
	}

	n1.must(n1.KillAll(within(t)))
	n2.must(n2.Promote(within(t), 0))
	if st := n2.Status(within(t)); st.InRecovery || st.Timeline != 2 {
		t.Fatalf("after the promotion: %+v", st)
	}
	n2.sql("insert into t values (100001, 'n2')")
	n2.followBy(n3)
	n3.wantSQL("select who from t where id = 100001", "n2")

	// The old primary comes back by itself and writes what nobody else has.
	n1.must(n1.StartPrimary(within(t)))
	n1.must(n1.WaitReady(within(t)))
	n1.sql("insert into t select g, 'n1' from generate_series(200001, 220000) g; checkpoint")
	n1.must(n1.KillAll(within(t))) // a crash: the rewind has to recover it first
	if !n1.RewindPossible(within(t)) {
		t.Fatal("a rewind must be possible")
	}
	history, err := n1.TimelineHistory(within(t), n2.self, 2)
	n1.must(err)
	control, err := n1.Control(within(t))
	n1.must(err)
	if history.Contains(control.Checkpoint) {
		t.Fatalf("%s must have forked off %v", control.Checkpoint, history)
	}
	var progress []string
	n1.must(n1.Rewind(within(t), n2.self, func(p string) { progress = append(progress, p) }))
	if len(progress) == 0 || progress[len(progress)-1] != "100%" {
		t.Fatalf("progress %q", progress)
	}
	n2.must(n2.CreateSlot(within(t), "n1"))
	up := n2.self
	up.Slot = "n1"
	quick := n1.willSyncQuickly()
	n1.must(n1.StartStandby(within(t), up))
	n1.must(n1.WaitReady(within(t)))
	n1.waitStreaming()
	n1.caughtUp(n2)
	n1.wantSQL("select who, count(*) from t group by 1 order by 1", "common", "n2")
	n1.syncedQuickly(quick)
	if st := n1.Status(within(t)); st.Timeline != 2 || !st.InRecovery {
		t.Fatalf("%+v", st)
	}
	own, at, err := n2.LocalHistory(2)
	n2.must(err)
	if len(own.Switches) != 1 || own.Switches[0] != history.Switches[0] || at.IsZero() {
		t.Fatalf("own history %+v of %v, over the wire %+v", own, at, history)
	}
}

// followBy lets a running standby follow this node, by a reload alone.
func (n *node) followBy(standby *node) {
	n.t.Helper()
	before := standby.Status(within(n.t)).PID
	n.must(n.CreateSlot(within(n.t), standby.cfg().Name))
	up := n.self
	up.Slot = standby.cfg().Name
	for i, want := range []bool{true, false} {
		changed, err := standby.Follow(within(n.t), up)
		n.must(err)
		if changed != want {
			n.t.Fatalf("call %d of Follow: changed %v", i+1, changed)
		}
	}
	standby.waitStreaming()
	standby.caughtUp(n)
	st := standby.Status(within(n.t))
	if st.PID != before || st.Receiver.SenderPort != n.self.Port || st.Receiver.Slot != up.Slot {
		n.t.Fatalf("after Follow: %+v %+v", st, st.Receiver)
	}
}

func TestStandbyWithNobodyToFollowKnowsItsTimeline(t *testing.T) {
	n1 := newPrimary(t, "n1")
	n2 := newStandby(t, "n2", n1)
	changed, err := n2.Follow(within(t), Nobody)
	n2.must(err)
	if !changed {
		t.Fatal("nothing changed")
	}
	eventually(t, "the walreceiver is gone", func() (bool, string) {
		st := n2.Status(t.Context())
		return st.Receiver == nil && st.Timeline == 1 && st.Position > 0, fmt.Sprintf("%+v", st)
	})
	primary, err := n2.IsPrimary(within(t), n1.self)
	if err != nil || !primary {
		t.Fatalf("n1: %v %v", primary, err)
	}
	primary, err = n1.IsPrimary(within(t), n2.self)
	if err != nil || primary {
		t.Fatalf("n2: %v %v", primary, err)
	}
}

func TestInterruptedBaseBackupIsNeverStarted(t *testing.T) {
	n1 := newPrimary(t, "n1")
	n2 := newNode(t, "n2")
	ctx, cancel := context.WithCancel(within(t))
	err := n2.BaseBackup(ctx, n1.self, func(string) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("base backup: %v", err)
	}
	for name, start := range map[string]func() error{
		"standby": func() error { return n2.StartStandby(within(t), n1.self) },
		"primary": func() error { return n2.StartPrimary(within(t)) },
	} {
		if err := start(); !errors.Is(err, ErrHalfWritten) {
			t.Errorf("start as %s: %v", name, err)
		}
	}
	if u := n2.Unfinished(); u == nil || u.What != WorkBaseBackup || u.From != "n1" {
		t.Fatalf("marker %+v", u)
	}
	n2.must(n2.RemoveData(within(t)))
	if n2.Directory() != Empty || n2.Unfinished() != nil {
		t.Fatalf("%s, %+v", n2.Directory(), n2.Unfinished())
	}
}

func TestInterruptedRewindIsNeverStarted(t *testing.T) {
	n1 := newPrimary(t, "n1")
	n2 := newStandby(t, "n2", n1)
	n2.must(n2.Promote(within(t), 0))
	n1.sql("create table lost as select generate_series(1, 1000)")
	if err := n1.Rewind(within(t), n2.self, nil); !errors.Is(err, ErrRunning) {
		t.Fatalf("rewind of a running server: %v", err)
	}
	n1.must(n1.Stop(within(t), StopOptions{Mode: Fast}))
	ctx, cancel := context.WithCancel(within(t))
	if err := n1.Rewind(ctx, n2.self, func(string) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Fatalf("rewind: %v", err)
	}
	if err := n1.StartStandby(within(t), n2.self); !errors.Is(err, ErrHalfWritten) || n1.Directory() != HalfWritten {
		t.Fatalf("start: %v, directory %s", err, n1.Directory())
	}
	if err := n1.Rewind(within(t), n2.self, nil); !errors.Is(err, ErrHalfWritten) {
		t.Fatalf("a second rewind: %v", err)
	}
	n1.must(n1.BaseBackup(within(t), n2.self, nil))
	n1.must(n1.StartStandby(within(t), n2.self))
	n1.must(n1.WaitReady(within(t)))
	n1.waitStreaming()
}

func TestRewindThatCannotBeginChangesNothing(t *testing.T) {
	n1 := newPrimary(t, "n1")
	n2 := newStandby(t, "n2", n1)
	n2.must(n2.Stop(within(t), StopOptions{Mode: Fast}))
	n3 := newStandby(t, "n3", n1)
	if err := n2.Rewind(within(t), n3.self, nil); !errors.Is(err, ErrSourceUnusable) {
		t.Fatalf("rewind from a standby: %v", err)
	}
	n3.must(n3.Stop(within(t), StopOptions{Mode: Fast}))
	if err := n2.Rewind(within(t), n3.self, nil); !errors.Is(err, ErrSourceUnusable) {
		t.Fatalf("rewind from a server that is down: %v", err)
	}
	stranger := newNode(t, "other")
	stranger.must(stranger.Bootstrap(within(t)))
	stranger.must(stranger.PostBootstrap(within(t)))
	err := n2.Rewind(within(t), stranger.self, nil)
	if !errors.Is(err, ErrRewindRefused) || !strings.Contains(err.Error(), "different systems") {
		t.Fatalf("rewind from another cluster: %v", err)
	}
	n2.must(n2.StartStandby(within(t), n1.self))
	n2.must(n2.WaitReady(within(t)))
	n2.waitStreaming()
}

func TestBaseBackupThatFailsLeavesNothing(t *testing.T) {
	n := newNode(t, "n1")
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	nowhere := Upstream{Name: "nowhere", Host: "127.0.115.1", Port: freePort(t, "127.0.115.1")}
	if err := n.copyOnce(ctx, nowhere, nil); err == nil {
		t.Fatal("copied from nowhere")
	}
	n.must(n.RemoveData(ctx))
	if n.Directory() != Empty {
		t.Fatal(n.Directory())
	}
}

func TestSlots(t *testing.T) {
	n := newPrimary(t, "n1")
	for range 2 {
		n.must(n.CreateSlot(within(t), "n2"))
	}
	first := n.Status(within(t)).Slots[0]
	n.sql("select pg_switch_wal(); create table t()")
	end := n.Status(within(t)).Position
	n.must(n.AdvanceSlot(within(t), "n2", end))
	second := n.Status(within(t)).Slots[0]
	if first.RestartLSN == 0 || second.RestartLSN != end || second.Type != "physical" || second.Active || second.WALStatus != "reserved" {
		t.Fatalf("%+v, then %+v, end %s", first, second, end)
	}
	n.must(n.AdvanceSlot(within(t), "n2", first.RestartLSN)) // backwards: nothing happens
	for range 2 {
		n.must(n.DropSlot(within(t), "n2"))
	}
	if slots := n.Status(within(t)).Slots; len(slots) != 0 {
		t.Fatalf("%+v", slots)
	}
}

// With archiving on, a clean shutdown switches the segment before the
// checkpoint, and a standby's position may end at the switch (B-137).
func TestShutdownPositionIsOneThatAStandbyCanReach(t *testing.T) {
	archiving := func(c *Config) {
		c.Parameters["archive_mode"] = "on"
		c.Parameters["archive_command"] = "true"
	}
	n1 := newPrimary(t, "n1", archiving)
	n2 := newStandby(t, "n2", n1)
	n1.sql("create table t()")
	var noticed wal.Point
	n1.must(n1.Stop(within(t), StopOptions{Mode: Fast, OnShutdownCheckpoint: func(end ShutdownEnd) { noticed = end.At }}))
	control, err := n1.Control(within(t))
	n1.must(err)
	if noticed.LSN == 0 || noticed.LSN >= control.Checkpoint.LSN {
		t.Fatalf("position %s, checkpoint %s: it must be the switch record before", noticed, control.Checkpoint)
	}
	eventually(t, "the standby has it", func() (bool, string) {
		st := n2.Status(t.Context())
		return st.Position >= noticed.LSN, st.Position.String()
	})
}

func TestRefusedParametersDoNotKeepTheServerDown(t *testing.T) {
	n := newPrimary(t, "n1", func(c *Config) {
		for name, value := range map[string]string{
			"no_such_parameter": "1", "ext.setting": "kept", "work_mem": "1kB", "jit": "perhaps",
			"wal_sync_method": "prayer", "seq_page_cost": "-3", "max_connections": "10", "checkpoint_timeout": "2d",
		} {
			c.Parameters[name] = value
		}
	})
	n.wantSQL("select current_setting('ext.setting')", "kept")
	n.wantSQL("select current_setting('work_mem')", "64kB")
	n.wantSQL("select current_setting('seq_page_cost')", "0")
	n.wantSQL("select current_setting('max_connections')", "100")
	n.wantSQL("select current_setting('checkpoint_timeout')", "1d")

	cfg := n.Config()
	cfg.Parameters["max_connections"] = "50"
	cfg.Parameters["work_mem"] = "5MB"
	n.Reconfigure(cfg)
	told, err := n.Reload(within(t), false)
	if err != nil || !told {
		t.Fatalf("reload: %v %v", told, err)
	}
	eventually(t, "the new value is in force", func() (bool, string) {
		got := n.sql("select current_setting('work_mem')")[0]
		return got == "5MB", got
	})
	eventually(t, "the other one waits for a restart", func() (bool, string) {
		n.forgetPending()
		got := n.Status(t.Context()).PendingRestart
		return len(got) == 1 && got["max_connections"] == Pending{Old: "100", New: "50"}, fmt.Sprint(got)
	})
	if told, err := n.Reload(within(t), false); err != nil || told {
		t.Fatalf("reload of nothing: %v %v", told, err)
	}
}

// Patroni's standbys have empty recovery targets in their file. One that was promoted
// and is taken over loses these lines, and has no restart to wait for.
func TestRecoverySettingsWaitForNoRestart(t *testing.T) {
	n := newPrimary(t, "n1", func(c *Config) { delete(c.Parameters, "shared_buffers") })
	auto := filepath.Join(n.Config().DataDir, "postgresql.auto.conf")
	if err := os.WriteFile(auto, []byte("recovery_target_name = 'x'\nhot_standby = off\nmax_connections = 77\nshared_buffers = 8192\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.sql("select pg_reload_conf()")
	eventually(t, "the server has read its files", func() (bool, string) {
		got := n.sql("select name from pg_settings where pending_restart order by name")
		return len(got) == 4, fmt.Sprint(got)
	})
	n.forgetPending()
	// max_connections is given on the command line: a restart would not bring 77.
	got := n.Status(t.Context()).PendingRestart
	if len(got) != 1 || got["shared_buffers"].New != "64MB" {
		t.Errorf("waits for a restart: %v", got)
	}
	bypassing := "PostgreSQL settings shared_buffers seem to be changed bypassing Patroni config. Setting 'Pending restart' flag"
	if said := n.told.beginning("PostgreSQL settings"); !slices.Equal(said, []string{bypassing}) {
		t.Errorf("told: %q", said)
	}
	if old := got["shared_buffers"].Old; old == "64MB" || !strings.HasSuffix(old, "MB") {
		t.Errorf("the value in force is shown as %q", old)
	}
	if err := os.WriteFile(auto, []byte("shared_buffers = '24MB'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.sql("select pg_reload_conf()")
	eventually(t, "a change made by ALTER SYSTEM is seen", func() (bool, string) {
		n.forgetPending()
		got := n.Status(t.Context()).PendingRestart
		return got["shared_buffers"].New == "24MB", fmt.Sprint(got)
	})
	n.must(n.Stop(within(t), StopOptions{Mode: Fast}))
	n.must(n.StartPrimary(within(t)))
	n.must(n.WaitReady(within(t)))
	if got := n.Status(t.Context()).PendingRestart; len(got) != 0 {
		t.Errorf("after the restart: %v", got)
	}
}

func TestStandbyKeepsThePrimarysLimits(t *testing.T) {
	n1 := newPrimary(t, "n1", func(c *Config) { c.Parameters["max_connections"] = "130" })
	n2 := newStandby(t, "n2", n1)
	n2.wantSQL("select current_setting('max_connections')", "130")
	if got := n2.Status(t.Context()).PendingRestart; len(got) != 1 || got["max_connections"] != (Pending{Old: "130", New: "100"}) {
		t.Fatalf("waits for a restart: %v", got)
	}
}

func TestAStandbyKnowsThatItsSettingsWereOutgrown(t *testing.T) {
	n1 := newPrimary(t, "n1")
	n2 := newStandby(t, "n2", n1)
	n2.sql("select pg_wal_replay_pause()")
	if outgrown, err := n2.Outgrown(within(t)); err != nil || outgrown {
		t.Fatalf("paused by a person: %v, %v", outgrown, err)
	}
	n2.sql("select pg_wal_replay_resume()")

	cfg := n1.Config()
	cfg.Parameters["max_connections"] = "110"
	n1.Reconfigure(cfg)
	n1.must(n1.Stop(within(t), StopOptions{Mode: Fast}))
	n1.must(n1.StartPrimary(within(t)))
	n1.must(n1.WaitReady(within(t)))
	eventually(t, "replay has stopped for the primary's new value", func() (bool, string) {
		outgrown, err := n2.Outgrown(t.Context())
		return outgrown && n2.Status(t.Context()).ReplayPaused, fmt.Sprint(outgrown, err)
	})
}

// L1: whoever has to take over wants to hear of it at once.
func TestTheEndOfTheWalreceiverIsTold(t *testing.T) {
	n1 := newPrimary(t, "n1")
	n2 := newStandby(t, "n2", n1)
	n2.waitStreaming()
	pid := n2.Status(within(t)).Receiver.PID
	if pid == 0 {
		t.Fatal("no pid")
	}
	drain(n2.Changed())
	n1.must(n1.KillAll(within(t)))
	select {
	case <-n2.Changed():
	case <-within(t).Done():
		t.Fatal("nothing was told")
	}
	if r := n2.Status(within(t)).Receiver; r != nil && r.PID == pid {
		t.Errorf("told while it lives: %+v", r)
	}
}

// L2: the loss of the source in the middle is no refusal, and a source that is there
// again at once lost the connection all the same.
func TestARewindThatLostItsSourceWasNotRefused(t *testing.T) {
	n1 := newPrimary(t, "n1")
	n2 := &node{Server: New(n1.cfg(), n1.log, time.Now), t: t}
	for said, want := range map[string]error{
		"pg_rewind: error: could not find common ancestor of the source and target cluster's timelines":                    ErrRewindRefused,
		"pg_rewind: error: could not fetch file list: server closed the connection unexpectedly":                           ErrSourceUnusable,
		"pg_rewind: error: connection to server at \"n1\", port 5432 failed: FATAL:  the database system is shutting down": ErrSourceUnusable,
	} {
		if got := n2.whyUntouched(within(t), n1.self, errors.New(said)); !errors.Is(got, want) {
			t.Errorf("%s: %v, want %v", said, got, want)
		}
	}
	n1.must(n1.KillAll(within(t)))
	if got := n2.whyUntouched(within(t), n1.self, errors.New("no reason given")); !errors.Is(got, ErrSourceUnusable) {
		t.Errorf("a source that is gone: %v", got)
	}
}

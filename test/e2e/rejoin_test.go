package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"matriarch/test/e2e/lab"
)

// What the log says at the turns of a rejoin.
const (
	logRewound     = "rewind is complete"
	logCopied      = "base backup is complete"
	logStreams     = "the leader's history contains ours: streaming from it"
	logNoWay       = "neither pg_rewind nor the removal of the data directory is possible or allowed"
	logHalfWritten = "the data directory is half written and may not be removed"
	logServerStart = "starting PostgreSQL 1"
)

// TestRejoin is about how a node comes back whose log has forked off, and about
// being killed on the way. Each step ends with two nodes that stream.
func TestRejoin(t *testing.T) {
	c := lab.New(t, 2, lab.StartEtcd(t, 1), lab.Changed(func(_ *lab.Node, s lab.Settings) {
		s.Set("bootstrap.dcs.maximum_lag_on_failover", 1<<30) // the old primary is far ahead in some steps
	}))
	rewind := func(on bool) func(lab.Settings) {
		return func(s lab.Settings) { s.Set("postgresql.use_pg_rewind", on) }
	}

	copyAfterRewind := func(s lab.Settings) { s.Set("postgresql.remove_data_directory_on_rewind_failure", true) }

	story(t, c, "without a fork it streams", func(t *testing.T) {
		c.Start()
		leader := c.WaitWhole(lab.Patience)
		leader.Run("create table forked (id int)", "create table big as select i id, repeat('x', 900) filler from generate_series(1, 100000) i")
		standby := c.Others(leader)[0]
		mark := standby.Mark()
		standby.KillNode()
		standby.Start()
		c.WaitWhole(lab.Patience)
		saidInOrder(t, standby.LogSince(mark), logStreams, logServerStart)
		if text := standby.LogSince(mark); strings.Contains(text, logRewound) || strings.Contains(text, logCopied) {
			t.Error("a node that only had to catch up was repaired")
		}
	})
	story(t, c, "with a fork it is rewound", func(t *testing.T) {
		old := diverge(t, c, "insert into forked values (1)")
		mark := old.Mark()
		old.Start()
		c.WaitWhole(lab.Patience)
		saidInOrder(t, old.LogSince(mark), logRewound, logServerStart)
		noFork(t, c)
	})
	story(t, c, "a crashed primary that may not be repaired says so and follows nobody", func(t *testing.T) {
		old := diverge(t, c, "insert into forked values (2)")
		old.Change = rewind(false)
		mark := old.Mark()
		old.Start()
		old.WaitLog(mark, logNoWay) // recovery had to tell first where its log ends (B-297)
		old.WaitCodes(lab.Patience, map[string]int{"/": 503, "/primary": 503, "/readiness": 503, "/liveness": 200})
		lab.Eventually(t, lab.Patience, old.Name+" follows nobody", func(ctx context.Context) (bool, string) {
			place, err := old.Place(ctx) // its walreceiver stays, and waits to be told to stream
			return err == nil && place.Recovery && place.Timeline == 0 && old.Value("current_setting('primary_conninfo')") == "", fmt.Sprint(place, err)
		})
		old.Stop()
		old.Change = nil
		old.Start()
		c.WaitWhole(lab.Patience)
		saidInOrder(t, old.LogSince(mark), logServerStart, logNoWay, logRewound, logServerStart)
		noFork(t, c)
	})
	story(t, c, "where nothing is allowed it stays down, says so, and nothing is touched", func(t *testing.T) {
		old := divergeInOrder(t, c, "insert into forked values (2)")
		old.Change = rewind(false)
		mark, before := old.Mark(), lab.Listing(t, old.Data)
		old.Start()
		old.WaitLog(mark, logNoWay)
		c.WaitPicture(lab.Patience, "the member is shown as stopped", func(p lab.Picture) bool {
			return p.Members[old.Name].State == "stopped"
		})
		old.WaitCodes(lab.Patience, map[string]int{"/": 503, "/primary": 503, "/replica": 503, "/health": 503, "/liveness": 200, "/readiness": 503})
		if code := old.Stop(); code != 0 {
			t.Errorf("the agent ended with %d", code)
		}
		// The configuration is the agent's own and follows its file.
		lab.SameListing(t, old.Data, before, old.Data, filepath.Join(old.Data, "postgresql.conf"))
		if strings.Contains(old.LogSince(mark), logServerStart) {
			t.Error("the forked server was started")
		}
	})
	story(t, c, "where its removal is allowed it is copied, also by an agent that was killed during the copy", func(t *testing.T) {
		old := c.Others(c.WaitPrimary(lab.Patience, nil))[0]
		old.Change = func(s lab.Settings) {
			rewind(false)(s)
			s.Set("postgresql.remove_data_directory_on_diverged_timelines", true)
		}
		old.Start()
		before := old.Mark()
		old.Tool("pg_basebackup", 16<<20)
		listed(t, old, "creating replica (base backup ")
		if !strings.Contains(old.LogSince(before), "progress=") {
			t.Error("the log tells no progress of the copy")
		}
		mark := old.Mark()
		old.KillAgent()
		old.Start()
		c.WaitWhole(lab.Patience)
		saidInOrder(t, old.LogSince(mark), "base backup begins", logCopied, logServerStart)
		noFork(t, c)
	})
	story(t, c, "a rewind that was killed leaves a directory that is never started", func(t *testing.T) {
		old := diverge(t, c, "insert into forked values (3)", "update big set filler = repeat('y', 900)")
		old.Change = rewind(true)
		old.Start()
		old.Tool("pg_rewind", 4<<20)
		listed(t, old, "(rewind ")
		mark := old.Mark()
		old.KillAgent()
		old.Start()
		old.WaitLog(mark, logHalfWritten)
		if code := old.Stop(); code != 0 {
			t.Errorf("the agent ended with %d", code)
		}
		if strings.Contains(old.LogSince(mark), logServerStart) {
			t.Error("a server was started on the half-written directory")
		}
	})
	story(t, c, "and is copied anew where that is allowed", func(t *testing.T) {
		old := c.Others(c.WaitPrimary(lab.Patience, nil))[0]
		old.Change = copyAfterRewind
		mark := old.Mark()
		old.Start()
		c.WaitWhole(lab.Patience)
		saidInOrder(t, old.LogSince(mark), "base backup begins", logCopied, logServerStart)
		noFork(t, c)
	})
	story(t, c, "a tool that dies under a living agent is not the end either", func(t *testing.T) {
		old := diverge(t, c, "insert into forked values (4)", "update big set filler = repeat('z', 900)")
		old.Change = copyAfterRewind
		mark := old.Mark()
		old.Start()
		tool := old.Tool("pg_rewind", 4<<20)
		if err := syscall.Kill(tool.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		c.WaitWhole(lab.Patience)
		saidInOrder(t, old.LogSince(mark), "base backup begins", logCopied, logServerStart)
		noFork(t, c)
	})
}

// listed waits until the operator's list shows the words.
func listed(t *testing.T, n *lab.Node, words string) {
	t.Helper()
	lab.Eventually(t, lab.Patience, "list shows "+words, func(context.Context) (bool, string) {
		table := n.List()
		return strings.Contains(table, words), table
	})
}

// diverge makes the leader write what the standby never gets, kills its node, and
// waits until the other leads. The lease is ended at once: how long it lasts is
// not what is tested. It returns the old leader, down.
func diverge(t *testing.T, c *lab.Cluster, statements ...string) *lab.Node {
	t.Helper()
	old := c.WaitWhole(lab.Patience)
	c.WaitReplayed(old)
	old.FreezeWalsenders()
	old.Run(statements...)
	old.KillNode()
	c.EndLease()
	leader := c.WaitPrimary(lab.Patience, old)
	leader.Run(fmt.Sprintf("create table led_by_%s_on_%d ()", leader.Name, leader.Timeline()))
	return old
}

// divergeInOrder makes the leader write what the standby never gets and then shut
// down in order: its log ends where its control file says.
func divergeInOrder(t *testing.T, c *lab.Cluster, statements ...string) *lab.Node {
	t.Helper()
	old := c.WaitWhole(lab.Patience)
	next := c.Others(old)[0]
	next.Stop()
	old.Run(statements...)
	old.Stop()
	next.Start()
	c.WaitPrimary(lab.Patience, old)
	return old
}

// noFork checks that what only a lost primary had is nowhere, and that the nodes
// agree.
func noFork(t *testing.T, c *lab.Cluster) {
	t.Helper()
	leader := c.WaitWhole(lab.Patience)
	c.WaitReplayed(leader)
	for _, n := range c.Nodes {
		if got := n.Value("select count(*) from forked"); got != "0" {
			t.Errorf("%s has %s rows of a fork", n.Name, got)
		}
		const digest = "select count(*) || ' ' || md5(string_agg(id || filler, '' order by id)) from big"
		if got, want := n.Value(digest), leader.Value(digest); got != want {
			t.Errorf("%s and %s differ: %s, %s", n.Name, leader.Name, got, want)
		}
	}
}

// saidInOrder checks that a log has these words, each after the one before.
func saidInOrder(t *testing.T, log string, words ...string) {
	t.Helper()
	rest := log
	for _, w := range words {
		_, after, found := strings.Cut(rest, w)
		if !found {
			t.Errorf("the log does not say %q after what comes before it in %q: %s", w, words, log)
			return
		}
		if w != logServerStart && strings.Contains(strings.TrimSuffix(rest, after), logServerStart) {
			t.Errorf("a server was started before the log says %q: %s", w, log)
		}
		rest = after
	}
}

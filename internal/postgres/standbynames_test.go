package postgres

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// waitSynced waits until a standby is one for which commits wait, and has what was
// acknowledged before.
func (n *node) waitSynced(name string) Status {
	n.t.Helper()
	var status Status
	eventually(n.t, "commits wait for "+name, func() (bool, string) {
		status = n.Status(n.t.Context())
		for _, r := range status.Replication {
			if r.ApplicationName == name && r.SyncState == "sync" && status.StandbyNamesSince > 0 && r.SyncedLSN >= status.StandbyNamesSince {
				return true, ""
			}
		}
		return false, fmt.Sprintf("%q since %s, %+v", status.StandbyNames, status.StandbyNamesSince, status.Replication)
	})
	return status
}

// commits reports whether a commit is acknowledged within that time.
func (n *node) commits(within time.Duration) bool {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), within)
	defer cancel()
	conn, err := n.connectLocal(ctx, "test", false)
	n.must(err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(ctx, "SELECT pg_logical_emit_message(true, 'test', '')")
	if err != nil && ctx.Err() == nil {
		n.t.Fatal(err)
	}
	return err == nil
}

// The value outlives the agent, whose successor finds it in the file and keeps it: a
// commit that is acknowledged without the standby in between would be lost (S2).
func TestCommitsWaitForTheNamedStandbys(t *testing.T) {
	users := func(c *Config) { c.Parameters["Synchronous_Standby_Names"] = "" }
	n1 := newPrimary(t, "n1", users)
	n2 := newStandby(t, "n2", n1)
	if s := n1.Status(within(t)); s.StandbyNames != "" || s.StandbyNamesManaged || s.StandbyNamesSince != 0 {
		t.Fatalf("at first: %+v", s)
	}
	n1.must(n1.SetStandbyNames(within(t), "n2", false))
	if s := n1.waitSynced("n2"); !s.StandbyNamesManaged {
		t.Fatalf("whose: %+v", s)
	}

	receiver := n2.Status(within(t)).Receiver.PID
	n1.must(unix.Kill(receiver, unix.SIGSTOP))
	if n1.commits(300 * time.Millisecond) {
		t.Error("a commit did not wait for the standby")
	}
	again := New(n1.cfg(), n1.log, time.Now) // the agent is started anew
	defer again.Close()
	if _, err := again.Reload(within(t), true); err != nil {
		t.Fatal(err)
	}
	if s := again.Status(within(t)); s.StandbyNames != "n2" || !s.StandbyNamesManaged {
		t.Fatalf("after a restart of the agent: %+v", s)
	}
	if n1.commits(300 * time.Millisecond) {
		t.Error("a commit did not wait for the standby after a restart of the agent")
	}
	n1.must(unix.Kill(receiver, unix.SIGCONT))
	if !n1.commits(10 * time.Second) {
		t.Error("a commit is not acknowledged though its standby is back")
	}

	// Its own value is the user's again.
	n1.must(n1.SetStandbyNames(within(t), "", true))
	eventually(t, "the user's value is in force", func() (bool, string) {
		s := n1.Status(t.Context())
		return s.StandbyNames == "" && !s.StandbyNamesManaged && s.StandbyNamesSince == 0, fmt.Sprintf("%+v", s)
	})
}

// The end of the stream for which commits wait is told at once.
func TestTheEndOfASynchronousStreamIsAnnounced(t *testing.T) {
	n1 := newPrimary(t, "n1")
	n2 := newStandby(t, "n2", n1)
	n1.must(n1.SetStandbyNames(within(t), "n2", false))
	n1.waitSynced("n2")
	for len(n1.Changed()) > 0 {
		<-n1.Changed()
	}
	n2.must(n2.KillAll(within(t)))
	select {
	case <-n1.Changed():
	case <-time.After(20 * time.Second):
		t.Fatal("nobody was told that the standby has gone")
	}
}

// A server that starts as a standby waits for nobody: when it is promoted, nobody is
// known to follow it (B-434). And what Patroni left in its file is kept until a leader
// says otherwise.
func TestAStandbyWaitsForNobody(t *testing.T) {
	n1 := newPrimary(t, "n1")
	n2 := newStandby(t, "n2", n1)
	n2.must(n2.SetStandbyNames(within(t), "ANY 1 (n1,n3)", false))
	eventually(t, "in force", func() (bool, string) {
		s := n2.Status(t.Context())
		return s.StandbyNames == "ANY 1 (n1,n3)" && s.StandbyNamesSince == 0, fmt.Sprintf("%+v", s)
	})
	n2.must(n2.Stop(within(t), StopOptions{Mode: Fast}))
	n2.must(n2.StartStandby(within(t), n1.self))
	n2.must(n2.WaitReady(within(t)))
	if s := n2.Status(within(t)); s.StandbyNames != "" || !s.StandbyNamesManaged {
		t.Errorf("after a start as a standby: %+v", s)
	}

	main := n1.cfg().mainFile()
	text, err := os.ReadFile(main)
	n1.must(err)
	patronis := strings.ReplaceAll(string(text), "Matriarch", "Patroni") + "synchronous_standby_names = 'n2'\n"
	n1.must(os.WriteFile(main, []byte(patronis), 0o600))
	later := New(n1.cfg(), n1.log, time.Now)
	defer later.Close()
	if value, managed := later.standbyNames(later.cfg()); value != "n2" || !managed {
		t.Errorf("from Patroni's file: %q, %v", value, managed)
	}
}

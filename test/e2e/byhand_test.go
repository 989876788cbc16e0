package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
)

// TestAPersonTakesOver is what a person does to a primary that has crashed.
func TestAPersonTakesOver(t *testing.T) {
	c := lab.New(t, 2, lab.StartEtcd(t, 1))
	c.Start()
	c.WaitWhole(lab.Patience)
	w := write(t, c)
	w.WaitPast(t, lab.Patience, time.Now().Add(time.Second))

	story(t, c, "a switchover does not wait for the end of a crash recovery", func(t *testing.T) {
		old := c.WaitWhole(lab.Patience)
		other := c.Others(old)[0]
		letGo := holdRecovery(t, old)
		mark := old.Mark()
		old.KillPostmaster()
		old.WaitLog(mark, "the primary is down: restarting it in place")
		waitState(t, old, "starting")

		began := time.Now()
		move(t, old, "switchover", old.Name, other.Name)
		old.WaitLog(mark, "broken off for a hand-over")
		letGo()
		if got := c.WaitWhole(lab.Patience); got != other {
			t.Errorf("%s leads after it, not %s", got.Name, other.Name)
		}
		t.Logf("it took %v until all was whole again", milliseconds(time.Since(began)))
		w.WaitPast(t, lab.Patience, time.Now())
	})
	// What the primary had not sent when it crashed is gone.
	if v := verdict(t, c, w); len(v.Lost) > 0 {
		t.Logf("lost with the crash: %d rows", len(v.Lost))
	}
	for _, how := range []struct {
		name  string
		start func(t *testing.T, n *lab.Node)
	}{
		{"is restarted", func(t *testing.T, n *lab.Node) {
			ask(t, n, http.MethodPost, "/restart", "", http.StatusOK, "restarted successfully")
		}},
		{"is restarted by an agent that did not see it", func(t *testing.T, n *lab.Node) {
			n.KillAgent()
			n.Start()
			waitState(t, n, "stopped")
			ask(t, n, http.MethodPost, "/restart", "", http.StatusOK, "restarted successfully")
		}},
		{"is started by hand", startByHand},
	} {
		story(t, c, "what crashed in pause and "+how.name+" is primary as before", func(t *testing.T) { crashInPause(t, c, how.start) })
	}
	story(t, c, "an old primary that is started by hand leads only if it is asked for", func(t *testing.T) { oldPrimaryInPause(t, c) })
	story(t, c, "nobody takes over from a primary whose agent ended in a pause", func(t *testing.T) { agentLostInPause(t, c) })
}

// startByHand starts a server that has crashed as pg_ctl does.
func startByHand(t *testing.T, n *lab.Node) {
	t.Helper()
	lab.Eventually(t, lab.Patience, "nothing of the crashed server is left", func(context.Context) (bool, string) {
		left := lab.Inside(n.Data)
		return len(left) == 0, fmt.Sprint(left)
	})
	lab.RunAs(t, filepath.Join(lab.BinDir, "pg_ctl"), "--pgdata="+n.Data, "--wait", "--log="+filepath.Join(n.Dir, "by_hand.log"), "start")
}

// oldPrimaryInPause has the primary crash in a pause, another one take its place by hand,
// and crash as well while the old one runs again.
func oldPrimaryInPause(t *testing.T, c *lab.Cluster) {
	old := c.WaitWhole(lab.Patience)
	other := c.Others(old)[0]
	nobody := func(p lab.Picture) bool { return p.Keys["leader"] == "" }
	// One that was started by hand is nobody's child, and is there until somebody reaps it.
	ask(t, old, http.MethodPost, "/restart", "", http.StatusOK, "restarted successfully")
	setPause(t, c, true)
	old.KillPostmaster()
	c.WaitPicture(lab.Patience, "the lead is given up", nobody)
	move(t, other, "failover", "", other.Name)
	c.WaitPicture(lab.Patience, "the other one leads, and has said on which timeline", func(p lab.Picture) bool {
		return p.Keys["leader"] == other.Name && strings.Contains(p.Keys["history"], `"`+other.Name+`"]]`)
	})
	startByHand(t, old)
	mark := old.Mark()
	other.KillPostmaster()
	old.WaitLog(mark, "taking the lead only if asked for by name")
	if p, err := c.Picture(t.Context()); err != nil || !nobody(p) {
		t.Errorf("%s leads, and nobody has asked for it: %v", p.Keys["leader"], err)
	}
	move(t, old, "failover", "", old.Name)
	c.WaitPicture(lab.Patience, "it leads when it is asked for", func(p lab.Picture) bool { return p.Keys["leader"] == old.Name })
	setPause(t, c, false)
	if got := c.WaitWhole(lab.Patience); got != old {
		t.Errorf("%s leads after the pause, not %s", got.Name, old.Name)
	}
}

// agentLostInPause has the primary's agent killed in a pause, and looks whether anybody
// takes over when the pause is over: the server writes on, and nothing would stop it (S1).
func agentLostInPause(t *testing.T, c *lab.Cluster) {
	leader := c.WaitWhole(lab.Patience)
	other := c.Others(leader)[0]
	unarmed := func(p lab.Picture) bool { return strings.Contains(p.Keys["electorate"], `"unarmed":true`) }
	setPause(t, c, true)
	c.WaitPicture(lab.Patience, "the electorate says that the guard is disarmed", unarmed)
	leader.KillAgent()
	mark := other.Mark()
	c.Configure(func(s lab.Settings) { delete(s, "pause") })
	other.WaitLog(mark, "the last leader's agent ended in a pause")
	if other.Timeline() != leader.Timeline() {
		t.Error("the other one is on another timeline")
	}
	leader.Start()
	if got := c.WaitWhole(lab.Patience); got != leader {
		t.Errorf("%s leads after it, not %s", got.Name, leader.Name)
	}
	c.WaitPicture(lab.Patience, "the electorate says so no more", func(p lab.Picture) bool { return p.Keys["electorate"] != "" && !unarmed(p) })
	leader.KillNode()
	c.WaitPicture(lab.Patience, "the other one leads", func(p lab.Picture) bool { return p.Leader == other.Name })
	leader.Start()
	c.WaitWhole(lab.Patience)
}

// crashInPause has the primary crash while the cluster is paused, started again by a
// person, and looks whether it is what it was.
func crashInPause(t *testing.T, c *lab.Cluster, start func(*testing.T, *lab.Node)) {
	leader := c.WaitWhole(lab.Patience)
	timeline := leader.Timeline()
	setPause(t, c, true)
	leader.KillPostmaster()
	c.WaitPicture(lab.Patience, "the lead is given up", func(p lab.Picture) bool { return p.Keys["leader"] == "" })
	start(t, leader)
	if got := c.WaitWhole(lab.Patience); got != leader || leader.Timeline() != timeline {
		t.Errorf("%s leads after it, on timeline %d; it was %s on timeline %d", got.Name, got.Timeline(), leader.Name, timeline)
	}
	setPause(t, c, false)
	if got := c.WaitWhole(lab.Patience); got != leader || leader.Timeline() != timeline {
		t.Errorf("%s leads after the pause, on timeline %d", got.Name, got.Timeline())
	}
}

// setPause begins or ends a pause, and waits until every member knows of it.
func setPause(t *testing.T, c *lab.Cluster, on bool) {
	t.Helper()
	c.Configure(func(s lab.Settings) {
		if delete(s, "pause"); on {
			s["pause"] = true
		}
	})
	c.WaitPicture(lab.Patience, "all members have recognised it", func(p lab.Picture) bool {
		for _, n := range c.Nodes {
			if strings.Contains(p.Keys["members/"+n.Name], `"pause":true`) != on {
				return false
			}
		}
		return true
	})
}

// holdRecovery makes the next start of a node's server last until it is let go: the
// server waits for somebody to write to what it reads first of all.
func holdRecovery(t *testing.T, n *lab.Node) (letGo func()) {
	t.Helper()
	path := filepath.Join(n.Data, "pg_logical", "replorigin_checkpoint")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fifo := path + ".held"
	for _, err := range []error{syscall.Mkfifo(fifo, 0o600), os.Link(path, path+".kept"), os.Rename(fifo, path)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	lab.Own(t, path)
	return func() {
		t.Helper()
		if err := os.Rename(path, fifo); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".kept", path); err != nil {
			t.Fatal(err)
		}
		// Nobody reads, if no server has been started meanwhile.
		pipe, err := os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			_, err = pipe.Write(content)
			pipe.Close()
		}
		if err != nil && !errors.Is(err, syscall.ENXIO) {
			t.Fatal(err)
		}
		if err := os.Remove(fifo); err != nil {
			t.Fatal(err)
		}
	}
}

// waitState waits until a node says that its server is in that state.
func waitState(t *testing.T, n *lab.Node, want string) {
	t.Helper()
	lab.Eventually(t, lab.Patience, "the server of "+n.Name+" is "+want, func(ctx context.Context) (bool, string) {
		answer, err := n.Ask(ctx, 5*time.Second, "GET", "/patroni", "")
		if err != nil {
			return false, err.Error()
		}
		state, _ := answer.Document()["state"].(string)
		return strings.EqualFold(state, want), state
	})
}

package e2e

import (
	"context"
	"errors"
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
	// What the primary had not sent when it crashed may be gone.
	verdict(t, c, w)
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

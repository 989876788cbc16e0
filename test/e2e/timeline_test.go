package e2e

import (
	"syscall"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
)

// TestTimelineNumbers lets a node miss a whole reign: the leader hands over to the
// second, which takes rows and hands over too, while the third's agent is frozen.
// The third must not give its own timeline the number of the one that it missed:
// nobody could tell the two apart, and the second would stream from a log that is
// not the continuation of its own (S3).
func TestTimelineNumbers(t *testing.T) {
	c := lab.New(t, 3, lab.StartEtcd(t, 1))
	c.Start()
	first := c.WaitWhole(lab.Patience)
	second, third := c.Others(first)[0], c.Others(first)[1]
	w := write(t, c)
	w.WaitPast(t, lab.Patience, time.Now())

	third.Agent.Signal(syscall.SIGSTOP)
	began := time.Now()
	first.Stop()
	if leader := c.WaitPrimary(lab.Patience, first); leader != second {
		t.Fatalf("%s leads", leader.Name)
	}
	w.WaitServer(t, lab.Patience, began, second.Host)
	w.WaitPast(t, lab.Patience, time.Now().Add(time.Second))
	second.Stop()
	third.Agent.Signal(syscall.SIGCONT)
	c.WaitPrimary(lab.Patience, nil)
	w.WaitServer(t, lab.Patience, began, third.Host)
	first.Start()
	second.Start()
	c.WaitWhole(lab.Patience)
	t.Log(verdict(t, c, w)) // what only the second had may be lost, but nowhere kept
}

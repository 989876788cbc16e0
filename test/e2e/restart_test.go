package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
)

// TestAnAgentIsRestartedWhileTheStoreIsAway: the guard has kept all that the next life
// needs, and the other members carry the lead (L3).
func TestAnAgentIsRestartedWhileTheStoreIsAway(t *testing.T) {
	e := lab.StartEtcd(t, 1)
	c := lab.New(t, 3, e)
	c.Start()
	leader := c.WaitWhole(lab.Patience)
	w := write(t, c)
	w.WaitPast(t, lab.Patience, time.Now().Add(time.Second))

	e.Signal(0, syscall.SIGSTOP)
	mark := leader.Mark()
	leader.WaitLog(mark, "the store is out of reach")
	leader.KillAgent()
	leader.Start()
	// Longer than the permit that the life before has left.
	w.WaitPast(t, lab.Patience, time.Now().Add(3*time.Second))
	t.Logf("writes paused for %v", milliseconds(w.Outage(time.Now().Add(-4*time.Second))))

	e.Signal(0, syscall.SIGCONT)
	if again := c.WaitWhole(lab.Patience); again != leader {
		t.Errorf("%s leads after it, not %s", again.Name, leader.Name)
	}
	if said := leader.LogSince(mark); strings.Contains(said, "kills the server") || strings.Contains(said, "server killed") {
		t.Errorf("the server was killed for it:\n%s", said)
	}
	if v := verdict(t, c, w); len(v.Lost) > 0 {
		t.Errorf("acknowledged rows are lost: %v", v.Lost)
	}
}

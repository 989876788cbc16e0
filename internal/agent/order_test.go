package agent

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"matriarch/internal/ha"
)

// ordering is a leader with an order on its way.
type ordering struct {
	*node
	answers chan ha.Answer
	faults  chan error
}

func (n *node) ordered(ctx context.Context, what ha.Order) *ordering {
	n.t.Helper()
	o := &ordering{n, make(chan ha.Answer, 1), make(chan error, 1)}
	came := n.Changed()
	go func() {
		answer, err := n.Order(ctx, what)
		o.answers <- answer
		o.faults <- err
	}()
	select {
	case <-n.wake: // the order is there
	case <-came:
	case <-time.After(10 * time.Second):
		n.t.Fatal("the order does not wake the agent")
	}
	return o
}

func (o *ordering) told(want ha.Outcome) {
	o.t.Helper()
	select {
	case answer := <-o.answers:
		if err := <-o.faults; err != nil || answer.Outcome != want {
			o.t.Fatalf("told %q, %v; want %q", answer.Outcome, err, want)
		}
	case <-time.After(10 * time.Second):
		o.t.Fatal("nobody is told")
	}
}

func newLeader(t *testing.T) *node {
	n := newNode(t)
	n.settle()
	return n
}

func TestARestartIsFollowedToItsEnd(t *testing.T) {
	n := newLeader(t)
	o := n.ordered(t.Context(), ha.Order{Task: ha.ToRestart})
	must(t, n)
	n.called("begin Stop")
	n.server.set(func() {
		n.server.job = ha.Job{Work: ha.StoppingServer, Purpose: ha.ForRestart}
	})
	must(t, n)
	if got := n.stored("members/n1"); !strings.Contains(got, `"state":"restarting","role":"primary"`) {
		t.Errorf("the member key says %s", got)
	}
	n.server.set(func() {
		n.server.job, n.server.last = ha.Job{}, ha.Finished{Count: 1, Work: ha.StoppingServer, Purpose: ha.ForRestart}
		n.server.seen.Running, n.server.seen.Answering, n.server.seen.Role, n.server.seen.WasPrimary = false, false, ha.RoleUnknown, true
	})
	must(t, n)
	n.called("begin StartPrimary")
	n.server.set(func() {
		n.server.last = ha.Finished{Count: 2, Work: ha.StartingPrimary, Purpose: ha.ForRestart}
		n.server.seen.Running, n.server.seen.Answering, n.server.seen.Role = true, true, ha.Primary
	})
	must(t, n)
	o.told(ha.Done)
	n.settle()
	if got := n.stored("members/n1"); !strings.Contains(got, `"state":"running"`) {
		t.Errorf("the member key says %s", got)
	}
}

func TestOneOrderAtATime(t *testing.T) {
	n := newLeader(t)
	ctx, leave := context.WithCancel(t.Context())
	first := n.ordered(ctx, ha.Order{Task: ha.ToRestart})
	var other *Ordered
	if _, err := n.Order(t.Context(), ha.Order{Task: ha.ToReinitialize}); !errors.As(err, &other) || other.Error() != "restart already in progress" {
		t.Errorf("a second order: %v", err)
	}
	leave()
	if err := <-first.faults; !errors.Is(err, context.Canceled) {
		t.Errorf("the first: %v", err)
	}
	must(t, n)
	n.called() // who asked went away before anything was begun
	second := n.ordered(t.Context(), ha.Order{Task: ha.ToRestart, Conditions: ha.Conditions{Pending: true}})
	must(t, n)
	second.told(ha.NotMet)
}

// A client that goes away must not leave a server down.
func TestARestartThatHasBegunGoesOnAlone(t *testing.T) {
	n := newLeader(t)
	ctx, leave := context.WithCancel(t.Context())
	o := n.ordered(ctx, ha.Order{Task: ha.ToRestart})
	must(t, n)
	n.called("begin Stop")
	leave()
	<-o.faults
	n.server.set(func() {
		n.server.last = ha.Finished{Count: 1, Work: ha.StoppingServer, Purpose: ha.ForRestart}
		n.server.seen.Running, n.server.seen.Answering, n.server.seen.Role, n.server.seen.WasPrimary = false, false, ha.RoleUnknown, true
	})
	must(t, n)
	n.called("begin StartPrimary")
}

func TestAScheduledRestartIsKeptAndComes(t *testing.T) {
	n := newLeader(t)
	at := n.now.Add(10 * time.Second)
	when := ha.Schedule{At: at, Published: []byte(`{"schedule":"then"}`)}
	if err := n.Schedule(when, ha.Order{Task: ha.ToRestart}); err != nil {
		t.Fatal(err)
	}
	if err := n.Schedule(when, ha.Order{Task: ha.ToRestart}); !errors.Is(err, ErrScheduled) {
		t.Errorf("a second one: %v", err)
	}
	if got := string(n.Scheduled().Published); got != `{"schedule":"then"}` { // before the next pass
		t.Errorf("whoever scheduled it is shown %s", got)
	}
	n.settle()
	if got := n.stored("members/n1"); !strings.Contains(got, `"scheduled_restart":{"schedule":"then"}`) {
		t.Errorf("the member key says %s", got)
	}
	n.now = at
	for range 3 {
		must(t, n)
	}
	n.server.set(func() {
		if len(n.server.calls) == 0 || n.server.calls[len(n.server.calls)-1] != "begin Stop" {
			t.Errorf("called %q", n.server.calls)
		}
	})
	if n.Unschedule() {
		t.Error("it is still kept after it came")
	}
}

func TestAScheduledRestartCanBeTakenBack(t *testing.T) {
	n := newLeader(t)
	if n.Unschedule() {
		t.Error("there was none")
	}
	if err := n.Schedule(ha.Schedule{At: n.now.Add(time.Minute), Published: []byte(`{}`)}, ha.Order{Task: ha.ToRestart}); err != nil {
		t.Fatal(err)
	}
	n.settle()
	if !n.Unschedule() {
		t.Error("there was one")
	}
	n.settle()
	if got := n.stored("members/n1"); strings.Contains(got, "scheduled_restart") {
		t.Errorf("the member key says %s", got)
	}
}

func must(t *testing.T, n *node) {
	t.Helper()
	if _, err := n.step(); err != nil {
		t.Fatal(err)
	}
}

package daemon

import (
	"os/exec"
	"testing"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/fence"
	"matriarch/internal/permit"
)

// foundRunning is a keeper whose server was there before it, as one that Patroni
// started, and has been adopted by a first pass.
func foundRunning(t *testing.T) (*keeper, int) {
	t.Helper()
	k := newTestKeeper(t, shortDir(t))
	server := exec.Command("/bin/sleep", "60")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	t.Cleanup(func() {
		_ = server.Process.Kill()
		<-ended
	})
	k.Hold(t.Context(), server.Process.Pid, true)
	if s := k.status(t); s.PID != server.Process.Pid || s.Armed || s.Standing != fence.Running {
		t.Fatalf("adopted: %+v", s)
	}
	return k, server.Process.Pid
}

func TestAPrimaryThatIsTakenOverIsArmedBeforeOthersCountOnIt(t *testing.T) {
	k, pid := foundRunning(t)
	if err := k.Keep(permit.Kept{Term: 5}, true); err == nil {
		t.Error("a term is kept, and so put, while nothing stops the server")
	}
	if err := k.Keep(permit.Kept{}, false); err != nil {
		t.Errorf("nothing to keep: %v", err)
	}
	before := boottime.Now()
	if err := k.armAhead(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	s := k.status(t)
	if !s.Armed || s.Deadline < before.Add(time.Minute) || s.Deadline > in(time.Minute) || s.Standing != fence.Running {
		t.Errorf("armed ahead: %+v", s)
	}
	if err := k.armAhead(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if later := k.status(t); later.Deadline != s.Deadline {
		t.Errorf("a takeover that is sent again moves the end of the first: %+v", later)
	}
	if err := k.Keep(permit.Kept{Term: 5}, true); err != nil {
		t.Errorf("armed, and the term is not kept: %v", err)
	}
	k.Hold(t.Context(), pid, true)
	if s := k.status(t); !s.Armed {
		t.Errorf("the next pass has disarmed it: %+v", s)
	}
}

// A leader key that Patroni left is taken up by a put of which the answer can be lost:
// the server stands still from before it is sent.
func TestAWordThatThereIsNoPermitArmsAPrimaryThatNoGuardHad(t *testing.T) {
	k, pid := foundRunning(t)
	k.Deadline(0)
	k.Hold(t.Context(), pid, true)
	k.awaitFrozen(t, true)
	if s := k.status(t); !s.Armed {
		t.Errorf("not armed: %+v", s)
	}
	k.Deadline(in(time.Minute))
	k.awaitFrozen(t, false)
}

func TestNothingIsPutBeforeAPassHasLooked(t *testing.T) {
	k := newTestKeeper(t, shortDir(t))
	if _, err := k.Find(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := k.Keep(permit.Kept{Term: 5}, true); err == nil {
		t.Error("kept before it is known whether a primary runs")
	}
	k.Hold(t.Context(), 0, false)
	if err := k.Keep(permit.Kept{Term: 5}, true); err != nil {
		t.Errorf("there is no server: %v", err)
	}
}

// The permit's goroutine tells the agent and the keeper by different ways.
func TestAPromotionWaitsAMomentForThePermit(t *testing.T) {
	k := newTestKeeper(t, shortDir(t))
	k.Deadline(in(time.Minute))
	standby := sleeper(t)
	standby.Primary = false
	k.launched(t, standby)
	k.Deadline(0)
	armed := make(chan error, 1)
	go func() { armed <- k.arm(t.Context()) }()
	k.Deadline(in(time.Minute))
	if err := <-armed; err != nil {
		t.Fatal(err)
	}
	if s := k.status(t); !s.Armed || s.Standing != fence.Running {
		t.Errorf("armed: %+v", s)
	}
	k.Deadline(0)
	if err := k.arm(t.Context()); err == nil {
		t.Error("armed for a promotion without a permit")
	}
}

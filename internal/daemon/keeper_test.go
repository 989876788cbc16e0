package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/fence"
	"matriarch/internal/permit"
	"matriarch/internal/postgres"
)

// sleeper stands in for a postmaster.
func sleeper(t *testing.T) postgres.Command {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	return postgres.Command{Path: "/bin/sleep", Args: []string{"sleep", "60"}, Dir: "/", Output: null, Primary: true}
}

// shortDir is a directory with a name that a socket's path has room for.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "keeper")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func newTestKeeper(t *testing.T, dir string) *keeper {
	t.Helper()
	k := newKeeper(filepath.Join(dir, "data"), time.Minute, slog.New(slog.DiscardHandler))
	t.Cleanup(k.close)
	return k
}

// launched is a keeper whose server has been started, killed after the test.
func (k *keeper) launched(t *testing.T, c postgres.Command) int {
	t.Helper()
	pid, err := k.Launch(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	return pid
}

// TestAServerThatEndsAtOnceIsNotWaitedFor: the guard's word that it has ended may be heard
// before it was known that there is one.
func TestAServerThatEndsAtOnceIsNotWaitedFor(t *testing.T) {
	k := newTestKeeper(t, shortDir(t))
	c := sleeper(t)
	c.Path, c.Args, c.Primary = "/bin/true", []string{"true"}, false
	for range 200 {
		if _, err := k.Launch(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		dying := exec.Command("/bin/sleep", "60")
		if err := dying.Start(); err != nil {
			t.Fatal(err)
		}
		pid := dying.Process.Pid
		go func() { _ = dying.Process.Kill() }()
		k.Hold(t.Context(), pid, false)
		_ = dying.Wait()
		awaitThat(t, "the guard without a server", func() (bool, any) {
			k.mu.Lock()
			defer k.mu.Unlock()
			return k.server == 0, k.server
		})
	}
}

func (k *keeper) status(t *testing.T) fence.Status {
	t.Helper()
	s, err := k.current().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// awaitThat waits for a condition, and says what was seen last if it does not come.
func awaitThat(t *testing.T, what string, met func() (bool, any)) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	end := time.After(20 * time.Second)
	for {
		ok, seen := met()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited for %s, last seen: %+v", what, seen)
		}
	}
}

func (k *keeper) awaitDeadline(t *testing.T, at boottime.Instant) {
	t.Helper()
	awaitThat(t, fmt.Sprintf("deadline %d", at), func() (bool, any) {
		s := k.status(t)
		return s.Deadline == at, s
	})
}

func (k *keeper) awaitFrozen(t *testing.T, frozen bool) Standing {
	t.Helper()
	awaitThat(t, fmt.Sprintf("frozen %t", frozen), func() (bool, any) { s := k.Standing(); return s.Frozen == frozen, s })
	return k.Standing()
}

func in(d time.Duration) boottime.Instant { return boottime.Now().Add(d) }

func TestTheGuardGetsTheDeadlineAndOutlivesTheAgent(t *testing.T) {
	dir := shortDir(t)
	k := newTestKeeper(t, dir)
	until := in(time.Minute)
	k.Deadline(until)
	pid := k.launched(t, sleeper(t))
	if s := k.status(t); !s.Armed || s.PID != pid || s.Deadline != until || s.Standing != fence.Running {
		t.Errorf("a primary is guarded from its start: %+v", s)
	}
	later := until.Add(5 * time.Second)
	k.Deadline(later)
	k.awaitDeadline(t, later)
	k.Deadline(until)
	k.awaitDeadline(t, until) // the permit's goroutine knows why
	k.Hold(t.Context(), pid, true)
	if s := k.Standing(); !s.Armed || s.Frozen || s.Protection == "off" || s.Freezes != 0 {
		t.Errorf("standing: %+v", s)
	}

	k.close() // the agent is gone; the next one finds what it left
	again := newTestKeeper(t, dir)
	left, err := again.Find(t.Context())
	if err != nil || left.Server != pid || !left.Armed || left.Deadline != until || left.Leading {
		t.Errorf("left: %+v, %v", left, err)
	}
	again.Deadline(0) // it has no permit yet, and takes nothing from that of before
	if !again.armedFor(pid) || again.armedFor(pid+1) {
		t.Errorf("armed as it was left: %+v", again.Standing())
	}
	again.Hold(t.Context(), pid, true)
	if s := again.status(t); !s.Armed || s.PID != pid || s.Deadline != until || s.Standing != fence.Running {
		t.Errorf("found after a restart: %+v", s)
	}
	if err := again.arm(t.Context()); err == nil {
		t.Error("armed for a promotion without a permit of its own")
	}
	again.Deadline(in(time.Second)) // less than what was promised before
	again.Hold(t.Context(), pid, false)
	if s := again.status(t); s.Armed || s.Deadline != until || again.armedFor(pid) {
		t.Errorf("a standby is not guarded, and no promise is taken back: %+v", s)
	}
}

func TestAGuardIsHadBeforeThereIsADirectoryForTheData(t *testing.T) {
	k := newTestKeeper(t, filepath.Join(shortDir(t), "not", "there"))
	if k.launched(t, sleeper(t)); !k.guarded() {
		t.Errorf("no guard: %+v", k.Standing())
	}
	if info, err := os.Stat(filepath.Dir(k.socket)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v, %v", info, err)
	}
}

func TestWithoutAPermitTheServerIsFrozen(t *testing.T) {
	k := newTestKeeper(t, shortDir(t))
	woken := make(chan struct{}, 64)
	k.onChange(func() { woken <- struct{}{} })
	k.Deadline(in(time.Minute))
	pid := k.launched(t, sleeper(t))
	before := boottime.Now()
	k.Deadline(0)
	if s := k.awaitFrozen(t, true); s.Since < before || s.Freezes != 1 || !s.Armed {
		t.Errorf("frozen: %+v", s)
	}
	<-woken
	if err := k.permitted(); err == nil {
		t.Error("permitted without a permit")
	}
	k.Hold(t.Context(), pid, true) // changes nothing
	k.Deadline(in(time.Minute))
	if s := k.awaitFrozen(t, false); s.Freezes != 1 || s.FrozenTime <= 0 || s.Since != 0 {
		t.Errorf("thawed: %+v", s)
	}
	<-woken
	k.Deadline(in(30 * time.Millisecond)) // and nothing more is heard of the permit
	k.awaitFrozen(t, true)
	k.Hold(t.Context(), pid, false) // paused, or a standby
	k.awaitFrozen(t, false)
	if !k.kill(t.Context()) {
		t.Error("not killed")
	}
	awaitThat(t, "no protection without a server", func() (bool, any) {
		s := k.Standing()
		return s.Protection == "off" && !s.Armed && !s.Frozen, s
	})
}

func TestAPrimaryIsLaunchedFrozenWithoutAPermitUnlessItFoundsTheCluster(t *testing.T) {
	k := newTestKeeper(t, shortDir(t))
	k.founding.Store(true)
	pid := k.launched(t, sleeper(t))
	k.founding.Store(false)
	k.Hold(t.Context(), pid, true)
	if s := k.status(t); s.Armed || s.Standing != fence.Running {
		t.Errorf("armed before the first permit: %+v", s)
	}
	k.Deadline(in(time.Minute))
	k.Hold(t.Context(), pid, true)
	if s := k.status(t); !s.Armed || s.Standing != fence.Running {
		t.Errorf("not armed with the first permit: %+v", s)
	}
	k.Deadline(0)
	if !k.kill(t.Context()) {
		t.Fatal("not killed")
	}
	k.launched(t, sleeper(t))
	k.awaitFrozen(t, true)
}

func TestAServerThatWasRunningIsAdopted(t *testing.T) {
	k := newTestKeeper(t, shortDir(t))
	other := exec.Command("/bin/sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- other.Wait() }()
	pid := other.Process.Pid
	k.Hold(t.Context(), pid, true)
	if s := k.status(t); s.Armed || s.PID != pid {
		t.Errorf("adopted before a permit: %+v", s)
	}
	if s := k.Standing(); s.Protection != "adopted" {
		t.Errorf("standing: %+v", s)
	}
	k.Deadline(in(50 * time.Millisecond))
	k.Hold(t.Context(), pid, true)
	k.awaitFrozen(t, true)
	if !k.kill(t.Context()) {
		t.Error("not killed")
	}
	<-ended
}

// TestAServerThatEndsBeforeTheGuardHasItIsNoFault: at a stop the look is older than the
// end of the server.
func TestAServerThatEndsBeforeTheGuardHasItIsNoFault(t *testing.T) {
	var said strings.Builder
	k := newKeeper(filepath.Join(shortDir(t), "data"), time.Minute, slog.New(slog.NewTextHandler(&said, nil)))
	ended := exec.Command("/bin/true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	k.Hold(t.Context(), ended.Process.Pid, false)
	k.close()
	if strings.Contains(said.String(), "ERROR") {
		t.Errorf("said %s", said.String())
	}
}

func TestTheTermIsKeptForTheNextLife(t *testing.T) {
	dir := shortDir(t)
	k := newTestKeeper(t, dir)
	first := permit.Kept{Term: 7, Revision: 9, Electorate: permit.Electorate{Leader: "n1", Members: []string{"n2"}}}
	if err := k.Keep(first, true); err == nil {
		t.Error("kept without a guard having been looked for")
	}
	k.Deadline(in(time.Minute))
	k.launched(t, sleeper(t))
	keep := func(kept permit.Kept, leading bool) {
		t.Helper()
		awaitThat(t, "the record to be kept", func() (bool, any) { err := k.Keep(kept, leading); return err == nil, err })
	}
	keep(first, true)
	second := first
	second.Revision = 12
	keep(second, true)
	k.close()

	k = newTestKeeper(t, dir)
	left, err := k.Find(t.Context())
	if err != nil || !left.Leading || fmt.Sprint(left.Kept) != fmt.Sprint(second) {
		t.Errorf("left %+v, %v; kept %+v", left, err, second)
	}
	keep(permit.Kept{}, false)
	if s := k.status(t); s.Kept != nil {
		t.Errorf("removed, and there is %q", s.Kept)
	}

	// A guard that dies is replaced, and gets the record again.
	keep(first, true)
	if err := k.current().Break(); err != nil {
		t.Fatal(err)
	}
	awaitThat(t, "the guard to be missed", func() (bool, any) { return k.current() == nil, "it is not" })
	if p := k.Standing().Protection; p != "off" {
		t.Errorf("protection %q by a dead guard", p)
	}
	k.Hold(t.Context(), 0, false)
	if s := k.status(t); !strings.Contains(string(s.Kept), `"term":7`) {
		t.Errorf("the new guard has %q", s.Kept)
	}
}

// TestAGuardThatWasStoppedFreezesAllTheSame stops the guard, as a person may with
// the wrong pid.
func TestAGuardThatWasStoppedFreezesAllTheSame(t *testing.T) {
	k := newTestKeeper(t, shortDir(t))
	k.Deadline(in(time.Minute))
	k.launched(t, sleeper(t))
	if err := syscall.Kill(k.current().Found().GuardPID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	later := in(time.Hour)
	k.Deadline(later)
	k.awaitDeadline(t, later) // each deadline continues it
	soon := in(200 * time.Millisecond)
	k.Deadline(soon)
	k.awaitDeadline(t, soon)
	if err := syscall.Kill(k.current().Found().GuardPID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	k.awaitFrozen(t, true) // and so does the end of the last one
	if k.current() == nil {
		t.Error("the guard was lost")
	}
}

// TestAGuardThatWasStoppedKeepsToWhatAnEarlierLifeHasLeft: the next life has no permit yet,
// and looks after the guard all the same.
func TestAGuardThatWasStoppedKeepsToWhatAnEarlierLifeHasLeft(t *testing.T) {
	dir := shortDir(t)
	k := newTestKeeper(t, dir)
	k.Deadline(in(time.Second))
	pid := k.launched(t, sleeper(t))
	k.close()
	again := newTestKeeper(t, dir)
	if left, err := again.Find(t.Context()); err != nil || left.Server != pid || !left.Armed {
		t.Fatalf("left: %+v, %v", left, err)
	}
	if err := syscall.Kill(again.current().Found().GuardPID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	again.Deadline(0)
	again.awaitFrozen(t, true)
	if again.current() == nil {
		t.Error("the guard was lost")
	}
}

// TestADeadlineWaitsForNobody has the slow side hang for good.
func TestADeadlineWaitsForNobody(t *testing.T) {
	k := newTestKeeper(t, shortDir(t))
	k.Deadline(in(time.Minute))
	k.launched(t, sleeper(t))
	k.turn.Lock()
	defer k.turn.Unlock()
	began := time.Now()
	for range 1000 {
		k.Deadline(in(time.Hour))
	}
	last := in(2 * time.Hour)
	k.Deadline(last)
	if took := time.Since(began); took > time.Second {
		t.Errorf("1000 deadlines took %v", took)
	}
	k.awaitDeadline(t, last)
}

func TestWithoutAGuardTheServerRunsAndThatIsSaid(t *testing.T) {
	var said strings.Builder
	k := newKeeper("/dev/null/data", time.Minute, slog.New(slog.NewTextHandler(&said, nil)))
	t.Cleanup(k.close)
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	k.Deadline(in(time.Minute))
	k.Hold(short, os.Getpid(), true)
	pid, err := k.Launch(short, sleeper(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Keep(permit.Kept{Term: 1}, true); err != nil {
		t.Errorf("there is nobody to keep it: %v", err)
	}
	if s := k.Standing(); s.Protection != "off" || s.Armed || s.Frozen {
		t.Errorf("standing: %+v", s)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	k.children.Wait()
	if n := strings.Count(said.String(), "without a guard"); n != 1 {
		t.Errorf("said %d times: %s", n, said.String())
	}
}

func TestAQuestionEndsWhenTheServerIsFrozen(t *testing.T) {
	k := newTestKeeper(t, shortDir(t))
	k.Deadline(in(time.Minute))
	k.launched(t, sleeper(t))
	asking, done := k.whileRunning(t.Context())
	defer done()
	if asking.Err() != nil {
		t.Fatal("ended before the freeze")
	}
	k.Deadline(0)
	select {
	case <-asking.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the question waits for a frozen server")
	}
	later, doneLater := k.whileRunning(t.Context())
	defer doneLater()
	if later.Err() == nil {
		t.Error("a frozen server is asked")
	}
	k.Deadline(in(time.Minute))
	k.awaitFrozen(t, false)
	thawed, doneThawed := k.whileRunning(t.Context())
	defer doneThawed()
	if thawed.Err() != nil {
		t.Error("a server that runs again is not asked")
	}
}

func TestWithoutAGuardTheServerIsKilledAtTheEndOfThePermit(t *testing.T) {
	k := newKeeper("/dev/null/data", time.Minute, slog.New(slog.DiscardHandler))
	t.Cleanup(k.close)
	killed := make(chan struct{}, 1)
	k.onOverdue(func() { killed <- struct{}{} })
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	k.Hold(short, os.Getpid(), true) // no permit yet: nothing ends
	end := in(300 * time.Millisecond)
	k.Deadline(end)
	k.Hold(t.Context(), os.Getpid(), true)
	k.Deadline(end.Add(100 * time.Millisecond))
	<-killed
	if early := end.Add(100 * time.Millisecond).Sub(boottime.Now()); early > 0 {
		t.Errorf("S1 is kept, and %v too early", early)
	}
	k.Hold(t.Context(), os.Getpid(), false)
	k.Deadline(in(time.Millisecond))
	k.Hold(t.Context(), 0, false)
	select {
	case <-killed:
		t.Error("a standby was killed")
	default:
	}
}

// A postmaster that is killed ends before its children do, and the guard has the server
// until the last of them. A start that comes in between waits for that.
func TestAStartWaitsForTheLastProcessOfTheServerBefore(t *testing.T) {
	k := newTestKeeper(t, shortDir(t))
	c := sleeper(t)
	c.Path, c.Args, c.Primary = "/bin/sh", []string{"sh", "-c", "sleep 1 & exec sleep 60"}, false // one that runs without a permit
	pid := k.launched(t, c)
	awaitThat(t, "the shell has begun its child, and become a sleeper", func() (bool, any) {
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		return err == nil && strings.TrimSpace(string(name)) == "sleep", string(name)
	})
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if next := k.launched(t, sleeper(t)); next == pid {
		t.Errorf("the server is %d again", next)
	}
}

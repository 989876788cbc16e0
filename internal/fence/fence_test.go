package fence

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"matriarch/internal/boottime"
)

// late is how late after its deadline a server may be seen frozen here. It is
// generous, for a process that was preempted stops only when it gets the processor
// again, and other tests may have that. What is measured is in BenchmarkFreeze.
const late = 5 * time.Second

// busy is a server of n processes that keep both processors, and one that writes.
func busy(n int) string {
	return fmt.Sprintf(`i=0; while [ $i -lt %d ]; do (while :; do :; done) & i=$((i+1)); done
(while :; do echo >> "$DIR/written"; done) & wait`, n)
}

func TestTheProtectionIsTheExpectedOne(t *testing.T) {
	expect := Protection(os.Getenv(expectEnv))
	if expect == "" {
		t.Skip("which one is right here is not known")
	}
	n := newNode(t, time.Minute)
	n.shell("exec sleep 1000", false, 0)
	if s := n.status(); s.Protection != expect || n.Protection() != expect {
		t.Errorf("got %q by %q, want %q", s.Protection, s.Method, expect)
	}
	if err := n.Kill(limited(t)); err != nil {
		t.Fatal(err)
	}
	if p := n.Protection(); p != Off {
		t.Errorf("%q without a server", p)
	}
}

func TestAServerIsFrozenAtItsDeadlineAndThawed(t *testing.T) {
	n := newNode(t, time.Minute)
	_, deadline := n.shell(busy(8), true, 300*time.Millisecond)
	frozen := n.event(WasFrozen)
	if frozen.At < deadline {
		t.Errorf("frozen %v before the deadline", deadline.Sub(frozen.At))
	}
	if over := frozen.At.Sub(deadline); over > late {
		t.Errorf("frozen %v after the deadline: begun %v late, took %v", over, frozen.Late, frozen.Took)
	}
	size := len(n.read("written"))
	n.mustStandStill()
	if now := len(n.read("written")); now != size {
		t.Errorf("%d bytes were written by a frozen server", now-size)
	}
	had := len(n.server())
	if err := n.Extend(boottime.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	n.event(WasThawed)
	n.await("writing to go on", func() (bool, string) {
		now := len(n.read("written"))
		return now > size, strconv.Itoa(now)
	})
	if now := len(n.server()); now != had {
		t.Errorf("%d processes after the thaw, %d before", now, had)
	}
	if s := n.status(); s.Freezes != 1 || s.Standing != Running || s.FrozenTime < 150*time.Millisecond {
		t.Errorf("status after one freeze: %+v", s)
	}
}

func TestAnEarlierDeadlineIsWithoutEffect(t *testing.T) {
	n := newNode(t, time.Minute)
	_, deadline := n.shell("exec sleep 1000", true, time.Hour)
	if err := n.Extend(boottime.Now()); err != nil {
		t.Fatal(err)
	}
	if s := n.status(); s.Deadline != deadline || s.Standing != Running {
		t.Errorf("deadline %d, %v; want %d, running", s.Deadline, s.Standing, deadline)
	}
}

func TestAStandbyIsNotFrozenUntilItIsArmed(t *testing.T) {
	n := newNode(t, time.Minute)
	n.shell("exec sleep 1000", false, -time.Second)
	if s := n.status(); s.Standing != Running || s.Armed || s.Freezes != 0 {
		t.Fatalf("a standby without a permit: %+v", s)
	}
	if err := n.Arm(limited(t), boottime.Now().Add(50*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	n.event(WasFrozen)
	if err := n.Disarm(limited(t)); err != nil {
		t.Fatal(err)
	}
	n.event(WasThawed)
}

func TestAPrimaryWithoutAPermitIsFrozenAtOnce(t *testing.T) {
	n := newNode(t, time.Minute)
	n.shell(busy(1), true, -time.Second)
	n.event(WasFrozen)
	n.mustStandStill()
}

func TestAFreezeThatIsToldHoldsAgainstExtensions(t *testing.T) {
	n := newNode(t, time.Minute)
	n.shell(busy(2), true, time.Minute)
	if err := n.Freeze(limited(t)); err != nil {
		t.Fatal(err)
	}
	if err := n.Extend(boottime.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	n.mustStandStill()
	if err := n.Release(limited(t)); err != nil {
		t.Fatal(err)
	}
	n.event(WasThawed)
}

func TestAKillOfAFrozenServerLeavesNothing(t *testing.T) {
	n := newNode(t, time.Minute)
	n.shell(busy(20), true, 200*time.Millisecond)
	n.event(WasFrozen)
	size := len(n.read("written"))
	if err := n.Kill(limited(t)); err != nil {
		t.Fatal(err)
	}
	if left := n.server(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if now := len(n.read("written")); now != size {
		t.Errorf("%d bytes were written by a server that was killed frozen", now-size)
	}
	if e := n.event(Exited); !e.Exit.Status.Signaled() {
		t.Errorf("ended by %q", e.Exit.How)
	}
	n.shell("exit 3", false, 0) // the next one is not born frozen
	if e := n.event(Exited); e.Exit.Status.ExitStatus() != 3 {
		t.Errorf("ended by %q, want exit status 3", e.Exit.How)
	}
}

func TestAKillOfARunningServerLeavesNothing(t *testing.T) {
	n := newNode(t, time.Minute)
	n.shell(busy(20), false, 0)
	n.awaitProcesses(20)
	if err := n.Kill(limited(t)); err != nil {
		t.Fatal(err)
	}
	if left := n.server(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestAFrozenServerIsKilledWhenNothingComes(t *testing.T) {
	n := newNode(t, 200*time.Millisecond)
	n.shell(busy(3), true, 100*time.Millisecond)
	frozen := n.event(WasFrozen)
	gone := n.event(Exited)
	if lasted := gone.At.Sub(frozen.At) + frozen.Took; lasted < 200*time.Millisecond {
		t.Errorf("killed after %v, told to wait 200 ms", lasted)
	}
	if left := n.server(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestAProcessThatForksAllTheTimeDoesNotEscape(t *testing.T) {
	n := newNode(t, time.Minute)
	n.shell(`i=0; while [ $i -lt 4 ]; do (while :; do /bin/true & (/bin/true; /bin/true) & wait $!; done) & i=$((i+1)); done; wait`, true, time.Minute)
	n.awaitProcesses(5)
	for range 5 {
		if err := n.Freeze(limited(t)); err != nil {
			t.Fatal(err)
		}
		n.mustStandStill()
		if err := n.Release(limited(t)); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Kill(limited(t)); err != nil {
		t.Fatal(err)
	}
	if left := n.server(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// TestAForkThatWaitsForItsChildIsFrozen stops a child between vfork and exec, which
// holds its parent in the kernel: it must be seen as frozen, and can be killed.
func TestAForkThatWaitsForItsChildIsFrozen(t *testing.T) {
	n := newNode(t, time.Minute)
	n.shell(`i=0; while [ $i -lt 8 ]; do (while :; do /bin/true; done) & i=$((i+1)); done; wait`, true, time.Minute)
	n.awaitProcesses(9)
	held := 0
	for range 20 {
		if err := n.Freeze(limited(t)); err != nil {
			t.Fatal(err)
		}
		for _, p := range n.server() {
			if p.state == "D" {
				held++
			}
		}
		if err := n.Release(limited(t)); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d parents were held in their fork", held)
	if err := n.Freeze(limited(t)); err != nil {
		t.Fatal(err)
	}
	if err := n.Kill(limited(t)); err != nil {
		t.Fatal(err)
	}
}

func TestWhatOutlivesThePostmasterIsEnded(t *testing.T) {
	n := newNode(t, time.Minute)
	n.shell(`(while :; do echo >> "$DIR/written"; done) & sleep 1000 & s=$!
until [ -s "$DIR/written" ] && read -r c < /proc/$s/comm && [ "$c" = sleep ]; do :; done; kill -9 $$`, true, time.Minute)
	e := n.event(Exited)
	if !strings.Contains(e.Exit.How, "signal 9") {
		t.Errorf("ended by %q", e.Exit.How)
	}
	size := len(n.read("written"))
	// A program that is not the server's own, as an archive command's, is let be.
	if left := n.server(); len(left) != 1 {
		t.Errorf("left: %v, want the sleep alone", left)
	}
	if now := len(n.read("written")); now != size {
		t.Errorf("%d bytes were written after the server was said to be gone", now-size)
	}
	for pid := range n.server() {
		p, err := os.FindProcess(pid)
		if err == nil {
			err = p.Kill()
		}
		if err != nil {
			t.Error(err)
		}
	}
}

func TestOneServerAtATime(t *testing.T) {
	n := newNode(t, time.Minute)
	n.shell("exec sleep 1000", false, 0)
	if _, err := n.Launch(limited(t), Command{Path: "/bin/true", Args: []string{"true"}}); err == nil {
		t.Error("a second server was started")
	}
	if err := n.End(limited(t)); err == nil {
		t.Error("a guard with a server let itself be ended")
	}
}

func TestAProgramThatIsNotThereIsAnError(t *testing.T) {
	n := newNode(t, time.Minute)
	if _, err := n.Launch(limited(t), Command{Path: "/nowhere/postgres", Args: []string{"postgres"}}); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("got %v", err)
	}
	n.shell("exit 0", false, 0)
	n.event(Exited)
}

// TestTheServerInheritsNoPrivilege looks at what the guard claims for itself alone.
func TestTheServerInheritsNoPrivilege(t *testing.T) {
	n := newNode(t, time.Minute)
	pid, _ := n.shell("sleep 1000 & wait", false, 0)
	n.awaitProcesses(2)
	self, _ := readProcess(os.Getpid())
	for _, p := range n.server() {
		if p.nice != self.nice || p.policy != 0 {
			t.Errorf("process %d: nice %d, policy %d; ours %d, 0", p.pid, p.nice, p.policy, self.nice)
		}
		if got, want := oomScore(t, p.pid), oomScore(t, os.Getpid()); got != want {
			t.Errorf("process %d: oom_score_adj %s, ours %s", p.pid, got, want)
		}
	}
	s := n.status()
	if os.Geteuid() == 0 && (!s.MemoryLocked || s.Priority == "normal") {
		t.Errorf("root's guard: %+v", s)
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", s.GuardPID))
	if err != nil || strings.TrimSpace(string(comm)) != "matriarch-guard" {
		t.Errorf("the guard is called %q, %v", comm, err)
	}
	if s.PID != pid {
		t.Errorf("server %d, started as %d", s.PID, pid)
	}
}

func oomScore(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

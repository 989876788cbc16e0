package pidone

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain is also process 1, and its child, in the tests' own PID namespaces.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "as-first" {
		if !Needed() {
			child()
		}
		code, err := Run()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// specified are the signals of B-743.
var specified = []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGABRT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2}

// child says each signal that it gets. It leaves an orphan behind, which ends at once.
func child() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, specified...)
	if len(os.Args) > 2 {
		code, err := strconv.Atoi(os.Args[2])
		if err != nil {
			panic(err)
		}
		os.Exit(code)
	}
	if err := exec.Command("sh", "-c", "sh -c : & exit").Run(); err != nil {
		panic(err)
	}
	fmt.Println("begun as a child of", os.Getppid())
	for s := range signals {
		fmt.Println("got", s)
	}
}

// inNamespace runs this test as process 1 of a PID namespace with its own /proc.
func inNamespace(t *testing.T, args ...string) (*exec.Cmd, *bufio.Scanner, *bytes.Buffer) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("PID namespaces need root")
	}
	cmd := exec.Command("/bin/sh", append([]string{"-c", `mount -t proc proc /proc && exec "$0" as-first "$@"`, os.Args[0]}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	errs := &bytes.Buffer{}
	cmd.Stderr = errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		limit.Stop()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd, bufio.NewScanner(out), errs
}

func TestEveryForwardedSignalReachesTheChild(t *testing.T) {
	cmd, out, errs := inNamespace(t)
	if !out.Scan() || out.Text() != "begun as a child of 1" {
		t.Fatalf("said %q: %s", out.Text(), errs)
	}
	for _, s := range specified {
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		if !out.Scan() || out.Text() != fmt.Sprint("got ", s) {
			t.Errorf("%v: said %q: %s", s, out.Text(), errs)
		}
	}
}

func TestOrphansAreReaped(t *testing.T) {
	cmd, out, errs := inNamespace(t)
	if !out.Scan() {
		t.Fatalf("it said nothing: %s", errs)
	}
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		// The child alone is left. It runs: the orphan was a zombie from its end on.
		left := childrenOf(t, cmd.Process.Pid)
		if len(left) == 1 {
			break
		}
		select {
		case <-again.C:
		case <-deadline.C:
			t.Fatalf("process 1 still has the children %v", left)
		}
	}
}

func childrenOf(t *testing.T, pid int) []string {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, task := range tasks { // orphans come to any of its threads
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, strings.Fields(string(text))...)
	}
	return found
}

func TestTheExitCodeIsTheChilds(t *testing.T) {
	for _, want := range []int{0, 1, 5} {
		cmd, out, errs := inNamespace(t, strconv.Itoa(want))
		if out.Scan() {
			t.Errorf("said %q", out.Text())
		}
		_ = cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("exit code %d instead of %d: %s", got, want, errs)
		}
	}
}

func TestAChildThatWasKilledEndsTheContainer(t *testing.T) {
	cmd, out, errs := inNamespace(t)
	if !out.Scan() {
		t.Fatalf("it said nothing: %s", errs)
	}
	for _, pid := range childrenOf(t, cmd.Process.Pid) {
		number, err := strconv.Atoi(pid)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(number, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
			t.Fatal(err)
		}
	}
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 128+9 {
		t.Errorf("exit code %d: %s", got, errs)
	}
}

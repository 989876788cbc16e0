package fence

import (
	"os/exec"
	"syscall"
	"testing"
	"time"
)

func TestTheKernelTellsThatAServerStandsStill(t *testing.T) {
	parent := exec.Command("/bin/sh", "-c", "sleep 60 & sleep 60 & wait")
	parent.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	pid := parent.Process.Pid
	t.Cleanup(func() {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
		_ = parent.Wait()
	})
	await := func(want bool, what string) {
		t.Helper()
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(10 * time.Second); Stopped(pid) != want; <-tick.C {
			if time.Now().After(deadline) {
				t.Fatalf("%s: stopped is not %t", what, want)
			}
		}
	}
	await(false, "it runs")
	if err := syscall.Kill(-pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	await(true, "all are stopped")
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	await(false, "one of them goes on")
	if Stopped(1 << 30) {
		t.Error("nobody stands still")
	}
}

package chaos

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
)

// spin keeps processors busy with CHAOS_SPIN processes until the end of the test:
// guards and agents that are late are where a margin shows to be too small.
func spin(t *testing.T) {
	t.Helper()
	count, err := strconv.Atoi(os.Getenv("CHAOS_SPIN"))
	if err != nil {
		return
	}
	for range count {
		cmd := exec.Command("sh", "-c", "while :; do :; done")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // killed, as it should be
		})
	}
}

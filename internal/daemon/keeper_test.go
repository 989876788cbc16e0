package daemon

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/fence"
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

func newTestKeeper(t *testing.T, dir string) *keeper {
	t.Helper()
	k := newKeeper(filepath.Join(dir, "data"), time.Minute, slog.New(slog.DiscardHandler))
	t.Cleanup(k.close)
	return k
}

func (k *keeper) status(t *testing.T) fence.Status {
	t.Helper()
	s, err := k.guard.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheGuardGetsTheLeaseAndOutlivesTheAgent(t *testing.T) {
	dir, err := os.MkdirTemp("", "keeper")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	k := newTestKeeper(t, dir)
	until := boottime.Now().Add(20 * time.Second)
	k.Hold(t.Context(), 0, false, until)
	pid, err := k.Launch(t.Context(), sleeper(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	s := k.status(t)
	if !s.Armed || s.PID != pid || s.Deadline != until.Add(-guardMargin) {
		t.Errorf("a primary is guarded from its start: %+v", s)
	}

	later := until.Add(5 * time.Second)
	k.Hold(t.Context(), pid, true, later)
	if s := k.status(t); s.Deadline != later.Add(-guardMargin) {
		t.Errorf("a renewal extends the deadline: %+v", s)
	}
	k.Hold(t.Context(), pid, true, 0)
	if s := k.status(t); !s.Armed || s.Deadline != later.Add(-guardMargin) {
		t.Errorf("not knowing is not extending, and not disarming: %+v", s)
	}

	k.close() // the agent is gone; the next one finds what it left
	again := newTestKeeper(t, dir)
	again.Hold(t.Context(), pid, true, 0)
	if s := again.status(t); !s.Armed || s.PID != pid || s.Deadline != later.Add(-guardMargin) {
		t.Errorf("found after a restart: %+v", s)
	}
	again.Hold(t.Context(), pid, false, 0)
	if s := again.status(t); s.Armed {
		t.Errorf("a standby is not guarded: %+v", s)
	}
	if err := again.arm(t.Context()); err == nil {
		t.Error("armed for a promotion without a lease")
	}
}

func TestWithoutAGuardTheServerRunsAndThatIsSaid(t *testing.T) {
	var said strings.Builder
	k := newKeeper("/nonexistent/data", time.Minute, slog.New(slog.NewTextHandler(&said, nil)))
	t.Cleanup(k.close)
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	k.Hold(short, os.Getpid(), true, boottime.Now().Add(time.Minute))
	pid, err := k.Launch(short, sleeper(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	k.watch.Wait()
	if n := strings.Count(said.String(), "without a guard"); n != 1 {
		t.Errorf("said %d times: %s", n, said.String())
	}
}

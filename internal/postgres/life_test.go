package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestPostmasterDeathIsNoticedAndRestartWorksAtOnce(t *testing.T) {
	n := newPrimary(t, "n1")
	// A backend that computes and so does not notice that its postmaster is dead.
	busy, err := n.connectLocal(within(t), "busy", false)
	n.must(err)
	defer busy.Close(context.Background())
	started := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		close(started)
		_, err := busy.Exec(context.Background(), "do $$ begin loop end loop; end $$")
		done <- err
	}()
	<-started
	eventually(t, "the backend is busy", func() (bool, string) {
		rows := n.sql("select state from pg_stat_activity where application_name = 'busy'")
		return len(rows) == 1 && rows[0] == "active", fmt.Sprint(rows)
	})
	drain(n.Changed())
	pid := n.Status(within(t)).PID
	began := time.Now()
	n.must(unix.Kill(pid, unix.SIGKILL))
	select {
	case <-n.Changed():
	case <-time.After(5 * time.Second):
		t.Fatal("nobody told us")
	}
	t.Logf("noticed after %v", time.Since(began))
	if n.Status(within(t)).Running {
		t.Fatal("a dead postmaster is reported as running")
	}
	n.must(n.StartPrimary(within(t)))
	n.must(n.WaitReady(within(t)))
	t.Logf("answers again after %v", time.Since(began))
	if err := <-done; err == nil {
		t.Fatal("the old backend came to an end in peace")
	}
}

func drain(c <-chan struct{}) {
	select {
	case <-c:
	default:
	}
}

func TestAdoptsARunningPostmaster(t *testing.T) {
	n := newPrimary(t, "n1")
	other := &node{Server: New(n.cfg(), n.log, time.Now), t: t, dir: n.dir, self: n.self}
	defer other.Close()
	st := other.Status(within(t))
	if !st.Answering || st.PID != n.Status(within(t)).PID {
		t.Fatalf("%+v", st)
	}
	if told, err := other.Reload(within(t), true); err != nil || !told {
		t.Fatalf("reload: %v %v", told, err)
	}
	n.must(other.Stop(within(t), StopOptions{Mode: Fast}))
	select {
	case <-n.Changed():
	case <-time.After(5 * time.Second):
		t.Fatal("the parent was not told")
	}
}

func TestStalePidFileOfAZombieOrAStranger(t *testing.T) {
	for name, stop := range map[string]bool{"zombie": true, "stranger": false} {
		t.Run(name, func(t *testing.T) {
			n := newPrimary(t, "n1")
			n.must(n.Stop(within(t), StopOptions{Mode: Fast}))
			child := exec.Command("sleep", "60")
			n.must(child.Start())
			t.Cleanup(func() {
				child.Process.Kill()
				child.Wait()
			})
			if stop {
				n.must(child.Process.Kill())
				eventually(t, "it is a zombie", func() (bool, string) {
					k := kin(child.Process.Pid, n.cfg().DataDir)
					return k == zombie, fmt.Sprint(k)
				})
			}
			stale := strconv.Itoa(child.Process.Pid) + "\n" + n.cfg().DataDir + "\n0\n"
			n.must(os.WriteFile(n.cfg().data("postmaster.pid"), []byte(stale), 0o600))
			if n.Status(within(t)).Running {
				t.Fatal("taken for a postmaster")
			}
			n.must(n.StartPrimary(within(t)))
			n.must(n.WaitReady(within(t)))

			n.must(n.KillAll(within(t)))
			n.must(os.WriteFile(n.cfg().data("postmaster.pid"), []byte(stale), 0o600))
			n.must(n.CrashRecover(within(t))) // as before a rewind
		})
	}
}

func TestStaleSocketLockOfAZombie(t *testing.T) {
	n := newNode(t, "n1")
	child := exec.Command("true")
	n.must(child.Start())
	t.Cleanup(func() { child.Wait() })
	eventually(t, "it is a zombie", func() (bool, string) {
		k := kin(child.Process.Pid, n.cfg().DataDir)
		return k == zombie, fmt.Sprint(k)
	})
	lock := filepath.Join(n.dir, ".s.PGSQL."+strconv.Itoa(n.cfg().port())+".lock")
	for pid, stale := range map[int]bool{child.Process.Pid: true, os.Getpid(): false} {
		n.must(os.WriteFile(lock, []byte(strconv.Itoa(pid)+"\n"+n.cfg().DataDir+"\n"), 0o600))
		if got := staleLock(n.cfg()); (got != nil) != stale {
			t.Errorf("process %d: %v", pid, got)
		}
	}
	n.must(os.WriteFile(lock, []byte(strconv.Itoa(child.Process.Pid)+"\n"+n.cfg().DataDir+"\n"), 0o600))
	n.must(n.Bootstrap(within(t)))
}

func TestServerThatCannotStartSaysWhy(t *testing.T) {
	n := newPrimary(t, "n1")
	n.must(n.Stop(within(t), StopOptions{Mode: Fast}))
	n.must(os.WriteFile(n.cfg().baseFile(), []byte("shared_preload_libraries = 'no_such_library'\n"), 0o600))
	n.must(n.StartPrimary(within(t)))
	err := n.WaitReady(within(t))
	if !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), "no_such_library") {
		t.Fatalf("%v", err)
	}
}

func TestFrozenServerIsNotDownAndCanBeKilled(t *testing.T) {
	n := newPrimary(t, "n1")
	all := relatives(n.cfg().DataDir)
	for _, pid := range all {
		n.must(unix.Kill(pid, unix.SIGSTOP))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	st := n.Status(ctx)
	if !st.Running || st.Answering || st.Err == nil {
		t.Fatalf("%+v", st)
	}
	n.must(n.KillAll(within(t)))
	if left := relatives(n.cfg().DataDir); len(left) != 0 || n.Status(within(t)).Running {
		t.Fatalf("left: %v", left)
	}
}

// Signals in the first milliseconds of a postmaster's life would end it.
func TestReloadAndPromoteRightAfterTheStart(t *testing.T) {
	n1 := newPrimary(t, "n1")
	n2 := newStandby(t, "n2", n1)
	for range 5 {
		n2.must(n2.Stop(within(t), StopOptions{Mode: Fast}))
		n2.must(n2.StartStandby(within(t), n1.self))
		_, err := n2.Reload(within(t), true)
		n2.must(err)
		n2.must(n2.WaitReady(within(t)))
	}
	n2.must(n2.Stop(within(t), StopOptions{Mode: Fast}))
	n2.must(n2.StartStandby(within(t), n1.self))
	n2.must(n2.Promote(within(t), 0))
}

package callback

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const patience = 20 * time.Second

// stage is a runner with a directory for its commands to write to.
type stage struct {
	*Runner
	t      *testing.T
	dir    string
	logged *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, dir: t.TempDir(), logged: &lockedBuffer{}}
	s.Runner = New([]string{"PATH=" + os.Getenv("PATH"), "ONLY=this"}, slog.New(slog.NewTextHandler(s.logged, nil)))
	return s
}

// call has the shell run a script; it finds its directory as $0.
func (s *stage) call(action, script string) {
	s.Call(Call{Action: action, Argv: []string{"/bin/sh", "-c", script, s.dir, action, "primary", "scope"}})
}

// end closes the runner and lets the last command come to its end.
func (s *stage) end() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s.Close(ctx)
}

func (s *stage) text(name string) string {
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// await waits for a condition.
func (s *stage) await(what string, holds func() bool) {
	s.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-limit.C:
			s.t.Fatalf("never: %s; the log:\n%s", what, s.logged)
		}
	}
}

// pid waits for a command to have written one.
func (s *stage) pid(name string) int {
	s.t.Helper()
	pid := 0
	s.await(name+" holds a process number", func() bool {
		pid, _ = strconv.Atoi(s.text(name))
		return pid > 0
	})
	return pid
}

// gone reports that there is no such process, or only what is left of it.
func gone(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(text), ") Z ")
}

func TestACommandGetsItsArgumentsAndItsEnvironment(t *testing.T) {
	s := newStage(t)
	s.call("on_start", `echo "$@" "$ONLY" "$HOME" > "$0/out"`)
	s.end()
	if got := s.text("out"); got != "on_start primary scope this" {
		t.Errorf("it was given %q", got)
	}
	if !strings.Contains(s.logged.String(), "callback is done") {
		t.Errorf("log: %s", s.logged)
	}
}

func TestANewCallbackKillsTheRunningOneWithItsChildren(t *testing.T) {
	s := newStage(t)
	// The second child is in a session of its own, the third has lost its parent.
	s.call("on_start", `sleep 100 & echo $! > "$0/child"; setsid sh -c 'echo $$ > "$0/session"; sleep 100; :' "$0" & `+
		`(sleep 100 & echo $! > "$0/orphan"); echo $$ > "$0/self"; wait`)
	pids := []int{s.pid("child"), s.pid("session"), s.pid("orphan"), s.pid("self")}
	s.call("on_role_change", `echo after > "$0/second"`)
	s.await("the second ran", func() bool { return s.text("second") == "after" })
	for _, pid := range pids {
		s.await(fmt.Sprintf("%d of %v is gone", pid, pids), func() bool { return gone(pid) })
	}
	s.end()
}

func TestOnlyTheNewestThatWaitsIsRun(t *testing.T) {
	s := newStage(t)
	s.mu.Lock()
	s.events.next <- Call{Action: "on_start", Argv: []string{"/bin/sh", "-c", `echo 1 >> "$0/out"; sleep 100`, s.dir, "on_start", "replica", "scope"}}
	s.mu.Unlock()
	s.await("the first runs", func() bool { return s.text("out") == "1" })
	for i := 2; i <= 5; i++ {
		s.call("on_role_change", fmt.Sprintf(`echo %d >> "$0/out"; sleep 100`, i))
	}
	s.await("the newest runs", func() bool { return strings.HasSuffix(s.text("out"), "5") })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.Close(ctx)
}

func TestAReloadHasALaneOfItsOwn(t *testing.T) {
	s := newStage(t)
	s.call("on_start", `echo $$ > "$0/start"; exec sleep 100`)
	start := s.pid("start")
	s.call(Reload, `trap 'echo asked > "$0/term"; exit' TERM; echo $$ > "$0/reload"; while :; do sleep 0.01; done`)
	reload := s.pid("reload")
	s.call(Reload, `trap '' TERM; echo $$ > "$0/deaf"; while :; do sleep 0.01; done`)
	deaf := s.pid("deaf")
	s.await("the first reload is gone", func() bool { return gone(reload) })
	if s.text("term") != "asked" {
		t.Error("it was not asked to end first (B-232)")
	}
	s.call(Reload, `echo $$ > "$0/last"`)
	s.pid("last")
	s.await("the deaf one is gone", func() bool { return gone(deaf) })
	if gone(start) {
		t.Error("a reload ended another callback")
	}
	if err := syscall.Kill(start, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	s.end()
}

func TestTheEndWaitsForTheLastCallbackAndNotForEver(t *testing.T) {
	s := newStage(t)
	s.call("on_stop", `sleep 0.2; echo down > "$0/out"`) // put just before the end
	s.end()
	if s.text("out") != "down" {
		t.Error("the last callback was cut short")
	}
	s.call("on_start", `echo up > "$0/out"`)

	s = newStage(t)
	s.call("on_stop", `echo $$ > "$0/pid"; sleep 100; :`)
	pid := s.pid("pid")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	s.Close(ctx)
	if !gone(pid) {
		t.Error("it runs on after the end")
	}
}

func TestACommandThatCannotBeRunIsToldAndHarmsNobody(t *testing.T) {
	s := newStage(t)
	s.Call(Call{Action: "on_start", Argv: []string{s.dir + "/none", "on_start", "primary", "scope"}})
	s.await("it is told", func() bool { return strings.Contains(s.logged.String(), "could not be run") })
	s.call("on_stop", "exit 3")
	s.end()
	if !strings.Contains(s.logged.String(), "exit status 3") {
		t.Errorf("log: %s", s.logged)
	}
}

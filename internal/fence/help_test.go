package fence

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"matriarch/internal/boottime"
)

// patience is how long a test waits for what must come. It is not what it
// expects: this machine may be busy with others' work.
const patience = 20 * time.Second

func limited(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// node is one data directory's guard in a test.
type node struct {
	t   testing.TB
	dir string
	o   Options
	*Guard
	ended bool
}

// newNode starts a guard, and ends it and its server after the test.
func newNode(t testing.TB, giveUp time.Duration) *node {
	t.Helper()
	dir, err := os.MkdirTemp("", "f") // t.TempDir's name is longer than a socket's may be
	if err != nil {
		t.Fatal(err)
	}
	output, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, dir: dir, o: Options{Socket: filepath.Join(dir, "guard.sock"), GiveUp: giveUp, Output: output}}
	n.connect()
	t.Cleanup(n.end)
	return n
}

func (n *node) connect() {
	n.t.Helper()
	g, err := Start(limited(n.t), n.o)
	if err != nil {
		n.t.Fatalf("%v\nguard's log:\n%s", err, n.read("log"))
	}
	n.Guard = g
}

func (n *node) end() {
	if n.ended {
		return
	}
	n.ended = true
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if s, err := n.Status(ctx); err == nil && s.PID != 0 {
		if err := n.Kill(ctx); err != nil {
			n.t.Errorf("clean up: %v", err)
		}
	}
	n.Close()
	n.await("the guard to end", func() (bool, string) {
		_, err := os.Stat(n.o.Socket)
		return errors.Is(err, fs.ErrNotExist) || n.dead(), "its socket is there"
	})
	n.sweep()
	if n.t.Failed() {
		n.t.Logf("guard's log:\n%s", n.read("log"))
	}
	n.o.Output.Close()
	os.RemoveAll(n.dir)
}

// sweep ends what a server has left that lost its guard: a shell's children take no
// notice when it gets the SIGQUIT.
func (n *node) sweep() {
	names, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		n.t.Error(err)
	}
	for _, name := range names {
		environ, err := os.ReadFile(name + "/environ")
		if err != nil || !slices.Contains(strings.Split(string(environ), "\x00"), "DIR="+n.dir) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(name)); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by now
		}
	}
}

func (n *node) dead() bool {
	_, err := os.Stat("/proc/" + strconv.Itoa(n.Found().GuardPID))
	return err != nil
}

func (n *node) read(name string) string {
	text, err := os.ReadFile(filepath.Join(n.dir, name))
	if err != nil {
		return ""
	}
	return string(text)
}

// await waits for a condition, and says what was seen last if it does not come.
func (n *node) await(what string, met func() (bool, string)) {
	n.t.Helper()
	await(n.t, what, met)
}

func await(t testing.TB, what string, met func() (bool, string)) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for {
		ok, seen := met()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited for %s, last seen: %s", what, seen)
		}
	}
}

// event waits for the next event of a kind.
func (n *node) event(kind Kind) Event {
	n.t.Helper()
	end := time.After(patience)
	for {
		select {
		case e, open := <-n.Events():
			if !open {
				n.t.Fatalf("the connection ended while waiting for %q", kind)
			}
			if e.Kind == kind {
				return e
			}
		case <-end:
			n.t.Fatalf("no event %q", kind)
		}
	}
}

func (n *node) status() Status {
	n.t.Helper()
	s, err := n.Status(limited(n.t))
	if err != nil {
		n.t.Fatal(err)
	}
	return s
}

// shell starts a shell script as the server. Its working directory is the node's.
func (n *node) shell(script string, armed bool, permit time.Duration) (pid int, deadline boottime.Instant) {
	n.t.Helper()
	deadline = boottime.Now().Add(permit)
	pid, err := n.Launch(limited(n.t), Command{
		Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin", "DIR=" + n.dir}, Dir: n.dir,
		Armed: armed, Deadline: deadline,
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return pid, deadline
}

// process is what /proc tells of one.
type process struct {
	pid, parent int
	state       string
	ticks       int // of processor time used
	nice        int
	policy      int
}

func readProcess(pid int) (process, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, false
	}
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	number := func(field int) int { // numbered as in proc(5)
		n, err := strconv.Atoi(f[field-3])
		if err != nil {
			panic(err)
		}
		return n
	}
	return process{pid: pid, parent: number(4), state: f[0], ticks: number(14) + number(15), nice: number(19), policy: number(41)}, true
}

// server lists the living processes below the guard: postmaster and all.
func (n *node) server() map[int]process {
	n.t.Helper()
	return descendants(n.t, n.Found().GuardPID)
}

func descendants(t testing.TB, root int) map[int]process {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	children := map[int][]process{}
	for _, name := range names {
		pid, _ := strconv.Atoi(filepath.Base(name))
		if p, ok := readProcess(pid); ok {
			children[p.parent] = append(children[p.parent], p)
		}
	}
	found := map[int]process{}
	queue := []int{root}
	for len(queue) > 0 {
		for _, p := range children[queue[0]] {
			queue = append(queue, p.pid)
			if p.state != "Z" && p.state != "X" {
				found[p.pid] = p
			}
		}
		queue = queue[1:]
	}
	return found
}

func (n *node) awaitProcesses(least int) {
	n.t.Helper()
	n.await(fmt.Sprintf("%d processes", least), func() (bool, string) {
		have := len(n.server())
		return have >= least, fmt.Sprintf("%d", have)
	})
}

// mustStandStill watches the server: for a while no process of it may use the
// processor, come or go.
func (n *node) mustStandStill() {
	n.t.Helper()
	before := n.server()
	if len(before) == 0 {
		n.t.Fatal("no process is there to stand still")
	}
	<-time.After(150 * time.Millisecond)
	after := n.server()
	for pid, p := range after {
		was, known := before[pid]
		if !known {
			n.t.Errorf("process %d came to be in a frozen server", pid)
		} else if p.ticks != was.ticks {
			n.t.Errorf("process %d ran for %d ticks in a frozen server", pid, p.ticks-was.ticks)
		}
	}
	for pid := range before {
		if _, still := after[pid]; !still {
			n.t.Errorf("process %d ended in a frozen server", pid)
		}
	}
}

package fence

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"matriarch/internal/boottime"
)

// agentEnv makes the test binary an agent that starts a server and then does
// nothing until it is killed.
const agentEnv = "FENCE_TEST_AGENT"

func agentThatDies(socket string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	output, err := os.Create(filepath.Join(filepath.Dir(socket), "log"))
	var g *Guard
	if err == nil {
		g, err = Start(ctx, Options{Socket: socket, GiveUp: 500 * time.Millisecond, Output: output})
	}
	if err == nil {
		_, err = g.Launch(ctx, Command{
			Path: "/bin/sh", Args: []string{"sh", "-c", busy(3)}, Env: []string{"PATH=/usr/bin:/bin", "DIR=" + filepath.Dir(socket)}, Dir: "/",
			Armed: true, Deadline: boottime.Now().Add(400 * time.Millisecond),
		})
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("running", g.Found().GuardPID)
	<-ctx.Done()
	os.Exit(0)
}

// TestTheDeadlineOutlivesTheAgent kills the agent that started guard and server.
func TestTheDeadlineOutlivesTheAgent(t *testing.T) {
	dir, err := os.MkdirTemp("", "f")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "guard.sock")
	agent := exec.Command(os.Args[0])
	agent.Env = append(os.Environ(), agentEnv+"="+socket)
	agent.Stderr = os.Stderr
	out, err := agent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	var guardPID int
	if _, bad := fmt.Sscanf(line, "running %d", &guardPID); err != nil || bad != nil {
		t.Fatalf("the agent said %q, %v", line, err)
	}
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = agent.Wait() // killed
	server := func() map[int]process { return descendants(t, guardPID) }
	if len(server()) == 0 {
		t.Fatal("the server died with the agent")
	}
	await(t, "a freeze", func() (bool, string) {
		before := server()
		<-time.After(60 * time.Millisecond)
		ran := 0
		for pid, p := range server() {
			if p.ticks != before[pid].ticks {
				ran++
			}
		}
		return ran == 0, fmt.Sprintf("%d processes run", ran)
	})
	await(t, "the end of the server", func() (bool, string) { return len(server()) == 0, fmt.Sprint(server()) })
	await(t, "the end of the guard", func() (bool, string) {
		p, there := readProcess(guardPID)
		return !there || p.state == "Z", p.state
	})
}

func TestARestartedAgentFindsEverything(t *testing.T) {
	n := newNode(t, time.Minute)
	pid, deadline := n.shell(busy(2), true, 500*time.Millisecond)
	first := n.Guard
	n.connect() // the old connection still stands, as that of an agent that hangs
	found := n.Found()
	if found.PID != pid || found.Deadline != deadline || !found.Armed || found.GuardPID != first.Found().GuardPID || found.GiveUp != time.Minute {
		t.Errorf("found %+v; started %d with deadline %d", found, pid, deadline)
	}
	await(t, "the old connection to be closed", func() (bool, string) {
		select {
		case <-first.done:
			return true, ""
		default:
			return false, "it is open"
		}
	})
	if err := first.Extend(deadline.Add(time.Hour)); err == nil {
		t.Error("an agent that was replaced could extend the permit")
	}
	first.Close()
	n.event(WasFrozen)
	n.Close()
	n.connect()
	if s := n.Found(); s.Standing != Frozen || s.PID != pid {
		t.Errorf("found after the freeze: %+v", s)
	}
	if err := n.Extend(boottime.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	n.event(WasThawed)
}

func TestTheServerIsToldWhenTheGuardDies(t *testing.T) {
	n := newNode(t, time.Minute)
	n.shell(`trap 'echo quit > "$DIR/said"; exit' QUIT; echo ready > "$DIR/said"; while :; do sleep 0.01; done`, true, time.Minute)
	n.await("the trap", func() (bool, string) { return n.read("said") == "ready\n", n.read("said") })
	if err := n.Break(); err != nil {
		t.Fatal(err)
	}
	n.await("SIGQUIT", func() (bool, string) { return n.read("said") == "quit\n", n.read("said") })
	if _, err := n.Status(limited(t)); err == nil {
		t.Error("a dead guard gave an answer")
	}
	n.Close()
	n.connect() // a new one takes the place: the lock went with the old one
	if s := n.status(); s.PID != 0 || s.Deadline != 0 {
		t.Errorf("a new guard: %+v", s)
	}
}

func TestASignalDoesNotEndTheGuard(t *testing.T) {
	n := newNode(t, time.Minute)
	n.shell("exec sleep 1000", true, time.Minute)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE} {
		if err := syscall.Kill(n.Found().GuardPID, sig); err != nil {
			t.Fatal(err)
		}
	}
	n.status()
}

func TestAnAdoptedServerIsFrozenAndKilled(t *testing.T) {
	n := newNode(t, time.Minute)
	other := exec.Command("/bin/sh", "-c", busy(5))
	other.Env = []string{"PATH=/usr/bin:/bin", "DIR=" + n.dir}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- other.Wait() }()
	pid := other.Process.Pid
	await(t, "its children", func() (bool, string) { return len(descendants(t, pid)) >= 6, "" })
	if err := n.Adopt(limited(t), pid, true, boottime.Now().Add(100*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	n.event(WasFrozen)
	states := func() string {
		var all []string
		for _, p := range descendants(t, pid) {
			all = append(all, p.state)
		}
		return strings.Join(all, "")
	}
	if s := states(); strings.Trim(s, "T") != "" {
		t.Errorf("states %s", s)
	}
	if s := n.status(); s.Protection != Adopted || s.PID != pid {
		t.Errorf("status %+v", s)
	}
	if err := n.Extend(boottime.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	n.event(WasThawed)
	n.event(WasFrozen)
	left := descendants(t, pid)
	if err := n.Kill(limited(t)); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("it ended well")
	}
	for child := range left {
		await(t, "the end of every child", func() (bool, string) {
			p, there := readProcess(child)
			return !there || p.state == "Z", fmt.Sprint(p)
		})
	}
	if err := n.Adopt(limited(t), pid, true, 0); err == nil {
		t.Error("a process that has ended was adopted")
	}
}

// TestAServerLeftFrozenIsAdoptedFrozen kills the guard of a frozen server. The
// kernel's SIGQUIT waits behind the freeze; the next guard must find the server
// frozen, and be able to end it.
func TestAServerLeftFrozenIsAdoptedFrozen(t *testing.T) {
	n := newNode(t, time.Minute)
	pid, _ := n.shell(busy(2), true, time.Minute)
	n.awaitProcesses(4)
	if err := n.Freeze(limited(t)); err != nil {
		t.Fatal(err)
	}
	left := n.server()
	if err := n.Break(); err != nil {
		t.Fatal(err)
	}
	n.Close()
	n.connect()
	if err := n.Adopt(limited(t), pid, true, 0); err != nil {
		t.Fatal(err)
	}
	if s := n.status(); s.Standing != Frozen || s.Protection != Adopted || n.Protection() != Adopted {
		t.Errorf("adopted: %+v", s)
	}
	n.event(WasFrozen) // the agent is told what it could not know
	if err := n.Kill(limited(t)); err != nil {
		t.Fatal(err)
	}
	for child := range left {
		await(t, "the end of every process", func() (bool, string) {
			p, there := readProcess(child)
			return !there || p.state == "Z", fmt.Sprint(p)
		})
	}
}

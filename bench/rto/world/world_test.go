package world

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain runs the tests inside a world of their own.
func TestMain(m *testing.M) {
	code, err := 0, error(nil)
	switch {
	case MyRole() == InNode:
		err = RunNode()
	case MyRole() == Inside || os.Geteuid() != 0:
		code = m.Run()
	default:
		code, err = Enter(false)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

const (
	nobody   = 65534
	patience = 20 * time.Second
)

// open makes a world with two nodes that are on.
func open(t *testing.T) (a, b *Node) {
	t.Helper()
	if MyRole() != Inside {
		t.Skip("namespaces need root")
	}
	ctx := limited(t)
	w, err := New(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ip(context.Background(), "link", "del", "sw"); err != nil {
			t.Error(err)
		}
	})
	dir, err := os.MkdirTemp(w.Dir, t.Name())
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	var nodes []*Node
	for i, host := range []string{"192.168.110.31", "192.168.110.32"} {
		n, err := w.NewNode(fmt.Sprintf("n%d", i+1), host, filepath.Join(dir, fmt.Sprintf("n%d", i+1)), nobody, nobody)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := n.Off(context.Background()); err != nil {
				t.Error(err)
			}
		})
		if err := n.Boot(ctx, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, n)
	}
	return nodes[0], nodes[1]
}

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// reaches reports whether a server at an address takes a connection.
func reaches(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error), address string) bool {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	conn, err := dial(ctx, "tcp", address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func TestACableThatIsCutLeavesTheNodeToItself(t *testing.T) {
	a, b := open(t)
	ctx := limited(t)
	var server net.Listener
	must(t, a.within(func() (err error) {
		server, err = net.Listen("tcp", a.Host+":5000")
		return err
	}))
	defer server.Close()
	outside := new(net.Dialer).DialContext
	check := func(when string, want bool) {
		t.Helper()
		if got := reaches(ctx, outside, server.Addr().String()); got != want {
			t.Errorf("%s: the client reaches the node: %v", when, got)
		}
		if got := reaches(ctx, b.Dial, server.Addr().String()); got != want {
			t.Errorf("%s: the other node reaches it: %v", when, got)
		}
		if !reaches(ctx, a.Dial, server.Addr().String()) {
			t.Errorf("%s: the node does not reach itself", when)
		}
	}
	check("plugged", true)
	must(t, a.Cut(ctx))
	check("cut", false)
	must(t, a.Heal(ctx))
	// A link that comes up asks for its neighbours first, and may have to ask again.
	await(ctx, t, "the client and the other node reach it again", func() bool {
		return reaches(ctx, outside, server.Addr().String()) && reaches(ctx, b.Dial, server.Addr().String())
	})
}

// sleeper is a service that does nothing, in a shell that has a child as well.
func sleeper(n *Node, script string) Service {
	return Service{Name: "sleeper", Args: []string{"/bin/sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, Log: filepath.Join(n.Dir, "log")}
}

func TestAServiceIsStartedSignalledAndEnded(t *testing.T) {
	a, _ := open(t)
	ctx := limited(t)
	marks := filepath.Join(a.Dir, "marks")
	script := "trap 'echo hup >>" + marks + "' HUP; id -u >>" + marks + "; while :; do sleep 0.01; done"
	must(t, a.Start(ctx, sleeper(a, script)))
	if err := a.Start(ctx, sleeper(a, script)); err == nil {
		t.Error("it is started twice")
	}
	awaitText(ctx, t, marks, "65534\n")
	// The shell may be between two commands of its loop, where a signal can be lost.
	again := time.NewTicker(time.Second)
	defer again.Stop()
	must(t, a.Signal(ctx, "sleeper", syscall.SIGHUP))
	await(ctx, t, "the service has heard a signal", func() bool {
		select {
		case <-again.C:
			must(t, a.Signal(ctx, "sleeper", syscall.SIGHUP))
		default:
		}
		text, _ := os.ReadFile(marks)
		return strings.HasPrefix(string(text), "65534\nhup\n")
	})
	must(t, a.End(ctx, "sleeper", syscall.SIGKILL))
	if err := a.Signal(ctx, "sleeper", syscall.SIGHUP); err == nil {
		t.Error("a service that has ended takes a signal")
	}
	must(t, a.Start(ctx, sleeper(a, script)))
}

func TestAnOrphanIsReaped(t *testing.T) {
	a, _ := open(t)
	ctx := limited(t)
	lock := filepath.Join(a.Dir, "postmaster.pid")
	// The shell's child outlives it, as a postmaster does its agent.
	must(t, a.Start(ctx, sleeper(a, "sleep 1000 & echo $! >"+lock+".new; mv "+lock+".new "+lock+"; wait")))
	text := awaitText(ctx, t, lock, "\n")
	must(t, a.End(ctx, "sleeper", syscall.SIGKILL))
	must(t, a.SignalPostmaster(ctx, a.Dir, syscall.Signal(0)))
	must(t, a.SignalPostmaster(ctx, a.Dir, syscall.SIGKILL))
	await(ctx, t, "process "+strings.TrimSpace(text)+" is gone", func() bool {
		return a.SignalPostmaster(ctx, a.Dir, syscall.Signal(0)) != nil // a zombie takes it
	})
}

func TestTheLossOfANodeEndsEverythingInIt(t *testing.T) {
	a, b := open(t)
	ctx := limited(t)
	marks := filepath.Join(a.Dir, "marks")
	must(t, a.Start(ctx, sleeper(a, "(while :; do echo >>"+marks+"; sleep 0.01; done) & wait")))
	awaitText(ctx, t, marks, "\n\n")
	must(t, a.Kill(ctx))
	before, err := os.ReadFile(marks)
	must(t, err)
	if err := a.Start(ctx, sleeper(a, "true")); err == nil {
		t.Error("a node that is off starts a service")
	}
	must(t, a.Boot(ctx, nobody, nobody))
	var server net.Listener
	must(t, a.within(func() (err error) {
		server, err = net.Listen("tcp", a.Host+":5000")
		return err
	}))
	defer server.Close()
	if !reaches(ctx, b.Dial, server.Addr().String()) {
		t.Error("the node is not reached after its second boot")
	}
	after, err := os.ReadFile(marks)
	must(t, err)
	if len(after) != len(before) {
		t.Error("a process outlived its node")
	}
}

func awaitText(ctx context.Context, t *testing.T, path, suffix string) string {
	t.Helper()
	var text []byte
	await(ctx, t, fmt.Sprintf("%s ends with %q", path, suffix), func() bool {
		text, _ = os.ReadFile(path)
		return strings.HasSuffix(string(text), suffix)
	})
	return string(text)
}

func await(ctx context.Context, t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not in time: %s", what)
		}
	}
}

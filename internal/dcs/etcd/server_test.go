package etcd

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"matriarch/internal/dcs"
)

// patience is how long anything may take on a busy machine.
const patience = 20 * time.Second

// server is one real etcd member, run from Debian's binary.
type server struct {
	name, client, peer, dir string
	args                    []string

	cmd *exec.Cmd
	out *output
}

// output collects what a process prints, to be shown when a test fails.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// servers prepares n members of one cluster on free loopback ports, and starts
// them.
func servers(t *testing.T, n int, args ...string) []*server {
	t.Helper()
	if _, err := exec.LookPath("etcd"); err != nil {
		t.Skip("no etcd on this machine")
	}
	var list []*server
	var initial []string
	for i := range n {
		s := &server{
			name:   fmt.Sprintf("m%d", i+1),
			client: freePort(t),
			peer:   freePort(t),
			dir:    filepath.Join(t.TempDir(), "data"),
			args:   args,
		}
		list = append(list, s)
		initial = append(initial, s.name+"=http://"+s.peer)
	}
	for _, s := range list {
		s.args = append(s.args, "--initial-cluster="+strings.Join(initial, ","))
		s.start(t)
		t.Cleanup(func() { s.kill() })
	}
	return list
}

func (s *server) start(t *testing.T) {
	t.Helper()
	scheme := "http"
	for _, a := range s.args {
		if strings.HasPrefix(a, "--cert-file") {
			scheme = "https"
		}
	}
	s.cmd = exec.Command("etcd", append([]string{
		"--name=" + s.name, "--data-dir=" + s.dir, "--unsafe-no-fsync",
		"--listen-client-urls=" + scheme + "://" + s.client, "--advertise-client-urls=" + scheme + "://" + s.client,
		"--listen-peer-urls=http://" + s.peer, "--initial-advertise-peer-urls=http://" + s.peer,
		"--heartbeat-interval=50", "--election-timeout=500",
	}, s.args...)...)
	s.cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if s.out == nil {
		s.out = &output{}
		t.Cleanup(func() {
			if t.Failed() {
				lines := strings.Split(s.out.String(), "\n")
				t.Logf("%s printed:\n%s", s.name, strings.Join(lines[max(0, len(lines)-15):], "\n"))
			}
		})
	}
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

// kill ends the process without a word.
func (s *server) kill() { s.end(syscall.SIGKILL) }

func (s *server) end(signal syscall.Signal) {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(signal)
	_ = s.cmd.Wait()
	s.cmd = nil
}

func (s *server) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// ctl runs etcdctl against the member.
func (s *server) ctl(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("etcdctl", append([]string{"--endpoints=http://" + s.client}, args...)...)
	cmd.Env = append(os.Environ(), "ETCDCTL_API=3")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("etcdctl %v: %v: %s", args, err, out)
	}
	return string(out)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// open opens a store on the members, for as long as the test lasts.
func open(t *testing.T, list []*server, change func(*Config)) *Store {
	t.Helper()
	cfg := Config{Prefix: "/service/test/", KeepOrder: true}
	for _, s := range list {
		cfg.Endpoints = append(cfg.Endpoints, s.client)
	}
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func await(t *testing.T, s dcs.Store, what string, holds func(dcs.Snapshot, bool) bool) {
	t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		snapshot, current := s.Mirror()
		if holds(snapshot, current) {
			return
		}
		select {
		case <-s.Changed():
		case <-end.C:
			t.Fatalf("waited %v for %s; last seen: current %v, %v", patience, what, current, snapshot.Values)
		}
	}
}

// until waits for what no change of the mirror tells of.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-end.C:
			t.Fatalf("waited %v until %s", patience, what)
		}
	}
}

func current(_ dcs.Snapshot, current bool) bool    { return current }
func notCurrent(_ dcs.Snapshot, current bool) bool { return !current }

func put(key, value string) dcs.Txn {
	return dcs.Txn{Then: []dcs.Op{{Key: key, Data: []byte(value)}}}
}

func mustCommit(t *testing.T, s *Store, txn dcs.Txn) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	revision, err := s.Commit(ctx, txn)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

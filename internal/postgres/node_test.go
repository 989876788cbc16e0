package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const testPassword = `Fin'pros:2023\,`

// node is a server under test.
type node struct {
	*Server
	t    *testing.T
	dir  string
	self Upstream
	told *told // by its log
}

func freePort(t *testing.T, host string) int {
	t.Helper()
	listener, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// newNode makes a node with an empty data directory.
func newNode(t *testing.T, name string, change ...func(*Config)) *node {
	t.Helper()
	if testRoot == "" {
		t.Skip("no PostgreSQL in " + binDir)
	}
	dir, err := os.MkdirTemp(testRoot, name)
	if err != nil {
		t.Fatal(err)
	}
	const host = "127.0.115.1"
	cfg := Config{
		Name: name, Scope: "mycluster", DataDir: filepath.Join(dir, "data"), BinDir: binDir,
		LogFile: filepath.Join(dir, "log"), ListenAddresses: host, Port: freePort(t, host),
		Superuser:   Credentials{Username: "postgres", Password: testPassword},
		Replication: Credentials{Username: "replicator", Password: testPassword + "r"},
		Rewind:      Credentials{Username: "rewinder", Password: testPassword + "w"},
		PgPass:      filepath.Join(dir, "pgpass"),
		Parameters: map[string]string{"unix_socket_directories": dir, "log_statement": "all",
			"log_connections": "on", "fsync": "off", "shared_buffers": "16MB", "max_wal_size": "128MB", "min_wal_size": "32MB"},
		Initdb:       []string{"--encoding=UTF8", "--data-checksums", "--no-sync", "--locale=C"},
		BootstrapHBA: []string{"host replication replicator 127.0.0.0/8 md5", "host all all 0.0.0.0/0 md5"},
		UseSlots:     true, UsePgRewind: true, CtlTimeout: 30 * time.Second,
	}
	for _, f := range change {
		f(&cfg)
	}
	l := &told{t: t}
	log := slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelInfo}))
	n := &node{Server: New(cfg, log, time.Now), t: t, dir: dir, told: l,
		self: Upstream{Name: name, Host: host, Port: cfg.Port}}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := n.KillAll(ctx); err != nil {
			t.Error(err)
		}
		n.Close()
		if t.Failed() {
			text, _ := os.ReadFile(cfg.LogFile)
			t.Logf("log of %s:\n%s", name, text[max(0, len(text)-3000):])
		}
	})
	return n
}

// told keeps what a node logs, and shows it with the test.
type told struct {
	t     *testing.T
	mu    sync.Mutex
	lines []string
}

func (l *told) Write(line []byte) (int, error) {
	l.t.Logf("%s", line[:len(line)-1])
	l.mu.Lock()
	defer l.mu.Unlock()
	_, message, _ := strings.Cut(strings.TrimSpace(string(line)), "msg=")
	l.lines = append(l.lines, strings.ReplaceAll(strings.Trim(message, `"`), `\"`, `"`))
	return len(line), nil
}

// beginning are the lines that begin so.
func (l *told) beginning(words string) (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.HasPrefix(line, words) {
			out = append(out, line)
		}
	}
	return out
}

// within is the time that any one step of a test may take.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

var template struct {
	sync.Once
	dir string
}

// newPrimary starts a primary on a copy of a cluster that is bootstrapped once.
func newPrimary(t *testing.T, name string, change ...func(*Config)) *node {
	t.Helper()
	n := newNode(t, name, change...)
	template.Do(func() {
		first := newNode(t, "template")
		first.must(first.Bootstrap(within(t)))
		first.must(first.PostBootstrap(within(t)))
		first.must(first.Stop(within(t), StopOptions{Mode: Fast}))
		template.dir = filepath.Join(testRoot, "template.data")
		n.must(os.Rename(first.cfg().DataDir, template.dir))
	})
	if out, err := exec.Command("cp", "-a", template.dir, n.cfg().DataDir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	n.must(n.StartPrimary(within(t)))
	n.must(n.WaitReady(within(t)))
	return n
}

// newStandby clones and starts a standby of a primary.
func newStandby(t *testing.T, name string, of *node, change ...func(*Config)) *node {
	t.Helper()
	n := newNode(t, name, change...)
	of.must(of.CreateSlot(within(t), name))
	n.must(n.BaseBackup(within(t), of.self, nil))
	up := of.self
	up.Slot = name
	n.must(n.StartStandby(within(t), up))
	n.must(n.WaitReady(within(t)))
	n.waitStreaming()
	return n
}

func (n *node) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

// eventually waits for a condition and says what was seen last.
func eventually(t *testing.T, what string, condition func() (bool, string)) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, seen := condition()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not in time: %s; last seen: %s", what, seen)
		}
	}
}

func (n *node) waitStreaming() {
	n.t.Helper()
	eventually(n.t, n.cfg().Name+" streams", func() (bool, string) {
		st := n.Status(n.t.Context())
		return st.Receiver != nil && st.Receiver.Status == "streaming", fmt.Sprintf("%+v", st)
	})
}

// sql runs a statement and returns its first column's rows as text.
func (n *node) sql(statement string) []string {
	n.t.Helper()
	conn, err := n.connectLocal(within(n.t), "test", false)
	if err != nil {
		n.t.Fatalf("%s: %v", statement, err)
	}
	defer conn.Close(context.Background())
	results, err := conn.PgConn().Exec(within(n.t), "set search_path = public; "+statement).ReadAll()
	if err != nil {
		n.t.Fatalf("%s: %v", statement, err)
	}
	var rows []string
	for _, r := range results {
		for _, row := range r.Rows {
			rows = append(rows, string(row[0]))
		}
	}
	return rows
}

func (n *node) wantSQL(statement string, want ...string) {
	n.t.Helper()
	if got := n.sql(statement); !slices.Equal(got, want) {
		n.t.Fatalf("%s: got %q, want %q", statement, got, want)
	}
}

// caughtUp waits until a standby has replayed all that the primary has written.
func (n *node) caughtUp(primary *node) {
	n.t.Helper()
	target := primary.Status(within(n.t)).Position
	eventually(n.t, n.cfg().Name+" has replayed "+target.String(), func() (bool, string) {
		st := n.Status(n.t.Context())
		return st.Replayed >= target, fmt.Sprintf("%+v", st)
	})
}

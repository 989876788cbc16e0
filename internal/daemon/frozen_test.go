package daemon

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/fence/watchdog"
	"matriarch/internal/ha"
	"matriarch/internal/postgres"
)

const serverBin = "/usr/lib/postgresql/15/bin"

// asPostgres runs the calling test once more as the user postgres when this is root,
// since PostgreSQL refuses to run as root. It is true in the one that is to go on.
func asPostgres(t *testing.T) bool {
	t.Helper()
	if _, err := os.Stat(serverBin + "/postgres"); err != nil {
		t.Skip("needs PostgreSQL")
	}
	if os.Geteuid() != 0 {
		return true
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		t.Skip("needs the user postgres")
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	dir := shortDir(t)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "daemon.test") // go test's own lies where only root can enter
	source, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	target, err := os.OpenFile(binary, os.O_CREATE|os.O_WRONLY, 0o755)
	if err == nil {
		_, err = io.Copy(target, source)
		target.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir, "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, Pdeathsig: syscall.SIGTERM}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("as postgres: %v\n%s", err, out)
	}
	return false
}

// TestAFrozenServerIsNotAsked freezes a real server, once before it is looked at and
// once while the question is under way.
func TestAFrozenServerIsNotAsked(t *testing.T) {
	if !asPostgres(t) {
		return
	}
	dir := shortDir(t)
	listener, err := net.Listen("tcp", "127.0.115.9:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	log, clock := slog.New(slog.DiscardHandler), boottime.NewClock()
	k := newTestKeeper(t, dir)
	pg := postgres.New(postgres.Config{
		Name: "n1", Scope: "demo", DataDir: filepath.Join(dir, "data"), BinDir: serverBin, LogFile: filepath.Join(dir, "log"),
		ListenAddresses: "127.0.115.9", Port: port, Superuser: postgres.Credentials{Username: "postgres", Password: "secret"},
		PgPass: filepath.Join(dir, "pgpass"), Initdb: []string{"--no-sync"}, BootstrapHBA: []string{"host all all 0.0.0.0/0 md5"},
		Parameters: map[string]string{"unix_socket_directories": dir, "fsync": "off", "shared_buffers": "16MB"}, CtlTimeout: 30 * time.Second,
	}, log, clock.Now)
	base, stop := context.WithCancel(t.Context())
	h := newHands(base, pg, k, newWarden(watchdog.Settings{}, log), nil, log, clock)
	t.Cleanup(h.close)
	t.Cleanup(stop)
	t.Cleanup(h.Kill)

	if err := h.bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	must := func(when string, answering bool) {
		t.Helper()
		began := time.Now()
		s := h.Observe(t.Context())
		if took := time.Since(began); !s.Running || s.Answering != answering || s.Role != ha.Primary || took > time.Second {
			t.Errorf("%s: running %t, answering %t, role %v, after %v", when, s.Running, s.Answering, s.Role, took)
		}
	}
	must("before", true)
	k.Deadline(boottime.Now().Add(time.Minute))
	k.Hold(t.Context(), k.status(t).PID, true)
	k.Deadline(0)
	k.awaitFrozen(t, true)
	must("frozen", false)
	k.Deadline(boottime.Now().Add(time.Minute))
	k.awaitFrozen(t, false)
	must("thawed", true)

	// Stopped by another hand, it hangs in the question; the guard's word ends that.
	stopAll(t, h.look.pid, syscall.SIGSTOP)
	seen := make(chan ha.Server, 1)
	go func() { seen <- h.Observe(t.Context()) }()
	select {
	case s := <-seen:
		t.Fatalf("a server that hangs gave an answer: %+v", s)
	case <-time.After(100 * time.Millisecond):
	}
	k.Deadline(0)
	began := time.Now()
	if s := <-seen; !s.Running || s.Answering || s.Role != ha.Primary || time.Since(began) > time.Second {
		t.Errorf("cut short after %v: %+v", time.Since(began), s)
	}
	k.Deadline(boottime.Now().Add(time.Minute))
	k.awaitFrozen(t, false)
	stopAll(t, h.look.pid, syscall.SIGCONT)
	must("thawed again", true)
}

// stopAll sends a signal to a postmaster and its children.
func stopAll(t *testing.T, postmaster int, sig syscall.Signal) {
	t.Helper()
	pid := strconv.Itoa(postmaster)
	out, err := exec.Command("ps", "-o", "pid=", "--ppid", pid, "--pid", pid).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range strings.Fields(string(out)) {
		if child, err := strconv.Atoi(field); err == nil {
			_ = syscall.Kill(child, sig) // it may have ended
		}
	}
}

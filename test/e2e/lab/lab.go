// Package lab runs whole clusters on one machine for tests: real agents, real
// PostgreSQL, real etcd, each a process of its own that a test can kill.
//
// The package knows the system from outside only: its files, its processes, its
// REST interface, its keys in etcd and what SQL says. It waits for conditions
// with a deadline and never for time to pass; who waits in vain is told what was
// seen last.
package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// BinDir is where PostgreSQL is.
var BinDir = fallback(os.Getenv("E2E_PG_BIN"), "/usr/lib/postgresql/15/bin")

const (
	rootVariable   = "E2E_ROOT"   // directory of this run, set by the supervisor
	binaryVariable = "E2E_BINARY" // the program under test, built if not given
	keepVariable   = "E2E_KEEP"   // if set, the directory of the run is kept
)

func fallback(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// Main runs the tests in a process of their own and afterwards ends whatever they
// left behind, also when that process was killed or ran out of time.
func Main(m *testing.M) int {
	if os.Getenv(rootVariable) != "" {
		return m.Run()
	}
	code, err := supervise()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func supervise() (int, error) {
	root, err := os.MkdirTemp("", "m-e2e-")
	if err != nil {
		return 1, err
	}
	if err := os.Chmod(root, 0o755); err != nil {
		return 1, err
	}
	defer sweep(root)
	binary, err := build(root)
	if err != nil {
		return 1, err
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), rootVariable+"="+root, binaryVariable+"="+binary)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			if err := cmd.Process.Signal(s); err != nil {
				fmt.Fprintln(os.Stderr, "pass on the signal:", err)
			}
		case <-ended:
			return cmd.ProcessState.ExitCode(), nil
		}
	}
}

// build makes the program under test.
func build(root string) (string, error) {
	if ready := os.Getenv(binaryVariable); ready != "" {
		return filepath.Abs(ready)
	}
	binary := filepath.Join(root, "matriarch")
	out, err := exec.Command("go", "build", "-o", binary, "matriarch/cmd/matriarch").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build matriarch: %w\n%s", err, out)
	}
	return binary, nil
}

// sweep ends every process of the run and removes its directory.
func sweep(root string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := killInside(ctx, root); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	unmountBelow(root)
	if os.Getenv(keepVariable) != "" {
		fmt.Fprintln(os.Stderr, "kept:", root)
		return
	}
	if err := os.RemoveAll(root); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// unmountBelow takes off what a test has mounted, as far as it is known to be of
// this run: what is mounted below the run's directory.
func unmountBelow(root string) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], root+"/") {
			if err := syscall.Unmount(fields[1], syscall.MNT_DETACH); err != nil {
				fmt.Fprintf(os.Stderr, "unmount %s: %v\n", fields[1], err)
			}
		}
	}
}

// require skips the test where the machine lacks something, and says what.
func require(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("not on this machine: %s", p)
		}
	}
}

// account is whom agents and servers run as: postgres when the tests run as root,
// since PostgreSQL refuses to; else ourselves.
func account(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		t.Skipf("the tests run as root, and there is no user postgres: %v", err)
	}
	uid, errUID := strconv.ParseUint(who.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(who.Gid, 10, 32)
	if errUID != nil || errGID != nil {
		t.Fatalf("user postgres has uid %s, gid %s", who.Uid, who.Gid)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

var directories atomic.Int64

// Dir makes a short directory (a socket's path has 107 bytes at most) that
// belongs to whom the servers run as. It lives until the end of the run.
func Dir(t testing.TB) string {
	t.Helper()
	root := os.Getenv(rootVariable)
	if root == "" {
		t.Fatal("the package's TestMain must call lab.Main")
	}
	path := filepath.Join(root, strconv.FormatInt(directories.Add(1), 10))
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	Own(t, path)
	return path
}

// Own gives a file to whom the servers run as.
func Own(t testing.TB, path string) {
	t.Helper()
	if who := account(t); who != nil {
		if err := os.Chown(path, int(who.Uid), int(who.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}

var (
	subnets     atomic.Int64
	reservation = 5430 // the port whose listener reserves a subnet
)

// Subnet gives a range of loopback addresses that nobody else uses: "127.x.y.".
// On addresses of its own a cluster can have the usual ports.
func Subnet(t testing.TB) string {
	t.Helper()
	for range 200 {
		n := subnets.Add(1)
		// 127.0.x and 127.1.x are what people use by hand.
		prefix := fmt.Sprintf("127.%d.%d.", 64+os.Getpid()%128, n%250+1)
		hold, err := net.Listen("tcp", net.JoinHostPort(prefix+"1", strconv.Itoa(reservation)))
		if err != nil {
			continue
		}
		t.Cleanup(func() { hold.Close() })
		return prefix
	}
	t.Fatal("no free range of loopback addresses")
	return ""
}

package fence

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// expectEnv says which protection the tests must find: without it, a freezer that
// has stopped working would go unnoticed, since signals stand in for it.
const expectEnv = "FENCE_TEST_EXPECT"

// unified is where this machine has cgroup version 2, or empty.
func unified() string {
	for _, dir := range []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		if _, err := os.Stat(dir + "/cgroup.procs"); err == nil {
			return dir
		}
	}
	return ""
}

// TestMain runs the tests as the user postgres when it is started as root, since
// PostgreSQL refuses to run as root: once with signals, once in a cgroup that is
// delegated to that user, as a systemd unit's is. Before that, as root.
func TestMain(m *testing.M) {
	if socket := os.Getenv(agentEnv); socket != "" {
		agentThatDies(socket)
	}
	if os.Geteuid() != 0 || os.Getenv(expectEnv) != "" {
		os.Exit(m.Run())
	}
	if unified() != "" {
		os.Setenv(expectEnv, string(Freezer))
	}
	code := m.Run()
	account, err := user.Lookup("postgres")
	if err != nil {
		fmt.Println("no user postgres: only root's tests were run")
		os.Exit(code)
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	dir, err := os.MkdirTemp("", "fence")
	if err == nil {
		err = os.Chown(dir, uid, gid)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, expect := range []Protection{Signals, Freezer} {
		code = max(code, runAs(dir, uid, gid, expect))
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func runAs(dir string, uid, gid int, expect Protection) int {
	// The test binary lies in a directory that only root can enter.
	binary := filepath.Join(dir, "fence.test")
	if err := copyFile(os.Args[0], binary); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// The log of opened files, by which go test caches results, is root's.
	arguments := slices.DeleteFunc(slices.Clone(os.Args[1:]), func(a string) bool { return strings.HasPrefix(a, "-test.testlogfile") })
	cmd := exec.Command(binary, arguments...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "HOME="+dir, "USER=postgres", "TMPDIR="+dir, expectEnv+"="+string(expect))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)},
		Pdeathsig:  syscall.SIGTERM,
	}
	if expect == Freezer {
		group, err := delegate(uid, gid)
		if err != nil {
			fmt.Println("no cgroup to delegate, the freezer was not tested unprivileged:", err)
			return 0
		}
		defer group.Close()
		defer removeGroup(group.Name())
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(group.Fd())
	}
	if err := cmd.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "as user %d with %s: %v\n", uid, expect, err)
		return 1
	}
	return 0
}

// removeGroup waits for the last guard in it to end. One that was killed has left
// its own cgroup behind, for the next guard to clear away.
func removeGroup(dir string) {
	left, err := filepath.Glob(filepath.Join(dir, "matriarch-guard-*"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	for _, child := range left {
		_ = syscall.Rmdir(child) // one in use goes with its guard
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for err := syscall.Rmdir(dir); err != nil; err = syscall.Rmdir(dir) {
		select {
		case <-tick.C:
		case <-end:
			fmt.Fprintf(os.Stderr, "remove %s: %v\n", dir, err)
			return
		}
	}
}

// delegate makes a cgroup as systemd does for Delegate=yes.
func delegate(uid, gid int) (*os.File, error) {
	dir := filepath.Join(unified(), "fence-test-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	for _, name := range []string{"", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"} {
		if err := os.Chown(filepath.Join(dir, name), uid, gid); err != nil {
			return nil, err
		}
	}
	return os.Open(dir)
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	// A guard that a failed test has left may still run the last one.
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil {
		target.Close()
		return err
	}
	return target.Close()
}

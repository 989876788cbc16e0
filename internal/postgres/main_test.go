package postgres

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// testRoot is a directory that the tests' servers live in, owned by whom they
// run as; empty where there is no PostgreSQL.
var testRoot string

// binDir is where the tests' PostgreSQL is.
var binDir = "/usr/lib/postgresql/15/bin"

// TestMain runs the tests as the user postgres when it is started as root, as in
// production: PostgreSQL refuses to run as root, and so do we.
func TestMain(m *testing.M) {
	if os.Getenv(holdEnv) != "" {
		holdTool()
	}
	if os.Geteuid() == 0 {
		os.Exit(runAsPostgres())
	}
	if _, err := os.Stat(filepath.Join(binDir, "postgres")); err != nil {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "mpg")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	testRoot = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func runAsPostgres() int {
	account, err := user.Lookup("postgres")
	if err != nil {
		fmt.Println("no user postgres: the tests with a server are skipped")
		return 0
	}
	uid, _ := strconv.ParseUint(account.Uid, 10, 32)
	gid, _ := strconv.ParseUint(account.Gid, 10, 32)
	// The test binary lies in a directory that only root can enter.
	dir, err := os.MkdirTemp("", "mpgbin")
	if err == nil {
		defer os.RemoveAll(dir)
		err = os.Chmod(dir, 0o755)
	}
	binary := filepath.Join(dir, "postgres.test")
	if err == nil {
		err = copyBinary(os.Args[0], binary)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// The log of opened files, by which go test caches results, is root's.
	arguments := slices.DeleteFunc(slices.Clone(os.Args[1:]), func(a string) bool { return strings.HasPrefix(a, "-test.testlogfile") })
	cmd := exec.Command(binary, arguments...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "HOME="+dir, "USER=postgres")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)},
		Pdeathsig:  syscall.SIGTERM,
	}
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func copyBinary(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil {
		target.Close()
		return err
	}
	return target.Close()
}

package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"matriarch/internal/config"
)

func testLayout(t *testing.T) *layout {
	t.Helper()
	l, err := newLayout("", owner{uid: os.Geteuid(), gid: os.Getegid()}, binaries{dir: "/usr/lib/postgresql/15/bin", version: "15.8", major: 15})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.close(false, false); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(l.dir); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", l.dir, err)
		}
	})
	return l
}

func TestConfigurationOfTheNodesIsAccepted(t *testing.T) {
	l := testLayout(t)
	for i := range nodeCount {
		path := l.config(l.name(i))
		c, report, err := config.Load(path, nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, p := range report.Problems {
			if !strings.Contains(p.String(), "which other nodes cannot reach") { // that is so, and meant
				t.Errorf("%s: %s", path, p)
			}
		}
		if c.Embedded == nil || len(c.Embedded.Members) != nodeCount || c.Postgresql.Authentication.Superuser.Password.Reveal() != l.password {
			t.Errorf("%s: %v", path, c)
		}
	}
}

func TestPasswordsAreInFilesOfTheirOwnerOnly(t *testing.T) {
	l := testLayout(t)
	err := filepath.WalkDir(l.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if text := l.howTo("node1"); strings.Contains(text, l.password) {
		t.Error("the password is shown on the screen")
	}
	if other := testLayout(t); other.password == l.password || l.password == l.repl {
		t.Error("passwords are not drawn anew")
	}
}

func TestTwoDemonstrationsShareNoPort(t *testing.T) {
	a, b := testLayout(t), testLayout(t)
	if a.ports.base == b.ports.base {
		t.Fatalf("both have the block of %d", a.ports.base)
	}
	low, high := ephemeralRange()
	for _, p := range []*ports{a.ports, b.ports} {
		if p.base+blockPorts >= low && p.base <= high {
			t.Errorf("block %d is among the kernel's %d to %d", p.base, low, high)
		}
		for i := range nodeCount {
			for _, port := range []int{p.postgres(i), p.api(i), p.client(i), p.peer(i)} {
				if port <= p.base || port >= p.base+blockPorts {
					t.Errorf("port %d is outside of its block", port)
				}
			}
		}
	}
}

func TestADirectoryThatSocketsCannotLiveInIsRefused(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("x", 80))
	if err := os.Mkdir(long, 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := makeDir(long, owner{})
	if err == nil || !strings.Contains(err.Error(), "too long") {
		t.Fatalf("%v", err)
	}
	t.Setenv("TMPDIR", long) // asked for by nobody: another place is found
	dir, err := makeDir("", owner{})
	if err != nil || strings.HasPrefix(dir, long) {
		t.Fatalf("%s, %v", dir, err)
	}
	if err := os.Remove(dir); err != nil {
		t.Error(err)
	}
}

func TestLogsOfAFailureAreKept(t *testing.T) {
	l := testLayout(t)
	if err := os.WriteFile(l.log("node1"), []byte("why\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.close(false, true); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(l.dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "logs" {
		t.Fatalf("%v, %v", entries, err)
	}
	if text, err := os.ReadFile(l.log("node1")); err != nil || string(text) != "why\n" {
		t.Fatalf("%q, %v", text, err)
	}
}

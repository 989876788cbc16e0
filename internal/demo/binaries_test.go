package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVersionIsRead(t *testing.T) {
	for text, want := range map[string]struct {
		version string
		major   int
	}{
		"postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)": {"15.8", 15},
		"postgres (PostgreSQL) 17beta1":                      {"17beta1", 17},
		"postgres (PostgreSQL) 9.6.24":                       {"9.6.24", 9},
	} {
		version, major, err := parseVersion(text)
		if err != nil || version != want.version || major != want.major {
			t.Errorf("%q: %q %d %v", text, version, major, err)
		}
	}
	if _, _, err := parseVersion("bash: no such thing"); err == nil {
		t.Error("nonsense is a version")
	}
}

// installation is a directory with programs that say a version.
func installation(t *testing.T, version string, leaveOut string) string {
	t.Helper()
	dir := t.TempDir()
	for _, program := range programs {
		if program == leaveOut {
			continue
		}
		script := "#!/bin/sh\necho '" + program + " (PostgreSQL) " + version + "'\n"
		if err := os.WriteFile(filepath.Join(dir, program), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAnInstallationIsInspected(t *testing.T) {
	for name, c := range map[string]struct{ version, leaveOut, fault string }{
		"good":         {"16.2", "", ""},
		"too old":      {"12.9", "", "older than 13"},
		"incomplete":   {"16.2", "pg_rewind", "pg_rewind is missing"},
		"no a program": {"", "", "cannot read the version"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := installation(t, c.version, c.leaveOut)
			b, err := findBinaries(t.Context(), dir)
			if c.fault == "" {
				if err != nil || b != (binaries{dir: dir, version: "16.2", major: 16}) {
					t.Fatalf("%+v, %v", b, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Fatalf("%v", err)
			}
		})
	}
}

func TestTheNewestInstallationIsTaken(t *testing.T) {
	newest := installation(t, "99.1", "")
	t.Setenv("PATH", newest+":"+os.Getenv("PATH"))
	b, err := findBinaries(t.Context(), "")
	if err != nil || b.dir != newest || b.major != 99 {
		t.Fatalf("%+v, %v", b, err)
	}
}

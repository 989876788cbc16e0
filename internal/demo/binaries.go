package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// oldest is the oldest major version whose pg_rewind does crash recovery by itself
// (release notes of PostgreSQL 13).
const oldest = 13

// programs must all be there; Debian has them in one package, others do not.
var programs = []string{"postgres", "initdb", "pg_basebackup", "pg_rewind", "pg_controldata"}

// binaries is one installation of PostgreSQL.
type binaries struct {
	dir     string
	version string // as it says itself: 15.8
	major   int
}

// findBinaries takes the given directory, or the newest installation that is found.
func findBinaries(ctx context.Context, given string) (binaries, error) {
	if given != "" {
		return inspectBinaries(ctx, given)
	}
	var best binaries
	var reasons []error
	for _, dir := range binaryDirs(ctx) {
		b, err := inspectBinaries(ctx, dir)
		if err != nil {
			reasons = append(reasons, err)
			continue
		}
		if b.major > best.major {
			best = b
		}
	}
	if best.dir == "" {
		return best, errors.Join(fmt.Errorf("found no PostgreSQL %d or newer in /usr/lib/postgresql, /usr/pgsql-*, PATH or by pg_config: "+
			"install the package postgresql (on Debian and Ubuntu: sudo apt-get install postgresql), or name its directory by --bin-dir", oldest),
			errors.Join(reasons...))
	}
	return best, nil
}

// binaryDirs are the places where packages put the programs, each once.
func binaryDirs(ctx context.Context) []string {
	var found []string
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"} {
		dirs, _ := filepath.Glob(pattern) // only a bad pattern is an error
		found = append(found, dirs...)
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		found = append(found, filepath.Dir(path))
	}
	if out, err := ask(ctx, "pg_config", "--bindir"); err == nil {
		found = append(found, out)
	}
	var dirs []string
	seen := map[string]bool{}
	for _, dir := range found {
		if _, err := os.Stat(filepath.Join(dir, "postgres")); err != nil || seen[dir] {
			continue // a directory of client programs only
		}
		seen[dir] = true
		dirs = append(dirs, dir)
	}
	return dirs
}

func inspectBinaries(ctx context.Context, dir string) (binaries, error) {
	for _, program := range programs {
		if _, err := exec.LookPath(filepath.Join(dir, program)); err != nil {
			return binaries{}, fmt.Errorf("use PostgreSQL in %s: %s is missing: %w", dir, program, err)
		}
	}
	out, err := ask(ctx, filepath.Join(dir, "postgres"), "--version")
	if err != nil {
		return binaries{}, fmt.Errorf("use PostgreSQL in %s: %w", dir, err)
	}
	b := binaries{dir: dir}
	if b.version, b.major, err = parseVersion(out); err != nil {
		return binaries{}, fmt.Errorf("use PostgreSQL in %s: %w", dir, err)
	}
	if b.major < oldest {
		return binaries{}, fmt.Errorf("use PostgreSQL in %s: it is version %s, older than %d", dir, b.version, oldest)
	}
	return b, nil
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) ((\d+)\S*)`)

// parseVersion reads "postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)", 17beta1
// too.
func parseVersion(text string) (version string, major int, err error) {
	m := versionPattern.FindStringSubmatch(text)
	if m == nil {
		return "", 0, fmt.Errorf("cannot read the version in %q", text)
	}
	major, err = strconv.Atoi(m[2])
	return m[1], major, err
}

// askTimeout is for a program that only prints a line about itself.
const askTimeout = 10 * time.Second

func ask(ctx context.Context, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).Output()
	if err != nil {
		return "", fmt.Errorf("run %s: %w", program, err)
	}
	return strings.TrimSpace(string(out)), nil
}

package lab

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Delegate makes a cgroup of version 2 that belongs to the servers' user, as a
// service manager does for a unit that says so. It is empty where the machine has
// none to give. It must be asked for before the cluster whose node is to live there.
func Delegate(t testing.TB, name string) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[2] != "cgroup2" {
			continue
		}
		dir := filepath.Join(fields[1], name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return ""
		}
		t.Cleanup(func() { undelegate(t, dir) })
		// What delegation is made of: the kernel's admin-guide/cgroup-v2.rst.
		for _, file := range []string{"", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"} {
			Own(t, filepath.Join(dir, file))
		}
		return dir
	}
	return ""
}

// undelegate removes a cgroup and those below, once their processes are gone.
func undelegate(t testing.TB, top string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := removeCgroups(top)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Errorf("remove cgroup %s: %v", top, err)
			return
		}
	}
}

func removeCgroups(top string) error {
	var dirs []string
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil // what is removed meanwhile need not be
	})
	for _, dir := range slices.Backward(dirs) { // the innermost first
		if e := syscall.Rmdir(dir); e != nil && !errors.Is(e, syscall.ENOENT) {
			err = e
		}
	}
	return err
}

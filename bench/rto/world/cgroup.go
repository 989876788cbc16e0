package world

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// makeGroup makes a cgroup for the run, below which every node gets one that
// belongs to the servers' user, as a unit with Delegate=yes does. Empty where the
// machine has no cgroup v2 that we may use; the nodes then have none.
func makeGroup() string {
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var fs unix.Statfs_t
		if err := unix.Statfs(root, &fs); err != nil || fs.Type != unix.CGROUP2_SUPER_MAGIC {
			continue
		}
		dir := filepath.Join(root, fmt.Sprintf("rto%d", os.Getpid()))
		if err := os.Mkdir(dir, 0o755); err == nil {
			return dir
		}
	}
	return ""
}

// sharesMax is the greatest value of cpu.shares; 1024 is anybody else's.
const sharesMax = "262144"

// makeShares makes a cgroup for the nodes, in version 1's hierarchy of processors
// where the machine has that, and gives it precedence over everything else on the
// machine: what is measured is to be as if it were alone. Empty where that cannot
// be had.
func makeShares() string {
	dir := fmt.Sprintf("/sys/fs/cgroup/cpu/rto%d", os.Getpid())
	if _, err := os.Stat("/sys/fs/cgroup/cpu/cpu.shares"); err != nil || os.Mkdir(dir, 0o755) != nil {
		return ""
	}
	if err := os.WriteFile(filepath.Join(dir, "cpu.shares"), []byte(sharesMax), 0); err != nil {
		return ""
	}
	return dir
}

// removeGroup removes a cgroup with all below. Nothing runs in them any more.
func removeGroup(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	for i := len(dirs) - 1; i >= 0; i-- { // those inside come after
		err = errors.Join(err, os.Remove(dirs[i]))
	}
	return err
}

// joinGroup gives a cgroup to the user and moves this process into it.
func joinGroup(dir string, uid, gid int) error {
	for _, name := range []string{"", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"} {
		if err := os.Chown(filepath.Join(dir, name), uid, gid); err != nil {
			return fmt.Errorf("give away the node's cgroup: %w", err)
		}
	}
	return enterGroup(dir)
}

// enterGroup moves this process into a cgroup.
func enterGroup(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0); err != nil {
		return fmt.Errorf("enter cgroup %s: %w", dir, err)
	}
	return nil
}

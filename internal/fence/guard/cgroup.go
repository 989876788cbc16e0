package guard

import (
	"errors"
	"os"
	"strconv"
	"syscall"
)

// cgroup is one of version 2 (the kernel's admin-guide/cgroup-v2.rst) that holds a
// server and nothing else. No controller is needed, so it can be a child of any
// cgroup that is ours, processes in it or not.
type cgroup struct {
	dir    string
	handle int // of the directory, for CLONE_INTO_CGROUP
	events int // cgroup.events: tells a change by EPOLLPRI
	made   bool
	asked  bool // 1 was written to cgroup.freeze
	hasEnd bool // cgroup.kill is there: Linux 5.14
	spent  bool // cgroup.kill was used
	hurry  hurry
	buffer [4096]byte
}

var errNoCgroup = errors.New("no cgroup of version 2 that is ours")

// newCgroup makes one for this guard, and tries on it what a freeze will need, so
// that a freezer that is announced is one that works. Serial counts those of one
// guard: a cgroup that was ended by cgroup.kill takes no new server, since Linux
// 6.14 to at least 6.18 kill whatever is born into it by CLONE_INTO_CGROUP (the
// new process's count of kills is taken from its parent's cgroup, and differs).
func newCgroup(serial int) (*cgroup, error) {
	own, top, err := ownCgroup()
	if err != nil {
		return nil, err
	}
	err = errNoCgroup
	// Where the agent sits in a part of what was delegated, the part above is ours.
	for dir := own; hasPrefix(dir, top); dir = above(dir) {
		var c *cgroup
		if c, err = makeCgroup(dir, serial); err == nil {
			return c, nil
		}
	}
	return nil, err
}

func makeCgroup(parent string, serial int) (*cgroup, error) {
	clearLeft(parent)
	dir := parent + "/" + Name + "-" + strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(serial)
	if err := syscall.Mkdir(dir, 0o755); err != nil && err != syscall.EEXIST {
		return nil, failed("make cgroup "+dir, err)
	}
	c, err := openCgroup(dir)
	if err != nil {
		_ = syscall.Rmdir(dir)
		return nil, err
	}
	c.made = true
	if err := c.rehearse(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// openCgroup opens one that is there.
func openCgroup(dir string) (*cgroup, error) {
	c := &cgroup{dir: dir, handle: -1, events: -1}
	var err error
	if c.handle, err = syscall.Open(dir, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0); err == nil {
		c.events, err = syscall.Open(c.file("cgroup.events"), syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	}
	if err == nil {
		err = syscall.Access(c.file("cgroup.freeze"), 2) // W_OK
	}
	if err != nil {
		c.close()
		return nil, failed("use cgroup "+dir, err)
	}
	c.hasEnd = syscall.Access(c.file("cgroup.kill"), 2) == nil
	return c, nil
}

// rehearse freezes and thaws the empty cgroup. It also brings the code and the
// memory of a freeze in before they are locked.
func (c *cgroup) rehearse() error {
	done, err := c.freeze()
	if err == nil && !done {
		err = failed("freeze empty cgroup "+c.dir, errors.New("it does not say frozen"))
	}
	return errors.Join(err, c.thaw())
}

func (c *cgroup) file(name string) string { return c.dir + "/" + name }

// close lets go of it, and removes it when it is empty and of our making.
func (c *cgroup) close() {
	for _, fd := range []int{c.handle, c.events} {
		if fd >= 0 {
			syscall.Close(fd)
		}
	}
	if c.made {
		_ = syscall.Rmdir(c.dir) // EBUSY: something of the server's outlives it
	}
}

func (c *cgroup) method() string { return "cgroup" }
func (c *cgroup) hold() error    { return nil }

// freeze asks, and says whether the kernel has seen every process stopped.
func (c *cgroup) freeze() (bool, error) {
	if !c.asked {
		if err := writeSmall(c.file("cgroup.freeze"), "1"); err != nil {
			return false, err
		}
		c.asked = true
	}
	done, err := c.says("frozen 1")
	if err != nil || done {
		return done, err
	}
	c.hurry.up(c.members())
	return c.says("frozen 1")
}

func (c *cgroup) calm() {
	if len(c.hurry.raised) > 0 {
		c.hurry.down(c.members())
	}
}

func (c *cgroup) thaw() error {
	if err := writeSmall(c.file("cgroup.freeze"), "0"); err != nil {
		return err
	}
	c.asked = false
	return nil
}

// kill ends all. SIGKILL reaches a frozen process without another instruction of
// it being run.
func (c *cgroup) kill() (bool, error) {
	empty, err := c.says("populated 0")
	if err != nil || empty {
		return empty, err
	}
	if c.hasEnd {
		c.spent = true
		if err := writeSmall(c.file("cgroup.kill"), "1"); err != nil {
			return false, err
		}
		return c.says("populated 0")
	}
	// Frozen, nobody forks, and no number goes to a stranger: the dead are reaped
	// by us, or by a postmaster that is frozen.
	if frozen, err := c.freeze(); err != nil || !frozen {
		return false, err
	}
	for _, pid := range c.members() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return c.says("populated 0")
}

func (c *cgroup) members() []int {
	text, err := os.ReadFile(c.file("cgroup.procs"))
	if err != nil {
		return nil
	}
	var pids []int
	for _, line := range words(string(text)) {
		if pid, err := strconv.Atoi(line); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (c *cgroup) says(wanted string) (bool, error) {
	n, err := syscall.Pread(c.events, c.buffer[:], 0)
	if err != nil {
		return false, failed("read "+c.file("cgroup.events"), err)
	}
	for _, line := range lines(string(c.buffer[:n])) {
		if line == wanted {
			return true, nil
		}
	}
	return false, nil
}

// clearLeft removes what guards before us have left behind. A cgroup in use
// cannot be removed.
func clearLeft(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, entry := range entries {
		rest, ours := cutPrefix(entry.Name(), Name+"-")
		if !ours {
			continue
		}
		pid, _, _ := cut(rest, "-")
		// One that lives may be just about to put a server into its own.
		if _, err := os.Stat("/proc/" + pid); err != nil {
			_ = syscall.Rmdir(parent + "/" + entry.Name())
		}
	}
}

// ownCgroup is the directory of this process's cgroup, and where the hierarchy of
// version 2 is mounted: /sys/fs/cgroup, or /sys/fs/cgroup/unified beside version 1.
func ownCgroup() (own, top string, err error) { return cgroupOf("self") }

// cgroupOf is the same of any process; pid may be "self".
func cgroupOf(pid string) (dir, top string, err error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", "", failed("find cgroups", err)
	}
	membership, err := os.ReadFile("/proc/" + pid + "/cgroup")
	if err != nil {
		return "", "", failed("find cgroups", err)
	}
	path, found := "", false
	for _, line := range lines(string(membership)) {
		if rest, ok := cutPrefix(line, "0::"); ok {
			path, found = rest, true
		}
	}
	root, top := unifiedMount(string(mounts))
	if !found || top == "" {
		return "", "", errNoCgroup
	}
	if root == "/" {
		root = ""
	}
	within, ok := cutPrefix(path, root)
	if !ok || contains(path, "/..") || within != "" && within[0] != '/' { // outside of our cgroup namespace
		return "", "", errNoCgroup
	}
	if within == "/" {
		within = ""
	}
	return top + within, top, nil
}

// unifiedMount finds the mount of cgroup2 in /proc/self/mountinfo (proc(5)): which
// part of the hierarchy is mounted, and where.
func unifiedMount(mounts string) (root, point string) {
	for _, line := range lines(mounts) {
		before, after, found := cut(line, " - ")
		fields := words(before)
		if found && len(fields) >= 5 && hasPrefix(after, "cgroup2 ") {
			return fields[3], fields[4]
		}
	}
	return "", ""
}

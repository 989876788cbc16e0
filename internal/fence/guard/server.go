package guard

import (
	"errors"
	"os"
	"strconv"
	"syscall"
)

// server is what is guarded: a postmaster and all that descends from it.
type server struct {
	pid    int
	pidfd  int
	child  bool // the guard is its parent: orphans come to us, and it gets SIGQUIT if we die
	freeze freezer

	// Who has both is a process of this server, whoever its parent is by now.
	program, directory string

	ended  bool               // the postmaster; leftovers may still be there
	status syscall.WaitStatus // how, of a child
}

// command is how to start a server.
type command struct {
	path, dir string
	args, env []string
	output    []int // descriptors for stdout and stderr; none: the guard's own
}

// launch starts a postmaster, in the cgroup if there is one that takes it.
//
// The kernel ties the parent-death signal to the thread that forked, so this must
// be called on a thread that lives as long as the guard: its main thread, which
// init runs on.
func launch(c command, scan *scanner, group *cgroup, orders *standingOrders) (*server, error) {
	null, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, failed("open "+os.DevNull, err)
	}
	defer syscall.Close(null)
	files := []uintptr{uintptr(null), 1, 2}
	for i, fd := range c.output {
		if i < 2 {
			files[1+i] = uintptr(fd)
		}
	}
	if len(c.output) == 1 {
		files[2] = files[1]
	}
	s := &server{child: true}
	attributes := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGQUIT, PidFD: &s.pidfd}
	if group != nil {
		attributes.UseCgroupFD, attributes.CgroupFD = true, group.handle
	}
	fork := func() error {
		defer orders.likeBefore()()
		s.pid, err = syscall.ForkExec(c.path, c.args, &syscall.ProcAttr{Dir: c.dir, Env: c.env, Files: files, Sys: attributes})
		return err
	}
	err = fork()
	if err != nil && group != nil {
		// Not allowed to put a process there (clone3(2), EACCES) is found out only by
		// trying. Any other cause comes again.
		group, attributes.UseCgroupFD = nil, false
		err = fork()
	}
	if err != nil {
		return nil, failed("start "+c.path, err)
	}
	if group != nil {
		s.freeze = group
	} else {
		s.freeze = newSignalFreezer(scan, s.pid, s.pidfd, true)
	}
	s.program = resolve(c.path)
	s.refresh()
	return s, nil
}

// resolve is the name that /proc/PID/exe gives a program, to be known even of one
// that has ended before it could be looked at.
func resolve(path string) string {
	const onlyPath = 0o10000000 // O_PATH
	fd, err := syscall.Open(path, onlyPath|syscall.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer syscall.Close(fd)
	name, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return ""
	}
	return name
}

// refresh looks again which program the postmaster runs: what was started may be a
// wrapper that turned into it.
func (s *server) refresh() {
	if program := executable(s.pid); program != "" {
		s.program = program
	}
}

// adopt takes over a server that is running. One that a guard before us has left
// frozen in its cgroup is kept by that cgroup.
func adopt(pid int, scan *scanner) (s *server, frozen bool, err error) {
	doing := "adopt process " + strconv.Itoa(pid)
	pidfd, err := pidfdOpen(pid)
	if err != nil {
		return nil, false, failed(doing, err)
	}
	var buffer statBuffer
	p, err := readProc(pid, &buffer)
	if err == nil && p.dead() {
		err = errEnded
	}
	if err == nil {
		err = pidfdSignal(pidfd, 0) // EPERM: it is not ours to stop
	}
	if err != nil {
		syscall.Close(pidfd)
		return nil, false, failed(doing, err)
	}
	s = &server{pid: pid, pidfd: pidfd, program: executable(pid), directory: workingDirectory(pid)}
	s.freeze = newSignalFreezer(scan, pid, pidfd, false)
	frozen = p.still()
	if dir, _, err := cgroupOf(strconv.Itoa(pid)); err == nil && contains(dir, "/"+Name+"-") {
		if group, err := openCgroup(dir); err == nil {
			group.made = true // its maker is gone
			s.freeze = group
			frozen, _ = group.says("frozen 1")
			group.asked = frozen
		}
	}
	return s, frozen, nil
}

// leftovers lists the processes of the server's own program that have outlived
// the postmaster. What else it left, such as an archive command that went into
// the background, answers no client and is let be.
func (s *server) leftovers(scan *scanner) ([]proc, error) {
	if s.program == "" {
		return nil, nil // not readable: nobody can be told apart
	}
	var procs []proc
	var err error
	if s.child {
		procs, err = scan.tree(os.Getpid())
	} else {
		procs, err = scan.all()
	}
	if err != nil {
		return nil, err
	}
	var left []proc
	for _, p := range procs {
		if !p.dead() && p.pid != s.pid && s.own(p.pid) {
			left = append(left, p)
		}
	}
	return left, nil
}

// own is true of a process that runs the server's program.
func (s *server) own(pid int) bool {
	program, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	switch {
	case err == nil && s.child:
		return program == s.program
	case err == nil:
		return program == s.program && workingDirectory(pid) == s.directory
	default:
		// One that is half through its end has no program any more, but may still
		// hold files. (ENOENT is also what a kernel thread gives: not of ours.)
		return s.child && errors.Is(err, syscall.ENOENT)
	}
}

// protection is how well it is guarded, in the words of the member's status.
func (s *server) protection() string {
	switch {
	case !s.child:
		return "adopted"
	case s.freeze.method() == "cgroup":
		return "freezer"
	default:
		return "signals"
	}
}

// outcome is how the postmaster ended.
func (s *server) outcome() string {
	switch {
	case !s.child:
		return "unknown: it was not the guard's child"
	case s.status.Signaled():
		return "signal " + strconv.Itoa(int(s.status.Signal())) + " (" + s.status.Signal().String() + ")"
	default:
		return "exit status " + strconv.Itoa(s.status.ExitStatus())
	}
}

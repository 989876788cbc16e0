package guard

import (
	"os"
	"strconv"
	"syscall"
)

// proc is one process as /proc/PID/stat tells it (proc(5)).
type proc struct {
	pid, parent int
	state       byte
	name        [16]byte // of the program, cut off
}

func (p proc) dead() bool { return p.state == 'Z' || p.state == 'X' }

// still is true of a process that runs no instruction until it gets a SIGCONT.
// One that is in the kernel (D, and S or R for the moment that a signal takes)
// is not there yet: it may be about to send an answer.
func (p proc) still() bool { return p.state == 'T' || p.state == 't' }

// statBuffer holds a stat line: the name is at most 64 bytes, the rest numbers.
type statBuffer [1024]byte

func readProc(pid int, buffer *statBuffer) (proc, error) {
	text, err := readSmall("/proc/"+strconv.Itoa(pid)+"/stat", buffer[:])
	if err != nil {
		return proc{}, err
	}
	// The name may hold blanks and brackets: the last bracket closes it.
	begin, end := firstByte(text, '('), lastByte(text, ')')
	rest := text[end+1:]
	if begin < 0 || end < begin || len(rest) < 5 {
		return proc{}, failed("read the state of process "+strconv.Itoa(pid), syscall.EIO)
	}
	p := proc{pid: pid, state: rest[1]}
	copy(p.name[:], text[begin+1:end])
	for _, c := range rest[3:] {
		if c < '0' || c > '9' {
			break
		}
		p.parent = p.parent*10 + int(c-'0')
	}
	return p, nil
}

// scanner lists processes. It keeps its buffers, so that a freeze allocates
// little.
type scanner struct {
	names []byte
	stat  statBuffer
	procs []proc
}

// all lists every process that can be seen. A process that ends meanwhile is
// left out.
func (s *scanner) all() ([]proc, error) {
	dir, err := syscall.Open("/proc", syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, failed("open /proc", err)
	}
	defer syscall.Close(dir)
	if s.names == nil {
		s.names = make([]byte, 32<<10)
	}
	s.procs = s.procs[:0]
	var names []string
	for {
		n, err := syscall.ReadDirent(dir, s.names)
		if err != nil {
			return nil, failed("list /proc", err)
		}
		if n <= 0 {
			return s.procs, nil
		}
		_, _, names = syscall.ParseDirent(s.names[:n], -1, names[:0])
		for _, name := range names {
			pid, err := strconv.Atoi(name)
			if err != nil {
				continue
			}
			if p, err := readProc(pid, &s.stat); err == nil {
				s.procs = append(s.procs, p)
			}
		}
	}
}

// tree lists the living descendants of root, nearest first, without root. The
// backends of PostgreSQL each have a session of their own, so that neither group
// nor session tells who belongs to a server: only descent does.
func (s *scanner) tree(root int) ([]proc, error) {
	procs, err := s.all()
	if err != nil {
		return nil, err
	}
	children := make(map[int][]proc, len(procs))
	for _, p := range procs {
		children[p.parent] = append(children[p.parent], p)
	}
	var found []proc
	queue := []int{root}
	for len(queue) > 0 {
		next := children[queue[0]]
		queue = queue[1:]
		for _, p := range next {
			queue = append(queue, p.pid) // a dead leader of threads may have children
			if !p.dead() {
				found = append(found, p)
			}
		}
	}
	return found, nil
}

// children lists those of one process from the kernel's own list, which costs no
// look at every process of the machine. Empty where the kernel was built without
// it (CONFIG_PROC_CHILDREN); short when children come and go. It is a head start,
// never a proof.
func (s *scanner) children(pid int) []int {
	id := strconv.Itoa(pid)
	text, err := os.ReadFile("/proc/" + id + "/task/" + id + "/children")
	if err != nil {
		return nil
	}
	var pids []int
	for _, field := range words(string(text)) {
		if child, err := strconv.Atoi(field); err == nil {
			pids = append(pids, child)
		}
	}
	return pids
}

// signal sends sig to the process p unless its number belongs to somebody else by
// now: first the descriptor, then the look, so that what was looked at cannot be
// replaced.
func (s *scanner) signal(p proc, sig syscall.Signal) {
	fd, err := pidfdOpen(p.pid)
	if err != nil {
		return // it has ended
	}
	defer syscall.Close(fd)
	now, err := readProc(p.pid, &s.stat)
	if err != nil || now.dead() {
		return
	}
	// An orphan changes its parent, to us: we are the reaper of the server.
	if now.parent != p.parent && now.parent != os.Getpid() {
		return
	}
	_ = pidfdSignal(fd, sig) // ended, or not ours to signal: the next scan tells
}

// executable is the program that a process runs. A replaced file keeps its name
// with " (deleted)" added, for all processes of the old one alike.
func executable(pid int) string {
	path, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	if err != nil {
		return ""
	}
	return path
}

func workingDirectory(pid int) string {
	path, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd")
	if err != nil {
		return ""
	}
	return path
}

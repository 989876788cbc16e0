package guard

import (
	"os"
	"syscall"
)

// How long after the deadline every process of a server was seen stopped, in ms, of
// 200 freezes each on two cores that were busy with other work besides
// (BenchmarkFreeze; median, 99th percentile, worst):
//
//	                                  cgroup          signals
//	100 processes that wait           1.3  3.6  7.4   5.8   8.5  10
//	100 that want the processors      1.2  4.4  4.6   5.8  13    13
//	100 that wait, 100 busy strangers 1.8  3.0  3.1   6.5  13    20
//	20 busy, 100 busy strangers       1.1  7.8  7.8   3.9   7.6   8.9
//
// That is with the guard as a realtime process; it begins 0.1 to 0.3 ms after the
// deadline then (99th percentile). Where that is refused it begins up to 65 ms late
// under such a load, and is done after up to 150 ms by a cgroup, 230 ms by signals.
//
// Being seen is later than being stopped: who is preempted is in neither way let back
// to its own code, but shows it only when it gets the processor again (hurry).

// freezer stops and ends all processes of one server. Freeze and kill are steps:
// each does what can be done now and says whether all is done, so that the guard
// hears the agent in between.
type freezer interface {
	freeze() (done bool, err error)
	thaw() error
	kill() (done bool, err error)
	method() string // cgroup or signals
	// calm undoes what the freeze did to be quick: to be called when it is done, and
	// before anybody is let go.
	calm()
	// hold is called now and then while frozen.
	hold() error
}

// signalFreezer stops by SIGSTOP and ends by SIGKILL: all that is left where no
// cgroup is ours. SIGSTOP cannot be caught, and a process that has it pending runs
// no further instruction of its own; one that is inside the kernel finishes that
// call first, so each is watched until it is seen stopped.
type signalFreezer struct {
	scan *scanner

	// root is the process whose descendants are the server: the guard, for a
	// server that it started (orphans come to it as the subreaper), else the
	// postmaster.
	root int

	postmaster int
	pidfd      int // of the postmaster
	hurry      hurry
}

func (f *signalFreezer) method() string { return "signals" }

// everyone lists the server's living processes, the postmaster first.
func (f *signalFreezer) everyone() ([]proc, error) {
	found, err := f.scan.tree(f.root)
	if err != nil || f.root != f.postmaster {
		return found, err
	}
	if p, err := readProc(f.postmaster, &f.scan.stat); err == nil && !p.dead() && pidfdSignal(f.pidfd, 0) == nil {
		found = append([]proc{p}, found...)
	}
	return found, nil
}

func (f *signalFreezer) calm() {
	if len(f.hurry.raised) == 0 {
		return
	}
	procs, _ := f.everyone() // without: those that are known
	pids := make([]int, 0, len(procs))
	for _, p := range procs {
		pids = append(pids, p.pid)
	}
	f.hurry.down(pids)
}

// passes is how often one step looks over the processes. Two are the rule: one
// stops them, one sees them stopped.
const passes = 4

// freeze stops the postmaster first, since it alone makes backends; then those
// that it has, from the kernel's list; then whoever a scan finds.
func (f *signalFreezer) freeze() (bool, error) {
	_ = pidfdSignal(f.pidfd, syscall.SIGSTOP) // ended: its backends may still be there
	children := f.scan.children(f.postmaster)
	for _, pid := range children {
		f.scan.signal(proc{pid: pid, parent: f.postmaster}, syscall.SIGSTOP)
	}
	f.hurry.up(append(children, f.postmaster)) // so that the first look finds them stopped
	for range passes {
		running, err := f.stopRunning()
		if err != nil || running == 0 {
			return err == nil, err
		}
	}
	return false, nil
}

// stopRunning sends SIGSTOP to all that are not stopped, and counts them. A
// process that forks has a child which the next scan finds; stopped itself it
// forks no more, so the scans come to an end.
func (f *signalFreezer) stopRunning() (int, error) {
	procs, err := f.everyone()
	if err != nil {
		return 0, err
	}
	running := 0
	for _, p := range procs {
		if !p.still() && !waitsForFork(p, procs) {
			running++
			f.scan.signal(p, syscall.SIGSTOP)
		}
	}
	return running, nil
}

// waitsForFork is true of a process that is in vfork(2), as system(3) and
// posix_spawn(3) use it: the kernel holds it (D) until its child runs another
// program, and the child was stopped before it did. It would never be seen
// stopped; it is as good as that until the child goes on, by when the signal that
// waits for it counts. The child still has its parent's name.
func waitsForFork(p proc, procs []proc) bool {
	if p.state != 'D' {
		return false
	}
	for _, child := range procs {
		if child.parent == p.pid && child.still() && child.name == p.name {
			return true
		}
	}
	return false
}

// hold stops again whoever somebody else has continued.
func (f *signalFreezer) hold() error {
	_, err := f.stopRunning()
	return err
}

// thaw lets the postmaster go last, so that it finds all its children alive and
// answering. A process that was stopped before the freeze runs again, too.
func (f *signalFreezer) thaw() error {
	procs, err := f.everyone()
	if err != nil {
		return err
	}
	for i := len(procs) - 1; i >= 0; i-- {
		if procs[i].pid != f.postmaster {
			f.scan.signal(procs[i], syscall.SIGCONT)
		}
	}
	if err := pidfdSignal(f.pidfd, syscall.SIGCONT); err != nil && err != syscall.ESRCH {
		return failed("continue the postmaster", err)
	}
	return nil
}

// kill ends all while they are stopped, so that no backend answers a client while
// its neighbours are being killed: children first, the postmaster last. The other
// way round, the kernel would continue those that the dead postmaster leaves
// behind (SIGHUP and SIGCONT to a newly orphaned process group that has stopped
// members), and with the parent gone nothing would tell whose they are.
//
// A process that is not seen stopped by now is killed all the same: it has the
// signal to stop pending, so all that it can still do is in the kernel already.
func (f *signalFreezer) kill() (bool, error) {
	if _, err := f.freeze(); err != nil {
		return false, err
	}
	procs, err := f.everyone()
	if err != nil {
		return false, err
	}
	for i := len(procs) - 1; i >= 0; i-- {
		if procs[i].pid != f.postmaster {
			f.scan.signal(procs[i], syscall.SIGKILL)
		}
	}
	_ = pidfdSignal(f.pidfd, syscall.SIGKILL) // ended already: nothing to do
	return len(procs) == 0, nil
}

func newSignalFreezer(scan *scanner, postmaster, pidfd int, child bool) *signalFreezer {
	f := &signalFreezer{scan: scan, root: postmaster, postmaster: postmaster, pidfd: pidfd}
	if child {
		f.root = os.Getpid()
	}
	return f
}

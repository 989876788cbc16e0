package guard

import (
	"os"
	"strconv"
	"syscall"
)

// standingOrders is what the kernel has granted the guard, so that a machine in
// need does not make it late. What is refused is reported, not an error: a guard
// without is late under the worst load, and still right.
type standingOrders struct {
	locked   bool   // its memory stays in
	oom      bool   // it has taken the score that is never killed for memory
	spared   bool   // it is not killed for memory, or after nearly all others
	priority string // realtime, nice or normal
	level    int32  // of realtime: 2, above those that hurry, or 1

	oomBefore  string
	niceBefore int
}

const oomNever = "-1000" // OOM_SCORE_ADJ_MIN, linux/oom.h

// oomLast is a score by which a process counts 90 % of the memory less than it has:
// what a service manager gives to those that it wants to live. Without
// CAP_SYS_RESOURCE nobody gets lower than where it began.
const oomLast = -900

func (o *standingOrders) claim() {
	o.claimMemory()
	var buffer [16]byte
	if text, err := readSmall("/proc/self/oom_score_adj", buffer[:]); err == nil {
		o.oomBefore = word(string(text))
		o.oom = o.setOOM(oomNever) == nil
		before, err := strconv.Atoi(o.oomBefore)
		o.spared = o.oom || err == nil && before <= oomLast
	}
	// The kernel answers 20 less the nice value, so that it is never negative.
	if answer, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0); err == nil {
		o.niceBefore = 20 - answer
	}
	o.priority = "normal"
	o.raise()
}

func (o *standingOrders) setOOM(score string) error {
	return writeSmall("/proc/self/oom_score_adj", score)
}

// claimMemory gives back the pages of the program that only its start has needed,
// and locks those that the guard touches from now on. All of them, as mlockall
// does by default, would be tens of megabytes that the guard never looks at.
func (o *standingOrders) claimMemory() {
	dropProgram()
	if !mayLock() {
		return
	}
	const current, future = 1, 2 // MCL_CURRENT, MCL_FUTURE
	o.locked = syscall.Mlockall(current|future|lockOnFault) == nil
}

// mayLock is true where no limit can turn a later allocation down: with
// MCL_FUTURE over RLIMIT_MEMLOCK, mmap fails and the Go runtime dies of it.
func mayLock() bool {
	const memlock = 8 // RLIMIT_MEMLOCK
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(memlock, &limit); err == nil && limit.Cur == ^uint64(0) {
		return true
	}
	const ipcLock = 14 // CAP_IPC_LOCK, linux/capability.h
	return effectiveCapability(ipcLock)
}

func effectiveCapability(number uint) bool {
	var buffer [4096]byte
	text, err := readSmall("/proc/self/status", buffer[:])
	if err != nil {
		return false
	}
	for _, line := range lines(string(text)) {
		if mask, ok := cutPrefix(line, "CapEff:\t"); ok {
			bits, err := strconv.ParseUint(word(mask), 16, 64)
			return err == nil && bits&(1<<number) != 0
		}
	}
	return false
}

// dropProgram forgets the pages of program files that this process has not
// changed. They come back from the page cache when they are touched. A page that
// was changed would not: a linker's relocations are in mappings that are read-only
// by now, so what counts is that a mapping has no page of its own (proc(5), smaps).
func dropProgram() {
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	var start, end uint64
	for _, line := range lines(string(maps)) {
		fields := words(line)
		switch {
		case len(fields) == 6 && hasPrefix(fields[5], "/") && fields[1][1] != 'w':
			from, to, _ := cut(fields[0], "-")
			start, _ = strconv.ParseUint(from, 16, 64)
			end, _ = strconv.ParseUint(to, 16, 64)
		case len(fields) >= 5 && fields[0][len(fields[0])-1] != ':':
			start, end = 0, 0
		case len(fields) == 3 && fields[0] == "Anonymous:":
			if fields[1] == "0" && start < end {
				const dontNeed = 4 // MADV_DONTNEED
				_, _, _ = syscall.RawSyscall(syscall.SYS_MADVISE, uintptr(start), uintptr(end-start), dontNeed)
			}
			start, end = 0, 0
		}
	}
}

// raise gives every thread a priority over the server's. Every thread, since any
// of them may hold what the one that freezes waits for.
func (o *standingOrders) raise() {
	threads := threads()
	for o.level = hurryPriority + 1; o.level > 0; o.level-- {
		if setScheduler(threads, roundRobin, o.level) {
			o.priority = "realtime"
			return
		}
	}
	if setNice(threads, -20) {
		o.priority = "nice"
	}
}

// likeBefore undoes what a child would inherit, and returns what claims it again.
// The server must not be spared when memory is short, nor run before all others.
func (o *standingOrders) likeBefore() (again func()) {
	if o.oom {
		_ = o.setOOM(o.oomBefore)
	}
	self := []int{syscall.Gettid()}
	if o.priority == "realtime" {
		setScheduler(self, 0, 0) // SCHED_OTHER
	}
	// What the service manager gave to agent and guard, to be ahead of the server,
	// would not put them ahead if the server had it too.
	nice := max(o.niceBefore, 0)
	setNice(self, nice)
	return func() {
		if o.oom {
			o.oom = o.setOOM(oomNever) == nil
		}
		switch o.priority {
		case "realtime":
			setScheduler(self, roundRobin, o.level) // the nice value counts no more
		case "nice":
			setNice(self, -20)
		case "normal":
			setNice(self, o.niceBefore) // back to below 0: where RLIMIT_NICE lets us
		}
	}
}

const roundRobin = 2 // SCHED_RR, linux/sched.h

func setNice(threads []int, nice int) bool {
	for _, tid := range threads {
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, tid, nice); err != nil && err != syscall.ESRCH {
			return false
		}
	}
	return true
}

func threads() []int {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil
	}
	var tids []int
	for _, entry := range entries {
		if tid, err := strconv.Atoi(entry.Name()); err == nil {
			tids = append(tids, tid)
		}
	}
	return tids
}

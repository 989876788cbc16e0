package guard

import (
	"syscall"
	"unsafe"
)

// hurry brings the processes of a server to their stop when others keep the
// processors. Who is told to stop runs no further instruction of its own, but it is
// seen stopped, and has left the kernel, only when it gets a processor once more:
// among a hundred that all want one, after 150 ms (99th percentile; 2 to 8 ms with
// this). As realtime processes they get it at once, for the few microseconds that
// stopping takes; then they are made again what they were.
//
// It needs the right to (RLIMIT_RTPRIO, which the server has from the guard). Where
// it is refused, stopping takes longer, and that is all.
type hurry struct {
	raised map[int]bool
}

// hurryPriority is below the guard's own.
const hurryPriority = 1

// up raises those that are not raised yet. A server that has been given a scheduler
// of its own by somebody is left alone: what it was could not be told later from what
// it was made.
func (h *hurry) up(pids []int) {
	for _, pid := range pids {
		if !h.raised[pid] && scheduler(pid) > 0 {
			return
		}
	}
	for _, pid := range pids {
		if h.raised[pid] || !setScheduler([]int{pid}, roundRobin, hurryPriority) {
			continue
		}
		if h.raised == nil {
			h.raised = map[int]bool{}
		}
		h.raised[pid] = true
	}
}

// down makes all of them ordinary again, also the children that they had in between
// (who is in fork(2) ends it first). The nice value has stayed what it was.
func (h *hurry) down(pids []int) {
	for pid := range h.raised {
		setScheduler([]int{pid}, 0, 0) // SCHED_OTHER; ended: nothing to do
	}
	for _, pid := range pids {
		if scheduler(pid) == roundRobin {
			setScheduler([]int{pid}, 0, 0)
		}
	}
	h.raised = nil
}

// scheduler is the policy of a process; negative when it has ended.
func scheduler(pid int) int {
	policy, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETSCHEDULER, uintptr(pid), 0, 0)
	if errno != 0 {
		return -1
	}
	return int(policy)
}

// setScheduler gives threads a policy and a priority. It is false where that is
// refused.
func setScheduler(threads []int, policy, priority int32) bool {
	for _, tid := range threads {
		_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETSCHEDULER, uintptr(tid), uintptr(policy), uintptr(unsafe.Pointer(&priority)))
		if errno != 0 && errno != syscall.ESRCH {
			return false
		}
	}
	return true
}

package callback

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// killTree kills a process of ours that was not waited for yet, with everything below
// it and everything in its group. Each is stopped before its children are looked for,
// so that none of them starts another one meanwhile.
func killTree(root int) {
	_ = syscall.Kill(root, syscall.SIGSTOP)
	stopped := []*os.Process{}
	parents := []int{root}
	for len(parents) > 0 {
		var found []int
		for _, child := range children(parents) {
			if p := stopChild(child, parents); p != nil {
				stopped, found = append(stopped, p), append(found, child)
			}
		}
		parents = found
	}
	// Children whose parent has ended are nobody's here, but still in the group.
	_ = syscall.Kill(-root, syscall.SIGKILL)
	_ = syscall.Kill(root, syscall.SIGKILL)
	for _, p := range stopped {
		_ = p.Signal(syscall.SIGKILL) // one that has ended is what was wanted
		_ = p.Release()
	}
}

// stopChild stops a process that still is the child that it was taken for: the handle
// (a pidfd) comes before the look, so that a number that was given anew is never hit.
func stopChild(pid int, parents []int) *os.Process {
	p, err := os.FindProcess(pid)
	if err != nil {
		return nil
	}
	if !slices.Contains(parents, parentOf(pid)) || p.Signal(syscall.SIGSTOP) != nil {
		_ = p.Release()
		return nil
	}
	return p
}

// children lists the processes that have one of these parents.
func children(parents []int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err == nil && slices.Contains(parents, parentOf(pid)) {
			found = append(found, pid)
		}
	}
	return found
}

// parentOf reads the parent from /proc/PID/stat (proc(5)); 0 if there is no such
// process. The name in it can hold anything, so the fields are counted from its
// closing bracket.
func parentOf(pid int) int {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return parent
}

package lab

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// contained are the words by which a program becomes process 1 of a PID namespace with a
// /proc of its own, as the servers' user: what a container without an init gives it.
func (n *Node) contained(program []string, by *syscall.SysProcAttr) []string {
	n.t.Helper()
	who := account(n.t)
	if who == nil {
		n.t.Skip("PID namespaces need root")
	}
	require(n.t, "setpriv", "mount")
	by.Cloneflags, by.Unshareflags = syscall.CLONE_NEWPID, syscall.CLONE_NEWNS
	const enter = `mount -t proc proc /proc && uid=$1 gid=$2 && shift 2 && exec setpriv --reuid "$uid" --regid "$gid" --clear-groups "$@"`
	return append([]string{"/bin/sh", "-c", enter, "sh", strconv.Itoa(int(who.Uid)), strconv.Itoa(int(who.Gid))}, program...)
}

// Children are the children of a process, and what each is doing: its name and its
// state in proc(5)'s letter, as "postgres Z".
func Children(pid int) map[int]string {
	found := map[int]string{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return found
	}
	for _, e := range entries {
		child, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
		if err != nil {
			continue
		}
		_, named, _ := strings.Cut(string(text), "(")
		end := strings.LastIndexByte(named, ')') // a name can hold anything
		if fields := strings.Fields(named[end+1:]); fields[1] == strconv.Itoa(pid) {
			found[child] = named[:end] + " " + fields[0]
		}
	}
	return found
}

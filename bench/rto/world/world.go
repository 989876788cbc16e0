// Package world makes machines out of namespaces: a switch with a client beside
// it, and nodes that each have a network, processes and a /run of their own.
//
// Everything lives inside a process namespace whose first process is the benchmark
// itself, and each node inside one below it. When a first process ends, however it
// ends, the kernel kills all the others in its namespace and removes its network.
// So nothing has to be found by name to be cleaned up, two benchmarks at once do
// not meet, and the loss of a node is one SIGKILL to everything in it.
//
// A node's first process also adopts and reaps what is orphaned there: a
// postmaster whose agent was killed does not stay a zombie that looks alive.
package world

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The benchmark starts itself again in these roles.
const (
	roleVariable   = "RTO_ROLE"
	dirVariable    = "RTO_DIR"
	cgroupVariable = "RTO_CGROUP"
	sharesVariable = "RTO_SHARES"

	roleInside = "inside"
	roleNode   = "node"
)

// Role is how this process was started.
type Role int

// Outside is the process that a person started; Inside the first one in the
// world, which measures; InNode the first one of a node.
const (
	Outside Role = iota
	Inside
	InNode
)

// MyRole says what this process is.
func MyRole() Role {
	switch os.Getenv(roleVariable) {
	case roleInside:
		return Inside
	case roleNode:
		return InNode
	default:
		return Outside
	}
}

// stopLimit is how long the inside gets to write down what it has after a ^C.
const stopLimit = 10 * time.Second

// Enter runs this program again as the first process of a new world, with the same
// arguments, waits for its end and removes what it left: its directory (unless
// keep) and its cgroups. It returns the exit code.
func Enter(keep bool) (int, error) {
	dir, err := os.MkdirTemp("", "rto-")
	if err != nil {
		return 1, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return 1, err
	}
	group, shares := makeGroup(), makeShares()
	code, err := enter(dir, group, shares)
	var left []error
	for _, g := range []string{group, shares} {
		if g != "" {
			left = append(left, removeGroup(g))
		}
	}
	if keep {
		fmt.Fprintln(os.Stderr, "kept:", dir)
	} else {
		left = append(left, os.RemoveAll(dir))
	}
	return code, errors.Join(append(left, err)...)
}

func enter(dir, group, shares string) (int, error) {
	// The parent-death signal comes when the thread that started the child ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)

	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), roleVariable+"="+roleInside, dirVariable+"="+dir, cgroupVariable+"="+group, sharesVariable+"="+shares)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL,
		Setpgid:    true, // a ^C comes to us, and we pass it on once
	}
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("make the namespaces (they need root): %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var limit <-chan time.Time
	for {
		select {
		case <-ended:
			return max(cmd.ProcessState.ExitCode(), -cmd.ProcessState.ExitCode()), nil
		case s := <-signals:
			if err := cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return 1, fmt.Errorf("pass on %v: %w", s, err)
			}
			timer := time.NewTimer(stopLimit)
			defer timer.Stop()
			limit = timer.C
		case <-limit:
			if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return 1, err
			}
		}
	}
}

// The switch's own address, where the client is, and the network.
const (
	address = "192.168.110.1/24"
	// Subnet is the network that all nodes are in, as pg_hba.conf writes it.
	Subnet = "192.168.110.0/24"
)

// World is the inside, as the process that measures sees it.
type World struct {
	Dir   string // for everything that the run writes
	Group string // a cgroup that everything of the run is in; empty where there is none
}

// New makes the switch. It is for the process whose role is Inside.
func New(ctx context.Context) (*World, error) {
	if err := ownProc(); err != nil {
		return nil, err
	}
	// The client measures the others: it must not wait for the processor behind them.
	if err := schedule(unix.SchedAttr{Policy: unix.SCHED_RR, Priority: 1}); err != nil {
		return nil, err
	}
	w := &World{Dir: os.Getenv(dirVariable), Group: os.Getenv(cgroupVariable)}
	if w.Group != "" {
		if err := enterGroup(w.Group); err != nil {
			return nil, err
		}
	}
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"link", "add", "sw", "type", "bridge"},
		{"addr", "add", address, "dev", "sw"},
		{"link", "set", "sw", "up"},
	} {
		if err := ip(ctx, args...); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// ownProc shows the processes of the own namespace in /proc, here and nowhere else.
func ownProc() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts to ourselves: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}

// schedule gives every thread of this process a policy. Threads and processes that
// are made later inherit it from the thread that makes them: so it looks again until
// it finds none that it has not seen, since one of those may have made another.
func schedule(how unix.SchedAttr) error {
	how.Size = unix.SizeofSchedAttr
	done := map[string]bool{}
	for found := true; found; {
		found = false
		threads, err := filepath.Glob("/proc/self/task/[0-9]*")
		if err != nil {
			return err
		}
		for _, t := range threads {
			if done[t] {
				continue
			}
			done[t], found = true, true
			tid, err := strconv.Atoi(filepath.Base(t))
			if err != nil {
				return fmt.Errorf("read the number of thread %s: %w", t, err)
			}
			if err := unix.SchedSetAttr(tid, &how, 0); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("set the scheduling of thread %d: %w", tid, err)
			}
		}
	}
	return nil
}

func ip(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %v: %w: %s", args, err, out)
	}
	return nil
}

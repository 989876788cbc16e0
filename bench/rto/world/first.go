package world

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// first is the first process of a node.
type first struct {
	options nodeOptions

	mu       sync.Mutex
	out      *json.Encoder
	services map[int]string // by pid
	pids     map[string]int // by name
}

// RunNode is a node's first process, until its standard input ends.
func RunNode() error {
	f := &first{out: json.NewEncoder(os.Stdout), services: map[int]string{}, pids: map[string]int{}}
	if err := json.Unmarshal([]byte(os.Args[1]), &f.options); err != nil {
		return err
	}
	if err := f.furnish(); err != nil {
		return err
	}
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	go func() {
		for range children {
			f.reap()
		}
	}()
	f.say(reply{})
	in := json.NewDecoder(os.Stdin)
	for {
		var r request
		if err := in.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		answer := reply{ID: r.ID}
		if err := f.carryOut(r); err != nil {
			answer.Error = err.Error()
		}
		f.say(answer)
	}
}

// furnish makes what a machine has: a /proc and a /run of its own, a normal
// priority, and as far as it may the limits that the packaged unit asks for.
func (f *first) furnish() error {
	if err := ownProc(); err != nil {
		return err
	}
	const sockets = "/run/postgresql"
	if err := os.MkdirAll(sockets, 0o755); err != nil {
		return err
	}
	// mode=0775 and the owner, as Debian's package has it.
	how := fmt.Sprintf("mode=0775,uid=%d,gid=%d", f.options.UID, f.options.GID)
	if err := unix.Mount("tmpfs", sockets, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, how); err != nil {
		return fmt.Errorf("mount %s: %w", sockets, err)
	}
	if err := schedule(unix.SchedAttr{Policy: unix.SCHED_NORMAL}); err != nil {
		return err
	}
	for resource, value := range map[int]uint64{unix.RLIMIT_RTPRIO: 1, unix.RLIMIT_MEMLOCK: unix.RLIM_INFINITY, unix.RLIMIT_NOFILE: 65536} {
		// A machine that withholds CAP_SYS_RESOURCE keeps its own: that is no hindrance.
		if err := unix.Prlimit(0, resource, &unix.Rlimit{Cur: value, Max: value}, nil); err != nil && !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("set limit %d: %w", resource, err)
		}
	}
	if f.options.Shares != "" {
		if err := enterGroup(f.options.Shares); err != nil {
			return err
		}
	}
	if f.options.Group == "" {
		return nil
	}
	return joinGroup(f.options.Group, f.options.UID, f.options.GID)
}

func (f *first) say(r reply) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.out.Encode(r); err != nil {
		os.Exit(1) // nobody is there to be told; the kernel ends the rest
	}
}

// reap takes leave of every child that has ended, also of those that were only
// adopted.
func (f *first) reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		f.mu.Lock() // the start holds it until the pid is known
		name, ours := f.services[pid]
		delete(f.services, pid)
		if ours && f.pids[name] == pid {
			delete(f.pids, name)
		}
		f.mu.Unlock()
		if ours {
			f.say(reply{Ended: name})
		}
	}
}

func (f *first) carryOut(r request) error {
	switch r.Op {
	case opStart:
		return f.start(r.Service)
	case opSignal:
		f.mu.Lock()
		defer f.mu.Unlock()
		pid := f.pids[r.Service.Name]
		if pid == 0 {
			return fmt.Errorf("%s does not run", r.Service.Name)
		}
		return syscall.Kill(pid, r.Signal)
	case opPostmaster:
		pid, err := postmaster(r.Path)
		if err != nil {
			return err
		}
		return syscall.Kill(pid, r.Signal)
	default:
		return fmt.Errorf("unknown request %q", r.Op)
	}
}

func (f *first) start(s Service) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pids[s.Name] != 0 {
		return fmt.Errorf("%s runs already", s.Name)
	}
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	pid, err := syscall.ForkExec(s.Args[0], s.Args, &syscall.ProcAttr{
		Dir: "/", Env: s.Env, Files: []uintptr{null.Fd(), log.Fd(), log.Fd()},
		Sys: &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: uint32(f.options.UID), Gid: uint32(f.options.GID)}},
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", s.Args[0], err)
	}
	f.services[pid], f.pids[s.Name] = s.Name, pid
	return nil
}

// postmaster is the pid in the lock file of a data directory.
func postmaster(data string) (int, error) {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strconv.Atoi(line)
}

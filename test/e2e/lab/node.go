package lab

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Node is one machine's worth: an agent, its PostgreSQL, its files.
type Node struct {
	Name string
	Host string
	Net  Network

	Dir    string // everything of the node is below
	Data   string
	PgPass string
	Config string
	Log    string // what the agent and its PostgreSQL say

	// Change alters the configuration before each start of the agent.
	Change func(Settings)
	// Uptime, if not 0, is by how much the node's boot clock is ahead of the machine's.
	// It takes root and a time namespace (Linux 6.3: one that is entered by execve).
	Uptime time.Duration
	// Contained has the agent start as process 1 of a PID namespace. It takes root, and the
	// numbers in the node's files are then those of inside.
	Contained bool
	// Cgroup, if set, is the directory of one that belongs to the servers' user.
	Cgroup string
	// Text, if set, is the whole configuration instead.
	Text string
	// Patroni, if set, is the agent instead of ours, with the same configuration.
	Patroni *Patroni

	Agent *Process

	t       testing.TB
	cluster *Cluster
	conn    *pgx.Conn
}

// Start starts the agent and does not wait for anything.
func (n *Node) Start() {
	n.t.Helper()
	if n.Agent != nil && n.Agent.Running() {
		n.t.Fatalf("the agent of %s is running", n.Name)
	}
	n.Rewrite(nil)
	program, by := []string{os.Getenv(binaryVariable), "run", n.Config}, &syscall.SysProcAttr{}
	if n.Patroni != nil {
		program = append(slices.Clone(n.Patroni.command), n.Config)
	}
	switch {
	case n.Contained:
		program = n.contained(program, by)
	case n.Uptime != 0:
		program = append(n.clocks(), program...)
	default:
		by.Credential = account(n.t)
	}
	if n.Cgroup != "" {
		dir, err := os.Open(n.Cgroup)
		if err != nil {
			n.t.Fatal(err)
		}
		defer dir.Close()
		by.UseCgroupFD, by.CgroupFD = true, int(dir.Fd())
	}
	n.Agent = launchBy(n.t, by, n.Net, n.Log, program[0], program[1:]...)
}

// Rewrite writes the node's configuration again, changed further if that is given. A
// running agent reads it when it is told to.
func (n *Node) Rewrite(further func(Settings)) {
	n.t.Helper()
	text := []byte(n.Text)
	if n.Text == "" {
		s := guide(n)
		if n.cluster.change != nil {
			n.cluster.change(n, s)
		}
		for _, change := range []func(Settings){n.Change, further} {
			if change != nil {
				change(s)
			}
		}
		text = encode(n.t, s)
	}
	if err := os.WriteFile(n.Config, text, 0o600); err != nil {
		n.t.Fatal(err)
	}
	Own(n.t, n.Config)
}

// clocks are the words by which unshare(1) gives a program the node's clocks, and
// makes it the servers' user's: only root may do the one, and it comes first.
func (n *Node) clocks() []string {
	n.t.Helper()
	who := account(n.t)
	if who == nil {
		n.t.Skip("time namespaces need root")
	}
	ahead := strconv.Itoa(int(n.Uptime.Seconds()))
	return []string{"unshare", "--time", "--boottime", ahead, "--monotonic", ahead,
		"--setuid", strconv.Itoa(int(who.Uid)), "--setgid", strconv.Itoa(int(who.Gid))}
}

// Stop tells the agent to end, as the service manager does, and waits until it
// has. It returns the exit code.
func (n *Node) Stop() int {
	n.t.Helper()
	n.Agent.Signal(syscall.SIGTERM)
	return n.Agent.ExitCode(n.t, Patience)
}

// KillAgent kills the agent alone.
func (n *Node) KillAgent() { n.Agent.Kill() }

// KillPostmaster kills the postmaster alone.
func (n *Node) KillPostmaster() {
	n.t.Helper()
	pid := n.Postmaster()
	if pid == 0 {
		n.t.Fatalf("%s has no postmaster to kill", n.Name)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		n.t.Fatalf("kill the postmaster of %s: %v", n.Name, err)
	}
}

// KillNode kills the agent and every process of the server at once, as a power
// cut does.
func (n *Node) KillNode() {
	n.t.Helper()
	pids := []int{n.Agent.PID()}
	if pid := n.Postmaster(); pid != 0 {
		pids = append(pids, pid)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			n.t.Fatalf("kill %d of %s: %v", pid, n.Name, err)
		}
	}
	n.Clear()
}

// Clear ends everything of the node and waits until it is gone.
func (n *Node) Clear() {
	n.t.Helper()
	if n.Agent != nil {
		n.Agent.Kill()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := killInside(ctx, n.Dir); err != nil {
		n.t.Error(err)
	}
}

// Postmaster is the pid of the node's running postmaster, 0 if there is none.
func (n *Node) Postmaster() int {
	text, err := os.ReadFile(filepath.Join(n.Data, "postmaster.pid"))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		return 0
	}
	for _, p := range Inside(n.Data) {
		if p.PID == pid {
			return pid
		}
	}
	return 0
}

// Tool waits until one of PostgreSQL's programs works on the node's directory,
// and has written that many bytes, and freezes it there: whatever a test does
// next happens in the middle of that work.
func (n *Node) Tool(name string, bytes int64) Proc {
	n.t.Helper()
	var found Proc
	every(n.t, time.Millisecond, Patience, name+" works on "+n.Data, func(context.Context) (bool, string) {
		seen := "no such process"
		for _, p := range Inside(n.Data) {
			if p.Tool() != name {
				continue
			}
			if err := syscall.Kill(p.PID, syscall.SIGSTOP); err != nil {
				continue
			}
			if w := Written(p.PID); w < bytes {
				seen = strconv.FormatInt(w, 10) + " bytes written"
				_ = syscall.Kill(p.PID, syscall.SIGCONT)
				continue
			}
			found = p
			return true, ""
		}
		return false, seen
	})
	return found
}

// List is what the operator's list shows, asked with the node's own file.
func (n *Node) List() string {
	n.t.Helper()
	cmd := exec.CommandContext(n.t.Context(), os.Getenv(binaryVariable), "list", "-c", n.Config)
	out, err := cmd.CombinedOutput()
	if err != nil {
		n.t.Fatalf("list: %v: %s", err, out)
	}
	return string(out)
}

// Mark is the present end of the node's log.
func (n *Node) Mark() int64 {
	info, err := os.Stat(n.Log)
	if err != nil {
		return 0
	}
	return info.Size()
}

// LogSince is what the node has said since a mark.
func (n *Node) LogSince(mark int64) string {
	text, err := os.ReadFile(n.Log)
	if errors.Is(err, fs.ErrNotExist) || int64(len(text)) < mark {
		return ""
	}
	return string(text[mark:])
}

// WaitLog waits until the node has said something since the mark.
func (n *Node) WaitLog(mark int64, words string) {
	n.t.Helper()
	Eventually(n.t, Patience, n.Name+" says "+strconv.Quote(words), func(context.Context) (bool, string) {
		text := n.LogSince(mark)
		return strings.Contains(text, words), tail(text, 5)
	})
}

// tail is the last lines of a text.
func tail(text string, count int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}

// showLogs prints the ends of the logs when the test has failed.
func showLogs(t testing.TB, pattern string) {
	if !t.Failed() {
		return
	}
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Error(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		t.Logf("the end of %s:\n%s", path, tail(string(text), 40))
	}
}

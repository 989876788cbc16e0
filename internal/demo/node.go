package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
)

// node is one agent with its PostgreSQL and its part of the store: what would be a
// machine of its own.
type node struct {
	name   string
	number int
	layout *layout

	cmd     *exec.Cmd
	ended   chan struct{} // closed when the agent's process has ended
	wanted  atomic.Bool   // that it runs
	logFrom int64         // bytes of the log that were there before the last start
}

// start starts the agent. To be called from the locked thread of Run.
func (n *node) start() error {
	log, err := os.OpenFile(n.layout.log(n.name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", n.name, err)
	}
	defer log.Close()
	if info, err := log.Stat(); err == nil {
		n.logFrom = info.Size()
	}
	n.cmd = &exec.Cmd{
		// Not the path, which the servers' user may be unable to reach.
		Path: "/proc/self/exe", Args: []string{"matriarch", "run", n.layout.config(n.name)},
		Env: n.environment(), Dir: n.layout.dir, Stdout: log, Stderr: log,
		SysProcAttr: &syscall.SysProcAttr{
			Setsid:     true, // Ctrl-C is for us; we end the agents in order
			Credential: n.layout.owner.credential,
			Pdeathsig:  syscall.SIGTERM, // should we be killed, they still stop in order
		},
	}
	if err := n.cmd.Start(); err != nil {
		return fmt.Errorf("start the agent of %s: %w", n.name, err)
	}
	n.wanted.Store(true)
	ended := make(chan struct{})
	n.ended = ended
	cmd := n.cmd
	go func() { // ends with the process, which stop waits for
		_ = cmd.Wait() // how it ended is in ProcessState
		close(ended)
	}()
	return nil
}

// environment is made anew: PATRONI_* and PG* of the caller would change what the
// agents and their servers do.
func (n *node) environment() []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin:" + n.layout.binaries.dir, "HOME=" + n.layout.path(n.name), "LC_ALL=C",
		"TMPDIR=" + n.layout.path(n.name)}
}

func (n *node) running() bool {
	if n.ended == nil {
		return false
	}
	select {
	case <-n.ended:
		return false
	default:
		return true
	}
}

// terminate asks the agent to stop its PostgreSQL and to end.
func (n *node) terminate() {
	n.wanted.Store(false)
	_ = n.cmd.Process.Signal(syscall.SIGTERM) // ended already is as good
}

// kill ends the whole node at once and returns how many processes that were.
func (n *node) kill(ctx context.Context) (int, error) {
	n.wanted.Store(false)
	count, err := killTree(ctx, n.cmd.Process.Pid)
	if err != nil {
		return count, fmt.Errorf("kill %s: %w", n.name, err)
	}
	select {
	case <-n.ended:
		return count, nil
	case <-ctx.Done():
		return count, fmt.Errorf("kill %s: %w", n.name, ctx.Err())
	}
}

// said is what agent and server logged since the last start.
func (n *node) said() string {
	file, err := os.Open(n.layout.log(n.name))
	if err != nil {
		return ""
	}
	defer file.Close()
	text, _ := io.ReadAll(io.NewSectionReader(file, n.logFrom, logReadBytes)) // what could be read is enough
	return string(text)
}

// logReadBytes is far more than a node says in a demonstration.
const logReadBytes = 4 << 20

// cameBack tells by the agent's own words how the node found back into the cluster.
func cameBack(log string) string {
	switch {
	case strings.Contains(log, "base backup is complete"):
		return "copied anew"
	case strings.Contains(log, "rewind is complete"):
		return "rewound"
	}
	return ""
}

// tail is the end of a text, in lines.
func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// tellLogs shows the end of every node's log after a failure.
func (d *demo) tellLogs() {
	const lines = 15
	d.screen.Close()
	for _, n := range d.nodes {
		d.screen.Raw(fmt.Sprintf("--- the last lines of %s\n%s\n", n.layout.log(n.name), tail(n.said(), lines)))
	}
}

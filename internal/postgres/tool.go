package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// job is one run of a command that ends by itself.
type job struct {
	ctx   context.Context
	path  string
	args  []string
	env   []string // on top of the environment that every child gets
	dir   string
	input io.Reader
}

type toolRun struct{ job }

// tool prepares a run of one of PostgreSQL's own programs.
func (s *Server) tool(ctx context.Context, name string, args ...string) toolRun {
	return toolRun{job{ctx: ctx, path: s.cfg().bin(name), args: args}}
}

// output runs the command and returns what it wrote to standard output.
func (t toolRun) output() (string, error) {
	var out, errs bytes.Buffer
	if err := t.run(&out, &errs); err != nil {
		return out.String(), explain(err, errs.String())
	}
	return out.String(), nil
}

// follow runs the command and hands each line of its output, standard or error,
// to seen; a progress display's carriage returns end lines too.
func (j job) follow(seen func(line string)) error {
	lines := &lineWriter{seen: seen}
	err := j.run(lines, lines)
	lines.flush()
	return explain(err, strings.Join(lines.last, "\n"))
}

// run starts the command in a process group of its own, and at the end of ctx
// kills that whole group and waits for it.
//
// The kernel kills the command when we die: a base backup that lived on would
// write into the directory while our successor begins another one. That signal
// is bound to the thread that forked (prctl(2), PR_SET_PDEATHSIG), so the thread
// is held until the command has ended.
func (j job) run(stdout, stderr io.Writer) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(j.ctx, j.path, j.args...)
	cmd.Env = append(ChildEnvironment(), j.env...)
	cmd.Dir = j.dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = j.input, stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // a grandchild that left the group may hold the pipe
	err := cmd.Run()
	if cause := context.Cause(j.ctx); err != nil && cause != nil {
		return fmt.Errorf("run %s: %w", filepath.Base(j.path), cause)
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", filepath.Base(j.path), err)
	}
	return nil
}

// explain adds what the command said.
func explain(err error, said string) error {
	said = strings.TrimSpace(said)
	if err == nil || said == "" || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %s", err, said)
}

// ChildEnvironment is what a child process gets of ours: all but what belongs to the
// agent and to its service manager.
func ChildEnvironment() []string {
	var env []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		switch {
		case strings.HasPrefix(name, "PATRONI_"), strings.HasPrefix(name, "MATRIARCH_"),
			strings.HasPrefix(name, "KUBERNETES_"), name == "NOTIFY_SOCKET":
		default:
			env = append(env, entry)
		}
	}
	return env
}

// cLocale makes tools speak the language that our parsers read.
var cLocale = []string{"LC_ALL=C", "LANGUAGE=C"}

// lineKeep is how many lines of a tool's output an error may quote.
const lineKeep = 8

// lineWriter cuts what is written to it into lines.
type lineWriter struct {
	seen    func(string)
	partial []byte
	last    []string
}

func (w *lineWriter) Write(data []byte) (int, error) {
	w.partial = append(w.partial, data...)
	for {
		end := bytes.IndexAny(w.partial, "\r\n")
		if end < 0 {
			return len(data), nil
		}
		w.line(string(w.partial[:end]))
		w.partial = w.partial[end+1:]
	}
}

func (w *lineWriter) flush() {
	w.line(string(w.partial))
	w.partial = nil
}

func (w *lineWriter) line(text string) {
	text = strings.TrimSpace(text)
	if text == "" {
		return
	}
	if w.last = append(w.last, text); len(w.last) > lineKeep {
		w.last = w.last[1:]
	}
	if w.seen != nil {
		w.seen(text)
	}
}

// Package callback runs the commands by which a user has the world told what became
// of a server: a virtual address moved, a load balancer informed.
//
// Nobody waits for them. One runs at a time, and the newest is the one that counts: a
// running one is killed with its children before the next begins, since two of them
// would pull at the same address. What tells of a reload is apart from that, and kills
// only its own like (B-231, B-232). When they are due is not decided here.
package callback

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Reload is the action that has a lane of its own.
const Reload = "on_reload"

// Call is one command to be run.
type Call struct {
	Action string
	Argv   []string // the program and its arguments
}

// Runner owns the processes.
type Runner struct {
	log  *slog.Logger
	env  []string
	quit chan struct{} // closed by Close: what has not begun by then is the last
	kill chan struct{} // closed when patience with the last ones is over
	wait sync.WaitGroup

	mu     sync.Mutex // a call is put, or the runner closed
	closed bool
	events lane
	reload lane
}

// lane is a row of calls of which one runs.
type lane struct {
	next   chan Call // the newest that has not begun
	gentle bool      // the running one is asked to end before it is killed
}

// New makes a runner. What it runs gets that environment, and this process's own
// directory and outputs.
func New(env []string, log *slog.Logger) *Runner {
	r := &Runner{log: log, env: env, quit: make(chan struct{}), kill: make(chan struct{}),
		events: lane{next: make(chan Call, 1)}, reload: lane{next: make(chan Call, 1), gentle: true}}
	r.wait.Go(func() { r.attend(r.events) })
	r.wait.Go(func() { r.attend(r.reload) })
	return r
}

// Call has a command run in its turn, and returns. What was waiting for its turn is
// dropped: it tells of what is over.
func (r *Runner) Call(c Call) {
	l := r.events
	if c.Action == Reload {
		l = r.reload
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	select {
	case old := <-l.next:
		r.log.Warn("a callback is not run, since a newer one is due", "action", old.Action)
	default:
	}
	l.next <- c
}

// Close lets the last commands come to their end, until ctx is over; then they are
// killed. It returns when nothing is left of them, and is called once.
func (r *Runner) Close(ctx context.Context) {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	close(r.quit)
	ended := make(chan struct{})
	go func() {
		r.wait.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	close(r.kill)
	<-ended
}

// attend runs the calls of one lane.
func (r *Runner) attend(l lane) {
	for {
		select {
		case c := <-l.next:
			r.run(l, c)
		case <-r.quit:
			select {
			case c := <-l.next: // put just before the end
				r.run(l, c)
			default:
				return
			}
		}
	}
}

// run runs one command until it has ended, by itself or because the next one is due.
func (r *Runner) run(l lane, c Call) {
	cmd := exec.Command(c.Argv[0], c.Argv[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = r.env, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		r.log.Error("a callback could not be run", "action", c.Action, "err", err)
		return
	}
	r.log.Info("callback begins", "action", c.Action, "role", role(c), "pid", cmd.Process.Pid)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		r.tell(c, err, time.Since(began))
		return
	case next := <-l.next:
		r.log.Warn("a callback still runs, and is killed since the next one is due", "action", c.Action, "next", next.Action)
		r.requeue(l, next)
	case <-r.kill:
		r.log.Warn("a callback still runs, and is killed since the agent ends", "action", c.Action)
	}
	if l.gentle && askToEnd(cmd.Process.Pid, ended) {
		return
	}
	killTree(cmd.Process.Pid)
	<-ended // a process that cannot be killed has the next one wait
}

// requeue puts back a call that was only looked at, unless a newer one came.
func (r *Runner) requeue(l lane, c Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case l.next <- c:
	default:
	}
}

// termPatience is how long a command that is asked to end may take for it.
const termPatience = 100 * time.Millisecond

// askToEnd reports that the process ended when it was asked to. It is waited for
// either way.
func askToEnd(pid int, ended chan error) bool {
	_ = syscall.Kill(-pid, syscall.SIGTERM) // it may have ended
	timer := time.NewTimer(termPatience)
	defer timer.Stop()
	select {
	case <-ended:
		return true
	case <-timer.C:
		return false
	}
}

// role is the argument that is worth a line in the log.
func role(c Call) string { return c.Argv[len(c.Argv)-2] }

func (r *Runner) tell(c Call, err error, took time.Duration) {
	if err != nil {
		r.log.Error("a callback failed", "action", c.Action, "took", took.Round(time.Millisecond), "err", err)
		return
	}
	r.log.Info("callback is done", "action", c.Action, "took", took.Round(time.Millisecond))
}

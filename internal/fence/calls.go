package fence

import (
	"context"
	"fmt"
	"os"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/fence/guard"
)

// Command is how the server is started.
type Command struct {
	Path string // of the postgres binary
	Args []string
	Env  []string
	Dir  string

	// Stdout and Stderr are where it writes; nil is the guard's own.
	Stdout, Stderr *os.File

	// Armed is true of a server that starts as a primary. It is part of the start, so
	// that no moment lies between.
	Armed    bool
	Deadline boottime.Instant
}

// Launch starts the server as the guard's child and returns the postmaster's pid.
// The guard has one server at a time.
func (g *Guard) Launch(ctx context.Context, c Command) (pid int, err error) {
	m := guard.Message{Verb: "start"}.With("path", c.Path).With("dir", c.Dir).
		WithBool("armed", c.Armed).WithInt("at", int64(c.Deadline))
	for _, arg := range c.Args {
		m = m.With("arg", arg)
	}
	for _, variable := range c.Env {
		m = m.With("env", variable)
	}
	var files []*os.File
	if c.Stdout != nil || c.Stderr != nil {
		files = []*os.File{or(c.Stdout, os.Stdout), or(c.Stderr, os.Stderr)}
	}
	answer, err := g.call(ctx, m, callTimeout, files...)
	if err != nil {
		return 0, err
	}
	return int(answer.Int("pid")), nil
}

func or(f, other *os.File) *os.File {
	if f == nil {
		return other
	}
	return f
}

// RecordMax is the longest record that Keep takes, in bytes.
const RecordMax = guard.RecordMax

// keepTimeout is a third of the shortest permit: whoever keeps a record is on the
// way to extend one. An idle machine needs a tenth of a millisecond.
const keepTimeout = 100 * time.Millisecond

// Keep stores bytes with the guard for the next life of the agent, in place of
// those before; none removes them. It returns nil when that is done; after an error
// it is not known which of the two the guard has. Status gives them back.
//
// They outlive the agent and the server, but not the guard, and not the start of
// another server that may not be a primary (package guard, record.go).
func (g *Guard) Keep(ctx context.Context, record []byte) error {
	if len(record) > RecordMax {
		return fmt.Errorf("keep a record with the guard: it has %d bytes, the limit is %d", len(record), RecordMax)
	}
	m := guard.Message{Verb: "keep"}
	if len(record) > 0 {
		m = m.With("data", string(record))
	}
	_, err := g.call(ctx, m, keepTimeout)
	return err
}

// Adopt takes a running postmaster over. Until it is started again it gets no
// parent-death signal if the guard dies.
func (g *Guard) Adopt(ctx context.Context, pid int, armed bool, deadline boottime.Instant) error {
	_, err := g.call(ctx, guard.Message{Verb: "adopt"}.WithInt("pid", int64(pid)).
		WithBool("armed", armed).WithInt("at", int64(deadline)), callTimeout)
	return err
}

// Arm says that the server may be a primary from now on, and may run as one until
// deadline: to be called before a promotion.
func (g *Guard) Arm(ctx context.Context, deadline boottime.Instant) error {
	_, err := g.call(ctx, guard.Message{Verb: "arm"}.WithInt("at", int64(deadline)), callTimeout)
	return err
}

// Disarm says that the server is a standby, or that the cluster is paused. A
// frozen server is thawed by it.
func (g *Guard) Disarm(ctx context.Context) error {
	_, err := g.call(ctx, guard.Message{Verb: "disarm"}, callTimeout)
	return err
}

// Freeze stops the server now, whatever the deadline, until Release or Kill. It
// returns when every process is seen stopped.
func (g *Guard) Freeze(ctx context.Context) error {
	_, err := g.call(ctx, guard.Message{Verb: "freeze"}, callTimeout)
	return err
}

// Release takes Freeze back: the deadline decides again.
func (g *Guard) Release(ctx context.Context) error {
	_, err := g.call(ctx, guard.Message{Verb: "thaw"}, callTimeout)
	return err
}

// Kill ends the server without letting a frozen one run another instruction. It
// returns when no process of it is left; it cannot be taken back.
func (g *Guard) Kill(ctx context.Context) error {
	_, err := g.call(ctx, guard.Message{Verb: "kill"}, killTimeout)
	return err
}

// SetGiveUp changes how long a frozen server is kept: the ttl of the cluster.
func (g *Guard) SetGiveUp(ctx context.Context, d time.Duration) error {
	_, err := g.call(ctx, guard.Message{Verb: "giveup"}.WithInt("for", int64(d)), callTimeout)
	return err
}

// End ends a guard that has no server.
func (g *Guard) End(ctx context.Context) error {
	_, err := g.call(ctx, guard.Message{Verb: "end"}, callTimeout)
	return err
}

// Status asks how things stand. Its answer is also the sign that the guard is
// alive: one that does not give it in time is to be broken (Break).
func (g *Guard) Status(ctx context.Context) (Status, error) {
	answer, err := g.call(ctx, guard.Message{Verb: "status"}, callTimeout)
	if err != nil {
		return Status{}, err
	}
	return statusOf(answer), nil
}

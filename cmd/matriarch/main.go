// Command matriarch keeps a PostgreSQL cluster available.
//
// It is three programs in one file, chosen by the name it is called by: patroni
// and patronictl behave as Patroni's, every other name is matriarch.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"matriarch/internal/ctl"
	"matriarch/internal/daemon"
	"matriarch/internal/pidone"
)

// version is Matriarch's own, set at build time (-X main.version=1.2.3).
var version = "0.1.0-dev"

// process is what a program sees of its surroundings.
type process struct {
	in       io.Reader
	out, err io.Writer
	environ  []string

	signals *interrupts

	// agent runs the agent of a node until it ends.
	agent func(ctx context.Context, path, product string) error
}

func main() {
	if pidone.Needed() {
		os.Exit(first())
	}
	p := process{in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ(), agent: runAgent}
	os.Exit(p.run(filepath.Base(os.Args[0]), os.Args[1:]))
}

// first is process 1 of a container, and the program is its child.
func first() int {
	code, err := pidone.Run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "matriarch:", err)
	}
	return code
}

// run is the program of that name. It returns the exit code.
func (p process) run(name string, args []string) int {
	p.signals = &interrupts{}
	switch name {
	case "patroni":
		return p.patroni(args)
	case "patronictl":
		root := ctl.Root(p.ctl(false), daemon.Version)
		root.SetArgs(args)
		ctx, stop := p.signals.context(context.Background())
		defer stop()
		return ctl.Exit(root.ExecuteContext(ctx), p.err)
	}
	return p.matriarch(args)
}

func (p process) ctl(strict bool) ctl.Env {
	return ctl.Env{In: p.in, Out: p.out, Err: p.err, Environ: p.environ, Strict: strict, Hold: p.signals.hold}
}

// interruptible ends a context on Ctrl-C. The agent is not run under it: it has a
// way of its own to stop.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
}

func product() string { return "Matriarch/" + version }

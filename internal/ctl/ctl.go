// Package ctl is the operator's commands: what patronictl offers, in its words,
// and the same under matriarch's name.
//
// Texts, layouts and exit codes are compat/ctl.md's, for scripts match on them.
// No command waits for ever: the store has a deadline, every request has one, and
// an operation is followed to its end instead of being left alone.
package ctl

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"matriarch/internal/config"
	"matriarch/internal/dcs"
	"matriarch/internal/store"
)

// Env is the process around the commands.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	Environ  []string
	Now      func() time.Time // nil: time.Now

	// Open opens the store; nil: store.Open.
	Open func(ctx context.Context, c *config.Config, o store.Options) (dcs.Store, error)

	// Pace is how long to wait between two looks at a member that is at work; 0: one
	// second.
	Pace time.Duration

	// Hold keeps Ctrl-C from ending the command until release is called: while an
	// editor has the terminal it is the editor's. nil: nothing to hold.
	Hold func() (release func())

	// Terminal takes Err for a terminal though it is none: a test looks at what a person
	// gets to see.
	Terminal bool

	// Strict makes the exit code tell when a server refused or its answer is
	// missing (ExitRefused, ExitUnknown). patronictl ends with 0 then.
	Strict bool
}

// The exit codes beside 0.
const (
	ExitFailed      = 1 // an error of the command itself, or a question answered with no
	ExitUsage       = 2
	ExitRefused     = 3 // a member refused or failed; only when strict
	ExitUnreachable = 4 // a member was not reached; only when strict
	ExitUnknown     = 5 // nobody can tell what came of it
)

// app is one invocation: the global options and what the commands share.
type app struct {
	Env
	configFile string
	dcsURL     string
	insecure   bool
	quiet      bool
	timeout    time.Duration // for the store, and for a request that is answered at once
	pace       time.Duration // between two looks at a member
	input      *lines
}

const defaultTimeout = 10 * time.Second

func newApp(env Env) *app {
	if env.Now == nil {
		env.Now = time.Now
	}
	if env.Open == nil {
		env.Open = store.Open
	}
	if env.Hold == nil {
		env.Hold = func() func() { return func() {} }
	}
	if env.Pace == 0 {
		env.Pace = time.Second
	}
	return &app{Env: env, timeout: defaultTimeout, pace: env.Pace, input: newLines(env.In)}
}

// Root is the whole command line of patronictl.
func Root(env Env, version string) *cobra.Command {
	a := newApp(env)
	root := &cobra.Command{
		Use:   "patronictl",
		Short: "Command-line interface for interacting with the cluster",
		Args:  noSuchCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		// The options of patronictl stand before the command, where some commands
		// have options of the same name.
		TraverseChildren: true,
	}
	root.Version = version
	root.SetVersionTemplate("patronictl version {{.Version}}\n")
	a.globals(root.Flags(), true)
	root.AddCommand(a.commands("patronictl version " + version)...)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetHelpCommand(&cobra.Command{Hidden: true, Use: "no-help"})
	Codes(root, "done, or a member refused: the output tells", codeNo+"; each command's help tells more", codeUsage)
	Finish(root, env)
	return root
}

// Commands are the same commands for another root, with the global options on
// each of them, and those that patronictl does not have. version is the first line
// of the version command.
func Commands(env Env, version string) []*cobra.Command {
	a := newApp(env)
	return append(a.commands(version), a.configCommands())
}

func (a *app) commands(version string) []*cobra.Command {
	all := []*cobra.Command{
		a.list(), a.topology(), a.history(), a.showConfig(), a.editConfig(), a.switchover(), a.failover(), a.restart(), a.reload(), a.reinit(),
		a.pause(), a.resume(), a.flush(), a.remove(), a.dsn(), a.query(), a.demoteCluster(), a.promoteCluster(), a.version(version),
	}
	if a.Strict { // patronictl has none
		all = append(all, a.top())
	}
	for _, c := range all {
		// query has a -c and a -d of its own.
		a.globals(c.Flags(), c.Name() != "query")
		if slices.Contains(staying, c.Name()) {
			a.quietFlag(c.Flags())
		}
		a.codes(c)
		a.completions(c)
	}
	return all
}

// globals are accepted before and after the command.
func (a *app) globals(f *pflag.FlagSet, short bool) {
	letter := func(s string) string {
		if short {
			return s
		}
		return ""
	}
	f.StringVarP(&a.configFile, "config-file", letter("c"), a.configFile, "configuration file, or a directory of them (PATRONICTL_CONFIG_FILE)")
	f.StringVarP(&a.dcsURL, "dcs-url", letter("d"), a.dcsURL, "the store's address, as etcd3://host:2379/namespace (DCS_URL)")
	f.StringVar(&a.dcsURL, "dcs", a.dcsURL, "the same as --dcs-url")
	f.BoolVarP(&a.insecure, "insecure", letter("k"), a.insecure, "do not verify the members' certificates")
	if f.Lookup("timeout") == nil { // restart has one of its own
		f.DurationVar(&a.timeout, "timeout", a.timeout, "how long to wait for the store, or for a member that answers at once")
	}
	_ = f.MarkHidden("dcs")
}

// Finish gives a command line patronictl's way with mistakes, and the examples
// the program's name.
func Finish(root *cobra.Command, env Env) {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetIn(env.In)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	root.SetFlagErrorFunc(flagError)
	root.SetHelpTemplate(helpTemplate)
	for _, c := range root.Commands() {
		lines := strings.Split(c.Example, "\n")
		for i, line := range lines {
			if rest, ok := strings.CutPrefix(line, "  "+c.Name()); ok {
				lines[i] = "  " + root.Name() + " " + c.Name() + rest
			}
		}
		c.Example = strings.Join(lines, "\n")
	}
}

// colours reports whether a stream is a terminal that may be painted.
func (a *app) colours(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"
}

func (a *app) getenv(name string) string {
	for _, e := range a.Environ {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

// say prints to stdout. A reader that has gone away (a closed pipe) ends the
// process by itself, so errors are not looked at.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.Out, format, args...) }

// Package ctl is the operator's commands: what patronictl offers, in its words,
// and the same under matriarch's name.
//
// Texts, layouts and exit codes are compat/ctl.md's, for scripts match on them.
// No command waits for ever: the store has a deadline, every request has one, and
// an operation is followed to its end instead of being left alone.
package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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

	// Strict makes the exit code tell when a server refused or its answer is
	// missing (ExitRefused, ExitUnknown). patronictl ends with 0 then.
	Strict bool
}

// The exit codes beside 0.
const (
	ExitFailed  = 1 // an error of the command itself, or a question answered with no
	ExitUsage   = 2
	ExitRefused = 3 // the cluster refused; only when strict
	ExitUnknown = 5 // nobody can tell what came of it
)

// app is one invocation: the global options and what the commands share.
type app struct {
	Env
	configFile string
	dcsURL     string
	insecure   bool
	timeout    time.Duration // for the store to answer
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
	return &app{Env: env, timeout: defaultTimeout, input: newLines(env.In)}
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
	a.globals(root.Flags(), true)
	root.AddCommand(a.commands(version)...)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetHelpCommand(&cobra.Command{Hidden: true, Use: "no-help"})
	Finish(root, env)
	return root
}

// Commands are the same commands for another root, with the global options on
// each of them. The version command is left to the root.
func Commands(env Env) []*cobra.Command {
	a := newApp(env)
	var out []*cobra.Command
	for _, c := range a.commands("") {
		if c.Name() != "version" {
			out = append(out, c)
		}
	}
	return out
}

func (a *app) commands(version string) []*cobra.Command {
	all := []*cobra.Command{
		a.list(), a.topology(), a.history(), a.showConfig(), a.switchover(), a.failover(), a.dsn(), a.query(), a.version(version),
	}
	for _, c := range all {
		// query has a -c and a -d of its own.
		a.globals(c.Flags(), c.Name() != "query")
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
	f.DurationVar(&a.timeout, "timeout", a.timeout, "how long to wait for the store")
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

// Exit prints what is left to say of an error and returns the exit code.
func Exit(err error, stderr io.Writer) int {
	var usage *usageError
	var failed *failure
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errAborted), errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "Aborted!")
		return ExitFailed
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "Usage: %s\nTry '%s --help' for help.\n\nError: %s\n", usage.line, usage.path, usage.text)
		return ExitUsage
	case errors.As(err, &failed):
		if failed.text != "" {
			fmt.Fprintf(stderr, "Error: %s\n", failed.text)
		}
		return failed.code
	}
	fmt.Fprintf(stderr, "Error: %v\n", err)
	return ExitFailed
}

// errAborted ends a command at a prompt that gets no answer.
var errAborted = errors.New("aborted")

// failure is an error with its exit code. Without a text everything has been said.
type failure struct {
	code int
	text string
}

func (f *failure) Error() string { return f.text }

func fail(format string, args ...any) error {
	return &failure{code: ExitFailed, text: fmt.Sprintf(format, args...)}
}

// usageError is a mistake on the command line.
type usageError struct{ line, path, text string }

func (e *usageError) Error() string { return e.text }

// Usage is an error about how a command was called.
func Usage(cmd *cobra.Command, format string, args ...any) error {
	path := cmd.CommandPath()
	line := path + " [OPTIONS]"
	if _, arguments, found := strings.Cut(cmd.Use, " "); found {
		line += " " + arguments
	} else if cmd.HasAvailableSubCommands() {
		line += " COMMAND [ARGS]..."
	}
	return &usageError{line: line, path: path, text: fmt.Sprintf(format, args...)}
}

func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return NoSuchCommand(cmd, args[0])
}

// NoSuchCommand is the error about a command that the root does not have.
func NoSuchCommand(cmd *cobra.Command, name string) error {
	text := fmt.Sprintf("No such command '%s'.", name)
	for distance := range 2 { // the nearest first
		cmd.SuggestionsMinimumDistance = distance + 1
		if near := cmd.SuggestionsFor(name); len(near) > 0 {
			text += fmt.Sprintf(" Did you mean '%s'?", near[0])
			break
		}
	}
	return Usage(cmd, "%s", text)
}

// flagError puts the library's words into patronictl's.
func flagError(cmd *cobra.Command, err error) error {
	var missing *pflag.NotExistError
	var valueless *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return err
	case errors.As(err, &missing):
		name := "--" + missing.GetSpecifiedName()
		if missing.GetSpecifiedShortnames() != "" {
			name = "-" + missing.GetSpecifiedName()
		}
		return Usage(cmd, "No such option: %s", name)
	case errors.As(err, &valueless):
		return Usage(cmd, "Option '--%s' requires an argument.", valueless.GetFlag().Name)
	case errors.As(err, &invalid):
		return Usage(cmd, "Invalid value for %s: %s", flagNames(invalid.GetFlag()), invalidValue(invalid))
	}
	return Usage(cmd, "%v", err)
}

func flagNames(f *pflag.Flag) string {
	names := "'--" + f.Name + "'"
	if f.Shorthand != "" {
		names += " / '-" + f.Shorthand + "'"
	}
	return names
}

func invalidValue(e *pflag.InvalidValueError) string {
	switch e.GetFlag().Value.Type() {
	case "int":
		return fmt.Sprintf("'%s' is not a valid integer.", e.GetValue())
	case "float64":
		return fmt.Sprintf("'%s' is not a valid float.", e.GetValue())
	case "choice":
		return fmt.Sprintf("'%s' is not one of %s.", e.GetValue(), e.GetFlag().Value.(*choice).list())
	}
	return fmt.Sprintf("'%s' is not a valid %s.", e.GetValue(), e.GetFlag().Value.Type())
}

// atMost limits the arguments.
func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= n {
			return nil
		}
		plural := ""
		if len(args) > n+1 {
			plural = "s"
		}
		return Usage(cmd, "Got unexpected extra argument%s (%s)", plural, strings.Join(args[n:], " "))
	}
}

// choice is an option with a fixed set of values.
type choice struct {
	value   string
	allowed []string
}

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return "choice" }

// Set takes a value of the set. The text of the error is made by flagError.
func (c *choice) Set(s string) error {
	for _, a := range c.allowed {
		if s == a {
			c.value = s
			return nil
		}
	}
	return fmt.Errorf("%q is not one of %s", s, c.list())
}

func (c *choice) list() string { return "'" + strings.Join(c.allowed, "', '") + "'" }

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

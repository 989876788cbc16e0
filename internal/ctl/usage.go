package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

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
	return &usageError{line: wrapUsage(line, len("Usage: "+path+" ")), path: path, text: fmt.Sprintf(format, args...)}
}

// usageWidth is in characters: longer lines go on below, as in patronictl.
const usageWidth = 78

func wrapUsage(line string, indent int) string {
	var b strings.Builder
	width := len("Usage:")
	for i, word := range strings.Fields(line) {
		switch {
		case i > 0 && width+1+len(word) > usageWidth:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			width = indent
		case i > 0:
			b.WriteString(" ")
			width++
		default:
			width++
		}
		b.WriteString(word)
		width += len(word)
	}
	return b.String()
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
		name := "--" + valueless.GetFlag().Name
		if valueless.GetSpecifiedShortnames() != "" {
			name = "-" + valueless.GetFlag().Shorthand
		}
		return Usage(cmd, "Option '%s' requires an argument.", name)
	case errors.As(err, &invalid):
		return Usage(cmd, "Invalid value for %s: %s", flagNames(invalid.GetFlag()), invalidValue(invalid))
	}
	return Usage(cmd, "%v", err)
}

func flagNames(f *pflag.Flag) string {
	names := "'--" + f.Name + "'"
	switch {
	case f.Name == "watch": // the one that patronictl names by its letter first
		names = "'-w' / " + names
	case f.Shorthand != "":
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

package config

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// Severity tells whether a node can run with the fault.
type Severity uint8

// The severities of a Problem.
const (
	// Warning: the node runs; the message says what is used instead.
	Warning Severity = iota
	// Error: the node must not start, or must keep its old configuration.
	Error
)

// String is "warning" or "error".
func (s Severity) String() string {
	if s == Error {
		return "error"
	}
	return "warning"
}

// Problem is one fault of a configuration. Its text never holds a secret.
type Problem struct {
	At       Position
	Path     string // dotted, e.g. postgresql.listen
	Severity Severity
	Message  string
	// Validator is the line that patroni --validate-config prints for this fault,
	// empty where it checks no such thing.
	Validator string
}

// String is one line: where, how bad, which key, what is wrong.
func (p Problem) String() string {
	var b strings.Builder
	if p.At.Source != "" {
		b.WriteString(p.At.Source)
		if p.At.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.At.Line)
		}
		b.WriteString(": ")
	}
	fmt.Fprintf(&b, "%s: ", p.Severity)
	if p.Path != "" {
		fmt.Fprintf(&b, "%s ", p.Path)
	}
	b.WriteString(p.Message)
	return b.String()
}

// LogValue gives the fault to a log as fields.
func (p Problem) LogValue() slog.Value {
	return slog.GroupValue(slog.String("key", p.Path), slog.String("message", p.Message),
		slog.String("source", p.At.Source), slog.Int("line", p.At.Line))
}

// Report collects every fault of a configuration, so that one run of the operator's
// editor mends them all.
type Report struct {
	Problems []Problem
}

// Errors are the problems that stop the node.
func (r Report) Errors() []Problem { return r.of(Error) }

// Warnings are the problems that it runs with.
func (r Report) Warnings() []Problem { return r.of(Warning) }

func (r Report) of(s Severity) []Problem {
	var out []Problem
	for _, p := range r.Problems {
		if p.Severity == s {
			out = append(out, p)
		}
	}
	return out
}

// Err is nil, or one error that lists every problem of severity Error.
func (r Report) Err() error {
	var errs []error
	for _, p := range r.Errors() {
		errs = append(errs, errors.New(p.String()))
	}
	return errors.Join(errs...)
}

// sort puts the problems in the order of the file. Those of one line keep the order
// in which they were found, and those without a line come last.
func (r *Report) sort() {
	slices.SortStableFunc(r.Problems, func(a, b Problem) int {
		if known := cmp.Compare(b2i(a.At.Line == 0), b2i(b.At.Line == 0)); known != 0 {
			return known
		}
		return cmp.Or(strings.Compare(a.At.Source, b.At.Source), cmp.Compare(a.At.Line, b.At.Line))
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (r *Report) add(p Problem) { r.Problems = append(r.Problems, p) }

func (r *Report) error(at Position, path, message string) {
	r.add(Problem{At: at, Path: path, Severity: Error, Message: message})
}

func (r *Report) warn(at Position, path, message string) {
	r.add(Problem{At: at, Path: path, Message: message})
}

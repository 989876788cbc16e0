package config

import (
	"slices"
	"strconv"
	"strings"
)

// optionReader renders options of a program (initdb, pg_basebackup) as arguments.
// Those are a list of names and one-entry maps, or a map.
type optionReader struct {
	reader
	path      string
	severity  Severity // of a fault: the option is skipped
	forbidden []string // options that are ours to give
}

func (o optionReader) render() []string {
	v := o.get(o.path)
	var out []string
	for _, f := range v.Fields() {
		if !f.Value.Truth() && !f.Value.Is(KindBool) {
			continue // an empty value leaves the option out
		}
		out = o.pair(out, f, join(o.path, f.Name))
	}
	for i, item := range v.Items() {
		path := join(o.path, strconv.Itoa(i))
		switch {
		case item.Is(KindString):
			if o.allowed(item.text, item.At, path) {
				out = append(out, "--"+item.text)
			}
		case item.Is(KindMap) && len(item.fields) == 1:
			out = o.pair(out, item.fields[0], path)
		case item.Is(KindMap):
			o.fault(item.At, path, "must be one option, not a map of several")
		default:
			o.fault(item.At, path, "is "+item.kindName()+", not the name of an option")
		}
	}
	return out
}

func (o optionReader) fault(at Position, path, message string) {
	if o.severity == Warning {
		message += "; the option is skipped"
	}
	o.report.add(Problem{At: at, Path: path, Severity: o.severity, Message: message})
}

// pair renders name: value. A number that was not quoted is taken as its text.
func (o optionReader) pair(out []string, f Field, path string) []string {
	if !o.allowed(f.Name, f.At, path) {
		return out
	}
	switch v := f.Value; {
	case v.Is(KindString):
	case v.Is(KindInt), v.Is(KindFloat):
		o.report.warn(f.At, path, "is a number, which Patroni refuses; put it in quotes")
	default:
		o.fault(f.At, path, "must have a text in quotes as its value, not "+v.kindName()+"; an option without value is a plain list item")
		return out
	}
	return append(out, "--"+f.Name+"="+unquoteOnce(f.Value.Text()))
}

func (o optionReader) allowed(name string, at Position, path string) bool {
	name, _, _ = strings.Cut(name, "=")
	if slices.Contains(o.forbidden, name) {
		o.fault(at, path, "option "+name+" cannot be given here")
		return false
	}
	return true
}

package logs

import (
	"log/slog"
	"path"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
)

// source is who wrote a record.
type source struct {
	part     string // of the program, as matriarch.dcs.etcd
	function string
	file     string
	line     int
}

// known keeps the sources by program counter: there are as many as lines that log.
var known sync.Map

const ours = "matriarch/internal/"

func sourceOf(pc uintptr) source {
	if s, ok := known.Load(pc); ok {
		return s.(source)
	}
	frame, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	s := source{part: partOf(frame.Function), file: frame.File, line: frame.Line}
	s.function = frame.Function[strings.LastIndexByte(frame.Function, '.')+1:]
	known.Store(pc, s)
	return s
}

// partOf names the package of a function by dots: matriarch/internal/dcs/etcd.Open is
// of matriarch.dcs.etcd.
func partOf(function string) string {
	dir, base := path.Split(function)
	pkg, _, _ := strings.Cut(base, ".")
	full := dir + pkg
	if rest, found := strings.CutPrefix(full, ours); found {
		return "matriarch." + strings.ReplaceAll(rest, "/", ".")
	}
	return strings.ReplaceAll(full, "/", ".")
}

// stackOf is the stack of an error where it is asked for.
func stackOf(s *settings, level slog.Level) string {
	if !s.Stacks || level < slog.LevelError {
		return ""
	}
	return strings.TrimSpace(string(debug.Stack()))
}

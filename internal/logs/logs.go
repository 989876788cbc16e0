// Package logs writes the agent's log in the layout that Patroni's users have tools
// for: its line format and fields, plain or JSON, to standard error or to a file
// that is rotated, all of it changed by a reload (compat/config.md §2.2).
//
// A record never waits for the disk or the reader of a pipe: it goes into a bounded
// queue, from which one goroutine writes. What does not fit is dropped, counted, and
// told when there is room again. Close writes what is left.
package logs

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"
	"time"
)

// Off is the level of Patroni's FATAL and CRITICAL, above that of any trouble: a word
// before the program ends.
const Off = slog.LevelError + 4

// Options say what is written and where to.
type Options struct {
	JSON         bool
	Level        slog.Level
	Format       []Field               // of a plain log the first is the whole layout
	DateFormat   string                // strftime; empty: 2006-01-02 15:04:05,000
	StaticFields map[string]any        // JSON only
	Member       string                // this node's name, JSON only
	Loggers      map[string]slog.Level // by name of a part, Patroni's names included
	Stacks       bool                  // errors carry the stack of whoever logs them
	MaxQueue     int                   // records

	Dir      string // of patroni.log; empty: standard error
	Mode     uint32 // permissions of the file; 0: it keeps those that it has
	Fresh    uint32 // permissions of a file that is made, with Mode 0; 0: what the umask leaves
	FileNum  int    // rotated files that are kept
	FileSize int64  // bytes at which a file is rotated
}

// Field is a field of a JSON record, or the layout of a plain one.
type Field struct {
	Name   string
	Output string // its name in the record, if it is another
}

// Log is the destination of a logger.
type Log struct {
	settings atomic.Pointer[settings]
	queue    *queue
	stderr   io.Writer
}

// settings are what is read for every record; a reload replaces them whole.
type settings struct {
	Options
	layout *layout
	levels levels
}

// ErrStuck says that the queue could not be written out in time.
var ErrStuck = errors.New("the log's queue is stuck")

// Open begins to write. Close must be called.
func Open(o Options, stderr io.Writer) (*Log, error) {
	out, err := openOutput(o, stderr)
	if err != nil {
		return nil, err
	}
	l := &Log{stderr: stderr, queue: newQueue(o.MaxQueue, out, stderr)}
	l.use(o)
	return l, nil
}

func (l *Log) use(o Options) {
	s := &settings{Options: o, levels: newLevels(o.Level, o.Loggers)}
	s.layout = newLayout(o)
	l.settings.Store(s)
}

// Reload takes new settings. With an error the old ones stay in force.
func (l *Log) Reload(o Options) error {
	old := l.settings.Load().Options
	if o.Dir != old.Dir || o.Mode != old.Mode || o.FileNum != old.FileNum || o.FileSize != old.FileSize {
		out, err := openOutput(o, l.stderr)
		if err != nil {
			return err
		}
		l.queue.redirect(out)
	}
	l.queue.limit(o.MaxQueue)
	l.use(o)
	return nil
}

// Logger is a logger that writes here.
func (l *Log) Logger() *slog.Logger { return slog.New(&handler{log: l}) }

// Close writes what is queued and ends. Records that come later go to standard
// error.
func (l *Log) Close(timeout time.Duration) error { return l.queue.close(timeout) }

// handler gives records their form.
type handler struct {
	log    *Log
	attrs  []slog.Attr // with the names of their groups
	prefix string      // of the open groups, with a dot at the end
}

// Enabled lets through what some part may write; Handle knows the part.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.log.settings.Load().levels.least
}

// Handle writes one record.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	s := h.log.settings.Load()
	from := sourceOf(r.PC)
	if r.Level < s.levels.of(from.part) {
		return nil
	}
	attrs := h.attrs[:len(h.attrs):len(h.attrs)]
	r.Attrs(func(a slog.Attr) bool {
		attrs = flatten(attrs, h.prefix, a)
		return true
	})
	return h.log.queue.put(s.layout.line(record{Record: r, source: from, attrs: attrs, stack: stackOf(s, r.Level)}))
}

// WithAttrs adds attributes to every record.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.attrs = h.attrs[:len(h.attrs):len(h.attrs)]
	for _, a := range attrs {
		next.attrs = flatten(next.attrs, h.prefix, a)
	}
	return &next
}

// WithGroup puts a name before those of later attributes.
func (h *handler) WithGroup(name string) slog.Handler {
	next := *h
	next.prefix += name + "."
	return &next
}

// flatten resolves an attribute, and puts the parts of a group beside each other.
func flatten(to []slog.Attr, prefix string, a slog.Attr) []slog.Attr {
	a.Value = a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return to
	}
	if a.Value.Kind() != slog.KindGroup {
		return append(to, slog.Attr{Key: prefix + a.Key, Value: a.Value})
	}
	if a.Key != "" {
		prefix += a.Key + "."
	}
	for _, part := range a.Value.Group() {
		to = flatten(to, prefix, part)
	}
	return to
}

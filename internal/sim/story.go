package sim

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// teller keeps the story of a world, if it is wanted: telling costs time, so that
// seeds are run in silence and the one that broke something is run again.
type teller struct {
	telling bool
	words   bool // the agents' own log as well
	lines   []string
	skipped instant // of world time that was leapt over
}

// storyMost is how many lines are kept.
const storyMost = 4000

func (w *World) tell(format string, args ...any) {
	if !w.telling {
		return
	}
	if len(w.lines) >= storyMost {
		w.lines = append(w.lines[:0], w.lines[storyMost/2:]...)
	}
	w.lines = append(w.lines, fmt.Sprintf("%11.4fs  ", (w.now+w.skipped).seconds())+fmt.Sprintf(format, args...))
}

// Story is the last lines of it.
func (w *World) Story(most int) string {
	return strings.Join(w.lines[max(0, len(w.lines)-most):], "\n")
}

var quiet = slog.New(slog.DiscardHandler)

// sayer puts an agent's log into the story.
type sayer struct {
	w    *World
	name string
}

func (s *sayer) Enabled(_ context.Context, level slog.Level) bool {
	return s.w.telling && (s.w.words || level >= slog.LevelWarn)
}

func (s *sayer) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "leader" && a.Key != "timeline" && a.Key != "lsn" && a.Key != "why" {
			fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		}
		return true
	})
	if s.w.words || b.Len() > 0 {
		s.w.tell("%s: says: %s%s", s.name, r.Message, b.String())
	}
	return nil
}

func (s *sayer) WithAttrs([]slog.Attr) slog.Handler { return s }
func (s *sayer) WithGroup(string) slog.Handler      { return s }

package wal

import (
	"fmt"
	"strconv"
	"strings"
)

// Switch is one line of a timeline history: the timeline ended at LSN, and the
// next one in the history begins there.
type Switch struct {
	Timeline Timeline
	LSN      LSN
	Reason   string
}

// History is the way that leads to a timeline: its ancestors in rising order.
// Timeline 1 has none. An answer from a History is only as good as the server
// that it was read from: ask the one that is primary.
type History struct {
	Timeline Timeline
	Switches []Switch
}

// ParseHistory reads the text of the history file of a timeline: one ancestor
// per line, tab separated (src/backend/access/transam/timeline.c,
// readTimeLineHistory). Empty lines and lines that begin with # are skipped, as
// the server does.
func ParseHistory(timeline Timeline, text string) (History, error) {
	history := History{Timeline: timeline}
	for number, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		entry, err := parseSwitch(line)
		if err != nil {
			return History{}, fmt.Errorf("parse history of timeline %d, line %d: %w", timeline, number+1, err)
		}
		if n := len(history.Switches); n > 0 && history.Switches[n-1].Timeline >= entry.Timeline {
			return History{}, fmt.Errorf("parse history of timeline %d, line %d: timeline %d does not rise", timeline, number+1, entry.Timeline)
		}
		if entry.Timeline >= timeline {
			return History{}, fmt.Errorf("parse history of timeline %d, line %d: timeline %d is not an ancestor", timeline, number+1, entry.Timeline)
		}
		history.Switches = append(history.Switches, entry)
	}
	return history, nil
}

func parseSwitch(line string) (Switch, error) {
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return Switch{}, fmt.Errorf("%q has no timeline and switch point", line)
	}
	timeline, err := strconv.ParseUint(fields[0], 10, 32)
	if err != nil {
		return Switch{}, fmt.Errorf("timeline %q: %w", fields[0], err)
	}
	lsn, err := ParseLSN(fields[1])
	if err != nil {
		return Switch{}, err
	}
	reason := ""
	if parts := strings.SplitN(line, "\t", 3); len(parts) == 3 {
		reason = strings.TrimSpace(parts[2])
	}
	return Switch{Timeline: Timeline(timeline), LSN: lsn, Reason: reason}, nil
}

// End tells where a timeline of this history stopped being written. The second
// result is false for the last timeline, which is still open, and for one that
// is not in the history at all; Has tells these two apart.
func (h History) End(timeline Timeline) (LSN, bool) {
	for _, s := range h.Switches {
		if s.Timeline == timeline {
			return s.LSN, true
		}
	}
	return 0, false
}

// Has reports whether the timeline is this one or an ancestor of it.
func (h History) Has(timeline Timeline) bool {
	if timeline == h.Timeline {
		return true
	}
	_, closed := h.End(timeline)
	return closed
}

// Contains reports whether a server whose log ends at p has written nothing
// that this history lacks, so that it can follow by streaming. On the last
// timeline everything counts as contained: how far it goes, the history cannot
// tell.
func (h History) Contains(p Point) bool {
	if p.Timeline == h.Timeline {
		return true
	}
	end, closed := h.End(p.Timeline)
	return closed && p.LSN <= end
}

// Agrees reports that both histories came the same way as far as both go: every
// timeline that ended in both ended at the same place. Two servers that were
// promoted apart from each other can have given the same number to their new
// timelines; only where these began tells them apart.
func (h History) Agrees(other History) bool {
	for _, s := range h.Switches {
		if end, closed := other.End(s.Timeline); closed && end != s.LSN {
			return false
		}
	}
	return true
}

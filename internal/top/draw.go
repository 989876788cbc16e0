package top

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// Screen is what is drawn on.
type Screen struct {
	Width, Height int // in cells; Height 0: as long as it gets
	Now           time.Time
	Paint         bool   // colours and bold letters
	ASCII         bool   // nothing but ASCII can be shown
	Keys          string // the last line: what can be typed; empty: none
}

// The paints help the eye and say nothing by themselves: every one of them stands
// beside a word or a sign, for eyes, terminals and prints that know no colours.
const (
	plain     = ""
	strong    = "\x1b[1m"
	weak      = "\x1b[2m"
	attention = "\x1b[1;4;33m"
	alarm     = "\x1b[1;7;31m"
)

// span is text with one paint.
type span struct{ text, paint string }

// canvas collects lines that fit into the screen's width.
type canvas struct {
	screen Screen
	lines  []string
}

func (c *canvas) line(spans ...span) {
	var b strings.Builder
	left := c.screen.Width
	for _, s := range spans {
		text := ansi.Truncate(clean(s.text), left, "")
		left -= ansi.StringWidth(text)
		if c.screen.Paint && s.paint != plain && strings.TrimSpace(text) != "" {
			text = s.paint + text + "\x1b[0m"
		}
		b.WriteString(text)
		if left <= 0 {
			break
		}
	}
	c.lines = append(c.lines, strings.TrimRight(b.String(), " "))
}

// clean takes out what would move the cursor: names and errors come from others.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}

// pad fills a cell, and cuts what does not fit.
func pad(text string, width int, right bool) string {
	text = ansi.Truncate(clean(text), width, "")
	space := strings.Repeat(" ", width-ansi.StringWidth(text))
	if right {
		return space + text
	}
	return text + space
}

// Draw is the screen as text, one line after another.
func (m *Model) Draw(s Screen) string {
	c := &canvas{screen: s}
	m.head(c)
	c.line()
	m.table(c)
	keep := s.Height
	if s.Keys != "" {
		keep -= 2
	}
	if len(m.events) > 0 && (s.Height == 0 || keep-len(c.lines) >= 3) {
		c.line()
		m.changes(c, keep-len(c.lines))
	}
	if s.Height > 0 {
		c.lines = c.lines[:min(len(c.lines), max(keep, 1))]
		for len(c.lines) < keep {
			c.lines = append(c.lines, "")
		}
		if s.Keys != "" {
			c.lines = append(c.lines, "")
			c.line(span{s.Keys, weak})
			c.lines = c.lines[max(0, len(c.lines)-s.Height):]
		}
	}
	return strings.Join(c.lines, "\n") + "\n"
}

// head tells of the cluster as a whole.
func (m *Model) head(c *canvas) {
	system := m.view.Initialize.Value
	if system == "" {
		system = "not initialized"
	}
	clock := c.screen.Now.Local().Format(time.DateTime)
	if m.Every > 0 {
		clock = fmt.Sprintf("every %s   %s", m.Every, clock)
	}
	name := m.Cluster + "  (" + system + ")"
	c.line(span{pad(name, max(c.screen.Width-len(clock)-1, 10), false), strong}, span{" " + clock, plain})
	m.leaderLine(c)
	m.writesLine(c)
	m.storeLine(c)
	m.modeLine(c)
	for _, text := range m.coming() {
		c.line(span{"Coming  ", weak}, span{text, attention})
	}
}

func (m *Model) leaderLine(c *canvas) {
	label := span{"Leader  ", weak}
	name := m.view.Leader.Name
	switch {
	case m.seen.IsZero():
		c.line(label, span{"not known yet", attention})
		return
	case name == "":
		c.line(label, span{"NOBODY LEADS", alarm})
		return
	}
	at, certain := m.since()
	long := duration(c.screen.Now.Sub(at))
	text := fmt.Sprintf("  since %s, for %s", at.Local().Format(time.DateTime), long)
	if !certain { // no promotion made it leader, or the history has lost it
		text = fmt.Sprintf("  for %s at least", long)
	}
	if line := m.timeline(name); line != 0 {
		text += fmt.Sprintf(", timeline %d", line)
	}
	c.line(label, span{name, strong}, span{text, plain})
}

// timeline of a member by its own word, else by its record.
func (m *Model) timeline(name string) uint32 {
	if t := m.tracks[name]; t != nil && t.silent.IsZero() && t.word.Timeline != 0 {
		return uint32(t.word.Timeline)
	}
	record, _ := m.view.Member(name)
	return uint32(record.Timeline)
}

// writesLine tells of the leader's right to write.
func (m *Model) writesLine(c *canvas) {
	label := span{"Writes  ", weak}
	name := m.view.Leader.Name
	t := m.tracks[name]
	switch {
	case name == "":
		c.line(label, span{"nobody takes writes", attention})
	case t == nil || !t.asked:
		c.line(label, span{"the leader has not been heard yet", weak})
	case !t.silent.IsZero():
		c.line(label, span{fmt.Sprintf("not known: the leader does not answer for %s", duration(c.screen.Now.Sub(t.silent))), alarm})
	case t.word.Right == nil:
		c.line(label, span{fmt.Sprintf("while its lease of %s lives: the leader is Patroni's", m.settings.TTL), plain})
	default:
		m.permitLine(c, label, *t.word.Right)
	}
}

func (m *Model) permitLine(c *canvas, label span, r Right) {
	guard := span{"  guard armed", plain}
	if record, _ := m.view.LeaderMember(); record.Guard != "" {
		guard.text = "  guard " + record.Guard
		if r.Armed {
			guard.text += ", armed"
		}
		if record.Guard == "off" {
			guard = span{"  NO GUARD", attention}
		}
	}
	if !r.Armed && guard.paint == plain {
		guard = span{guard.text + ", not armed", plain}
	}
	switch {
	case r.Frozen:
		c.line(label, span{"FROZEN: the permit has ended", alarm}, guard)
	case m.settings.Pause:
		c.line(label, span{"without a permit, since the cluster is paused", plain}, guard)
	case r.Left <= 0:
		c.line(label, span{"NO PERMIT", alarm}, guard)
	default:
		full, empty := "█", "░"
		if c.screen.ASCII {
			full, empty = "#", "."
		}
		n := 0
		if r.Length > 0 {
			n = int(min(1, float64(r.Left)/float64(r.Length)) * 10)
		}
		c.line(label, span{strings.Repeat(full, n) + strings.Repeat(empty, 10-n), plain},
			span{fmt.Sprintf(" permit %.2f of %.2f s", r.Left.Seconds(), r.Length.Seconds()), plain}, guard)
	}
}

func (m *Model) storeLine(c *canvas) {
	label := span{"Store   ", weak}
	switch {
	case !m.silent.IsZero() && m.seen.IsZero():
		c.line(label, span{"NO ANSWER", alarm}, span{": " + cause(m.why), plain})
	case !m.silent.IsZero():
		c.line(label, span{"NO ANSWER for " + duration(c.screen.Now.Sub(m.silent)), alarm},
			span{fmt.Sprintf(" (%s); what it told is %s old", cause(m.why), duration(c.screen.Now.Sub(m.seen))), plain})
	case m.seen.IsZero():
		c.line(label, span{"not read yet", weak})
	default:
		text := fmt.Sprintf("answers in %s, revision %d", milliseconds(m.took), m.view.Revision)
		if old := c.screen.Now.Sub(m.seen); old > 2*m.Every+time.Second {
			text += fmt.Sprintf(", %s ago", duration(old))
		}
		c.line(label, span{text, plain})
		for _, fault := range m.view.Faults {
			c.line(label, span{"! " + fault, attention})
		}
	}
}

func (m *Model) modeLine(c *canvas) {
	spans := []span{{"Mode    ", weak}}
	add := func(text, paint string) {
		if len(spans) > 1 {
			spans = append(spans, span{", ", plain})
		}
		spans = append(spans, span{text, paint})
	}
	if m.settings.Pause {
		add("PAUSED", attention)
	}
	switch {
	case m.failsafe():
		add("FAILSAFE: the members carry the leader", alarm)
	case m.settings.Failsafe:
		add("failsafe mode allowed", plain)
	}
	if m.settings.StandbyCluster {
		add("standby cluster", plain)
	}
	switch {
	case m.settings.Synchronous == "":
		add("asynchronous", plain)
	case len(m.view.Sync.Standbys) == 0:
		add("synchronous, without a standby", attention)
	default:
		text := "synchronous: " + strings.Join(m.view.Sync.Standbys, ", ")
		if m.settings.Synchronous == "quorum" {
			text = fmt.Sprintf("synchronous: quorum of %s", strings.Join(m.view.Sync.Standbys, ", "))
		}
		add(text, plain)
	}
	c.line(spans...)
}

// coming is what has been asked for and not happened yet.
func (m *Model) coming() []string {
	var out []string
	if m.view.Failover.Requested() {
		out = append(out, request(m.view.Failover))
	}
	for _, member := range m.view.Members {
		if at := scheduled(member); at != "" {
			out = append(out, fmt.Sprintf("restart of %s at %s", member.Name, at))
		}
	}
	return out
}

// changes are the newest events, the newest first.
func (m *Model) changes(c *canvas, room int) {
	c.line(span{"What has changed", strong})
	for i := len(m.events) - 1; i >= 0; i-- {
		if room--; room < 1 && c.screen.Height > 0 {
			return
		}
		e := m.events[i]
		c.line(span{e.at.Local().Format(time.TimeOnly) + "  ", weak}, span{e.text, plain})
	}
}

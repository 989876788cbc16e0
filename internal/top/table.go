package top

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"matriarch/internal/cluster"
)

// cell of the table of members.
type cell struct{ text, paint string }

// column of it. Columns of the highest rank are the first to go on a narrow screen.
type column struct {
	title string
	right bool
	rank  int
	of    func(m *Model, member cluster.Member, c *canvas) cell
}

var columns = []column{
	{"", false, 0, (*Model).mark},
	{"Member", false, 0, func(m *Model, r cluster.Member, _ *canvas) cell {
		return cell{r.Name, map[bool]string{true: strong}[r.Name == m.view.Leader.Name]}
	}},
	{"Host", false, 4, func(_ *Model, r cluster.Member, _ *canvas) cell {
		host, port, ok := r.Address()
		if !ok {
			return cell{}
		}
		return cell{fmt.Sprintf("%s:%d", host, port), plain}
	}},
	{"Role", false, 1, func(m *Model, r cluster.Member, _ *canvas) cell { return cell{m.role(r), plain} }},
	{"State", false, 0, (*Model).state},
	{"TL", true, 1, func(m *Model, r cluster.Member, _ *canvas) cell {
		line, paint := m.timeline(r.Name), plain
		if line == 0 {
			return cell{}
		}
		if leads := m.timeline(m.view.Leader.Name); leads != 0 && line != leads {
			paint = attention
		}
		return cell{fmt.Sprint(line), paint}
	}},
	{"Receive lag", true, 2, func(m *Model, r cluster.Member, _ *canvas) cell { return m.lag(r, false) }},
	{"Replay lag", true, 0, func(m *Model, r cluster.Member, _ *canvas) cell { return m.lag(r, true) }},
	{"Answers", true, 3, (*Model).answers},
	{"Guard", false, 4, func(_ *Model, r cluster.Member, _ *canvas) cell {
		return cell{r.Guard, map[bool]string{true: attention}[r.Guard == "off"]}
	}},
	{"Notes", false, 5, (*Model).notes},
}

// leastCurve is the width, in cells, below which a curve says nothing.
const leastCurve = 16

// table draws the members, and beside each how its lag has been.
func (m *Model) table(c *canvas) {
	members := m.members()
	shown := slices.Clone(columns)
	var cells [][]cell
	var widths []int
	room := 0
	for rank := 5; rank >= 0; rank-- {
		cells, widths = m.cells(members, shown, c)
		if room = c.screen.Width - total(widths); room >= leastCurve+2+len(" 999 MB/s") {
			break
		}
		shown = slices.DeleteFunc(shown, func(col column) bool { return col.rank == rank && rank > 0 })
	}
	width := min(room-2-len(" 999 MB/s"), samplesMost)
	header := make([]span, 0, len(shown)+1)
	for i, col := range shown {
		header = append(header, span{pad(col.title, widths[i], col.right) + "  ", strong})
	}
	if width >= leastCurve {
		header = append(header, span{pad("lag over time, and its peak", width+9, false), strong})
	}
	c.line(header...)
	for i, member := range members {
		var spans []span
		for j, col := range shown {
			spans = append(spans, span{pad(cells[i][j].text, widths[j], col.right), cells[i][j].paint}, span{"  ", plain})
		}
		if width >= leastCurve {
			spans = append(spans, m.curveSpans(member.Name, width, c)...)
		}
		c.line(spans...)
	}
	if len(members) == 0 && !m.seen.IsZero() {
		c.line(span{"the store knows no member", attention})
	}
}

// members are the records in the store, and a leader without one.
func (m *Model) members() []cluster.Member {
	var out []cluster.Member
	for _, name := range m.names() {
		record, ok := m.view.Member(name)
		if !ok {
			record = cluster.Member{Name: name}
		}
		out = append(out, record)
	}
	return out
}

func (m *Model) cells(members []cluster.Member, shown []column, c *canvas) (cells [][]cell, widths []int) {
	widths = make([]int, len(shown))
	for i, col := range shown {
		widths[i] = len(col.title)
	}
	for _, member := range members {
		var line []cell
		for i, col := range shown {
			one := col.of(m, member, c)
			one.text = clean(one.text)
			widths[i] = max(widths[i], ansi.StringWidth(one.text))
			line = append(line, one)
		}
		cells = append(cells, line)
	}
	return cells, widths
}

func total(widths []int) int {
	n := 0
	for _, w := range widths {
		n += w + 2
	}
	return n
}

func (m *Model) curveSpans(name string, width int, c *canvas) []span {
	t := m.track(name)
	text, peak := curve(t.curve, width, c.screen.ASCII)
	if !slices.ContainsFunc(t.curve, func(p float64) bool { return p >= 0 }) {
		return []span{{text, weak}}
	}
	unit := ""
	if name == m.view.Leader.Name {
		unit = "/s"
	}
	return []span{{text, plain}, {pad(size(peak)+unit, 9, true), weak}}
}

// mark leads the eye: the leader, who is silent, and who needs a look.
func (m *Model) mark(r cluster.Member, _ *canvas) cell {
	t := m.tracks[r.Name]
	switch {
	case t != nil && !t.silent.IsZero():
		return cell{"?", alarm}
	case broken(m.stateText(r)) || t != nil && t.word.Right != nil && t.word.Right.Frozen:
		return cell{"!", alarm}
	case r.Name == m.view.Leader.Name:
		return cell{">", strong}
	}
	return cell{}
}

func (m *Model) role(r cluster.Member) string {
	switch {
	case r.Name == m.view.Leader.Name && m.settings.StandbyCluster:
		return "standby leader"
	case r.Name == m.view.Leader.Name:
		return "leader"
	case m.settings.Synchronous != "" && !m.settings.StandbyCluster && m.view.Sync.Leader != "" && m.view.Sync.Includes(r.Name):
		if m.settings.Synchronous == "quorum" {
			return "quorum standby"
		}
		return "sync standby"
	}
	return "replica"
}

// stateText is a member's own word if there is one, for the record can be loop_wait
// old.
func (m *Model) stateText(r cluster.Member) string {
	if t := m.tracks[r.Name]; t != nil && t.silent.IsZero() && t.word.State != "" {
		if t.word.Location == 0 && t.word.Replication != "" {
			return t.word.Replication
		}
		return string(t.word.State)
	}
	return stateOf(r)
}

func broken(state string) bool {
	return state == string(cluster.StateCrashed) || strings.HasSuffix(state, "failed")
}

func (m *Model) state(r cluster.Member, _ *canvas) cell {
	t := m.tracks[r.Name]
	text := m.stateText(r)
	if r.Progress != "" {
		text += " (" + r.Progress + ")"
	}
	frozen := t != nil && t.silent.IsZero() && t.word.Right != nil && t.word.Right.Frozen
	switch {
	case t != nil && !t.silent.IsZero(): // it may be long past
		return cell{text + "?", weak}
	case frozen:
		return cell{"frozen", alarm}
	case broken(text):
		return cell{text, alarm}
	case text != string(cluster.StateRunning) && text != cluster.Streaming:
		return cell{text, attention}
	}
	return cell{text, plain}
}

func (m *Model) lag(r cluster.Member, replay bool) cell {
	if r.Name == m.view.Leader.Name {
		return cell{}
	}
	received, replayed, ok := m.lags(r.Name)
	if !ok {
		return cell{"unknown", weak}
	}
	bytes := received
	if replay {
		bytes = replayed
	}
	paint := plain
	if limit := m.settings.MaximumLagOnFailover; limit > 0 && bytes > uint64(limit) {
		return cell{size(float64(bytes)) + " !", attention} // too far behind to be promoted
	}
	return cell{size(float64(bytes)), paint}
}

func (m *Model) answers(r cluster.Member, c *canvas) cell {
	t := m.tracks[r.Name]
	switch {
	case t == nil || !t.asked:
		return cell{}
	case !t.silent.IsZero():
		return cell{"not for " + duration(c.screen.Now.Sub(t.silent)), alarm}
	}
	return cell{milliseconds(t.word.Took), plain}
}

// notes are what a list shows in columns of their own.
func (m *Model) notes(r cluster.Member, _ *canvas) cell {
	var out []string
	if r.PendingRestart {
		out = append(out, "restart pending")
	}
	if r.Tags.Nofailover() {
		out = append(out, "nofailover")
	}
	if from := r.Tags.ReplicateFrom(); from != "" {
		out = append(out, "from "+from)
	}
	if t := m.tracks[r.Name]; t != nil && t.silent.IsZero() && t.word.Right != nil && t.word.Right.Freezes > 0 {
		out = append(out, fmt.Sprintf("%d freezes", t.word.Right.Freezes))
	}
	return cell{strings.Join(out, ", "), plain}
}

// scheduled is when a member's restart is due, empty if none is.
func scheduled(r cluster.Member) string {
	var s struct {
		At      string `json:"schedule"`
		Version string `json:"postgres_version"`
	}
	if json.Unmarshal(r.ScheduledRestart, &s) != nil || s.At == "" {
		return ""
	}
	if s.Version != "" {
		return s.At + " if version < " + s.Version
	}
	return s.At
}

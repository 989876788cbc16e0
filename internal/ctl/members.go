package ctl

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// picture is the cluster as the member table shows it.
type picture struct {
	name     string
	view     cluster.View
	settings cluster.Settings

	citus bool
	group int       // noGroup: none, or all
	parts []picture // of all groups
}

func newPicture(name string, view cluster.View) picture {
	settings, _, err := cluster.ReadSettings(view.Config.Document)
	if err != nil { // a document that the members refuse still says whether they pause
		settings = cluster.DefaultSettings()
		settings.Pause = cluster.Truth(view.Config.Document["pause"])
	}
	return picture{name: name, view: view, settings: settings, group: noGroup}
}

// The optional columns. Each appears when some member has something in it.
const (
	pendingRestart   = "Pending restart"
	pendingReason    = "Pending restart reason"
	scheduledRestart = "Scheduled restart"
	tagsColumn       = "Tags"
	guardColumn      = "Guard"
	groupColumn      = "Group"
)

var memberColumns = []column{
	{name: "Cluster"}, {name: "Member", header: "Member"}, {name: "Host", header: "Host"}, {name: "Role", header: "Role"},
	{name: "State", header: "State"}, {name: "TL", header: "TL", right: true},
	{name: "Receive LSN", header: "Receive LSN", right: true}, {name: "Receive Lag", header: "Lag", right: true},
	{name: "Replay LSN", header: "Replay LSN", right: true}, {name: "Replay Lag", header: "Lag", right: true},
}

// columns adds the optional columns that have something to show.
func (p picture) columns(rows []row, extended bool) []column {
	columns := slices.Clone(memberColumns)
	if p.citus {
		columns = slices.Insert(columns, 1, column{name: groupColumn, header: groupColumn, right: true})
	}
	for _, name := range []string{pendingRestart, pendingReason, scheduledRestart, tagsColumn} {
		if extended || slices.ContainsFunc(rows, func(r row) bool { return r[name] != nil && r["Host"] != nil }) {
			columns = append(columns, column{name: name, header: name})
		}
	}
	// Of its own accord a list speaks of the guard only where there is something to
	// worry about, so that it looks as patronictl's does.
	if slices.ContainsFunc(rows, func(r row) bool { return r[guardColumn] != nil && (extended || !guarded(r)) }) {
		columns = append(columns, column{name: guardColumn, header: guardColumn})
	}
	return columns
}

// guarded reports that the member's server is stopped for certain at the end of its
// permit, and told so if the guard dies.
func guarded(r row) bool { return r[guardColumn] == "freezer" || r[guardColumn] == "signals" }

// rows are the members in the order of their names; cells that would be empty are
// absent. Long reasons are hidden where they would make the table unreadable.
func (p picture) rows(hideLong bool) []row {
	var rows []row
	withPort := p.portsMatter()
	for _, part := range p.each() {
		rows = append(rows, part.ownRows(hideLong, withPort)...)
	}
	return rows
}

// portsMatter tells that a host alone does not say which server is meant.
func (p picture) portsMatter() bool {
	hosts := map[string]int{}
	for _, m := range p.members() {
		if host, port, ok := m.Address(); ok {
			hosts[host]++
			if port != 5432 || hosts[host] > 1 {
				return true
			}
		}
	}
	return false
}

func (p picture) ownRows(hideLong, withPort bool) []row {
	var rows []row
	for _, m := range p.view.Members {
		r := row{"Cluster": p.name, "Member": m.Name, "Role": title(p.role(m))}
		if p.citus {
			r[groupColumn] = p.group
		}
		if host, port, ok := m.Address(); ok {
			r["Host"] = host
			if withPort {
				r["Host"] = fmt.Sprintf("%s:%d", host, port)
			}
		}
		r.set("State", p.state(m))
		if hideLong && m.Progress != "" { // for people; machines find the state alone
			r["State"] = strings.TrimSpace(p.state(m) + " (" + m.Progress + ")")
		}
		if m.Timeline != 0 {
			r["TL"] = int(m.Timeline)
		}
		if m.Name != p.view.Leader.Name {
			p.positions(r, m)
		}
		if m.PendingRestart {
			r[pendingRestart] = "*"
		}
		r.set(pendingReason, reason(m.PendingReason, hideLong))
		r.set(scheduledRestart, scheduled(m.ScheduledRestart))
		if len(m.Tags) > 0 {
			r[tagsColumn] = m.Tags
		}
		r.set(guardColumn, m.Guard)
		rows = append(rows, r)
	}
	return rows
}

func (r row) set(name, text string) {
	if text != "" {
		r[name] = text
	}
}

// role is a member's role in the cluster, not the one that it publishes of
// itself.
func (p picture) role(m cluster.Member) string {
	switch {
	case m.Name == p.view.Leader.Name && p.settings.StandbyCluster:
		return "standby_leader"
	case m.Name == p.view.Leader.Name:
		return "leader"
	case !p.synchronous(m.Name):
		return "replica"
	case p.settings.Synchronous == "quorum":
		return "quorum_standby"
	}
	return "sync_standby"
}

// synchronous reports whether the sync key names the member as a standby.
func (p picture) synchronous(name string) bool {
	return p.settings.Synchronous != "" && !p.settings.StandbyCluster && p.view.Sync.Leader != "" &&
		slices.ContainsFunc(p.view.Sync.Standbys, func(n string) bool { return strings.EqualFold(n, name) })
}

func (p picture) state(m cluster.Member) string {
	if p.role(m) != "leader" && m.ReplicationState != "" {
		return m.ReplicationState
	}
	return string(m.State)
}

// positions of a member that is not the leader. Old members publish one position:
// it counts as received while they stream, else as replayed.
func (p picture) positions(r row, m cluster.Member) {
	received, replayed := m.ReceiveLSN, m.ReplayLSN
	if received == 0 && replayed == 0 {
		if p.state(m) == cluster.Streaming {
			received = m.Location
		} else {
			replayed = m.Location
		}
	}
	for name, at := range map[string]wal.LSN{"Receive": received, "Replay": replayed} {
		r[name+" LSN"] = "unknown"
		if at != 0 {
			r[name+" LSN"] = at.String()
			r[name+" Lag"] = megabytes(max(p.view.Status.Optime, at) - at)
		}
	}
}

// megabytes rounds half to even, as Python does: half a megabyte is none.
func megabytes(lag wal.LSN) int { return int(math.RoundToEven(float64(lag) / (1 << 20))) }

// reasonWidth is in characters: a longer reason is hidden in the pretty table.
const reasonWidth = 50

func reason(changes map[string]cluster.Change, hideLong bool) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		line := fmt.Sprintf("%s: %s->%s", name, changes[name].Old, changes[name].New)
		if hideLong && len([]rune(line)) > reasonWidth {
			line = name + ": [hidden - too long]"
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

func scheduled(raw json.RawMessage) string {
	var s struct {
		At      string `json:"schedule"`
		Version string `json:"postgres_version"`
	}
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	if s.At != "" && s.Version != "" {
		return s.At + " if version < " + s.Version
	}
	return s.At
}

// title turns sync_standby into Sync Standby.
func title(s string) string {
	words := strings.Split(s, "_")
	for i, w := range words {
		if w != "" {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, " ")
}

// heading names the cluster and its system.
func (p picture) heading() string {
	system := p.view.Initialize.Value
	switch {
	case !p.view.Initialize.Present:
		system = "uninitialized"
	case system == "":
		system = "initializing"
	}
	switch {
	case p.citus && p.group == noGroup:
		return fmt.Sprintf("Citus cluster: %s", p.name)
	case p.citus:
		return fmt.Sprintf("Citus cluster: %s (group: %d, %s)", p.name, p.group, system)
	}
	return fmt.Sprintf("Cluster: %s (%s)", p.name, system)
}

// footer tells what is true of the cluster as a whole.
func (p picture) footer() string {
	if p.citus && p.group == noGroup {
		var b strings.Builder
		for _, part := range p.parts {
			if text := part.footer(); text != "" {
				fmt.Fprintf(&b, "Citus group: %d\n%s", part.group, text)
			}
		}
		return b.String()
	}
	var b strings.Builder
	if p.settings.Pause {
		b.WriteString(" Maintenance mode: on\n")
	}
	if name := p.unstopped(); name != "" {
		fmt.Fprintf(&b, " Nobody takes over from %s: %s\n", name, unstoppedText)
	}
	if f := p.view.Failover; f.At != "" {
		fmt.Fprintf(&b, " Switchover scheduled at: %s\n", f.At)
		if f.Leader != "" {
			fmt.Fprintf(&b, "%24s: %s\n", "from", f.Leader)
		}
		if f.Candidate != "" {
			fmt.Fprintf(&b, "%24s: %s\n", "to", f.Candidate)
		}
	}
	return b.String()
}

// pretty is the table with its title and footer.
func (p picture) pretty(extended, tree, colours bool) string {
	var rows []row
	withPort := p.portsMatter()
	for _, part := range p.each() {
		own := part.ownRows(true, withPort)
		if tree {
			own = part.asTree(own)
		}
		rows = append(rows, own...)
	}
	columns := p.columns(rows, extended)[1:] // the cluster is in the title
	if p.citus && p.group != noGroup {
		columns = columns[1:] // the group as well
	}
	t := table{title: p.heading(), columns: columns}
	for _, r := range rows {
		cells := make([]string, len(columns))
		for i, c := range columns {
			tags, isTags := r[c.name].(cluster.Tags)
			if isTags && !tree {
				cells[i] = strings.TrimSuffix(YAML(tags), "\n")
			} else {
				cells[i] = cellText(r[c.name])
			}
		}
		t.rows = append(t.rows, cells)
	}
	if colours {
		t.paint = func(i, j int) string { return paint(columns[j].name, t.rows[i][j]) }
	}
	return t.String() + p.footer()
}

// paint makes what needs a person's eye stand out, and the leader findable.
func paint(column, text string) string {
	// Bright on reverse and underlined differ for every eye; the colours only help.
	const failed, attention, bold = "\x1b[1;7;31m", "\x1b[4;33m", "\x1b[1m"
	switch {
	case column == "Role" && strings.HasSuffix(text, "Leader"):
		return bold
	case column == "State" && (strings.HasSuffix(text, "failed") || text == string(cluster.StateCrashed)):
		return failed
	case column == "State" && text != string(cluster.StateRunning) && text != cluster.Streaming:
		return attention
	case column == pendingRestart, column == "Receive LSN" && text == "unknown":
		return attention
	}
	return ""
}

// asTree orders rows by who replicates from whom, below the leader. Members of a
// circle are printed last instead of being left out.
func (p picture) asTree(rows []row) []row {
	byName := map[string]row{}
	children := map[string][]string{}
	parent := map[string]string{}
	for i, m := range p.view.Members {
		byName[m.Name] = rows[i]
		if m.Name == p.view.Leader.Name {
			continue
		}
		above := p.view.Leader.Name
		if from, ok := p.view.Member(m.Tags.ReplicateFrom()); ok && from.Name != m.Name && from.Name != p.view.Leader.Name {
			above = from.Name
		}
		parent[m.Name] = above
		children[above] = append(children[above], m.Name)
	}
	var out []row
	printed := map[string]bool{}
	var walk func(name string, depth int)
	walk = func(name string, depth int) {
		if printed[name] {
			return
		}
		printed[name] = true
		if r, ok := byName[name]; ok && name != "" {
			if depth > 0 {
				r["Member"] = strings.Repeat("  ", depth-1) + "+ " + name
			}
			out = append(out, r)
		}
		for _, child := range children[name] {
			walk(child, depth+1)
		}
	}
	walk(p.view.Leader.Name, 0)
	for _, m := range p.view.Members {
		walk(m.Name, 1)
	}
	return out
}

package ctl

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
)

// leadChange is one change of the leader, told by all who took part in it.
type leadChange struct {
	kind, from, to string
	timeline       int
	steps          []saidStep // by time
}

// saidStep is a step with the member that tells it.
type saidStep struct {
	cluster.Step
	by string
}

// sameChange is how far the tales of two members of one change may lie apart: their
// clocks are two, and a leader that was cut off tells when it is back.
const sameChange = 30 * time.Second

// leadChanges puts together what belongs together. The winner's account says what it was;
// the old leader's, which comes later or earlier, adds its side.
func leadChanges(accounts []cluster.Account) []leadChange {
	accounts = slices.Clone(accounts)
	slices.SortStableFunc(accounts, func(a, b cluster.Account) int { return a.Began().Compare(b.Began()) })
	var out []leadChange
	for _, a := range accounts {
		i := slices.IndexFunc(out, func(c leadChange) bool { return c.takes(a) })
		if i < 0 {
			out = append(out, leadChange{})
			i = len(out) - 1
		}
		c := &out[i]
		if a.By == a.To || c.kind == "" {
			c.kind = a.Kind
		}
		if a.From != "" {
			c.from = a.From
		}
		if a.To != "" {
			c.to = a.To
		}
		c.timeline = max(c.timeline, int(a.Timeline))
		for _, s := range a.Steps {
			c.steps = append(c.steps, saidStep{s, a.By})
		}
		slices.SortStableFunc(c.steps, func(a, b saidStep) int { return a.At.Compare(b.At) })
	}
	return out
}

// takes reports that an account is another side of this change.
func (c leadChange) takes(a cluster.Account) bool {
	if c.from != a.From || c.to != "" && a.To != "" && c.to != a.To || slices.ContainsFunc(c.steps, func(s saidStep) bool { return s.by == a.By }) {
		return false
	}
	return a.Began().Sub(c.steps[len(c.steps)-1].At) < sameChange
}

// silence is from the last sign of the old leader to the first possible write; 0: it
// is not known.
func (c leadChange) silence() time.Duration {
	var begin, end time.Time
	for _, s := range c.steps {
		switch {
		case strings.HasPrefix(s.Text, "the last heartbeat of "), begin.IsZero() && strings.HasPrefix(s.Text, "begun: stop of the server"):
			begin = s.At
		case strings.HasPrefix(s.Text, "done: writes are possible"):
			end = s.At
		}
	}
	if begin.IsZero() || end.Before(begin) {
		return 0
	}
	return end.Sub(begin)
}

var accountColumns = []column{
	{name: "Kind"}, {name: "From"}, {name: "To"}, {name: "TL"}, {name: "Time"}, {name: "Member"}, {name: "Step"},
}

// accounts prints the stories of the latest changes of the leader.
func (s *session) accounts(format string) error {
	snapshot, _ := s.store.Mirror()
	accounts, err := cluster.ParseAccounts(snapshot.Values[s.key(dcs.KeyAccounts)].Data)
	if err != nil {
		s.warn(err.Error())
	}
	all := leadChanges(accounts)
	switch format {
	case "pretty":
		s.say("%s", s.prettyChanges(all))
	case "json":
		s.say("%s\n", jsonText(documents(all)))
	case "yaml", "yml":
		s.say("%s\n", YAML(documents(all)))
	default:
		var rows []row
		for _, c := range all {
			for _, step := range c.steps {
				r := row{"Kind": c.kind, "From": c.from, "To": c.to, "Time": step.At.UTC().Format(time.RFC3339Nano), "Member": step.by, "Step": step.Text}
				if c.timeline != 0 {
					r["TL"] = c.timeline
				}
				rows = append(rows, r)
			}
		}
		s.say("%s", encodeRows(format, accountColumns, rows))
	}
	return nil
}

// documents are the changes for machines.
func documents(all []leadChange) []any {
	out := []any{}
	for _, c := range all {
		steps := []any{}
		for _, step := range c.steps {
			steps = append(steps, map[string]any{"at": step.At.UTC().Format(time.RFC3339Nano), "member": step.by, "text": step.Text})
		}
		d := map[string]any{"kind": c.kind, "from": orNull(c.from), "to": orNull(c.to), "timeline": nil, "without_writes_ms": nil, "steps": steps}
		if c.timeline != 0 {
			d["timeline"] = c.timeline
		}
		if silence := c.silence(); silence > 0 {
			d["without_writes_ms"] = silence.Milliseconds()
		}
		out = append(out, d)
	}
	return out
}

func (s *session) prettyChanges(all []leadChange) string {
	if len(all) == 0 {
		return fmt.Sprintf("No account of a failover or switchover of cluster %s is kept. Members of Matriarch's write them.\n", s.name)
	}
	var b strings.Builder
	bold, weak, end := "", "", ""
	if s.colours(s.Out) {
		bold, weak, end = "\x1b[1m", "\x1b[2m", "\x1b[0m"
	}
	for i, c := range all {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(bold + c.headline() + end + "\n")
		width := 0
		for _, step := range c.steps {
			width = max(width, displayWidth(step.by))
		}
		first := c.steps[0].At
		for _, step := range c.steps {
			fmt.Fprintf(&b, "  %s%s%s %+9.3f s  %s%s  %s\n", weak, step.At.Local().Format("15:04:05.000"), end, step.At.Sub(first).Seconds(),
				step.by, strings.Repeat(" ", width-displayWidth(step.by)), step.Text)
		}
	}
	return b.String()
}

func (c leadChange) headline() string {
	text := c.steps[0].At.Local().Format(time.DateTime) + "  " + c.kind
	if c.from != "" {
		text += " from " + c.from
	}
	if c.to != "" {
		text += " to " + c.to
	}
	if c.timeline != 0 {
		text += fmt.Sprintf(", timeline %d", c.timeline)
	}
	if silence := c.silence(); silence > 0 {
		text += fmt.Sprintf(", %.2f s without writes", silence.Seconds())
	}
	return text
}

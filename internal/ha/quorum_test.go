package ha

import (
	"fmt"
	"strings"
	"testing"

	"matriarch/internal/cluster"
)

// list reads "b,c".
func list(text string) []string {
	if text == "" {
		return []string{}
	}
	return strings.Split(text, ",")
}

// written tells a step as section 7.5 of compat/behaviour.md does: "Q 1 {b,c}" for the
// key, "S 1 {b,c}" for the names.
func (s quorumStep) written() string {
	switch {
	case s.key != nil:
		return fmt.Sprintf("Q %d {%s} %s", s.key.Quorum, strings.Join(s.key.Standbys, ","), s.key.Leader)
	case s.names != nil:
		return fmt.Sprintf("S %d {%s}", s.names.Count, strings.Join(s.names.Names, ","))
	}
	return ""
}

// applied is the state after a step. Whoever is active confirms at once, but for those
// who lag.
func (q quorum) applied(s quorumStep, lagging []string) quorum {
	switch {
	case s.key != nil:
		q.key = *s.key
	case s.names != nil:
		q.names, q.count, q.any = s.names.Names, s.names.Count, s.names.Any
		q.confirmed = less(less(q.names, less(q.names, q.active)), lagging)
	}
	return q
}

// TestQuorumSteps are the traces of section 7.5, from one state to the next quiet one.
func TestQuorumSteps(t *testing.T) {
	for _, c := range []struct {
		name               string
		me, leader, voters string
		quorum             int
		names              string
		count              int
		confirmed, active  string
		wanted             int
		lagging            string // who does not confirm what is new
		want               string
	}{
		{"two standbys come", "a", "a", "", 0, "", 0, "", "b,c", 1, "", "S 1 {b,c}; Q 1 {b,c} a"},
		{"two come, none confirms", "a", "a", "", 0, "", 0, "", "b,c", 1, "b,c", "S 1 {b,c}"},
		{"one confirms", "a", "a", "", 0, "b,c", 1, "b", "b,c", 1, "", "Q 1 {b,c} a"},
		{"steady", "a", "a", "b,c", 1, "b,c", 1, "b,c", "b,c", 1, "", ""},
		{"steady, nobody has confirmed after a restart of the agent", "a", "a", "b,c", 1, "b,c", 1, "", "b,c", 1, "", ""},
		{"c dies", "a", "a", "b,c", 1, "b,c", 1, "b,c", "b", 1, "", "S 1 {b}; Q 0 {b} a"},
		{"c dies, b lags: b alone may lack what only c has", "a", "a", "b,c", 1, "b,c", 1, "c", "b", 1, "b", "S 1 {b}"},
		{"b and c die", "a", "a", "b,c", 1, "b,c", 1, "b,c", "", 1, "", "Q 0 {} a; S 0 {}"},
		{"c returns", "a", "a", "b", 0, "b", 1, "b", "b,c", 1, "", "Q 1 {b,c} a; S 1 {b,c}"},
		{"two are wanted", "a", "a", "b,c", 1, "b,c", 1, "b,c", "b,c", 2, "", "S 2 {b,c}; Q 0 {b,c} a"},
		{"two are wanted, one lags", "a", "a", "b,c", 1, "b,c", 1, "b", "b,c", 2, "c", "S 2 {b,c}"},
		{"one is wanted again", "a", "a", "b,c", 0, "b,c", 2, "b,c", "b,c", 1, "", "Q 1 {b,c} a; S 1 {b,c}"},
		{"d joins", "a", "a", "b,c", 1, "b,c", 1, "b", "b,c,d", 1, "", "Q 2 {b,c,d} a; S 1 {b,c,d}"},
		{"after a failover, nobody connected", "b", "a", "b,c", 1, "a,c", 1, "", "", 1, "", "Q 1 {a,c} b; Q 0 {} b; S 0 {}"},
		{"then c connected", "b", "b", "a,c", 1, "a,c", 1, "", "c", 1, "", "S 1 {c}; Q 0 {c} b"},
		{"then a comes back", "b", "b", "c", 0, "c", 1, "c", "a,c", 1, "", "Q 1 {a,c} b; S 1 {a,c}"},
		{"a broken key", "a", "a", "b,c", 0, "b,c", 1, "b,c", "b,c", 1, "", "Q 1 {b,c} a"},
		{"none is wanted", "a", "a", "b,c", 1, "b,c", 1, "b,c", "b,c", 0, "", "Q 0 {} a; S 0 {}"},

		{"five: empty", "a", "a", "", 0, "", 0, "", "b,c,d,e", 2, "", "S 2 {b,c,d,e}; Q 2 {b,c,d,e} a"},
		{"five: one confirms", "a", "a", "", 0, "b,c,d,e", 2, "b", "b,c,d,e", 2, "", "Q 3 {b,c,d,e} a"},
		{"five: then the others", "a", "a", "b,c,d,e", 3, "b,c,d,e", 2, "b,c", "b,c,d,e", 2, "", "Q 2 {b,c,d,e} a"},
		{"five: e dies", "a", "a", "b,c,d,e", 2, "b,c,d,e", 2, "b,c,d,e", "b,c,d", 2, "", "S 2 {b,c,d}; Q 1 {b,c,d} a"},
		{"five: e dies, one confirms", "a", "a", "b,c,d,e", 2, "b,c,d,e", 2, "b,c,d,e", "b,c,d", 2, "c,d", "S 2 {b,c,d}; Q 2 {b,c,d} a"},
		{"five: d and e die", "a", "a", "b,c,d,e", 2, "b,c,d,e", 2, "b,c,d,e", "b,c", 2, "", "S 2 {b,c}; Q 0 {b,c} a"},
		{"five: c, d and e die", "a", "a", "b,c,d,e", 2, "b,c,d,e", 2, "b,c,d,e", "b", 2, "", "S 2 {b,c}; Q 0 {b} a; S 1 {b}"},
		{"five: all die", "a", "a", "b,c,d,e", 2, "b,c,d,e", 2, "b,c,d,e", "", 2, "", "Q 0 {} a; S 0 {}"},
		{"five: d and e return", "a", "a", "b,c", 0, "b,c", 2, "b,c", "b,c,d,e", 2, "", "Q 2 {b,c,d,e} a; S 2 {b,c,d,e}"},
		{"five: c returns", "a", "a", "b", 0, "b", 1, "b", "b,c", 2, "", "S 2 {b,c}; Q 0 {b,c} a"},
		{"five: c returns and lags", "a", "a", "b", 0, "b", 1, "b", "b,c", 2, "c", "S 2 {b,c}; Q 1 {b,c} a"},
		{"five: f joins", "a", "a", "b,c,d,e", 2, "b,c,d,e", 2, "b,c,d,e", "b,c,d,e,f", 2, "", "Q 3 {b,c,d,e,f} a; S 2 {b,c,d,e,f}"},
		{"five: three are wanted", "a", "a", "b,c,d,e", 2, "b,c,d,e", 2, "b,c,d,e", "b,c,d,e", 3, "", "S 3 {b,c,d,e}; Q 1 {b,c,d,e} a"},
		{"five: one is wanted", "a", "a", "b,c,d,e", 1, "b,c,d,e", 3, "b,c,d,e", "b,c,d,e", 1, "", "Q 3 {b,c,d,e} a; S 1 {b,c,d,e}"},
		{"five: after a failover", "b", "a", "b,c,d,e", 2, "a,c,d,e", 2, "", "c,d,e", 2, "", "Q 2 {a,c,d,e} b; S 2 {c,d,e}; Q 1 {c,d,e} b"},
		{"five: after a failover, two left", "b", "a", "b,c,d,e", 2, "a,c,d,e", 2, "", "c,d", 2, "", "Q 2 {a,c,d,e} b; S 2 {c,d}; Q 0 {c,d} b"},
		{"five: after a failover, one left", "b", "a", "b,c,d,e", 2, "a,c,d,e", 2, "c", "c", 2, "", "Q 2 {a,c,d,e} b; S 2 {a,c}; Q 0 {c} b; S 1 {c}"},
		// Patroni asks for one standby more for a moment; the voters can go first as well.
		{"five: an outsider wins", "f", "a", "b,c,d,e", 2, "a,b,c,d,e", 3, "", "b,c,d,e", 2, "", "Q 2 {a,b,c,d,e} f; Q 2 {b,c,d,e} f; S 2 {b,c,d,e}"},
		{"names by another case", "A", "a", "B,c", 1, "b,C", 1, "b", "B,C", 1, "", ""},
	} {
		q := quorum{me: c.me, key: cluster.Sync{Leader: c.leader, Standbys: list(c.voters), Quorum: c.quorum}, names: list(c.names), any: true,
			count: c.count, confirmed: list(c.confirmed), active: list(c.active), wanted: c.wanted}
		var got []string
		for range 10 {
			step := q.next()
			if step.written() == "" {
				break
			}
			got = append(got, step.written())
			q = q.applied(step, list(c.lagging))
		}
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%s: %s, want %s", c.name, strings.Join(got, "; "), c.want)
		}
	}
}

// A new leader gives its standbys time: nobody is let go meanwhile (B-432).
func TestQuorumOfANewLeaderSettles(t *testing.T) {
	q := quorum{me: "b", key: cluster.Sync{Leader: "b", Standbys: list("a,c"), Quorum: 1}, names: list("a,c"), any: true, count: 1,
		active: list("c"), confirmed: list("c"), wanted: 1, settling: true}
	if step := q.next(); step.written() != "" {
		t.Error(step.written())
	}
	q.active, q.confirmed = list("c,d"), list("c") // who comes meanwhile is taken in
	if step := q.next(); step.written() != "Q 2 {a,c,d} b" {
		t.Error(step.written())
	}
}

package chaos

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"matriarch/test/chaos/history"
	"matriarch/test/e2e/lab"
)

// rows reads the list at a node, from these numbers on by client; nil: all of it.
func (f *field) rows(n *lab.Node, from map[string]int) []history.Row {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), lab.Patience)
	defer cancel()
	conn, err := n.Connect(ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	defer conn.Close(ctx)
	query := "select node, sequence, timeline from chaos"
	if from != nil {
		var parts []string
		for name, sequence := range from {
			parts = append(parts, fmt.Sprintf("node = '%s' and sequence >= %d", name, sequence))
		}
		query += " where " + strings.Join(append(parts, "false"), " or ")
	}
	got, err := conn.Query(ctx, query)
	if err != nil {
		f.t.Fatal(err)
	}
	all, err := pgx.CollectRows(got, pgx.RowToStructByPos[history.Row])
	if err != nil {
		f.t.Fatal(fmt.Errorf("read the list at %s: %w", n.Name, err))
	}
	return all
}

// judge looks at what has happened since it looked last, on a cluster that is
// whole: who wrote beside whom, and what was lost. It returns the number of rows
// lost.
func (f *field) judge(leader *lab.Node) int {
	f.t.Helper()
	appends := f.h.Appends()
	f.tellReigns(appends)
	broken := f.h.Strange()
	for _, v := range history.Exclusion(appends) {
		broken = append(broken, "S1 broken: "+v.String())
	}
	if len(broken) > 0 {
		f.s.say("%s", strings.Join(broken, "\n"))
		f.t.Fatal(strings.Join(broken, "\n"))
	}
	fresh := appends[f.judged:]
	f.judged = len(appends)
	from := map[string]int{}
	for _, a := range fresh {
		if at, known := from[a.Node]; !known || a.Sequence < at {
			from[a.Node] = a.Sequence
		}
	}
	v := history.Judge(fresh, f.rows(leader, from), false)
	if len(v.Lost) > 0 {
		f.s.say("lost %d %s", len(v.Lost), history.LostBy(v.Lost))
	}
	if len(v.Strange) > 0 {
		f.t.Errorf("%s holds %d rows that nobody wrote so: %+v", leader.Name, len(v.Strange), v.Strange)
	}
	f.lost += len(v.Lost)
	return len(v.Lost)
}

// tellReigns says who has begun to acknowledge.
func (f *field) tellReigns(appends []history.Append) {
	reigns := history.Reigns(appends)
	for _, r := range reigns[min(f.told, len(reigns)):] {
		f.s.say("at %s %s began to acknowledge on timeline %d", history.Instant(r.First), r.Node, r.Timeline)
	}
	f.told = len(reigns)
}

// finish ends the appending and compares the list on all nodes: what was not
// answered may be there or not, but everywhere alike.
func (f *field) finish() history.Verdict {
	f.t.Helper()
	for _, c := range f.clients {
		c.Stop()
	}
	leader := f.c.WaitWhole(wholeLimit)
	f.judge(leader)
	f.c.WaitReplayed(leader)
	have := f.rows(leader, nil)
	for _, n := range f.c.Others(leader) {
		if d := history.Difference(have, f.rows(n, nil)); d != "" {
			f.t.Errorf("%s (the first) and %s differ: %s", leader.Name, n.Name, d)
		}
	}
	v := history.Judge(f.h.Appends(), have, true)
	if len(v.Lost) > f.lost {
		f.t.Errorf("%d rows are lost, %d of them later than the fault after which they were still there", len(v.Lost), len(v.Lost)-f.lost)
	}
	if len(v.Strange) > 0 {
		f.t.Errorf("%s holds rows that nobody wrote so: %+v", leader.Name, v.Strange)
	}
	return v
}

// freezes counts what the guards have said since the marks.
func (f *field) freezes(marks map[*lab.Node]int64) string {
	var out []string
	for _, n := range f.c.Nodes {
		text := n.LogSince(marks[n])
		frozen, thawed := strings.Count(text, "the guard has frozen the server"), strings.Count(text, "the guard has thawed the server")
		if frozen+thawed > 0 {
			out = append(out, fmt.Sprintf("%s frozen %d, thawed %d times", n.Name, frozen, thawed))
		}
	}
	return strings.Join(out, "; ")
}

func (f *field) marks() map[*lab.Node]int64 {
	marks := map[*lab.Node]int64{}
	for _, n := range f.c.Nodes {
		marks[n] = n.Mark()
	}
	return marks
}

func milliseconds(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

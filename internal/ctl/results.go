package ctl

import (
	"fmt"
	"io"
	"slices"

	"matriarch/internal/api/client"
)

// The results of an action on a member. Scripts compare them.
const (
	resultDone        = "done"
	resultScheduled   = "scheduled"
	resultUnchanged   = "unchanged"   // there was nothing to do
	resultRefused     = "refused"     // the member answered, and it was no
	resultFailed      = "failed"      // it was tried, and has come to an end without success
	resultUnreachable = "unreachable" // the request was certainly not carried out
	resultUnknown     = "unknown"     // it may still take effect
)

// outcome is what came of an action on one member, or on the cluster.
type outcome struct {
	Member string // empty: the cluster
	Result string
	Code   int // HTTP status; 0: no answer
	Text   string

	Reloaded *client.Reloaded // what the member tells of a reload; nil: nothing
}

var outcomeColumns = []column{{name: "Action"}, {name: "Cluster"}, {name: "Member"}, {name: "Result"}, {name: "Code"}, {name: "Text"}}

// reloadColumns are those of a reload of which a member tells more.
var reloadColumns = append(slices.Clip(outcomeColumns), column{name: "Changed"}, column{name: "Invalid"})

// results collects the outcomes of one command. Lines for people go to stdout, or
// to stderr where stdout is a machine's: it gets one document at the end.
type results struct {
	a                       *app
	action, cluster, format string
	machine                 io.Writer // nil: people read stdout
	list                    []outcome
}

// results begins the report of an action. From here on questions, tables and
// progress keep away from a machine's stdout.
func (a *app) results(action, format string) *results {
	r := &results{a: a, action: action, format: format}
	if format != "pretty" {
		r.machine, a.Out = a.Out, a.Err
	}
	return r
}

func (r *results) line(format string, args ...any) { r.a.say(format, args...) }

func (r *results) add(o outcome) { r.list = append(r.list, o) }

// document prints the outcomes for a machine.
func (r *results) document() {
	if r.machine == nil {
		return
	}
	var rows []row
	columns := outcomeColumns
	for _, o := range r.list {
		item := row{"Action": r.action, "Result": o.Result}
		item.set("Cluster", r.cluster)
		item.set("Member", o.Member)
		item.set("Text", o.Text)
		if o.Code != 0 {
			item["Code"] = o.Code
		}
		if o.Reloaded != nil {
			item["Changed"], item["Invalid"] = changedKeys(*o.Reloaded), invalidTexts(*o.Reloaded)
			columns = reloadColumns
		}
		rows = append(rows, item)
	}
	fmt.Fprint(r.machine, encodeRows(r.format, columns, rows))
}

// end prints the document and turns the outcomes into the exit code.
func (r *results) end() error {
	r.document()
	if code := r.code(); code != 0 {
		return &failure{code: code}
	}
	return nil
}

// code is that of the worst outcome: what nobody knows is worse than what
// certainly did not happen. patronictl ends with 0 when a member refused.
func (r *results) code() int {
	severity := map[string]int{resultRefused: 1, resultFailed: 1, resultUnreachable: 2, resultUnknown: 3}
	worst := 0
	for _, o := range r.list {
		worst = max(worst, severity[o.Result])
	}
	if r.a.Strict {
		return []int{0, ExitRefused, ExitUnreachable, ExitUnknown}[worst]
	}
	return []int{0, 0, ExitFailed, ExitFailed}[worst]
}

package ctl

import (
	"fmt"
	"strings"

	"matriarch/internal/config"
)

var explainColumns = []column{
	{name: "Setting", header: "Setting"}, {name: "Value", header: "Value"}, {name: "From", header: "From"}, {name: "Overrides", header: "Overrides"},
	{name: "Apply", header: "Change needs"},
}

// print shows an overview of all, or each of those that were asked for at length.
func (e *explaining) print() {
	switch {
	case e.format == "json":
		e.say("%s\n", jsonText(e.documents()))
	case e.format == "yaml" || e.format == "yml":
		e.say("%s", YAML(e.documents()))
	case e.format == "tsv":
		e.say("%s", tsvRows(explainColumns, e.rows(false)))
	case e.name == "":
		e.say("%s", plainTable(explainColumns, e.rows(true)))
		e.say("config explain SETTING tells more about one.\n")
	default:
		for i, s := range e.settings {
			if i > 0 {
				e.say("\n")
			}
			e.say("%s", e.paragraph(s))
		}
	}
}

// valueText shows a value on one line.
func valueText(v any) string {
	switch v := v.(type) {
	case nil:
		return "(none)"
	case string:
		return strings.ReplaceAll(v, "\n", " ")
	case map[string]any, []any:
		return jsonText(v)
	}
	return cellText(v)
}

// shorten cuts a text for a cell.
func shorten(text string) string {
	const width = 48
	if r := []rune(text); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return text
}

func (e *explaining) rows(short bool) []row {
	var rows []row
	for _, s := range e.settings {
		value, needs := valueText(s.Value), "reload"
		if short {
			value = shorten(value)
		}
		if s.Apply.Restart {
			needs = "restart"
		}
		if names := e.waitingMembers(s); names != "" {
			needs += ", waits on " + names
		}
		r := row{"Setting": s.Key, "Value": value, "From": s.From.String(), "Apply": needs}
		if len(s.Others) > 0 {
			r["Overrides"] = shortIf(short, valueText(s.Others[0].Value)+" ("+s.Others[0].From.String()+")")
		}
		rows = append(rows, r)
	}
	return rows
}

func shortIf(short bool, text string) string {
	if short {
		return shorten(text)
	}
	return text
}

func (e *explaining) waitsFor(s config.Setting) []waiting {
	name, isParameter := strings.CutPrefix(s.Key, "postgresql.parameters.")
	if !isParameter {
		return nil
	}
	return e.pending[strings.ToLower(name)]
}

func (e *explaining) waitingMembers(s config.Setting) string {
	var names []string
	for _, w := range e.waitsFor(s) {
		names = append(names, w.Member)
	}
	return strings.Join(names, ", ")
}

func (e *explaining) paragraph(s config.Setting) string {
	var b strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "  %-10s %s\n", label, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "%s = %s\n", s.Key, valueText(s.Value))
	line("from", "%s", originText(s.From))
	for _, o := range s.Others {
		line("not", "%s (%s): %s", valueText(o.Value), o.From, o.Why)
	}
	line("to change", "%s", s.Apply.How)
	for _, w := range e.waitsFor(s) {
		line("waits", "for a restart of PostgreSQL on %s: there it is %s, and will be %s", w.Member, w.Old, w.New)
	}
	return b.String()
}

// originText names the layer beside the place.
func originText(o config.Origin) string {
	switch o.Layer {
	case config.LayerDynamic:
		return "the dynamic configuration (" + o.At.String() + ")"
	case config.LayerDerived:
		return "another key (" + o.At.String() + ")"
	case config.LayerAdjusted:
		return "the given value, brought into range"
	case config.LayerNone:
		return "nowhere: no value counts"
	}
	return o.String()
}

// documents are the settings for programs.
func (e *explaining) documents() []any {
	var out []any
	for _, s := range e.settings {
		d := place(s.Value, s.From)
		d["setting"] = s.Key
		d["apply"] = map[string]any{"restart": s.Apply.Restart, "how": s.Apply.How}
		var others []any
		for _, o := range s.Others {
			other := place(o.Value, o.From)
			other["why"] = o.Why
			others = append(others, other)
		}
		if others != nil {
			d["overrides"] = others
		}
		var waits []any
		for _, w := range e.waitsFor(s) {
			waits = append(waits, map[string]any{"member": w.Member, "old_value": w.Old, "new_value": w.New})
		}
		if waits != nil {
			d["pending_restart"] = waits
		}
		out = append(out, d)
	}
	return out
}

func place(value any, o config.Origin) map[string]any {
	d := map[string]any{"value": value, "layer": string(o.Layer)}
	if o.At.Source != "" {
		d["source"] = o.At.Source
	}
	if o.At.Line > 0 {
		d["line"] = o.At.Line
	}
	return d
}

package ctl

import (
	"strings"
	"testing"
)

func TestQueryOutput(t *testing.T) {
	columns, rows := []string{"a", "b", "c", "d"}, [][]any{{int64(1), nil, true, "x"}}
	for format, text := range map[string]string{
		"tsv":    "a\tb\tc\td\n1\tNone\tTrue\tx\n",
		"json":   `[{"a": 1, "b": null, "c": true, "d": "x"}]` + "\n",
		"yaml":   "- a: 1\n  b: null\n  c: true\n  d: x\n\n",
		"pretty": "+---+------+------+---+\n| a | b    | c    | d |\n+---+------+------+---+\n| 1 | None | True | x |\n+---+------+------+---+\n",
		"xml":    "",
	} {
		var out strings.Builder
		q := &query{app: newApp(Env{Out: &out}), format: format, delimiter: "\t"}
		q.print(columns, rows)
		want(t, out.String(), text)
	}
}

// TestNumbersOfAQuery: as Python prints those that it has a type for.
func TestNumbersOfAQuery(t *testing.T) {
	const float4, float8, numeric = 700, 701, 1700
	for _, c := range []struct {
		oid        uint32
		raw        string
		json, text string
	}{
		{float8, "1", "1.0", "1.0"}, {float8, "-0.1", "-0.1", "-0.1"}, {float4, "1e-07", "1e-07", "1e-07"},
		{float8, "NaN", `"NaN"`, "NaN"}, {float8, "-Infinity", `"-Infinity"`, "-Infinity"}, {numeric, "1.50", `"1.50"`, "1.50"},
	} {
		v := sqlValue(c.oid, []byte(c.raw))
		if jsonText(v) != c.json || pythonText(v) != c.text {
			t.Errorf("%s: %s, %s", c.raw, jsonText(v), pythonText(v))
		}
	}
	want(t, yamlRows([]row{{"a": sqlValue(float8, []byte("1e-07")), "b": sqlValue(float8, []byte("1"))}}), "- a: 1.0e-07\n  b: 1.0\n\n")
}

func TestQueryFailureIsARow(t *testing.T) {
	for format, text := range map[string]string{
		"tsv": "2026-11-23 09:30:40\tNo connection to member nosuch is available\n", "json": "[{}]\n", "yaml": "- {}\n\n",
	} {
		out, _, code := newWorld(t, harbor).run("query", "-m", "nosuch", "-c", "select 1", "--format", format)
		if want(t, out, text); code != 0 {
			t.Errorf("exit %d", code)
		}
	}
	out, _, _ := newWorld(t, harbor).run("query", "-r", "standby-leader", "-c", "select 1", "--format", "pretty")
	if !strings.Contains(out, "| Field 1             | Field 2 ") || !strings.Contains(out, "No connection to role 'standby-leader' is available") {
		t.Errorf("got %s", out)
	}
	w := newWorld(t, harbor)
	w.strict = true
	if _, _, code := w.run("query", "-m", "nosuch", "-c", "select 1"); code != 1 {
		t.Errorf("strict: exit %d", code)
	}
}

func TestQueryOptions(t *testing.T) {
	for args, want := range map[string]string{
		"query":                    "Error: You need to specify either --command or --file\n",
		"query -c x -f /dev/null":  "Error: --file and --command are mutually exclusive options\n",
		"query -c x -r any -m foo": "Error: --role and --member are mutually exclusive options\n",
	} {
		if _, errs, code := newWorld(t, harbor).run(strings.Fields(args)...); errs != want || code != 1 {
			t.Errorf("%s: got %q, exit %d", args, errs, code)
		}
	}
}

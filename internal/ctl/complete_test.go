package ctl

import (
	"strings"
	"testing"
)

func TestShellCompletion(t *testing.T) {
	for line, want := range map[string]string{
		"list -f ":                "pretty tsv json yaml yml",
		"restart --role ":         "leader primary standby-leader replica standby any",
		"switchover --candidate ": "pier1 pier2 pier3",
		"dsn -m ":                 "pier1 pier2 pier3",
		"list ":                   "harbor",
		"reinit harbor ":          "pier1 pier2 pier3",
		"reinit harbor pier2 ":    "pier1 pier3",
		"flush harbor ":           "pier1 pier2 pier3 restart switchover",
	} {
		w := newWorld(t, harbor)
		out, _, _ := w.run(append([]string{"__complete"}, strings.Split(line, " ")...)...)
		lines := strings.Fields(strings.Split(out, ":")[0])
		if got := strings.Join(lines, " "); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

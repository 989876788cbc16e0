package ctl

import (
	"strings"
	"testing"
)

// TestTheGuardIsListedWhereItIsMissing has a list speak of the guard without being
// asked only where a server is not stopped for certain.
func TestTheGuardIsListedWhereItIsMissing(t *testing.T) {
	list := func(guards [3]string, args ...string) string {
		t.Helper()
		w := newWorld(t, harbor)
		for i, name := range []string{"pier1", "pier2", "pier3"} {
			guard := `,"guard":"` + guards[i] + `"`
			if guards[i] == "" {
				guard = "" // Patroni's, or it does not run
			}
			w.put("members/"+name, `{"conn_url":"postgres://127.0.0.1:543`+name[4:]+`/postgres","state":"running","role":"replica"`+guard+`}`)
		}
		out, errs, code := w.run(append([]string{"list"}, args...)...)
		if code != 0 {
			t.Fatalf("exit %d: %s", code, errs)
		}
		return out
	}
	for _, c := range []struct {
		guards          [3]string
		plain, extended bool
	}{
		{[3]string{"freezer", "signals", "freezer"}, false, true},
		{[3]string{"freezer", "", "freezer"}, false, true},
		{[3]string{"", "", ""}, false, false},
		{[3]string{"freezer", "adopted", ""}, true, true},
		{[3]string{"off", "freezer", "freezer"}, true, true},
	} {
		if out := list(c.guards); strings.Contains(out, "Guard") != c.plain {
			t.Errorf("%q:\n%s", c.guards, out)
		}
		if out := list(c.guards, "-e"); strings.Contains(out, "Guard") != c.extended {
			t.Errorf("%q, extended:\n%s", c.guards, out)
		}
		if out := list(c.guards, "-f", "json"); strings.Contains(out, `"Guard": "`) != c.extended {
			t.Errorf("%q, JSON:\n%s", c.guards, out)
		}
	}
	out := list([3]string{"freezer", "adopted", "off"})
	for _, line := range []string{"| Guard   |", "| freezer |", "| adopted |", "| off     |"} {
		if !strings.Contains(out, line) {
			t.Errorf("%q is not in\n%s", line, out)
		}
	}
}

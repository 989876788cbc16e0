package contract

import (
	"net/http"
	"strings"
	"testing"
)

func answer(kind, body string) Answer {
	return Answer{Code: 200, Header: http.Header{"Content-Type": {kind}}, Body: body}
}

func TestEveryDifferenceIsFound(t *testing.T) {
	who := Whose{Self: []string{"n1"}, Peers: []string{"n2"}}
	const metrics = "# HELP patroni_primary x\n# TYPE patroni_primary gauge\npatroni_primary{scope=\"s\",name=\"n1\"} 1\n"
	for _, c := range []struct {
		name         string
		theirs, ours Answer
		faults       int
	}{
		{"nothing", answer("application/json", `{"a":[1,"x"],"b":{"c":null}}`), answer("application/json", `{"b":{"c":null}, "a":[1,"x"]}`), 0},
		{"a value", answer("application/json", `{"a":1}`), answer("application/json", `{"a":2}`), 1},
		{"a type", answer("application/json", `{"a":1}`), answer("application/json", `{"a":"1"}`), 1},
		{"a field too many", answer("application/json", `{"a":1}`), answer("application/json", `{"a":1,"b":true}`), 1},
		{"a moving value's form", answer("application/json", `{"postmaster_start_time":"2026-11-23 09:26:25.2+00:00"}`), answer("application/json", `{"postmaster_start_time":"2026-11-23T09:26:25.2Z"}`), 1},
		{"a moving value alone", answer("application/json", `{"dcs_last_seen":7}`), answer("application/json", `{"dcs_last_seen":1795426010}`), 0},
		{"a header", answer("text/html", "x"), answer("text/plain; charset=utf-8", "x"), 1},
		{"a line end", answer("text/html", "Accepted"), answer("text/html", "Accepted\n"), 1},
		{"the name of the one that was asked", answer("text/html", "n1"), answer("text/html", "n2"), 1},
		{"a metric's type", answer("text/plain", metrics), answer("text/plain", strings.Replace(metrics, "gauge", "counter", 1)), 1},
		{"a metric's label", answer("text/plain", metrics), answer("text/plain", strings.Replace(metrics, `name="n1"`, `name="n1",x="y"`, 1)), 1},
		{"a metric that is missing", answer("text/plain", metrics), answer("text/plain", ""), 4},
		{"silence", answer("text/html", "x"), Answer{}, 3},
	} {
		var compared Comparison
		compared.Compare("", Request{}, c.theirs.Fields(who), c.ours.Fields(who))
		if len(compared.Faults) != c.faults {
			t.Errorf("%s: %q, want %d", c.name, compared.Faults, c.faults)
		}
	}
}

func TestAPurposeExcusesWhatItNames(t *testing.T) {
	old := Purpose{Request: "GET /*", Field: "body.a", Theirs: "1", Before: "4.0.0", Why: "old"}
	for version, faults := range map[string]int{"3.0.2": 1, "4.1.4": 2} {
		c := Comparison{Version: version, Purposes: []Purpose{old}}
		c.Compare("", Request{Method: "GET", Path: "/x/y"}, Fields{"body.a": "1", "body.b": "1"}, Fields{"body.a": "2", "body.b": "2"})
		if len(c.Faults) != faults || c.Compared != 2 {
			t.Errorf("%s: %q of %d", version, c.Faults, c.Compared)
		}
		if got := len(c.Unused()); got != 0 {
			t.Errorf("%s: %d purposes are called unused", version, got)
		}
	}
	c := Comparison{Version: "4.1.4", Purposes: []Purpose{{Request: "GET /z", Field: "body.a", Why: "never seen"}}}
	c.Compare("", Request{Method: "GET", Path: "/x"}, Fields{"body.a": "1"}, Fields{"body.a": "2"})
	if len(c.Faults) != 1 || len(c.Unused()) != 1 {
		t.Errorf("%q, unused %q", c.Faults, c.Unused())
	}
}

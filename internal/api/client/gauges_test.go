package client

import (
	"maps"
	"net/http"
	"testing"
)

func TestGauges(t *testing.T) {
	url := member(t, says("# HELP a_b text {x} 5\n# TYPE a_b gauge\n"+
		"a_b{scope=\"demo\",name=\"node}1\"} 0.5\nwithout 3\ngarbage{scope=\"demo\"} many\n{\n}\n"+
		"c{scope=\"demo\",name=\"n1\",protection=\"off\"} 1\nd{scope=\"demo\",le=\"1\"} 7\ne{name=\"n1\",scope=\"de,mo\"} 1e3\n"))
	got, err := newClient(t, Options{}).Gauges(t.Context(), url)
	if want := map[string]float64{"a_b": 0.5, "e": 1000}; err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	refused := member(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	if got, err := newClient(t, Options{}).Gauges(t.Context(), refused); err == nil {
		t.Errorf("metrics that were refused are %v", got)
	}
}

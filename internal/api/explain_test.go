package api

import (
	"strings"
	"testing"
	"time"

	"matriarch/internal/cluster"
)

// tellingNode is a node that can tell how the leader changed.
type tellingNode struct{ *fakeNode }

func (tellingNode) Accounts() []cluster.Account {
	return []cluster.Account{{By: "n1", Kind: "failover", To: "n1", Steps: []cluster.Step{{At: noon.Add(time.Millisecond), Text: "took the lead"}}}}
}

func TestHistoryExplained(t *testing.T) {
	n := primary()
	n.picture.View.History = cluster.History{Known: true}
	s := newServer(t, tellingNode{n})
	code, body := call(s, "GET", "/history/explain", "")
	sameJSON(t, body, `[{"by":"n1","kind":"failover","to":"n1","steps":[{"at":"2026-11-23T12:00:00.001000Z","text":"took the lead"}]}]`)
	if code != 200 {
		t.Errorf("code %d", code)
	}
	for _, path := range []string{"/history", "/history/", "/history/other"} { // as Patroni has it
		if _, body := call(s, "GET", path, ""); strings.TrimSpace(body) != "[]" {
			t.Errorf("%s = %s", path, body)
		}
	}
	if _, body := call(newServer(t, n), "GET", "/history/explain", ""); body != "[]" {
		t.Errorf("of a node that tells nothing: %s", body)
	}
}

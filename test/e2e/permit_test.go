package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
	"matriarch/test/e2e/traffic"
)

// voters is what the electorate key says.
type voters struct {
	Leader   string   `json:"leader"`
	Members  []string `json:"members"`
	PermitMS int      `json:"permit_ms"`
	Released bool     `json:"released"`
}

func electorate(p lab.Picture) (v voters) {
	_ = json.Unmarshal([]byte(p.Keys["electorate"]), &v)
	return v
}

// changePermit changes the length of the permit under a writing client, to shorter and
// to longer ones: there is no gap in it, so the guard freezes nothing (P9).
func changePermit(t *testing.T, c *lab.Cluster, w *traffic.Writer) {
	leader := c.WaitWhole(lab.Patience)
	timeline, began, mark := leader.Timeline(), time.Now(), leader.Mark()
	for _, ms := range []int{400, 3000, 600, 1000} {
		c.Configure(func(s lab.Settings) { s.Set("permit", float64(ms)/1000) })
		c.WaitPicture(lab.Patience, "the electorate has the new permit", func(p lab.Picture) bool { return electorate(p).PermitMS == ms })
		w.WaitPast(t, lab.Patience, time.Now().Add(time.Second))
	}
	sameLeader(t, c, leader, timeline, w, began)
	if said := leader.LogSince(mark); strings.Contains(said, "has frozen the server") {
		t.Errorf("the server was frozen:\n%s", said)
	}
}

// standbyLeaves kills a standby's node: the leader goes by the store until it has taken
// it out of the electorate, and takes it in again when it is back.
func standbyLeaves(t *testing.T, c *lab.Cluster, w *traffic.Writer) {
	leader := c.WaitWhole(lab.Patience)
	timeline, began, mark := leader.Timeline(), time.Now(), leader.Mark()
	gone := c.Others(leader)[0]
	in := func(name string, want bool) func(lab.Picture) bool {
		return func(p lab.Picture) bool { return slices.Contains(electorate(p).Members, name) == want }
	}
	gone.KillNode()
	c.WaitPicture(10*time.Second, gone.Name+" is out of the electorate", in(gone.Name, false))
	w.WaitPast(t, lab.Patience, time.Now().Add(2*time.Second))
	gone.Start()
	c.WaitPicture(lab.Patience, gone.Name+" is in the electorate again", in(gone.Name, true))
	sameLeader(t, c, leader, timeline, w, began)
	if said := leader.LogSince(mark); strings.Contains(said, "has frozen the server") {
		t.Errorf("the server was frozen:\n%s", said)
	}
}

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
	"matriarch/test/e2e/traffic"
)

// scribbles are what nobody who knows the layout would write: no JSON, JSON that was cut
// off, of another type, and as much as etcd takes.
var scribbles = []string{"\xff\xfe\x00", `{"leader":`, "[[null]]", "-5", `"x"`, `{"x":"` + strings.Repeat("9", 1<<20) + `"}`}

// garbageInTheStore puts garbage under every key of the layout, one after the other,
// while clients write. Nobody is demoted or promoted for it, no configuration is lost,
// and the log says what could not be read.
func garbageInTheStore(t *testing.T, c *lab.Cluster, w *traffic.Writer) {
	leader := c.WaitWhole(lab.Patience)
	timeline, began, said := leader.Timeline(), time.Now(), since(c)
	before := c.WaitPicture(lab.Patience, "the configuration is there", func(p lab.Picture) bool { return p.Keys["config"] != "" })
	keys := []string{"leader", "electorate", "term", "config", "status", "history", "failover", "sync", "failsafe", "optime/leader",
		"members/" + leader.Name, "members/" + c.Others(leader)[0].Name, "members/stranger", "stray/key"}
	for _, key := range keys {
		for _, text := range scribbles {
			if key == "config" && json.Valid([]byte(text)) && text[0] == '{' {
				continue // an object is a configuration, and somebody's wish
			}
			c.Scribble(key, text)
			w.WaitPast(t, lab.Patience, time.Now().Add(50*time.Millisecond))
		}
	}
	after := c.WaitPicture(lab.Patience, "the members have put their keys right", func(p lab.Picture) bool {
		return p.Leader == leader.Name && p.Lease != 0 && len(electorate(p).Members) == 2 && p.Members[leader.Name].Role == "primary" &&
			json.Valid([]byte(p.Keys["config"]))
	})
	if !sameJSON(t, before.Keys["config"], after.Keys["config"]) {
		t.Errorf("the configuration was\n%s\nand is\n%s", before.Keys["config"], after.Keys["config"])
	}
	sameLeader(t, c, leader, timeline, w, began)
	for _, fault := range []string{"config is not", "status is not", "history is not", "sync is not", "leader: the key hangs on no lease", "electorate does not name"} {
		if !strings.Contains(said(), fault) {
			t.Errorf("no log says %q", fault)
		}
	}
	for _, key := range []string{"members/stranger", "stray/key", "sync", "failsafe", "optime/leader"} {
		c.Erase(key)
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	p, _ := json.Marshal(x)
	q, _ := json.Marshal(y)
	return string(p) == string(q)
}

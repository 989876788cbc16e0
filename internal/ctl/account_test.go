package ctl

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
)

func accountOf(by, kind, from, to string, at time.Time, texts ...string) cluster.Account {
	a := cluster.Account{By: by, Kind: kind, From: from, To: to}
	if by == to {
		a.Timeline = 3
	}
	for i, text := range texts {
		a.Tell(at.Add(time.Duration(i)*100*time.Millisecond), text)
	}
	return a
}

// storied is harbor with a failover and, later, a switchover that both sides tell.
func storied(t *testing.T) *world {
	w := newWorld(t, harbor)
	at := time.Date(2026, 11, 23, 9, 30, 0, 0, time.Local)
	w.put(dcs.KeyAccounts, string(cluster.EncodeAccounts([]cluster.Account{
		accountOf("pier3", "failover", "pier1", "pier3", at, "the last heartbeat of pier1", "done: took the leader key", "done: writes are possible, on timeline 3"),
		accountOf("pier1", "switchover", "pier3", "pier1", at.Add(time.Hour+50*time.Millisecond), "seen: pier3 has given up the lead", "done: writes are possible, on timeline 4"),
		accountOf("pier3", "switchover", "pier3", "", at.Add(time.Hour), "begun: stop of the server"),
	})))
	return w
}

func TestHistoryExplained(t *testing.T) {
	out, stderr, code := storied(t).run("history", "--explain")
	if code != 0 || stderr != "" {
		t.Errorf("exit %d, %s", code, stderr)
	}
	want(t, out, `2026-11-23 09:30:00  failover from pier1 to pier3, timeline 3, 0.20 s without writes
  09:30:00.000    +0.000 s  pier3  the last heartbeat of pier1
  09:30:00.100    +0.100 s  pier3  done: took the leader key
  09:30:00.200    +0.200 s  pier3  done: writes are possible, on timeline 3

2026-11-23 10:30:00  switchover from pier3 to pier1, timeline 3, 0.15 s without writes
  10:30:00.000    +0.000 s  pier3  begun: stop of the server
  10:30:00.050    +0.050 s  pier1  seen: pier3 has given up the lead
  10:30:00.150    +0.150 s  pier1  done: writes are possible, on timeline 4
`)
}

func TestHistoryExplainedForMachines(t *testing.T) {
	out, _, code := storied(t).run("history", "--explain", "-f", "json")
	var all []struct {
		Kind, From, To string
		Without        int `json:"without_writes_ms"`
		Steps          []struct{ At, Member, Text string }
	}
	if err := json.Unmarshal([]byte(out), &all); err != nil || code != 0 {
		t.Fatalf("exit %d, %v: %s", code, err, out)
	}
	if len(all) != 2 || all[0].Without != 200 || all[1].Kind != "switchover" || len(all[1].Steps) != 3 || all[1].Steps[0].Member != "pier3" {
		t.Errorf("got %+v", all)
	}
	if out, _, _ = storied(t).run("history", "--explain", "-f", "tsv"); !strings.HasPrefix(out, "Kind\tFrom\tTo\tTL\tTime\tMember\tStep\nfailover\tpier1\tpier3\t3\t") {
		t.Errorf("tsv:\n%s", out)
	}
}

func TestHistoryWithoutAccounts(t *testing.T) {
	w := newWorld(t, harbor)
	if out, _, code := w.run("history", "--explain"); code != 0 || !strings.Contains(out, "No account") {
		t.Errorf("exit %d, %s", code, out)
	}
	if out, _, _ := w.run("history", "--explain", "-f", "json"); out != "[]\n" {
		t.Errorf("json: %q", out)
	}
	w.put(dcs.KeyAccounts, "nonsense")
	if _, stderr, code := w.run("history", "--explain"); code != 0 || !strings.Contains(stderr, "accounts") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

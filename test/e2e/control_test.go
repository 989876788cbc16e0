package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
)

// controlled is a cluster that an operator works on with the other side's program.
type controlled struct {
	c    *lab.Cluster
	a    *appends
	with *lab.Control
	kind string // of the agents
}

// TestEitherControl works on a cluster of ours with Patroni's own patronictl, and
// then, once its agents are changed, on a cluster of Patroni's with ours. The same
// commands with the same words have the same effects. Clients write all the while.
func TestEitherControl(t *testing.T) {
	t.Parallel()
	m := &mixed{patroni: lab.FindPatroni(t), etcd: lab.StartEtcd(t, 1)}
	m.c = lab.New(t, 3, m.etcd, lab.Changed(mixedSettings))
	m.c.Start()
	m.a = appendAll(t, m.c)
	k := &controlled{c: m.c, a: m.a, with: m.patroni.Control(t), kind: "ours"}
	k.steps(t)
	story(t, m.c, "all agents are changed to Patroni's", func(t *testing.T) {
		m.pause(t, true)
		leader := m.c.WaitWhole(lab.Patience)
		for _, n := range append([]*lab.Node{leader}, m.c.Others(leader)...) {
			m.changeOver(t, n, m.patroni)
			m.settled(t, n)
		}
		m.pause(t, false)
		m.c.WaitWhole(lab.Patience)
		for _, n := range m.c.Others(leader) {
			m.answers(t, n)
		}
	})
	k.with, k.kind = lab.OwnControl(t), "Patroni's"
	k.steps(t)
	v := m.a.finish(t)
	t.Log(v)
	if len(v.Lost) > 0 {
		t.Error("rows are lost")
	}
}

func (k *controlled) steps(t *testing.T) {
	for _, step := range []struct {
		name string
		do   func(t *testing.T)
	}{
		{"list", k.list},
		{"pause and resume", k.pause},
		{"edit-config", k.edit},
		{"switchover", k.switchover},
		{"a scheduled switchover is flushed", k.scheduled},
		{"restart", k.restart},
		{"a scheduled restart is flushed", k.scheduledRestart},
		{"reinit", k.reinit},
		{"failover", k.failover},
		{"history, reload and version", k.rest},
	} {
		story(t, k.c, fmt.Sprintf("%s of a cluster of %s with %s", step.name, k.kind, k.with.Name), func(t *testing.T) {
			began := time.Now()
			step.do(t)
			k.a.exclusive(t)
			t.Logf("took %v", milliseconds(time.Since(began)))
		})
	}
}

// run runs a command that must succeed and print certain words.
func (k *controlled) run(t *testing.T, want []string, args ...string) string {
	t.Helper()
	out, err := k.with.Run(t, k.c.Nodes[0], args...)
	for _, words := range want {
		if !strings.Contains(out, words) {
			err = fmt.Errorf("%q is missing ; %v", words, err)
		}
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (k *controlled) list(t *testing.T) {
	leader := k.c.WaitWhole(lab.Patience)
	var members []map[string]any
	lab.Eventually(t, lab.Patience, "all members are listed as running", func(context.Context) (bool, string) {
		out := k.run(t, nil, "list", k.c.Scope, "-f", "json", "-e")
		if err := json.Unmarshal([]byte(out), &members); err != nil {
			return false, out
		}
		for _, member := range members {
			if state := member["State"]; state != "running" && state != "streaming" {
				return false, out
			}
		}
		return true, out
	})
	if len(members) != len(k.c.Nodes) {
		t.Fatal(members)
	}
	for _, member := range members {
		n := k.c.Node(fmt.Sprint(member["Member"]))
		role := "Replica"
		if n == leader {
			role = "Leader"
		}
		if member["Role"] != role || member["Cluster"] != k.c.Scope || member["Host"] != n.Host || member["TL"] != float64(leader.Timeline()) {
			t.Errorf("%v, and %s leads", member, leader.Name)
		}
	}
	k.run(t, []string{"+ Cluster: " + k.c.Scope, "| " + leader.Name}, "list", k.c.Scope)
	k.run(t, []string{"+ " + k.c.Others(leader)[0].Name}, "topology", k.c.Scope)
}

func (k *controlled) pause(t *testing.T) {
	k.run(t, []string{"Success: cluster management is paused"}, "pause", "--wait", k.c.Scope)
	for _, n := range k.c.Nodes {
		if a, err := n.Ask(t.Context(), lab.Patience, "GET", "/patroni", ""); err != nil || a.Document()["pause"] != true {
			t.Errorf("%s: %s %v", n.Name, a.Body, err)
		}
	}
	k.run(t, []string{"Maintenance mode: on"}, "list", k.c.Scope)
	k.run(t, []string{"Success: cluster management is resumed"}, "resume", "--wait", k.c.Scope)
}

func (k *controlled) edit(t *testing.T) {
	size := map[string]string{"ours": "9MB", "Patroni's": "11MB"}[k.kind]
	k.run(t, []string{"Configuration changed"}, "edit-config", k.c.Scope, "--force", "-s", "postgresql.parameters.work_mem="+size, "-p", "log_min_duration_statement=5000")
	k.run(t, []string{"work_mem: " + size, "log_min_duration_statement: 5000"}, "show-config", k.c.Scope)
	for _, n := range k.c.Nodes {
		lab.Eventually(t, lab.Patience, n.Name+" has it", func(context.Context) (bool, string) {
			now := n.Value("current_setting('work_mem') || ' ' || current_setting('log_min_duration_statement')")
			return now == size+" 5s", now
		})
	}
}

func (k *controlled) switchover(t *testing.T) {
	leader := k.c.WaitWhole(lab.Patience)
	next, from := k.c.Others(leader)[0], k.a.Now()
	k.run(t, []string{`Successfully switched over to "` + next.Name + `"`}, "switchover", k.c.Scope, "--leader", leader.Name, "--candidate", next.Name, "--force")
	k.led(t, next, from)
}

func (k *controlled) failover(t *testing.T) {
	leader := k.c.WaitWhole(lab.Patience)
	next, from := k.c.Others(leader)[1], k.a.Now()
	k.run(t, []string{`over to "` + next.Name + `"`}, "failover", k.c.Scope, "--candidate", next.Name, "--force")
	k.led(t, next, from)
}

// led waits until a node has taken over and all others follow it.
func (k *controlled) led(t *testing.T, next *lab.Node, from time.Duration) {
	t.Helper()
	k.a.wait(t, lab.Patience, next, from)
	t.Logf("no write for %v", milliseconds(k.a.gap(from)))
	if now := k.c.WaitWhole(lab.Patience); now != next {
		t.Errorf("%s leads, not %s", now.Name, next.Name)
	}
	k.c.WaitPicture(lab.Patience, "all members are running", func(p lab.Picture) bool {
		running := 0
		for _, member := range p.Members {
			if member.State == "running" || member.State == "streaming" {
				running++
			}
		}
		return running == len(k.c.Nodes)
	})
}

func (k *controlled) scheduled(t *testing.T) {
	leader := k.c.WaitWhole(lab.Patience)
	next := k.c.Others(leader)[0]
	k.run(t, []string{"Switchover scheduled"}, "switchover", k.c.Scope, "--leader", leader.Name, "--candidate", next.Name, "--scheduled", "2030-01-01T02:00:00+02:00", "--force")
	k.run(t, []string{"Switchover scheduled at: 2030-01-01T02:00:00+02:00", "from: " + leader.Name, "to: " + next.Name}, "list", k.c.Scope)
	k.run(t, []string{"scheduled switchover deleted"}, "flush", k.c.Scope, "switchover", "--force")
}

func (k *controlled) restart(t *testing.T) {
	leader := k.c.WaitWhole(lab.Patience)
	for _, n := range []*lab.Node{k.c.Others(leader)[0], leader} {
		server := n.Postmaster()
		k.run(t, []string{"Success: restart on member " + n.Name}, "restart", k.c.Scope, n.Name, "--force")
		if now := n.Postmaster(); now == server || now == 0 {
			t.Errorf("the postmaster of %s was %d and is %d", n.Name, server, now)
		}
	}
	if now := k.c.WaitWhole(lab.Patience); now != leader {
		t.Errorf("%s led, and %s leads", leader.Name, now.Name)
	}
}

func (k *controlled) scheduledRestart(t *testing.T) {
	n := k.c.Nodes[1]
	k.run(t, []string{"Success: restart scheduled on member " + n.Name}, "restart", k.c.Scope, n.Name, "--scheduled", "2030-01-01T02:00:00+02:00", "--force")
	k.c.WaitPicture(lab.Patience, "it is in the store", func(p lab.Picture) bool {
		return strings.Contains(p.Keys["members/"+n.Name], `"schedule":"2030-01-01T02:00:00+02:00"`)
	})
	k.run(t, []string{"Scheduled restart"}, "list", k.c.Scope, "-e")
	k.run(t, []string{"flush scheduled restart for member " + n.Name}, "flush", k.c.Scope, n.Name, "restart", "--force")
	k.c.WaitPicture(lab.Patience, "it is gone", func(p lab.Picture) bool { return !strings.Contains(p.Keys["members/"+n.Name], "schedule") })
}

func (k *controlled) reinit(t *testing.T) {
	leader := k.c.WaitWhole(lab.Patience)
	n := k.c.Others(leader)[1]
	server := n.Postmaster()
	k.run(t, []string{"Success: reinitialize for member " + n.Name}, "reinit", k.c.Scope, n.Name, "--force", "--wait")
	if now := k.c.WaitWhole(lab.Patience); now != leader {
		t.Errorf("%s led, and %s leads", leader.Name, now.Name)
	}
	if now := n.Postmaster(); now == server || now == 0 {
		t.Errorf("the postmaster of %s was %d and is %d", n.Name, server, now)
	}
	out, err := k.with.Run(t, k.c.Nodes[0], "reinit", k.c.Scope, leader.Name, "--force")
	if err == nil || !strings.Contains(out, "No replica among provided members") {
		t.Errorf("reinit of the leader: %s %v", out, err)
	}
	k.run(t, nil, "list", k.c.Scope)
}

func (k *controlled) rest(t *testing.T) {
	leader := k.c.WaitWhole(lab.Patience)
	var lines [][]any
	lab.Eventually(t, lab.Patience, "the history ends with the last timeline", func(context.Context) (bool, string) {
		out := k.run(t, nil, "history", k.c.Scope, "-f", "json")
		var rows []map[string]any
		if json.Unmarshal([]byte(out), &lines) != nil && json.Unmarshal([]byte(out), &rows) != nil {
			return false, out
		}
		return strings.Contains(out, leader.Name) && max(len(lines), len(rows)) == leader.Timeline()-1, out
	})
	for _, n := range k.c.Nodes {
		k.run(t, []string{"Reload request received for member " + n.Name}, "reload", k.c.Scope, n.Name, "--force")
	}
	k.run(t, []string{leader.Name + ": Patroni", "PostgreSQL 15"}, "version", k.c.Scope)
	k.run(t, []string{leader.Host}, "dsn", k.c.Scope)
}

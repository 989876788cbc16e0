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

const standbyNames = "SELECT current_setting('synchronous_standby_names')"

// synced is a cluster in which commits wait for standbys, and clients that write all
// the while.
type synced struct {
	c *lab.Cluster
	a *appends
}

// TestSynchronousMode loses servers of a cluster in each of the modes. What was
// acknowledged is there afterwards (S2), and a standby that is gone does not hold up the
// writes for long.
func TestSynchronousMode(t *testing.T) {
	t.Parallel()
	s := &synced{c: lab.New(t, 3, lab.StartEtcd(t, 1), lab.Changed(func(_ *lab.Node, s lab.Settings) { s.Set("bootstrap.dcs.synchronous_mode", "on") }))}
	s.c.Start()
	s.a = appendAll(t, s.c)
	for _, step := range []struct {
		name string
		do   func(t *testing.T)
	}{
		{"priority: a standby is synchronous from the first", func(t *testing.T) { s.key(t, 1, 0) }},
		{"priority: the synchronous standby is lost, and the other takes its place", s.standbyLost},
		{"priority: the primary is lost, and the synchronous standby takes over", s.primaryLost},
		{"priority: a person chooses a member that is not synchronous", s.byHand},
		{"the mode is changed to quorum", func(t *testing.T) {
			s.configure(t, map[string]any{"synchronous_mode": "quorum"})
			s.key(t, 2, 1)
		}},
		{"quorum: the primary is lost", s.primaryLost},
		{"quorum: a switchover", s.switchover},
		{"strict: without any standby nothing is acknowledged", s.strict},
		{"the mode is switched off", s.off},
	} {
		story(t, s.c, step.name, step.do)
	}
	if v := s.a.finish(t); len(v.Lost) > 0 {
		t.Errorf("S2: acknowledged rows are lost: %v", v)
	} else {
		t.Log(v)
	}
}

func (s *synced) configure(t *testing.T, patch map[string]any) {
	t.Helper()
	s.c.Configure(func(d lab.Settings) {
		for name, value := range patch {
			d.Set(name, value)
		}
	})
}

// key waits until the leader has so many standbys in the sync key, and commits wait for
// them.
func (s *synced) key(t *testing.T, standbys, quorum int) (names []string) {
	t.Helper()
	s.c.WaitPicture(lab.Patience, fmt.Sprintf("the leader has %d synchronous standbys, quorum %d", standbys, quorum), func(p lab.Picture) bool {
		var sync struct {
			Leader   string
			Quorum   int
			Standbys string `json:"sync_standby"`
		}
		if json.Unmarshal([]byte(p.Keys["sync"]), &sync) != nil || sync.Leader != p.Leader || sync.Quorum != quorum {
			return false
		}
		names = strings.FieldsFunc(sync.Standbys, func(r rune) bool { return r == ',' })
		return len(names) == standbys
	})
	leader := s.c.WaitPrimary(lab.Patience, nil)
	lab.Eventually(t, lab.Patience, fmt.Sprint("commits wait for ", names), func(context.Context) (bool, string) {
		inForce, all := leader.Value(standbyNames), true
		for _, name := range names {
			all = all && strings.Contains(inForce, name)
		}
		return all, inForce
	})
	return names
}

func (s *synced) node(t *testing.T, name string) *lab.Node {
	t.Helper()
	for _, n := range s.c.Nodes {
		if n.Name == name {
			return n
		}
	}
	t.Fatalf("there is no node %s", name)
	return nil
}

func (s *synced) standbyLost(t *testing.T) {
	leader := s.c.WaitWhole(lab.Patience)
	lost := s.node(t, s.key(t, 1, 0)[0])
	from := s.a.Now()
	lost.KillNode()
	s.a.wait(t, lab.Patience, leader, s.a.Now())
	if names := s.key(t, 1, 0); names[0] == lost.Name {
		t.Errorf("%s is gone, and still synchronous", lost.Name)
	}
	s.a.wait(t, lab.Patience, leader, s.a.Now())
	t.Logf("longest pause of writes: %v", milliseconds(s.a.gap(from)))
	lost.Start()
	s.c.WaitWhole(lab.Patience)
}

func (s *synced) primaryLost(t *testing.T) {
	leader := s.c.WaitWhole(lab.Patience)
	var before string
	s.c.WaitPicture(lab.Patience, "the key is written", func(p lab.Picture) bool { before = p.Keys["sync"]; return strings.Contains(before, "node") })
	from := s.a.Now()
	leader.KillNode()
	next := s.c.WaitPrimary(lab.Patience, leader)
	if !strings.Contains(before, next.Name) {
		t.Errorf("S2: %s took over, and the key was %s", next.Name, before)
	}
	s.a.wait(t, lab.Patience, next, s.a.Now())
	t.Logf("longest pause of writes: %v", milliseconds(s.a.gap(from)))
	leader.Start()
	s.c.WaitWhole(lab.Patience)
	s.a.exclusive(t)
}

func (s *synced) switchover(t *testing.T) {
	leader := s.c.WaitWhole(lab.Patience)
	s.key(t, 2, 1)
	to := s.c.Others(leader)[0]
	from := s.a.Now()
	a, err := leader.Ask(t.Context(), lab.Patience, "POST", "/switchover", fmt.Sprintf(`{"leader":%q,"candidate":%q}`, leader.Name, to.Name))
	if err != nil || a.Code != 200 {
		t.Fatalf("switchover: %d %s %v", a.Code, a.Body, err)
	}
	s.a.wait(t, lab.Patience, to, s.a.Now())
	t.Logf("longest pause of writes: %v", milliseconds(s.a.gap(from)))
	s.c.WaitWhole(lab.Patience)
	s.key(t, 2, 1)
}

func (s *synced) byHand(t *testing.T) {
	leader := s.c.WaitWhole(lab.Patience)
	synchronous := s.key(t, 1, 0)[0]
	to := s.c.Others(leader)[0]
	if to.Name == synchronous {
		to = s.c.Others(leader)[1]
	}
	s.c.WaitReplayed(leader)
	a, err := leader.Ask(t.Context(), lab.Patience, "POST", "/failover", fmt.Sprintf(`{"candidate":%q}`, to.Name))
	if err != nil || a.Code != 200 {
		t.Fatalf("failover: %d %s %v", a.Code, a.Body, err)
	}
	s.a.wait(t, lab.Patience, to, s.a.Now())
	s.c.WaitWhole(lab.Patience)
	s.key(t, 1, 0)
}

func (s *synced) strict(t *testing.T) {
	s.configure(t, map[string]any{"synchronous_mode": "on", "synchronous_mode_strict": true})
	leader := s.c.WaitWhole(lab.Patience)
	s.key(t, 1, 0)
	for _, n := range s.c.Others(leader) {
		n.KillNode()
	}
	lab.Eventually(t, lab.Patience, "commits wait for anybody", func(context.Context) (bool, string) {
		names := leader.Value(standbyNames)
		return names == "*", names
	})
	quiet := s.a.Now()
	s.a.pass(t, time.Second)
	if heard := s.a.Heard(leader.Name); heard > quiet {
		t.Errorf("a commit was acknowledged %v after the last standby had gone", heard-quiet)
	}
	for _, n := range s.c.Others(leader) {
		n.Start()
	}
	s.a.wait(t, lab.Patience, leader, s.a.Now())
	s.c.WaitWhole(lab.Patience)
	s.key(t, 1, 0)
}

func (s *synced) off(t *testing.T) {
	s.configure(t, map[string]any{"synchronous_mode": false, "synchronous_mode_strict": false})
	leader := s.c.WaitWhole(lab.Patience)
	s.c.WaitPicture(lab.Patience, "the key is gone", func(p lab.Picture) bool { return p.Keys["sync"] == "" })
	lab.Eventually(t, lab.Patience, "commits wait for nobody", func(context.Context) (bool, string) {
		names := leader.Value(standbyNames)
		return names == "", names
	})
}

package account

import (
	"strings"
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/ha"
	"matriarch/internal/wal"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// scene is a member whose passes a test makes one by one.
type scene struct {
	t      *testing.T
	teller Teller
	o      ha.Observation
	told   []cluster.Account
}

// following is a standby of n1 that has seen a pass.
func following(t *testing.T) *scene {
	s := &scene{t: t}
	s.o.Me.Name = "n2"
	s.o.Wall, s.o.Now = noon, noon
	s.o.Store.Current = true
	s.o.Store.View.Leader = cluster.Leader{Name: "n1", Modified: 5}
	s.o.Server = ha.Server{Running: true, Answering: true, Role: ha.Standby, End: wal.Point{Timeline: 2, LSN: 0x5000000}}
	s.o.Peers = ha.Peers{Asked: true, Age: time.Hour, Done: time.Hour, Answers: []ha.Peer{{Name: "n9"}}} // of an earlier time
	s.o.Right.FreeIn, s.o.Right.Heard = time.Second, 100*time.Millisecond
	s.pass(0, ha.Following)
	return s
}

func (s *scene) pass(after time.Duration, why ha.Reason) {
	s.o.Wall = s.o.Wall.Add(after)
	if s.o.Peers.Asked {
		s.o.Peers.Age, s.o.Peers.Done = s.o.Peers.Age+after, s.o.Peers.Done+after
	}
	if a, ok := s.teller.See(s.o, ha.Plan{Why: why}); ok {
		s.told = append(s.told, a)
	}
}

func (s *scene) last() cluster.Account {
	s.t.Helper()
	if len(s.told) == 0 {
		s.t.Fatal("nothing was told")
	}
	return s.told[len(s.told)-1]
}

// text is an account with its times in milliseconds after noon.
func text(a cluster.Account) string {
	var b strings.Builder
	b.WriteString(a.By + ": " + a.Kind + " from " + a.From + " to " + a.To + "\n")
	for _, step := range a.Steps {
		b.WriteString(step.At.Sub(noon).String() + " " + step.Text + "\n")
	}
	return b.String()
}

func (s *scene) want(want string) {
	s.t.Helper()
	if got := text(s.last()); got != want {
		s.t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// takeOver is the way from the leader key to the first write.
func (s *scene) takeOver() {
	s.o.Right.Leading, s.o.Right.Left, s.o.Right.Heard = true, time.Second, 0
	s.o.Store.View.Leader.Name = "n2"
	s.pass(4*time.Millisecond, ha.Promotion)
	s.o.Job.Work, s.o.Job.Running = ha.Promoting, time.Millisecond
	s.pass(2*time.Millisecond, ha.Busy)
	s.o.Job = ha.Job{}
	s.o.Last = ha.Finished{Count: 1, Work: ha.Promoting, Ago: time.Millisecond}
	s.o.Server.Role, s.o.Server.End.Timeline = ha.Primary, 3
	s.pass(20*time.Millisecond, ha.Leading)
}

func TestAFailover(t *testing.T) {
	s := following(t)
	s.o.Right.Overdue, s.o.Right.Heard, s.o.Right.FreeIn = true, 500*time.Millisecond, 550*time.Millisecond
	s.pass(time.Second, ha.RaceQuiet)
	s.pass(18*time.Millisecond, ha.RaceQuiet)
	s.o.Peers = ha.Peers{Asked: true, Age: 10 * time.Millisecond, Answers: []ha.Peer{{Name: "n1", Silent: true}, {Name: "n3", End: wal.Point{Timeline: 2, LSN: 0x4000000}}}}
	s.pass(0, ha.RaceQuiet)
	s.o.Right.Free, s.o.Right.FreeIn = true, 0
	s.pass(532*time.Millisecond, ha.RaceWon)
	s.takeOver()
	s.want(`n2: failover from n1 to n2
500ms the last heartbeat of n1
1s seen: no heartbeat of n1 when one was due, or its connection has broken
1s decided: the leader is silent: waiting until its permit has surely ended
1.018s seen: positions: n2 itself 2@0/5000000, n1 is silent, n3 2@0/4000000
1.55s decided: no leader and none better: taking the lead
1.554s done: took the leader key
1.554s decided: elected: promoting
1.555s begun: promotion
1.575s done: promotion
1.576s done: writes are possible, on timeline 3
`)
	if len(s.told) != 2 || s.told[0].To != "n2" || s.last().Timeline != 3 {
		t.Errorf("told %d times, timeline %d", len(s.told), s.last().Timeline)
	}
	s.pass(time.Second, ha.Leading)
	if len(s.told) != 2 {
		t.Error("a pass of a leader at rest told something")
	}
}

func TestASwitchoverSeenByItsCandidate(t *testing.T) {
	s := following(t)
	s.o.Store.View.Failover = cluster.Failover{Leader: "n1", Candidate: "n2", Modified: 9}
	s.pass(time.Second, ha.Following)
	s.o.Store.View.Leader = cluster.Leader{}
	s.o.Store.View.Failover = cluster.Failover{Modified: 10} // cleared with the release
	s.o.Right.Free, s.o.Right.FreeIn = true, 0
	s.pass(200*time.Millisecond, ha.RaceWon)
	s.takeOver()
	s.want(`n2: switchover from n1 to n2
1s requested: switchover from n1 to n2
1.2s seen: n1 has given up the lead
1.2s decided: no leader and none better: taking the lead
1.204s done: took the leader key
1.204s decided: elected: promoting
1.205s begun: promotion
1.225s done: promotion
1.226s done: writes are possible, on timeline 3
`)
}

func TestASwitchoverSeenByTheOldLeader(t *testing.T) {
	s := following(t)
	s.o.Me.Name = "n1"
	s.o.Right.Leading, s.o.Right.Left, s.o.Server.Role = true, time.Second, ha.Primary
	s.teller = Teller{}
	s.pass(0, ha.Leading)
	s.o.Store.View.Failover = cluster.Failover{Leader: "n1", Candidate: "n2", Modified: 9}
	s.pass(time.Second, ha.RequestAsking)
	s.pass(5*time.Millisecond, ha.HandingOver)
	s.o.Job.Work, s.o.Job.Running = ha.StoppingServer, 0
	s.pass(time.Millisecond, ha.Busy)
	s.o.Job = ha.Job{}
	s.o.Last = ha.Finished{Count: 1, Work: ha.StoppingServer}
	s.o.Right.Leading = false
	s.o.Store.View.Leader = cluster.Leader{}
	s.pass(130*time.Millisecond, ha.HandedOver)
	s.want(`n1: switchover from n1 to 
1s requested: switchover from n1 to n2
1s decided: switchover requested: asking the candidates
1.005s decided: switchover: stopping
1.006s begun: stop of the server
1.136s done: stop of the server
1.136s decided: switchover: waiting for the new leader
1.136s done: gave up the lead
`)
}

func TestAFalseAlarmIsNoStory(t *testing.T) {
	s := following(t)
	s.o.Right.Overdue, s.o.Right.Heard = true, 500*time.Millisecond
	s.pass(time.Second, ha.RaceQuiet)
	s.o.Right.Overdue, s.o.Right.Heard = false, 10*time.Millisecond
	s.pass(time.Second, ha.Following)
	s.o.Store.View.Leader.Name = "n3" // another one has taken over: it tells
	s.pass(time.Second, ha.Following)
	if len(s.told) != 0 {
		t.Errorf("told %s", text(s.told[0]))
	}
}

func TestALeadThatWasThereBeforeIsNoStory(t *testing.T) {
	s := &scene{t: t}
	s.o.Me.Name, s.o.Wall = "n1", noon
	s.o.Right.Leading, s.o.Right.Left, s.o.Server.Role = true, time.Second, ha.Primary
	s.pass(0, ha.Leading)
	s.pass(time.Second, ha.NoPermit) // a short silence
	s.pass(time.Second, ha.Leading)
	if len(s.told) != 0 {
		t.Errorf("told %s", text(s.told[0]))
	}
}

func TestWhatWasToldIsNotChangedByWhatFollows(t *testing.T) {
	s := following(t)
	s.o.Right.Overdue = true
	s.pass(time.Second, ha.RaceQuiet)
	s.o.Right.Free = true
	s.o.Right.Leading, s.o.Right.Left = true, time.Second
	s.pass(time.Millisecond, ha.Promotion)
	before := text(s.told[0])
	s.takeOver()
	if text(s.told[0]) != before || len(s.told) != 2 {
		t.Errorf("after %d accounts the first one is\n%s\nit was\n%s", len(s.told), text(s.told[0]), before)
	}
}

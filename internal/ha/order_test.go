package ha

import (
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// told gives an observation an order that has just come.
func told(start func() Observation, order Order) func() Observation {
	return func() Observation {
		o := start()
		order.Age = time.Second
		o.Order = order
		return o
	}
}

// underWay is a restart that was taken up before two works ended.
func underWay(o *Observation) {
	o.Order.TakenUp, o.Order.Since, o.Order.After = true, time.Second, 5
	o.Last = Finished{Count: 6, Work: StoppingServer, Purpose: ForRestart, Ago: soon}
}

// downToRestart is a server that was stopped for its restart.
func downToRestart(o *Observation) {
	underWay(o)
	o.Server.WasPrimary = o.Server.Role == Primary
	o.Server.Running, o.Server.Answering, o.Server.Streaming, o.Server.Role, o.Server.Slots, o.Server.Clean = false, false, false, RoleUnknown, nil, true
}

func begins(checkpoint bool) Plan {
	return do(Restarting, Stop{Mode: Fast, For: ForRestart, Checkpoint: checkpoint}, TakeUp{})
}

func refused(why Reason, outcome Outcome) Plan { return do(why, Answer{Outcome: outcome}) }

func TestRestartOfALeader(t *testing.T) {
	decided(t, told(leader, Order{Task: ToRestart}), []decision{
		{"a primary is stopped with a checkpoint before, and keeps the lead (B-702)", nil, begins(true)},
		{"also while paused (B-512)", func(o *Observation) { o.Store.Settings.Pause = true }, begins(true)},
		{"not without a permit: it could not be started again (S1)",
			func(o *Observation) { o.Right.Left = 0 }, wait(NoPermit, soon)},
		{"not while another leads, which only a pause allows", func(o *Observation) {
			o.Store.Settings.Pause, o.Right = true, Right{FreeIn: quietly, Guarded: true}
			o.Store.View.Leader.Name = "n2"
		}, refused(RestartRefused, Impossible)},
		{"a condition on the role that is met", func(o *Observation) { o.Order.Conditions.Role = cluster.RolePrimary }, begins(true)},
		{"and one that is not (B-690)",
			func(o *Observation) { o.Order.Conditions.Role = cluster.RoleReplica }, refused(RestartRefused, NotMet)},
		{"a version that is older",
			func(o *Observation) { o.Order.Conditions.Below, o.Server.Version = 150003, 150002 }, begins(true)},
		{"the same version is not older",
			func(o *Observation) { o.Order.Conditions.Below, o.Server.Version = 150002, 150002 }, refused(RestartRefused, NotMet)},
		{"a version that is not known is not older",
			func(o *Observation) { o.Order.Conditions.Below = 150002 }, refused(RestartRefused, NotMet)},
		{"nothing is pending", func(o *Observation) { o.Order.Conditions.Pending = true }, refused(RestartRefused, NotMet)},
		{"something is", func(o *Observation) {
			o.Order.Conditions.Pending = true
			o.Server.PendingRestart = map[string]cluster.Change{"max_connections": {Old: "100", New: "101"}}
		}, begins(true)},
		{"once stopped it is started, as the primary that it was: no other may lead meanwhile",
			downToRestart, do(Restarting, StartPrimary{For: ForRestart})},
		{"also while paused", func(o *Observation) {
			downToRestart(o)
			o.Store.Settings.Pause = true
		}, do(Restarting, StartPrimary{For: ForRestart})},
		{"also where a crash would be handed on (primary_start_timeout 0)", func(o *Observation) {
			downToRestart(o)
			o.Store.Settings.PrimaryStartTimeout = 0
		}, do(Restarting, StartPrimary{For: ForRestart})},
		{"also while the store is away: the permit holds", func(o *Observation) {
			downToRestart(o)
			o.Store.Current = false
		}, do(CrashRestart, StartPrimary{For: ForRestart})},
		{"but not without a permit (S1)", func(o *Observation) {
			downToRestart(o)
			o.Right.Left = 0
		}, wait(NoPermit, soon)},
		{"it runs again: the operator is told", func(o *Observation) {
			underWay(o)
			o.Last = Finished{Count: 7, Work: StartingPrimary, Purpose: ForRestart}
		}, refused(Restarted, Done)},
		{"it does not answer yet", func(o *Observation) {
			underWay(o)
			o.Last = Finished{Count: 7, Work: StartingPrimary, Purpose: ForRestart}
			o.Server.Answering = false
		}, wait(Leading, soon)},
		{"the start failed: that is said, and the next pass hands over (B-700)", func(o *Observation) {
			downToRestart(o)
			o.Last = Finished{Count: 7, Work: StartingPrimary, Purpose: ForRestart, Failed: true}
		}, refused(RestartFailed, StartedInVain)},
		{"the start failed, and nobody waits any more", func(o *Observation) {
			downToRestart(o)
			o.Order = Order{}
			o.Last = Finished{Count: 7, Work: StartingPrimary, Purpose: ForRestart, Failed: true}
		}, do(StartFailed, Release{})},
		{"a start that failed before the order came is no reason to wait", func(o *Observation) {
			downToRestart(o)
			o.Last = Finished{Count: 5, Work: StartingPrimary, Failed: true}
		}, do(Restarting, StartPrimary{For: ForRestart})},
		{"a server that is down is started: the order is taken up first",
			func(o *Observation) {
				downToRestart(o)
				o.Order.TakenUp, o.Store.Settings.Pause = false, true
			}, do(Restarting, TakeUp{})},
		{"a server that would not stop", func(o *Observation) {
			underWay(o)
			o.Last.Failed = true
		}, refused(RestartFailed, StartedInVain)},
		{"the agent ends in between: the key is given up, and nothing is started", func(o *Observation) {
			downToRestart(o)
			o.Stopping = true
		}, do(AgentEnding, Release{})},
	})
}

func TestRestartUnderWay(t *testing.T) {
	starting := func(running time.Duration) func(*Observation) {
		return func(o *Observation) {
			downToRestart(o)
			o.Server.Running = true
			o.Job = Job{Work: StartingPrimary, Purpose: ForRestart, Running: running}
		}
	}
	still := Answer{Outcome: StillStarting}
	ask := AskPeers{Members: []cluster.Member{member("n2", cluster.RoleReplica), member("n3", cluster.RoleReplica)}, Within: 10 * soon}
	decided(t, told(leader, Order{Task: ToRestart, Timeout: 5 * time.Second}), []decision{
		{"it starts, within its time", starting(4 * time.Second), wait(Busy, time.Second)},
		{"its time is over: the operator is told, and the lead is handed over if it can be (B-032)",
			starting(6 * time.Second), do(BusyStartTooSlow, still, ask)},
		{"that is said once", func(o *Observation) {
			starting(6 * time.Second)(o)
			o.Order.Told = true
		}, do(BusyStartTooSlow, ask)},
		{"without a limit of its own, primary_start_timeout counts", func(o *Observation) {
			starting(6 * time.Second)(o)
			o.Order.Timeout = 0
		}, wait(Busy, loop)},
		{"a second order waits for nobody", func(o *Observation) {
			o.Job = Job{Work: Promoting}
		}, after(Busy, loop, Answer{Outcome: OtherWork, Work: Promoting})},
		{"a stop for a restart does not give up the key", func(o *Observation) {
			o.Order.TakenUp = true
			o.Job = Job{Work: StoppingServer, Purpose: ForRestart, Shutdown: wal.Point{Timeline: 3, LSN: flushed}}
		}, wait(Busy, loop)},
	})
}

func TestRestartOfAStandby(t *testing.T) {
	decided(t, told(standby, Order{Task: ToRestart}), []decision{
		{"it is stopped", nil, begins(true)},
		{"it starts as a standby of the same leader, once the leader's log is known to contain it (S3)", func(o *Observation) {
			downToRestart(o)
			o.Log = LeaderLog{Leader: "n1", Primary: true, SystemID: systemID, History: historyOfThree()}
		}, do(RejoinStreaming, StartStandby{Upstream: fromN1(), For: ForRestart})},
		{"also while paused", func(o *Observation) {
			downToRestart(o)
			o.Store.Settings.Pause = true
			o.Log = LeaderLog{Leader: "n1", Primary: true, SystemID: systemID, History: historyOfThree()}
		}, do(RejoinStreaming, StartStandby{Upstream: fromN1(), For: ForRestart})},
		{"also while the store is away, with the upstream that it had", func(o *Observation) {
			downToRestart(o)
			o.Store.Current = false
		}, do(Restarting, StartStandby{Upstream: fromN1(), For: ForRestart})},
		{"not while a leader is being found: this may be the one that takes the lead", func(o *Observation) {
			lost := orphan()
			lost.Order = o.Order
			*o = lost
		}, after(RaceWon, soon, Acquire{})},
		{"a directory without data has no server", func(o *Observation) {
			o.Server.Directory, o.Server.Running = Empty, false
		}, refused(RestartRefused, Impossible)},
	})
}

func TestReinitialize(t *testing.T) {
	log := func(o *Observation) {
		o.Log = LeaderLog{Leader: "n1", Age: soon, Primary: true, SystemID: systemID, History: historyOfThree()}
	}
	down := func(o *Observation) {
		log(o)
		downToRestart(o)
		o.Last.Purpose = ForReinitialize
	}
	const waits = 10 * time.Second // retry_timeout
	stop := Stop{Mode: Immediate, For: ForReinitialize, Within: waits}
	copying := Answer{Outcome: Done}
	decided(t, told(standby, Order{Task: ToReinitialize}), []decision{
		{"first the leader is asked who it is (S4)", nil, do(Reinitializing, ReadLog{From: bare(fromN1())})},
		{"an answer from before the order does not count", func(o *Observation) {
			log(o)
			o.Log.Age = 2 * time.Second
		}, do(Reinitializing, ReadLog{From: bare(fromN1())})},
		{"then the server is stopped at once, and the operator told", log, do(Reinitializing, stop, TakeUp{}, Answer{Outcome: Begun})},
		{"also while paused (B-512)", func(o *Observation) {
			log(o)
			o.Store.Settings.Pause = true
		}, do(Reinitializing, stop, TakeUp{}, Answer{Outcome: Begun})},
		{"then it is copied", down, do(Reinitializing, BaseBackup{From: bare(fromN1()), Wipe: true}, copying)},
		{"from a member with the tag clonefrom", func(o *Observation) {
			down(o)
			o.Store.View.Members[2].Tags = cluster.Tags{"clonefrom": true}
		}, do(Reinitializing, BaseBackup{From: Upstream{Member: "n3", Host: "n3", Port: 5432, Database: "postgres"}, Wipe: true}, copying)},
		{"from the leader all the same if that was asked for (B-316)", func(o *Observation) {
			down(o)
			o.Order.FromLeader = true
			o.Store.View.Members[2].Tags = cluster.Tags{"clonefrom": true}
		}, do(Reinitializing, BaseBackup{From: bare(fromN1()), Wipe: true, Builtin: true}, copying)},
		{"a failed copy a moment ago is no reason to wait", func(o *Observation) {
			down(o)
			o.Server.Directory, o.Server.Unfinished = HalfCopied, Copying
			o.Last = Finished{Work: Copying, Failed: true}
		}, do(Reinitializing, BaseBackup{From: bare(fromN1()), Wipe: true}, copying)},
		{"a leader of another system is nobody's source (S4)", func(o *Observation) {
			log(o)
			o.Log.SystemID = otherID
		}, refused(ReinitializeRefused, Impossible)},
		{"a leader that is not a running primary neither (S4)", func(o *Observation) {
			log(o)
			o.Log.Primary = false
		}, refused(ReinitializeRefused, Impossible)},
		{"a leader that cannot be asked neither (S4)", func(o *Observation) {
			log(o)
			o.Log.Failed = true
		}, refused(ReinitializeRefused, Impossible)},
		{"a leader that went away after the stop: nothing is removed", func(o *Observation) {
			down(o)
			o.Log.Failed = true
		}, refused(ReinitializeRefused, Impossible)},
		{"other work is under way",
			func(o *Observation) { o.Job = Job{Work: StartingStandby} }, after(Busy, loop, Answer{Outcome: OtherWork, Work: StartingStandby})},
		{"which is broken off by force", func(o *Observation) {
			o.Order.Force, o.Job = true, Job{Work: Copying}
		}, after(Reinitializing, soon, CancelJob{})},
	})
	decided(t, told(leader, Order{Task: ToReinitialize, Force: true}), []decision{
		{"a leader is not copied anew, whatever force (B-316)", nil, refused(ReinitializeRefused, LeadsItself)},
		{"nor is its work broken off", func(o *Observation) { o.Job = Job{Work: Promoting} },
			after(Busy, loop, Answer{Outcome: OtherWork, Work: Promoting})},
	})
	decided(t, told(standby, Order{Task: ToReinitialize}), []decision{
		{"without a leader there is nothing to copy (B-316)", func(o *Observation) {
			o.Store.View.Leader = cluster.Leader{}
			o.Store.Leaderless, o.Right = 10*time.Second, Right{Free: true, Guarded: true}
		}, refused(ReinitializeRefused, NoLeaderSeen)},
	})
}

func TestScheduledRestart(t *testing.T) {
	began := noon.Add(-time.Hour)
	start := func() Observation {
		o := leader()
		o.Server.Started = began
		o.Schedule = Schedule{At: noon, Started: began, Published: []byte(`{"schedule":"x"}`)}
		return o
	}
	due := after(Leading, 0, OrderScheduled{})
	decided(t, start, []decision{
		{"it becomes an order when it is due", nil, due},
		{"not before", func(o *Observation) { o.Schedule.At = noon.Add(4 * time.Second) }, wait(Leading, 4*time.Second)},
		{"a little late is not too late", func(o *Observation) { o.Schedule.At = noon.Add(-14 * time.Second) }, due},
		{"but this is (B-670)",
			func(o *Observation) { o.Schedule.At = noon.Add(-16 * time.Second) }, after(Leading, loop, DropSchedule{})},
		{"the server was restarted meanwhile (B-691)",
			func(o *Observation) { o.Server.Started = began.Add(time.Minute) }, after(Leading, loop, DropSchedule{})},
		{"nothing is due in pause (B-691)", func(o *Observation) { o.Store.Settings.Pause = true }, wait(Leading, loop)},
		{"nor while work is under way", func(o *Observation) { o.Job = Job{Work: Promoting} }, wait(Busy, loop)},
		{"nor beside another order", func(o *Observation) { o.Order = Order{Task: ToRestart} }, begins(true)},
		{"a hand-over goes first", func(o *Observation) {
			o.Store.View.Failover = cluster.Failover{Leader: "n1", Candidate: "n2", Modified: 8}
			o.Peers = Peers{Asked: true, Answers: []Peer{{Name: "n2", End: wal.Point{Timeline: 3, LSN: flushed}}}}
		}, do(HandingOver, Stop{Mode: Fast, For: ForHandOver, Checkpoint: true})},
	})
}

// The guard is told whether the server may write by what MayWrite says, and told
// nothing else than that in the middle of a restart.
func TestAPrimaryStaysGuardedThroughItsRestart(t *testing.T) {
	o := leader()
	underWay(&o)
	o.Job = Job{Work: StoppingServer, Purpose: ForRestart, Shutdown: at(3, flushed)}
	if !o.MayWrite() {
		t.Error("the guard would be disarmed while a primary that is restarted stops")
	}
	o.Job.Purpose = ForHandOver
	if o.MayWrite() {
		t.Error("a primary that hands over may write after its shutdown checkpoint")
	}
}

func TestWhatARestartLooksLike(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Observation)
		state  cluster.State
		role   cluster.Role
	}{
		{"stopping", func(o *Observation) {
			underWay(o)
			o.Job = Job{Work: StoppingServer, Purpose: ForRestart}
		}, cluster.StateRestarting, cluster.RolePrimary},
		{"down in between: not crashed, and primary still", downToRestart, cluster.StateRestarting, cluster.RolePrimary},
		{"starting", func(o *Observation) {
			downToRestart(o)
			o.Job = Job{Work: StartingPrimary, Purpose: ForRestart}
		}, cluster.StateRestarting, cluster.RolePrimary},
		{"failed", func(o *Observation) {
			downToRestart(o)
			o.Order, o.Last = Order{}, Finished{Work: StartingPrimary, Purpose: ForRestart, Failed: true}
		}, cluster.StateRestartFailed, cluster.RolePrimary},
		{"thrown away", func(o *Observation) {
			o.Order = Order{Task: ToReinitialize, TakenUp: true}
			o.Job = Job{Work: StoppingServer, Purpose: ForReinitialize}
		}, cluster.StateCreatingCopy, cluster.RolePrimary},
		{"a server that died while paused was left down: it is stopped (B-030)", func(o *Observation) {
			downToRestart(o)
			o.Order, o.Last, o.Memory.Crashed, o.Store.Settings.Pause = Order{}, Finished{}, true, true
		}, cluster.StateStopped, cluster.RolePrimary},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := told(leader, Order{Task: ToRestart})()
			c.change(&o)
			if m := o.member(); m.State != c.state || m.Role != c.role {
				t.Errorf("%s, %s; want %s, %s", m.State, m.Role, c.state, c.role)
			}
		})
	}
	o := leader()
	o.Schedule = Schedule{At: noon, Published: []byte(`{"schedule":"x"}`)}
	if m := o.member(); string(m.ScheduledRestart) != `{"schedule":"x"}` {
		t.Errorf("the member key does not tell of the scheduled restart: %s", m.ScheduledRestart)
	}
}

func TestAStandbyWhoseSettingsWereOutgrown(t *testing.T) {
	stuck := func(o *Observation) { o.Server.Outgrown = true }
	decided(t, standby, []decision{
		{"it is stopped, and then starts with the primary's (B-517)", stuck, do(Outgrown, Stop{Mode: Fast, For: ForRepair})},
		{"while paused that is a person's", func(o *Observation) {
			stuck(o)
			o.Store.Settings.Pause = true
		}, wait(Following, loop)},
	})
}

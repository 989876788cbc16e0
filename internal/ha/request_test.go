package ha

import (
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// asked is n1 with a request to hand over to n2, which has been asked.
func asked() Observation {
	o := leader()
	requested("n1", "n2")(&o)
	o.Peers = Peers{Asked: true, Answers: []Peer{{Name: "n2", End: at(3, flushed), Priority: 1}}}
	return o
}

func scheduled(text string) func(*Observation) {
	return func(o *Observation) { o.Store.View.Failover.At = text }
}

// cleared is the end of a request.
func cleared(why Reason) Plan { return do(why, ClearFailover{Modified: 8}) }

// thirdSays adds n3's answer, its silence if it has no position.
func thirdSays(end wal.Point) func(*Observation) {
	return func(o *Observation) {
		o.Peers.Answers = append(o.Peers.Answers, Peer{Name: "n3", End: end, Silent: end.LSN == 0, Priority: 1})
	}
}

func TestALeaderIsAskedToStepDown(t *testing.T) {
	handOver := do(HandingOver, Stop{Mode: Fast, For: ForHandOver, Checkpoint: true})
	done := cleared(RequestDone)
	ask := func(names ...string) Plan {
		var members []cluster.Member
		for _, n := range names {
			members = append(members, member(n, cluster.RoleReplica))
		}
		return do(RequestAsking, AskPeers{Members: members, Within: time.Second})
	}
	decided(t, asked, []decision{
		{"B-661: it stops, the checkpoint first", nil, handOver},
		{"B-661: the candidate is asked first, and only it", func(o *Observation) { o.Peers = Peers{} }, ask("n2")},
		{"B-661: without a candidate all are", both(requested("n1", ""), func(o *Observation) { o.Peers = Peers{} }), ask("n2", "n3")},
		{"B-661: and one that can is enough", both(requested("n1", ""), func(o *Observation) {
			o.Peers.Answers = []Peer{{Name: "n2", Silent: true}, {Name: "n3", End: at(3, flushed)}}
		}), handOver},
		{"B-661: a failover names no leader", requested("", "n2"), handOver},
		{"B-662: for another leader", requested("n2", "n3"), cleared(RequestMisaddressed)},
		{"B-662: the one asked for leads already", requested("n2", "n1"), done},
		{"B-662: it does so by a failover", requested("", "n1"), done},
		{"B-662: anybody but another one was to lead", requested("n2", ""), done},
		{"B-662: also when that took longer than a schedule may be late", both(requested("n2", "n1"), scheduled("2030-01-02T11:00:00+00:00")), done},
		{"B-670: but not before its time: n2 may lead again then", both(requested("n2", "n1"), scheduled("2030-01-02T12:00:04+00:00")),
			wait(RequestScheduled, 4*time.Second)},
		{"B-662: to itself", requested("n1", "n1"), cleared(RequestMisaddressed)},
		{"B-662: to a member that is not there", requested("n1", "n9"), cleared(RequestNoMember)},
		{"B-662: paused without a candidate", both(paused, requested("n1", "")), cleared(RequestMisaddressed)},
		{"B-510: paused with one", paused, handOver},
		{"B-662: the candidate is silent", answer(func(p *Peer) { *p = Peer{Name: "n2", Silent: true} }), cleared(RequestNobodyAble)},
		{"S6, B-140: it carries nofailover", func(o *Observation) { o.Store.View.Members[1].Tags = cluster.Tags{"nofailover": true} }, cleared(RequestNoMember)},
		{"S6, B-141: it says nofailover", answer(func(p *Peer) { p.Nofailover = true }), cleared(RequestNobodyAble)},
		{"B-141: its watchdog failed", answer(func(p *Peer) { p.WatchdogFailed = true }), cleared(RequestNobodyAble)},
		{"S6, B-141: it is too far behind", answer(func(p *Peer) { p.End.LSN = flushed - 1048577 }), cleared(RequestNobodyAble)},
		{"B-141: it is not too far behind", answer(func(p *Peer) { p.End.LSN = flushed - 1048576 }), handOver},
		{"B-141: check_timeline", both(answer(func(p *Peer) { p.End.Timeline = 2 }), func(o *Observation) { o.Store.Settings.CheckTimeline = true }), cleared(RequestNobodyAble)},
		{"S2, B-140: a switchover to an asynchronous member", synchronous("on", 0, "n3"), cleared(RequestNoMember)},
		{"B-663: a failover to one is asked for with open eyes", both(requested("", "n2"), synchronous("on", 0, "n3")), handOver},
		{"L1, B-142: quorum commit, and there are votes for one of them", both(requested("n1", ""), synchronous("quorum", 1, "n2", "n3"), thirdSays(at(3, flushed))), handOver},
		{"L1, B-142: there would be none", both(requested("n1", ""), synchronous("quorum", 1, "n2", "n3"), thirdSays(wal.Point{})), cleared(RequestNoVotes)},
		{"L1, B-142: a quorum counts while the mode is being changed", both(requested("n1", ""), synchronous("on", 1, "n2", "n3"), thirdSays(wal.Point{})), cleared(RequestNoVotes)},
		{"B-142: none is needed", both(requested("n1", ""), synchronous("quorum", 0, "n2", "n3"), thirdSays(wal.Point{})), handOver},
		{"L1: who is named needs votes too", both(synchronous("quorum", 1, "n2", "n3"), thirdSays(at(3, flushed))), handOver},
		{"L1: its own vote is not enough", both(synchronous("quorum", 1, "n2", "n3"), thirdSays(wal.Point{})), cleared(RequestNoVotes)},
		{"L1: the voters are asked", both(synchronous("quorum", 1, "n2", "n3"), func(o *Observation) { o.Peers = Peers{} }), ask("n2", "n3")},
		{"B-663: a failover needs none", both(requested("", "n2"), synchronous("quorum", 1, "n2", "n3"), thirdSays(wal.Point{})), handOver},
		{"B-670: not yet: the next look is when it is time", scheduled("2030-01-02T12:00:04+00:00"), wait(RequestScheduled, 4*time.Second)},
		{"B-670: long before", scheduled("2030-01-03T12:00:00+00:00"), wait(RequestScheduled, loop)},
		{"B-670: now", scheduled("2030-01-02T12:00:00+00:00"), handOver},
		{"B-670: a little late", scheduled("2030-01-02T11:59:45+00:00"), handOver},
		{"B-670: too late", scheduled("2030-01-02T11:59:44+00:00"), cleared(RequestLate)},
		{"B-670: nobody knows whose clock", scheduled("2030-01-02T12:00:04"), cleared(RequestUnreadable)},
		{"B-511: paused, a schedule rests", both(paused, scheduled("2030-01-02T12:00:00+00:00")), wait(Leading, loop)},
		{"nothing is requested", func(o *Observation) { o.Store.View.Failover = cluster.Failover{Modified: 8} }, wait(Leading, loop)},
	})
}

// stoppingForHandOver is n1, its log closed, its archive still draining.
func stoppingForHandOver() Observation {
	o := asked()
	o.Job = Job{Work: StoppingServer, Purpose: ForHandOver, Shutdown: at(3, flushed)}
	o.Server.Answering = false
	o.Peers.Answers = []Peer{{Name: "n2", End: at(3, flushed+1)}}
	return o
}

func TestTheKeyIsReleasedWhenACandidateHasEverything(t *testing.T) {
	lacking := answer(func(p *Peer) { p.End.LSN = flushed })
	switched := func(o *Observation) { o.Job.Checkpoint = flushed + 1 }
	again := do(HandingOver, AskPeers{Members: []cluster.Member{member("n2", cluster.RoleReplica)}, Within: 2 * soon})
	decided(t, stoppingForHandOver, []decision{
		{"B-153: the candidate has the shutdown checkpoint", nil, do(HandingOver, Release{Optime: flushed})},
		{"B-153: not while the log is open", func(o *Observation) { o.Job.Shutdown = wal.Point{} }, wait(HandingOver, loop)},
		{"B-153: not while the candidate lacks it", lacking, wait(HandingOver, hurriedAsk)},
		{"B-153: it is asked again soon", both(lacking, func(o *Observation) { o.Peers.Done = hurriedAsk }), again},
		{"one that was silent a moment ago is not waited for", func(o *Observation) {
			o.Peers.Answers, o.Peers.Done = []Peer{{Name: "n2", Silent: true}}, soon
		}, wait(HandingOver, soon)},
		{"but asked again after a while", func(o *Observation) {
			o.Peers.Answers, o.Peers.Done = []Peer{{Name: "n2", Silent: true}}, 2*time.Second
		}, again},
		{"nor while it lacks what the log was switched to, and is being sent it", switched, wait(HandingOver, hurriedAsk)},
		{"B-137: who does not get that is not behind", both(switched, func(o *Observation) { o.Job.Closed = time.Second }), do(HandingOver, Release{Optime: flushed})},
		{"B-153: once is enough", func(o *Observation) { o.Right = Right{Releasing: true, Guarded: true, FreeIn: Idle} }, wait(HandingOver, loop/2)},
		{"B-745: an ending agent hands over as well", func(o *Observation) { o.Stopping, o.Job.Purpose = true, ForAgentEnd },
			do(AgentEnding, Release{Optime: flushed})},
		{"a demotion does not", func(o *Observation) { o.Job.Purpose = ForDemotion }, wait(Busy, loop)},
	})
}

func TestAStartThatTakesTooLong(t *testing.T) {
	starting := func() Observation {
		o := leader()
		o.Job = Job{Work: StartingPrimary, Running: 301 * time.Second}
		o.Server.Answering = false
		o.Peers = Peers{Asked: true, Answers: []Peer{{Name: "n2", End: at(3, flushed)}, {Name: "n3", Silent: true}}}
		return o
	}
	early := func(o *Observation) { o.Job.Running = time.Second }
	switchover := both(early, requested("n1", "n2"))
	decided(t, starting, []decision{
		{"B-034: a switchover does not wait for the end of the recovery", switchover, do(HandingOver, CancelJob{For: ForHandOver})},
		{"B-034: nor a failover", both(early, requested("", "n2")), do(HandingOver, CancelJob{For: ForHandOver})},
		{"B-034: the candidate is asked first", both(switchover, func(o *Observation) { o.Peers = Peers{} }),
			do(RequestAsking, AskPeers{Members: []cluster.Member{member("n2", cluster.RoleReplica)}, Within: time.Second})},
		{"B-662: one that cannot take over is no reason", both(switchover, answer(func(p *Peer) { p.Silent = true })),
			cleared(RequestNobodyAble)},
		{"S2: nor, in synchronous mode, one that may lack what was acknowledged", both(switchover, synchronous("on", 0, "n3")),
			cleared(RequestNoMember)},
		{"B-670: it waits for its time, and nothing else is done", both(switchover, scheduled("2030-01-02T12:00:04+00:00")), wait(Busy, 4*time.Second)},
		{"B-032: also while that is to come", both(requested("n1", "n2"), scheduled("2030-01-02T12:00:04+00:00")), do(BusyStartTooSlow, CancelJob{})},
		{"what has begun to write is stopped in order, in a moment", both(switchover, func(o *Observation) { o.Server.Answering = true }), wait(Busy, loop)},
		{"S1: not by who does not lead", both(switchover, theirs), do(Overtaken, KillServer{})},
		{"L3: nor while nobody can learn of it", both(switchover, storeAway), wait(Busy, loop)},
		{"B-510: in pause with a candidate", both(switchover, paused), do(HandingOver, CancelJob{For: ForHandOver})},
		{"S1: the key is released when the server is dead", both(switchover, func(o *Observation) {
			o.Job, o.Last = Job{}, Finished{Work: StoppingServer, Purpose: ForHandOver}
			o.Server.Running, o.Server.WasPrimary = false, true
		}), do(HandingOver, Release{})},
		{"B-032: another can take over", nil, do(BusyStartTooSlow, CancelJob{})},
		{"B-032: there is time left", func(o *Observation) { o.Job.Running = 300 * time.Second }, wait(Busy, loop)},
		{"B-030: in pause it is not killed: nobody could take over", paused, wait(Busy, loop)},
		{"B-033: nobody can", answer(func(p *Peer) { p.Silent = true }), wait(Busy, loop)},
		{"a cancelled start releases the key", func(o *Observation) {
			o.Job, o.Last = Job{}, Finished{Work: StartingPrimary, Failed: true}
			o.Server.Running, o.Server.WasPrimary = false, true
		}, do(StartFailed, Release{})},
	})
}

// No work of this agent's is under way: it was restarted beside a server that recovers,
// or the server has begun anew by itself.
func TestALeaderWhoseServerIsStarting(t *testing.T) {
	starting := func() Observation {
		o := asked()
		o.Server.Answering, o.Server.Starting = false, true
		return o
	}
	stop := do(HandingOver, Stop{Mode: Fast, For: ForHandOver, Within: loop})
	decided(t, starting, []decision{
		{"B-034: a request is processed", nil, stop},
		{"B-034: also by an agent that does not know the role yet", func(o *Observation) { o.Server.Role = RoleUnknown }, stop},
		{"B-095: one that is out of connections is stopped in order", func(o *Observation) { o.Server.Starting = false },
			do(HandingOver, Stop{Mode: Fast, For: ForHandOver, Checkpoint: true})},
		{"B-095: without a request it is waited for", requested("", ""), wait(Leading, soon)},
		{"B-670: and before its time, with nothing written", scheduled("2030-01-02T12:00:04+00:00"), wait(Leading, soon)},
		{"B-662: what is not possible is cleared", answer(func(p *Peer) { p.Silent = true }), cleared(RequestNobodyAble)},
		{"who was elected is to be promoted first", func(o *Observation) { o.Server.Role = Standby }, wait(Leading, soon)},
		{"a frozen server cannot be stopped in order", func(o *Observation) { o.Server.Frozen, o.Server.Starting = true, false }, wait(Leading, soon)},
	})
}

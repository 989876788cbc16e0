package ha

import (
	"testing"
	"time"

	"matriarch/internal/cluster"
)

// crashed is n1, leading, its server just dead.
func crashed() Observation {
	o := leader()
	o.Server.Running, o.Server.Answering, o.Server.Role, o.Server.Slots = false, false, RoleUnknown, nil
	o.Server.WasPrimary, o.Memory.Crashed = true, true
	return o
}

func finished(w Work, p Purpose, failed bool, ago time.Duration) func(*Observation) {
	return func(o *Observation) { o.Last = Finished{Count: 1, Work: w, Purpose: p, Failed: failed, Ago: ago} }
}

func TestTheLeadersServerIsDown(t *testing.T) {
	never := func(o *Observation) { o.Store.Settings.PrimaryStartTimeout = 0 }
	answered := func(o *Observation) {
		o.Peers = Peers{Asked: true, Answers: []Peer{{Name: "n2", End: at(3, flushed)}, {Name: "n3", Silent: true}}}
	}
	decided(t, crashed, []decision{
		{"B-251: restarted in place", nil, do(CrashRestart, StartPrimary{})},
		{"B-251: also by an agent that did not see it crash", func(o *Observation) { o.Memory.Crashed = false }, do(CrashRestart, StartPrimary{})},
		{"S1: not without a permit", over(time.Second), wait(NoPermit, soon)},
		{"L3: the key is gone, but the permit holds", func(o *Observation) { o.Store.View.Leader = cluster.Leader{} }, do(CrashRestart, StartPrimary{})},
		{"the restart does not wait for a renewal of the lease", leaseOverdue, do(CrashRestart, StartPrimary{}, Renew{})},
		{"B-250: primary_start_timeout 0: the others are asked", never, do(CrashHandedOn, AskPeers{Members: []cluster.Member{
			member("n2", cluster.RoleReplica), member("n3", cluster.RoleReplica)}, Within: time.Second})},
		{"B-250: and the key is handed on", both(never, answered), do(CrashHandedOn, Release{})},
		{"B-250: unless nobody can take it", both(never, answered, answer(func(p *Peer) { p.Silent = true })), do(CrashRestart, StartPrimary{})},
		{"B-040: it does not start", finished(StartingPrimary, ForNothing, true, time.Second), do(StartFailed, Release{})},
		{"B-256: a stopped standby with the key starts as one, to be promoted",
			func(o *Observation) { o.Server.WasPrimary = false }, do(StartAlone, StartStandby{})},
		{"B-157: stopped for a hand-over: the key goes, with the last position", func(o *Observation) {
			o.Last = Finished{Work: StoppingServer, Purpose: ForHandOver, Optime: flushed}
		}, do(HandingOver, Release{Optime: flushed})},
		{"a hand-over that failed keeps the key", finished(StoppingServer, ForHandOver, true, 0), do(CrashRestart, StartPrimary{})},
		{"B-056: paused, the key goes", paused, do(PausedReleasing, Release{})},
		{"paused, after a hand-over, with the last position", both(paused, func(o *Observation) {
			o.Last = Finished{Work: StoppingServer, Purpose: ForHandOver, Optime: flushed}
		}), do(HandingOver, Release{Optime: flushed})},
	})
}

func TestAServerIsDownAndNobodyLeads(t *testing.T) {
	alone := func() Observation {
		o := crashed()
		o.Store.View.Leader, o.Right = cluster.Leader{}, Right{Free: true, FreeFor: time.Second, Guarded: true}
		return o
	}
	stepped := func(ago time.Duration) func(*Observation) {
		return both(finished(StoppingServer, ForHandOver, false, ago), func(o *Observation) { o.Memory.Released = ago })
	}
	ownKey := func(o *Observation) { o.Store.View.Leader = cluster.Leader{Name: "n1", Lease: 5} }
	deadLeader := func(o *Observation) { o.Store.View.Leader = cluster.Leader{Name: "n2", Lease: leaseID + 1} }
	decided(t, alone, []decision{
		{"B-256: a new agent wins the key of its earlier life again, and then restarts in place", ownKey, acquire(RaceRetaken)},
		{"B-256: after the quiet period", both(ownKey, quiet(800*time.Millisecond)), wait(RaceQuiet, 800*time.Millisecond)},
		{"S1: not when the electorate names others", both(ownKey, quiet(Idle)), do(StartAlone, StartStandby{})},
		{"S1: nor what was a standby: it is promoted, if it wins", both(ownKey, func(o *Observation) { o.Server.WasPrimary = false }),
			do(StartAlone, StartStandby{})},
		{"not what has just failed to start", both(ownKey, finished(StartingPrimary, ForNothing, true, time.Second)), wait(StartFailed, 4*time.Second)},
		{"B-506: paused, it stays down, whosever key it is", both(ownKey, paused), wait(Paused, loop)},
		{"the key has been given up, and the store does not know yet", both(ownKey, func(o *Observation) {
			o.Right = Right{Releasing: true, FreeIn: Idle}
		}), wait(HandedOver, soon)},
		{"L1: a leader that is dead is not waited for", deadLeader, do(StartAlone, StartStandby{})},
		{"it starts as a standby, and the race decides", nil, do(StartAlone, StartStandby{})},
		{"B-157: after a hand-over the others go first", stepped(time.Second), wait(HandedOver, time.Second)},
		{"B-157: for two seconds", stepped(2 * time.Second), do(StartAlone, StartStandby{})},
		{"a start that failed rests", finished(StartingStandby, ForNothing, true, 2*time.Second), wait(StartFailed, 3*time.Second)},
		{"B-506: paused, it stays down", paused, wait(Paused, loop)},
		{"B-160: but who handed over while paused comes back", both(paused, stepped(2*time.Second)), do(StartAlone, StartStandby{})},
	})
}

func TestAPersonRestartsAPrimaryThatCrashedInPause(t *testing.T) {
	restarted := func() Observation {
		o := crashed()
		o.Store.View.Leader, o.Store.View.Members[0].Role = cluster.Leader{}, cluster.RoleReplica
		o.Store.Settings.Pause, o.Store.Leaderless = true, time.Second
		o.Right = Right{Free: true, FreeFor: time.Minute, Guarded: true, LedLast: true}
		o.Order = Order{Task: ToRestart, TakenUp: true, After: 1}
		o.Peers = Peers{Asked: true, Age: soon, Answers: []Peer{{Name: "n2", End: at(3, flushed)}, {Name: "n3", End: at(3, flushed)}}}
		return o
	}
	ask := do(RaceAsking, AskPeers{Members: []cluster.Member{member("n2", cluster.RoleReplica), member("n3", cluster.RoleReplica)}, Within: time.Second / 3})
	asStandby := do(StartAlone, StartStandby{For: ForRestart})
	decided(t, restarted, []decision{
		{"B-702: it takes the lead again", nil, acquire(RaceRetaken)},
		{"B-702: and with that it comes back as primary", func(o *Observation) { o.Right = leading() }, do(Restarting, StartPrimary{For: ForRestart})},
		{"S1: not before it has won", func(o *Observation) { o.Right.Free, o.Right.FreeIn = false, time.Second }, wait(RaceQuiet, time.Second)},
		{"the others are asked before", func(o *Observation) { o.Peers = Peers{} }, ask},
		{"those who are silent are not waited for", func(o *Observation) {
			o.Peers.Answers = []Peer{{Name: "n2", Silent: true}, {Name: "n3", Silent: true}}
		}, acquire(RaceRetaken)},
		{"B-128: not beside one that a person has promoted", answer(func(p *Peer) { p.Primary = true }), asStandby},
		{"B-128: nor one whose agent is silent", both(answer(func(p *Peer) { *p = Peer{Name: "n2", Silent: true} }), func(o *Observation) {
			o.Store.View.Members[1].Role = cluster.RolePrimary
		}), asStandby},
		{"S3: nor when another has got to a newer timeline", answer(func(p *Peer) { p.End.Timeline = 4 }), asStandby},
		{"S3: or had, as its key tells", func(o *Observation) { o.Store.View.Members[2].Timeline = 4 }, asStandby},
		{"S3: or the history", func(o *Observation) {
			o.Store.View.History.Lines = append(o.Store.View.History.Lines, cluster.HistoryLine{Timeline: 3, LSN: flushed})
		}, asStandby},
		{"S2: nor when another has led since", func(o *Observation) { o.Right.LedLast = false }, asStandby},
		{"S1: nor when the electorate names others", func(o *Observation) { o.Right.Free, o.Right.FreeIn = false, Idle }, asStandby},
		{"B-256: what was a standby starts as one", func(o *Observation) { o.Server.WasPrimary = false }, asStandby},
		{"B-116: a request for another leader is left to it", requested("", "n2"), asStandby},
		{"B-160: who handed over comes back as a standby", finished(StoppingServer, ForHandOver, false, time.Minute), asStandby},
		{"the release has to be known first", func(o *Observation) { o.Right = Right{Releasing: true, LedLast: true, FreeIn: Idle} }, wait(HandedOver, soon)},
		{"B-506: without a person it stays down", func(o *Observation) { o.Order = Order{} }, wait(Paused, loop)},
		{"out of pause there is a race", func(o *Observation) { o.Store.Settings.Pause = false }, asStandby},
		{"not again what has just failed to start for it", both(finished(StartingPrimary, ForRestart, true, time.Second), func(o *Observation) {
			o.Order.After = 0
		}), refused(RestartFailed, StartedInVain)},
	})
}

func TestTheAgentEnds(t *testing.T) {
	ending := func() Observation {
		o := leader()
		o.Stopping = true
		return o
	}
	down := func(o *Observation) { o.Server.Running, o.Server.Answering, o.Server.WasPrimary = false, false, true }
	stop := func(o *Observation) {
		down(o)
		o.Last = Finished{Work: StoppingServer, Purpose: ForAgentEnd, Optime: flushed}
	}
	releasing := func(ago time.Duration) func(*Observation) {
		return both(stop, func(o *Observation) { o.Right, o.Memory.Released = Right{Releasing: true, FreeIn: Idle}, ago })
	}
	gone := func(o *Observation) {
		o.Store.View.Leader, o.Right = cluster.Leader{}, Right{Free: true, Guarded: true}
	}
	decided(t, ending, []decision{
		{"B-745: its server is stopped", nil, do(AgentEnding, Stop{Mode: Fast, For: ForAgentEnd, Checkpoint: true})},
		{"B-745: also with the store away", storeAway, do(AgentEnding, Stop{Mode: Fast, For: ForAgentEnd, Checkpoint: true})},
		{"S1: the end of the permit comes first, where there is no guard", both(unguarded, over(time.Second)), do(PermitOver, KillServer{})},
		{"a frozen server cannot be stopped in order", both(frozen, over(time.Second)), do(AgentEnding, KillServer{})},
		{"a store that can confirm the release is waited for", releasing(time.Second), wait(AgentEnding, soon)},
		{"for retry_timeout", releasing(loop), after(AgentEnded, loop, Quit{})},
		{"not one that is away", both(releasing(time.Second), storeAway), after(AgentEnded, loop, Quit{})},
		{"with the store away the key is given up all the same", both(stop, storeAway), do(AgentEnding, Release{Optime: flushed})},
		{"B-744: work is broken off", working(Rewinding, ForNothing), after(AgentEnding, time.Second, CancelJob{})},
		{"B-745: a stop is waited for", working(StoppingServer, ForAgentEnd), wait(AgentEnding, loop)},
		{"also while it is frozen, if a permit may come", both(working(StoppingServer, ForAgentEnd), frozen, over(time.Second)), wait(AgentEnding, loop)},
		{"not if nobody is there to give one", both(working(StoppingServer, ForAgentEnd), frozen, over(time.Second), storeAway), do(AgentEnding, KillServer{})},
		{"B-746: then the key goes, with the last position", stop, do(AgentEnding, Release{Optime: flushed})},
		{"a server that was not stopped by us leaves no position", down, do(AgentEnding, Release{})},
		{"then the agent is done", both(stop, gone), after(AgentEnded, loop, Quit{})},
		{"the last word of a member is said before its end", both(stop, gone, func(o *Observation) {
			o.Store.View.Members, o.Store.LeaseID = o.Store.View.Members[1:], leaseID
		}), after(AgentEnded, loop, PutMember{cluster.Member{
			Name: "n1", ConnURL: "postgres://n1:5432/postgres", APIURL: "http://n1:8008/patroni", Version: "4.1.4",
			State: cluster.StateStopped, Role: cluster.RolePrimary, Tags: cluster.Tags{}, Permit: true,
		}}, Quit{})},
		{"and waits for no store that is away", both(stop, gone, storeAway, leaseOverdue), after(AgentEnded, soon, Quit{})},
		{"one that answers gets its lease renewed for the last word", both(stop, gone, leaseOverdue), after(AgentEnded, loop, Renew{}, Quit{})},
		{"B-507: paused, everything is left as it is", paused, after(AgentEnded, loop, Quit{})},
	})
}

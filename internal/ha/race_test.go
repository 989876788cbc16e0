package ha

import (
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

func at(timeline wal.Timeline, lsn wal.LSN) wal.Point { return wal.Point{Timeline: timeline, LSN: lsn} }

func answer(change func(*Peer)) func(*Observation) {
	return func(o *Observation) {
		o.Peers.Answers = append([]Peer(nil), o.Peers.Answers...)
		change(&o.Peers.Answers[0])
	}
}

func tagged(name string, value any) func(*Observation) {
	return func(o *Observation) { o.Me.Tags = cluster.Tags{name: value} }
}

func askN3() Action {
	return AskPeers{Members: []cluster.Member{member("n3", cluster.RoleReplica)}, Within: time.Second / 3}
}

func TestARaceForTheLead(t *testing.T) {
	decided(t, orphan, []decision{
		{"B-060: who is not behind takes the lead", nil, acquire(RaceWon)},
		{"B-125: the others are asked first", func(o *Observation) { o.Peers = Peers{} }, do(RaceAsking, askN3())},
		{"answers from before the leader was lost do not count", func(o *Observation) { o.Peers.Age = 2 * time.Second }, do(RaceAsking, askN3())},
		{"also when the lead was given up, so that nobody has to wait", func(o *Observation) {
			o.Peers.Age, o.Right.FreeFor = 2*time.Second, time.Hour
		}, do(RaceAsking, askN3())},
		{"nor do old ones", func(o *Observation) { o.Peers.Done, o.Store.Leaderless = time.Second, time.Minute }, do(RaceAsking, askN3())},
		{"L1: a round that took its whole timeout is fresh when it is over",
			both(answer(func(p *Peer) { *p = Peer{Name: "n3", Silent: true} }), func(o *Observation) {
				o.Peers.Age, o.Store.Leaderless, o.Right.FreeFor = time.Second, time.Second, time.Second
			}),
			acquire(RaceWon)},
		{"B-127: a silent member cannot block", answer(func(p *Peer) { *p = Peer{Name: "n3", Silent: true} }), acquire(RaceWon)},
		{"B-127: nor can one that may not lead", answer(func(p *Peer) { p.Nofailover, p.End = true, at(3, flushed+1) }), acquire(RaceWon)},
		{"B-127: nor one whose watchdog failed", answer(func(p *Peer) { p.WatchdogFailed, p.End = true, at(3, flushed+1) }), acquire(RaceWon)},
		{"B-128: a primary is still alive", answer(func(p *Peer) { p.Primary = true }), wait(RacePrimaryAlive, 2*soon)},
		{"B-129: another is ahead", answer(func(p *Peer) { p.End = at(3, flushed+1) }), wait(RaceOutranked, 2*soon)},
		{"S3: an older timeline is not ahead, however far", answer(func(p *Peer) { p.End = at(2, flushed*2) }), acquire(RaceWon)},
		{"S3: a later timeline is, however short", answer(func(p *Peer) { p.End = at(4, 0x10) }), wait(RaceOutranked, 2*soon)},
		{"B-129: an unknown timeline is compared by position", answer(func(p *Peer) { p.End = at(0, flushed+1) }), wait(RaceOutranked, 2*soon)},
		{"B-131: equal, and the other has priority", answer(func(p *Peer) { p.Priority = 2 }), wait(RaceLessPreferred, 2*soon)},
		{"B-131: equal, and we have", both(answer(func(p *Peer) { p.Priority = 2 }), tagged("failover_priority", 3)), acquire(RaceWon)},
		{"B-131: it has got further since it asked: so may the others have", func(o *Observation) {
			o.Peers.Mine, o.Server.End.LSN = o.Server.End, o.Server.End.LSN+9
		}, do(RaceAsking, askN3())},
		{"S6, B-107: nofailover never", tagged("nofailover", true), wait(RaceNofailover, hurry)},
		{"S3: nor a log that is known to have forked off", func(o *Observation) { o.Memory.Forked = true }, wait(RaceExcluded, hurry)},
		{"S6, B-107: priority 0 never", tagged("failover_priority", 0), wait(RaceNofailover, hurry)},
		{"S6, B-121: too far behind what the leader wrote",
			func(o *Observation) { o.Store.View.Status.Optime = flushed + 1048577 }, wait(RaceBehind, hurry)},
		{"B-121: just not too far", func(o *Observation) { o.Store.View.Status.Optime = flushed + 1048576 }, acquire(RaceWon)},
		{"B-122: check_timeline keeps an old timeline out",
			func(o *Observation) { o.Store.Settings.CheckTimeline, o.Server.End = true, at(2, flushed) }, wait(RaceBehind, hurry)},
		{"B-111: not in the failsafe map",
			func(o *Observation) {
				o.Store.Settings.Failsafe, o.Store.View.Failsafe = true, map[string]string{"n3": ""}
			}, wait(RaceExcluded, hurry)},
		{"B-103: a server that does not answer is waited for", func(o *Observation) { o.Server.Answering = false }, wait(Steady, soon)},
		{"B-124: members that may not lead are not asked", func(o *Observation) {
			o.Store.View.Members[1].Tags, o.Peers = cluster.Tags{"nofailover": true}, Peers{}
		}, acquire(RaceWon)},
		{"L1: the answers of an earlier race do not outlive their members", func(o *Observation) {
			o.Store.View.Members = o.Store.View.Members[:1]
			o.Peers = Peers{Asked: true, Age: time.Hour, Done: time.Hour, Answers: []Peer{{Name: "n1", Primary: true}, {Name: "n3", End: at(3, flushed+1)}}}
		}, acquire(RaceWon)},
		{"B-106: paused, nobody is promoted", paused, wait(Paused, hurry)},
	})
}

// silentLeader is n2, the key still n1's, the quiet period over: nobody knows
// whether n1 lives.
func silentLeader() Observation {
	o := orphan()
	o.Store.View.Leader = cluster.Leader{Name: "n1", Lease: leaseID, Modified: 4}
	o.Store.View.Members = healthy("n2").Store.View.Members
	return o
}

// backAsStandby is n1's log, read a moment ago: its server is in recovery.
func backAsStandby(o *Observation) {
	o.Log = LeaderLog{Leader: "n1", SystemID: systemID, History: historyOfThree(), Age: soon}
}

// unpromoted are the members when n1 took the lead and has not said since that it was
// promoted.
func unpromoted(o *Observation) []cluster.Member {
	members := append([]cluster.Member(nil), o.Store.View.Members...)
	members[0] = member("n1", cluster.RoleReplica)
	return members
}

// TestALeaderFallsSilent is the time before and after the end of the quiet period
// (P2, P4 of the design).
func TestALeaderFallsSilent(t *testing.T) {
	overdue := func(d time.Duration) func(*Observation) {
		return both(quiet(d), func(o *Observation) { o.Store.Leaderless, o.Peers = 100*time.Millisecond, Peers{} })
	}
	alive := func(o *Observation) { // the early round has been made
		o.Peers = silentLeader().Peers
		o.Peers.Age = 50 * time.Millisecond
	}
	gone := func(o *Observation) {
		o.Peers = Peers{Asked: true, Age: 50 * time.Millisecond, Answers: []Peer{{Name: "n3", Silent: true}}}
	}
	answered := func(ago time.Duration) func(*Observation) {
		return func(o *Observation) { o.Peers = silentLeader().Peers; o.Peers.Age = ago }
	}
	rest := loop/2 - 100*time.Millisecond // of the hurry
	decided(t, silentLeader, []decision{
		{"S1, L1: its permit has surely ended: the race is open as if there were no key", nil, acquire(RaceWon)},
		{"the silent leader is not asked, the others are", func(o *Observation) { o.Peers = Peers{} }, do(RaceAsking, askN3())},
		{"nor is an answer of it from before believed", func(o *Observation) {
			o.Peers.Answers = append([]Peer{{Name: "n1", Primary: true, End: at(3, flushed+9)}}, o.Peers.Answers...)
		}, acquire(RaceWon)},
		{"S6: one that was not promoted yet is asked, for its agent alone may be gone", func(o *Observation) {
			o.Store.View.Members, o.Peers = unpromoted(o), Peers{}
		}, do(RaceAsking, AskPeers{Members: []cluster.Member{member("n1", cluster.RoleReplica), member("n3", cluster.RoleReplica)}, Within: time.Second / 3})},
		{"S6: and not passed over if it is ahead", func(o *Observation) {
			o.Store.View.Members, o.Right.Electorate = unpromoted(o), []string{"n2", "n3"}
			o.Peers.Answers = append([]Peer{{Name: "n1", End: at(4, 0x10)}}, o.Peers.Answers...)
		}, wait(RaceOutranked, 2*soon)},
		{"S6: so is one whose server is a standby again, as it said when its log was read", both(backAsStandby, func(o *Observation) { o.Peers = Peers{} }),
			do(RaceAsking, AskPeers{Members: []cluster.Member{member("n1", cluster.RolePrimary), member("n3", cluster.RoleReplica)}, Within: time.Second / 3})},
		{"S6: and what it has on a newer timeline is not passed over", both(backAsStandby, func(o *Observation) {
			o.Peers.Answers = append([]Peer{{Name: "n1", End: at(4, 0x10)}}, o.Peers.Answers...)
		}), wait(RaceOutranked, 2*soon)},
		{"L1: it is passed over if it is silent", both(backAsStandby, func(o *Observation) {
			o.Peers.Answers = append([]Peer{{Name: "n1", Silent: true}}, o.Peers.Answers...)
		}), acquire(RaceWon)},
		{"L1: a word of long ago tells nothing", both(backAsStandby, func(o *Observation) { o.Log.Age = answersFresh }), acquire(RaceWon)},
		{"nor does one that did not come", both(backAsStandby, func(o *Observation) { o.Log.Failed = true }), acquire(RaceWon)},
		{"L1: it is if it is not, or gives no answer", func(o *Observation) {
			o.Store.View.Members = unpromoted(o)
			o.Peers.Answers = append([]Peer{{Name: "n1", Silent: true}}, o.Peers.Answers...)
		}, acquire(RaceWon)},
		{"L1: and if it was promoted after all, and is silent", func(o *Observation) {
			o.Store.View.Members = unpromoted(o)
			o.Peers.Answers = append([]Peer{{Name: "n1", Primary: true, End: at(4, 0x10)}}, o.Peers.Answers...)
		}, acquire(RaceWon)},
		{"L1: with nobody else nobody is asked", func(o *Observation) {
			o.Store.View.Members, o.Peers = o.Store.View.Members[:2], Peers{}
		}, acquire(RaceWon)},
		{"S2: positions from before the end of its permit are not final", func(o *Observation) {
			o.Peers.Age = o.Right.FreeFor + 2*askAhead + 1
		}, do(RaceAsking, askN3())},
		{"those from just after it are", func(o *Observation) { o.Peers.Age = o.Right.FreeFor + 2*askAhead }, acquire(RaceWon)},
		{"the time that others ask in is shorter with a shorter permit", func(o *Observation) {
			o.Peers, o.Store.Settings.Permit = Peers{}, 600*time.Millisecond
		}, do(RaceAsking, AskPeers{Members: []cluster.Member{member("n3", cluster.RoleReplica)}, Within: 200 * time.Millisecond})},
		{"but not too short", func(o *Observation) {
			o.Peers, o.Store.Settings.Permit = Peers{}, 300*time.Millisecond
		}, do(RaceAsking, AskPeers{Members: []cluster.Member{member("n3", cluster.RoleReplica)}, Within: soon})},

		{"S1: overdue: its permit is waited for", both(overdue(500*time.Millisecond), alive), wait(RaceQuiet, 500*time.Millisecond-askAhead)},
		{"L1: meanwhile it is found out who of the others is alive", overdue(500 * time.Millisecond), do(RaceQuiet, askN3())},
		{"L1: for no longer than the quiet period lasts", overdue(70 * time.Millisecond),
			do(RaceQuiet, AskPeers{Members: []cluster.Member{member("n3", cluster.RoleReplica)}, Within: 50 * time.Millisecond})},
		{"an answer from before the leader fell silent tells nothing", both(overdue(500*time.Millisecond), func(o *Observation) {
			gone(o)
			o.Peers.Age = time.Second
		}), do(RaceQuiet, askN3())},
		{"L1: who was silent then is not waited for when it counts", both(overdue(askAhead), gone), wait(RaceQuiet, askAhead)},
		{"L1: and the lead is taken without it", func(o *Observation) {
			gone(o)
			o.Store.Leaderless, o.Right.FreeFor = time.Second, 0
		}, acquire(RaceWon)},
		{"but not on the word of a round of long ago", func(o *Observation) {
			gone(o)
			o.Store.Leaderless, o.Peers.Age, o.Peers.Done = time.Minute, 10*time.Second, 10*time.Second
		}, do(RaceAsking, askN3())},
		{"S3: who is outside the electorate is asked as well", func(o *Observation) {
			o.Peers, o.Right.Electorate = Peers{}, []string{"n2"}
		}, do(RaceAsking, askN3())},
		{"L1: it cannot win, so it holds up nobody by having more", func(o *Observation) {
			o.Right.Electorate, o.Peers.Answers[0].End = []string{"n2"}, at(3, flushed+9)
		}, acquire(RaceWon)},
		{"S3: but what was written on a newer timeline is not passed over", func(o *Observation) {
			o.Right.Electorate, o.Peers.Answers[0].End = []string{"n2"}, at(4, flushed+9)
		}, wait(RaceOutranked, 2*soon)},
		{"S2: unless its vote counts", both(synchronous("quorum", 1, "n2", "n3"), func(o *Observation) {
			o.Peers, o.Right.Electorate = Peers{}, []string{"n2"}
		}), do(RaceAsking, askN3())},
		{"S1: and no one is asked for a position that is not final", overdue(askAhead + time.Millisecond), wait(RaceQuiet, time.Millisecond)},
		{"S2: the others are asked ahead, once its permit has ended", overdue(askAhead), do(RaceAsking, askN3())},
		{"S2: not in synchronous mode, where its guard may be as late as S1 lets it",
			both(overdue(askAhead), synchronous("on", 0, "n2", "n3"), answered(time.Second)), wait(RaceQuiet, askAhead)},
		{"and then the rest of the quiet period is waited for",
			both(overdue(12*time.Millisecond), answered(28*time.Millisecond)), wait(RaceQuiet, 12*time.Millisecond)},
		{"answers from before a heartbeat that came after all are not used",
			both(overdue(12*time.Millisecond), answered(29*time.Millisecond)), do(RaceAsking, askN3())},
		{"S1: who is asked for by name waits like everybody", both(overdue(500*time.Millisecond), alive, requested("n1", "n2")),
			wait(RaceQuiet, 500*time.Millisecond-askAhead)},
		{"S1: so does one that the others leave it to", both(overdue(500*time.Millisecond), alive, requested("n2", "")),
			wait(RaceQuiet, 500*time.Millisecond-askAhead)},
		{"a permit longer than loop_wait is waited for as well", both(overdue(30*time.Second), alive), wait(RaceQuiet, rest)},
		{"S6: nofailover waits for nothing", both(overdue(500*time.Millisecond), tagged("nofailover", true)), wait(RaceNofailover, rest)},
		{"S1, P5: the electorate names others", quiet(Idle), wait(Following, time.Second)},
		{"S1: it is in time: nothing to do", func(o *Observation) { *o = standby(); o.Peers = Peers{} }, wait(Following, loop)},
		{"B-106: paused, nobody is promoted", paused, wait(Paused, hurry)},
		{"B-102: paused, the candidate takes it", both(paused, requested("n1", "n2")), acquire(RaceWon)},
		{"S1: paused, in the quiet period not even it", both(paused, requested("n1", "n2"), overdue(500*time.Millisecond)), wait(RaceQuiet, 500*time.Millisecond)},
		{"S5: the cluster has a leader, so it is there, whatever else is lost", func(o *Observation) {
			o.Store.View.Initialize = cluster.Initialize{}
		}, acquire(RaceWon)},
		{"S5: and none is created beside it", func(o *Observation) {
			o.Store.View.Initialize, o.Server = cluster.Initialize{}, Server{Directory: Empty}
		}, wait(WaitingForLeader, loop)},
	})
	decided(t, orphan, []decision{
		{"S1, P5: no leader, and the electorate names others", quiet(Idle), wait(RaceExcluded, hurry)},
		{"S1: no leader key, and its quiet period", quiet(400 * time.Millisecond), wait(RaceQuiet, 400*time.Millisecond-askAhead)},
		{"P3: the lead was given up by us, and the store does not know yet", func(o *Observation) {
			o.Right = Right{Releasing: true, FreeIn: Idle, Guarded: true}
		}, wait(HandedOver, soon)},
		{"nothing but the race counts at first", leaseOverdue, acquire(RaceWon)},
		{"but not for so long that the lease would be lost", both(leaseOverdue, func(o *Observation) { o.Store.Leaderless = loop / 2 }),
			after(RaceWon, soon, Acquire{}, Renew{})},
		{"a lease that is missing comes first", both(leaseOverdue, func(o *Observation) { o.Store.LeaseID = 0 }),
			after(RaceWon, soon, Renew{}, Acquire{}, PutMember{orphan().member()})},
	})
}

// TestABetterMemberIsWaitedFor, for a bounded time (L1).
func TestABetterMemberIsWaitedFor(t *testing.T) {
	ahead := func(bytes wal.LSN) func(*Observation) { return answer(func(p *Peer) { p.End = at(3, flushed+bytes) }) }
	open := func(d time.Duration) func(*Observation) {
		return func(o *Observation) { o.Right.FreeFor, o.Store.Leaderless = d, d }
	}
	stepBack := wait(RaceOutranked, 2*soon)
	decided(t, orphan, []decision{
		{"B-129: another is ahead, and has its moment", both(ahead(1), open(holdBack-1)), stepBack},
		{"L1: and does not take it", both(ahead(1), open(holdBack)), acquire(RaceWon)},
		{"B-131: so with priority", both(answer(func(p *Peer) { p.Priority = 2 }), open(holdBack)), acquire(RaceWon)},
		{"the moment begins with the race, not with a release long ago", both(ahead(1), open(holdBack-1), func(o *Observation) { o.Right.FreeFor = time.Hour }), stepBack},
		{"and with the end of the quiet period, not with the first suspicion", both(ahead(1), open(holdBack-1), func(o *Observation) { o.Store.Leaderless = 4 * time.Second }), stepBack},
		{"S6: as far as maximum_lag_on_failover goes", both(ahead(1048576), open(holdBack)), acquire(RaceWon)},
		{"S6: and no further", both(ahead(1048577), open(holdBack)), stepBack},
		{"S3: never over a newer timeline", both(answer(func(p *Peer) { p.End = at(4, 0x10) }), open(holdBack)), stepBack},
		{"S2: never in synchronous mode", both(ahead(1), open(holdBack), synchronous("on", 0, "n2", "n3")), stepBack},
		{"S2: never without a quorum", both(open(holdBack), synchronous("quorum", 2, "n2", "n3")), stepBack},
		{"S1: never over a primary", both(answer(func(p *Peer) { p.Primary = true }), open(holdBack)), wait(RacePrimaryAlive, 2*soon)},
	})
}

// former is n1, running as primary, its key gone.
func former() Observation {
	o := leader()
	o.Store.View.Leader, o.Store.Leaderless = cluster.Leader{}, time.Second
	o.Right = Right{Free: true, FreeFor: 200 * time.Millisecond, Guarded: true}
	return o
}

// superseded puts it back to timeline 2, which the history key has the end of.
func superseded(o *Observation) {
	o.Server.End, o.Server.History = at(2, flushed), wal.History{Timeline: 2, Switches: historyOfThree().Switches[:1]}
}

func TestARunningPrimaryInARace(t *testing.T) {
	decided(t, former, []decision{
		{"B-105: takes its key again at once", nil, acquire(RaceRetaken)},
		{"B-105: also with nofailover", tagged("nofailover", true), acquire(RaceRetaken)},
		{"B-105, S1: not when somebody was promoted since",
			func(o *Observation) { o.Server.End.Timeline = 2 }, do(RaceStaleTimeline, Stop{Mode: Immediate, For: ForDemotion})},
		{"B-105: no history, no such check",
			func(o *Observation) { o.Server.End.Timeline, o.Store.View.History = 2, cluster.History{} }, acquire(RaceRetaken)},
		{"B-104, B-504: paused, too", paused, acquire(RaceWon)},
		{"S2, S3: but not one that the cluster has gone on from", both(paused, superseded), wait(PausedSuperseded, hurry)},
		{"S3: nor before it has read where its own timeline began", both(paused, superseded, func(o *Observation) { o.Server.History = wal.History{} }),
			wait(PausedSuperseded, hurry)},
		{"B-102: unless a person asks for it by name", both(paused, superseded, requested("", "n1")), acquire(RaceWon)},
		{"B-104: one that a person has promoted has begun a timeline of its own, whatever its number", both(paused, superseded, func(o *Observation) {
			o.Server.History = wal.History{Timeline: 2, Switches: []wal.Switch{{Timeline: 1, LSN: 0x1800}}}
		}), acquire(RaceWon)},
		{"B-104: without a history nothing is known", both(paused, superseded, func(o *Observation) { o.Store.View.History = cluster.History{} }), acquire(RaceWon)},
		{"the key goes away under a promotion: it is taken again at once", working(Promoting, ForNothing), acquire(RaceRetaken)},
		{"or under a start", working(StartingPrimary, ForNothing), acquire(RaceRetaken)},
	})
}

func synchronous(mode string, quorum int, names ...string) func(*Observation) {
	return func(o *Observation) {
		o.Store.Settings.Synchronous = mode
		o.Store.View.Sync = cluster.Sync{Leader: "n1", Standbys: names, Quorum: quorum}
	}
}

func TestARaceInSynchronousMode(t *testing.T) {
	ahead := answer(func(p *Peer) { p.End = at(3, flushed+1) })
	decided(t, orphan, []decision{
		{"S2, B-112: an outsider never", synchronous("on", 0, "n3"), wait(RaceExcluded, hurry)},
		{"B-112: who is in the sync key may", synchronous("on", 0, "n2", "n3"), acquire(RaceWon)},
		{"B-112: names are compared without case", synchronous("on", 0, "N2"), acquire(RaceWon)},
		{"B-113: outsiders are not asked", both(synchronous("on", 0, "n2"), func(o *Observation) { o.Peers = Peers{} }), acquire(RaceWon)},
		{"B-113: and their word does not count", both(synchronous("on", 0, "n2"), ahead), acquire(RaceWon)},
		{"S2, B-129: a sync standby ahead goes first", both(synchronous("on", 0, "n2", "n3"), ahead), wait(RaceOutranked, 2*soon)},
		{"B-401: without a leader in the key the mode is not in force",
			both(synchronous("on", 0, "n3"), func(o *Observation) { o.Store.View.Sync.Leader = "" }), acquire(RaceWon)},
		{"S2: a key that nobody can read may have named others", both(synchronous("on", 0, "n2"), func(o *Observation) {
			o.Store.View.Sync = cluster.Sync{Modified: 6, Illegible: true}
		}), wait(RaceExcluded, hurry)},
		{"but a person may choose", both(requested("", "n2"), synchronous("on", 0, "n2"), func(o *Observation) {
			o.Store.View.Sync = cluster.Sync{Modified: 6, Illegible: true}
		}), acquire(RaceWon)},
		{"B-109: a person may choose an outsider", both(requested("", "n2"), synchronous("on", 0, "n3")), acquire(RaceWon)},
		{"B-108: not for a switchover", both(requested("n1", "n2"), synchronous("on", 0, "n3")), wait(RaceExcluded, hurry)},
		{"S2, B-135: a quorum of votes", synchronous("quorum", 1, "n2", "n3"), acquire(RaceWon)},
		{"S2, B-135: too few votes", both(synchronous("quorum", 1, "n2", "n3"), answer(func(p *Peer) { *p = Peer{Name: "n3", Silent: true} })),
			wait(RaceOutranked, 2*soon)},
		{"B-126: an outsider needs one vote more", synchronous("quorum", 1, "n3", "n4"), wait(RaceOutranked, 2*soon)},
		{"B-126: and may win with it", synchronous("quorum", 0, "n3", "n4"), acquire(RaceWon)},
		{"B-133: a position of nothing is no vote", both(synchronous("quorum", 1, "n2", "n3"), answer(func(p *Peer) { p.End = wal.Point{} })),
			wait(RaceOutranked, 2*soon)},
		{"B-130: the former primary ahead is tolerated, but is no vote", both(synchronous("quorum", 1, "n2", "n3"), func(o *Observation) {
			o.Store.View.Sync.Leader = "n3"
		}, ahead), wait(RaceOutranked, 2*soon)},
		{"B-130: in priority mode it does not block", both(synchronous("on", 0, "n2", "n3"), func(o *Observation) {
			o.Store.View.Sync.Leader = "n3"
		}, ahead), acquire(RaceWon)},
		{"B-135: the former primary may come back alone", both(synchronous("quorum", 1, "n3"), func(o *Observation) {
			o.Store.View.Sync.Leader = "n2"
		}, answer(func(p *Peer) { *p = Peer{Name: "n3", Silent: true} })), acquire(RaceWon)},
	})
}

func requested(leader, candidate string) func(*Observation) {
	return func(o *Observation) {
		o.Store.View.Failover = cluster.Failover{Leader: leader, Candidate: candidate, Modified: 8}
	}
}

func TestARaceOnRequest(t *testing.T) {
	silent := answer(func(p *Peer) { *p = Peer{Name: "n3", Silent: true} })
	far := func(o *Observation) { o.Store.View.Status.Optime = flushed + 5_000_000 }
	old := func(o *Observation) {
		o.Store.View.Members = append(o.Store.View.Members, member("n1", cluster.RoleReplica))
	}
	stood := func(o *Observation) {
		o.Peers.Answers = append(o.Peers.Answers, Peer{Name: "n1", End: at(3, flushed+1)})
	}
	decided(t, orphan, []decision{
		{"B-115: the candidate takes it, however far behind", both(requested("n1", "n2"), far), acquire(RaceWon)},
		{"S6, B-107: not with nofailover", both(requested("n1", "n2"), tagged("nofailover", true)), wait(RaceNofailover, hurry)},
		{"B-118: others leave it to the candidate", requested("n1", "n3"), wait(RaceLeftToCandidate, hurry)},
		{"L1: but not to one that the last leader has left out of the electorate", both(requested("n1", "n3"), func(o *Observation) { o.Right.Electorate = []string{"n2"} }), acquire(RaceWon)},
		{"B-118: who has to be asked first", both(requested("n1", "n3"), func(o *Observation) { o.Peers = Peers{} }), do(RaceAsking, askN3())},
		{"B-119: a candidate that is silent is passed over", both(requested("n1", "n3"), silent), acquire(RaceWon)},
		{"B-119: one that may not lead, too", both(requested("n1", "n3"), answer(func(p *Peer) { p.Nofailover = true })), acquire(RaceWon)},
		{"L1, B-119: one whose member key is gone, whatever it once answered", both(requested("n1", "n3"), func(o *Observation) {
			o.Store.View.Members = o.Store.View.Members[:1]
		}), acquire(RaceWon)},
		{"B-146: no candidate: the race without the limit of lag", both(requested("n1", ""), far), acquire(RaceWon)},
		{"B-146, L1: who stepped down does not outrank its successors", both(requested("n1", ""), old, stood), acquire(RaceWon)},
		{"S1: unless it is still primary", both(requested("n1", ""), old, stood, func(o *Observation) { o.Peers.Answers[1].Primary = true }),
			wait(RacePrimaryAlive, 2*soon)},
		{"B-145: I stepped down, and another can", requested("n2", ""), wait(RaceLeftToCandidate, time.Second)},
		{"B-145: and nobody can", both(requested("n2", ""), silent), acquire(RaceWon)},
		{"B-145: the candidate cannot, and nobody else can", both(requested("n2", "n3"), silent), acquire(RaceWon)},
		{"B-145: the candidate cannot, but a third one can", both(requested("n2", "n3"), silent, old, stood), wait(RaceLeftToCandidate, time.Second)},
		{"S2, B-108: a switchover goes to a sync standby", both(requested("n1", ""), synchronous("quorum", 0, "n3")), wait(RaceExcluded, hurry)},
		{"L1: in synchronous mode one round of questions is enough for a dead outsider", both(requested("", "n3"), silent, synchronous("on", 0, "n2")),
			acquire(RaceWon)},
		{"B-102: paused, the candidate takes it", both(paused, requested("n1", "n2")), acquire(RaceWon)},
		{"B-505: paused, others do not", both(paused, requested("n1", "n3"), silent), wait(Paused, hurry)},
		{"S6: paused, nofailover does not", both(paused, requested("n1", "n2"), tagged("nofailover", true)), wait(Paused, hurry)},
		{"B-511: paused, nothing scheduled happens", both(paused, requested("n1", "n2"), func(o *Observation) {
			o.Store.View.Failover.At = "2030-01-02T12:00:00+00:00"
		}), wait(Paused, hurry)},
	})
}

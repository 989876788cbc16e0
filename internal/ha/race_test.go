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

func askN3() Action { return AskPeers{Members: []cluster.Member{member("n3", cluster.RoleReplica)}} }

func TestARaceForTheLead(t *testing.T) {
	decided(t, orphan, []decision{
		{"B-060: who is not behind takes the lead", nil, do(RaceWon, Acquire{})},
		{"B-125: the others are asked first", func(o *Observation) { o.Peers = Peers{} }, do(RaceAsking, askN3())},
		{"answers from before the leader was lost do not count", func(o *Observation) { o.Peers.Age = 2 * time.Second }, do(RaceAsking, askN3())},
		{"nor do old ones", func(o *Observation) { o.Peers.Done, o.Store.Leaderless = time.Second, time.Minute }, do(RaceAsking, askN3())},
		{"L1: a round that took its whole timeout is fresh when it is over",
			both(answer(func(p *Peer) { *p = Peer{Name: "n3", Silent: true} }), func(o *Observation) { o.Peers.Age, o.Store.Leaderless = time.Second, time.Second }),
			do(RaceWon, Acquire{})},
		{"B-127: a silent member cannot block", answer(func(p *Peer) { *p = Peer{Name: "n3", Silent: true} }), do(RaceWon, Acquire{})},
		{"B-127: nor can one that may not lead", answer(func(p *Peer) { p.Nofailover, p.End = true, at(3, flushed+1) }), do(RaceWon, Acquire{})},
		{"B-127: nor one whose watchdog failed", answer(func(p *Peer) { p.WatchdogFailed, p.End = true, at(3, flushed+1) }), do(RaceWon, Acquire{})},
		{"B-128: a primary is still alive", answer(func(p *Peer) { p.Primary = true }), wait(RacePrimaryAlive, time.Second)},
		{"B-129: another is ahead", answer(func(p *Peer) { p.End = at(3, flushed+1) }), wait(RaceOutranked, time.Second)},
		{"S3: an older timeline is not ahead, however far", answer(func(p *Peer) { p.End = at(2, flushed*2) }), do(RaceWon, Acquire{})},
		{"S3: a later timeline is, however short", answer(func(p *Peer) { p.End = at(4, 0x10) }), wait(RaceOutranked, time.Second)},
		{"B-129: an unknown timeline is compared by position", answer(func(p *Peer) { p.End = at(0, flushed+1) }), wait(RaceOutranked, time.Second)},
		{"B-131: equal, and the other has priority", answer(func(p *Peer) { p.Priority = 2 }), wait(RaceOutranked, time.Second)},
		{"B-131: equal, and we have", both(answer(func(p *Peer) { p.Priority = 2 }), tagged("failover_priority", 3)), do(RaceWon, Acquire{})},
		{"S6, B-107: nofailover never", tagged("nofailover", true), wait(RaceExcluded, loop)},
		{"S3: nor a log that is known to have forked off", func(o *Observation) { o.Memory.Forked = true }, wait(RaceExcluded, loop)},
		{"S6, B-107: priority 0 never", tagged("failover_priority", 0), wait(RaceExcluded, loop)},
		{"S6, B-121: too far behind what the leader wrote",
			func(o *Observation) { o.Store.View.Status.Optime = flushed + 1048577 }, wait(RaceBehind, loop)},
		{"B-121: just not too far", func(o *Observation) { o.Store.View.Status.Optime = flushed + 1048576 }, do(RaceWon, Acquire{})},
		{"B-122: check_timeline keeps an old timeline out",
			func(o *Observation) { o.Store.Settings.CheckTimeline, o.Server.End = true, at(2, flushed) }, wait(RaceBehind, loop)},
		{"B-111: not in the failsafe map",
			func(o *Observation) {
				o.Store.Settings.Failsafe, o.Store.View.Failsafe = true, map[string]string{"n3": ""}
			}, wait(RaceExcluded, loop)},
		{"B-103: a server that does not answer is waited for", func(o *Observation) { o.Server.Answering = false }, wait(Steady, soon)},
		{"B-124: members that may not lead are not asked", func(o *Observation) {
			o.Store.View.Members[1].Tags, o.Peers = cluster.Tags{"nofailover": true}, Peers{}
		}, do(RaceWon, Acquire{})},
		{"L1: the answers of an earlier race do not outlive their members", func(o *Observation) {
			o.Store.View.Members = o.Store.View.Members[:1]
			o.Peers = Peers{Asked: true, Age: time.Hour, Done: time.Hour, Answers: []Peer{{Name: "n1", Primary: true}, {Name: "n3", End: at(3, flushed+1)}}}
		}, do(RaceWon, Acquire{})},
		{"B-106: paused, nobody is promoted", paused, wait(Paused, loop)},
	})
}

// former is n1, running as primary, its key gone.
func former() Observation {
	o := leader()
	o.Store.View.Leader, o.Store.Grip, o.Store.Leaderless = cluster.Leader{}, 0, time.Second
	return o
}

func TestARunningPrimaryInARace(t *testing.T) {
	decided(t, former, []decision{
		{"B-105: takes its key again at once", nil, do(RaceRetaken, Acquire{})},
		{"B-105: also with nofailover", tagged("nofailover", true), do(RaceRetaken, Acquire{})},
		{"B-105, S1: not when somebody was promoted since",
			func(o *Observation) { o.Server.End.Timeline = 2 }, do(RaceStaleTimeline, Stop{Mode: Immediate, For: ForDemotion})},
		{"B-105: no history, no such check",
			func(o *Observation) { o.Server.End.Timeline, o.Store.View.History = 2, cluster.History{} }, do(RaceRetaken, Acquire{})},
		{"B-104, B-504: paused, without a look at timelines", both(paused, func(o *Observation) { o.Server.End.Timeline = 2 }), do(RaceWon, Acquire{})},
		{"the key goes away under a promotion: it is taken again at once", working(Promoting, ForNothing), do(RaceRetaken, Acquire{})},
		{"or under a start", working(StartingPrimary, ForNothing), do(RaceRetaken, Acquire{})},
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
		{"S2, B-112: an outsider never", synchronous("on", 0, "n3"), wait(RaceExcluded, loop)},
		{"B-112: who is in the sync key may", synchronous("on", 0, "n2", "n3"), do(RaceWon, Acquire{})},
		{"B-112: names are compared without case", synchronous("on", 0, "N2"), do(RaceWon, Acquire{})},
		{"B-113: outsiders are not asked", both(synchronous("on", 0, "n2"), func(o *Observation) { o.Peers = Peers{} }), do(RaceWon, Acquire{})},
		{"B-113: and their word does not count", both(synchronous("on", 0, "n2"), ahead), do(RaceWon, Acquire{})},
		{"S2, B-129: a sync standby ahead goes first", both(synchronous("on", 0, "n2", "n3"), ahead), wait(RaceOutranked, time.Second)},
		{"B-401: without a leader in the key the mode is not in force",
			both(synchronous("on", 0, "n3"), func(o *Observation) { o.Store.View.Sync.Leader = "" }), do(RaceWon, Acquire{})},
		{"S2, B-135: a quorum of votes", synchronous("quorum", 1, "n2", "n3"), do(RaceWon, Acquire{})},
		{"S2, B-135: too few votes", both(synchronous("quorum", 1, "n2", "n3"), answer(func(p *Peer) { *p = Peer{Name: "n3", Silent: true} })),
			wait(RaceOutranked, time.Second)},
		{"B-126: an outsider needs one vote more", synchronous("quorum", 1, "n3", "n4"), wait(RaceOutranked, time.Second)},
		{"B-126: and may win with it", synchronous("quorum", 0, "n3", "n4"), do(RaceWon, Acquire{})},
		{"B-133: a position of nothing is no vote", both(synchronous("quorum", 1, "n2", "n3"), answer(func(p *Peer) { p.End = wal.Point{} })),
			wait(RaceOutranked, time.Second)},
		{"B-130: the former primary ahead is tolerated, but is no vote", both(synchronous("quorum", 1, "n2", "n3"), func(o *Observation) {
			o.Store.View.Sync.Leader = "n3"
		}, ahead), wait(RaceOutranked, time.Second)},
		{"B-130: in priority mode it does not block", both(synchronous("on", 0, "n2", "n3"), func(o *Observation) {
			o.Store.View.Sync.Leader = "n3"
		}, ahead), do(RaceWon, Acquire{})},
		{"B-135: the former primary may come back alone", both(synchronous("quorum", 1, "n3"), func(o *Observation) {
			o.Store.View.Sync.Leader = "n2"
		}, answer(func(p *Peer) { *p = Peer{Name: "n3", Silent: true} })), do(RaceWon, Acquire{})},
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
		{"B-115: the candidate takes it, however far behind", both(requested("n1", "n2"), far), do(RaceWon, Acquire{})},
		{"S6, B-107: not with nofailover", both(requested("n1", "n2"), tagged("nofailover", true)), wait(RaceExcluded, loop)},
		{"B-118: others leave it to the candidate", requested("n1", "n3"), wait(RaceLeftToCandidate, loop)},
		{"B-118: who has to be asked first", both(requested("n1", "n3"), func(o *Observation) { o.Peers = Peers{} }), do(RaceAsking, askN3())},
		{"B-119: a candidate that is silent is passed over", both(requested("n1", "n3"), silent), do(RaceWon, Acquire{})},
		{"B-119: one that may not lead, too", both(requested("n1", "n3"), answer(func(p *Peer) { p.Nofailover = true })), do(RaceWon, Acquire{})},
		{"L1, B-119: one whose member key is gone, whatever it once answered", both(requested("n1", "n3"), func(o *Observation) {
			o.Store.View.Members = o.Store.View.Members[:1]
		}), do(RaceWon, Acquire{})},
		{"B-146: no candidate: the race without the limit of lag", both(requested("n1", ""), far), do(RaceWon, Acquire{})},
		{"B-146, L1: who stepped down does not outrank its successors", both(requested("n1", ""), old, stood), do(RaceWon, Acquire{})},
		{"S1: unless it is still primary", both(requested("n1", ""), old, stood, func(o *Observation) { o.Peers.Answers[1].Primary = true }),
			wait(RacePrimaryAlive, time.Second)},
		{"B-145: I stepped down, and another can", requested("n2", ""), wait(RaceLeftToCandidate, time.Second)},
		{"B-145: and nobody can", both(requested("n2", ""), silent), do(RaceWon, Acquire{})},
		{"B-145: the candidate cannot, and nobody else can", both(requested("n2", "n3"), silent), do(RaceWon, Acquire{})},
		{"B-145: the candidate cannot, but a third one can", both(requested("n2", "n3"), silent, old, stood), wait(RaceLeftToCandidate, time.Second)},
		{"S2, B-108: a switchover goes to a sync standby", both(requested("n1", ""), synchronous("quorum", 0, "n3")), wait(RaceExcluded, loop)},
		{"L1: in synchronous mode one round of questions is enough for a dead outsider", both(requested("", "n3"), silent, synchronous("on", 0, "n2")),
			do(RaceWon, Acquire{})},
		{"B-102: paused, the candidate takes it", both(paused, requested("n1", "n2")), do(RaceWon, Acquire{})},
		{"B-505: paused, others do not", both(paused, requested("n1", "n3"), silent), wait(Paused, loop)},
		{"S6: paused, nofailover does not", both(paused, requested("n1", "n2"), tagged("nofailover", true)), wait(Paused, loop)},
		{"B-511: paused, nothing scheduled happens", both(paused, requested("n1", "n2"), func(o *Observation) {
			o.Store.View.Failover.At = "2030-01-02T12:00:00+00:00"
		}), wait(Paused, loop)},
	})
}

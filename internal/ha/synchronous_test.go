package ha

import (
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// waitedFor lets commits of the leader n1 wait for these names, and n2 and n3 stream.
func waitedFor(mode, names string, key cluster.Sync) func(*Observation) {
	return func(o *Observation) {
		o.Store.Settings.Synchronous = mode
		key.Modified = 6
		o.Store.View.Sync = key
		o.Server.Synchronous = Synchronous{Names: names, Told: names, Managed: true, Since: flushed, Age: time.Hour}
		value, _ := cluster.ParseStandbyNames(names)
		for _, n := range []string{"n2", "n3"} {
			s := Sender{Application: n, State: "streaming", SyncState: "async", Position: flushed}
			if containsName(value.Names, n) {
				s.SyncState = map[bool]string{true: "quorum", false: "sync"}[value.Any]
			}
			o.Server.Senders = append(o.Server.Senders, s)
		}
	}
}

func sender(name string, change func(*Sender)) func(*Observation) {
	return func(o *Observation) {
		for i := range o.Server.Senders {
			if o.Server.Senders[i].Application == name {
				change(&o.Server.Senders[i])
			}
		}
	}
}

func gone(name string) func(*Observation) {
	return sender(name, func(s *Sender) { s.State = "catchup" })
}

func tagOf(name, tag string, value any) func(*Observation) {
	return func(o *Observation) {
		for i, m := range o.Store.View.Members {
			if m.Name == name {
				o.Store.View.Members[i].Tags = cluster.Tags{tag: value}
			}
		}
	}
}

func ledBy(standbys ...string) cluster.Sync { return cluster.Sync{Leader: "n1", Standbys: standbys} }

func putSync(quorum int, standbys ...string) Action {
	return PutSync{cluster.Sync{Leader: "n1", Standbys: standbys, Quorum: quorum, Modified: 6}}
}

func two(o *Observation) { o.Store.Settings.SynchronousNodes = 2 }

func strict(o *Observation) { o.Store.Settings.SynchronousStrict = true }

// TestAWriteOfTheSyncKeyWithoutAnAnswer: the store may still make a standby eligible by it,
// so nobody ceases to be waited for before the key has been put again.
func TestAWriteOfTheSyncKeyWithoutAnAnswer(t *testing.T) {
	const slow = time.Second
	doubt := func(o *Observation) { o.Memory.SyncDoubt = true }
	decided(t, leader, []decision{
		{"S2: n2 was to be added, and is gone", both(waitedFor("on", "n2", ledBy()), gone("n2"), gone("n3"), doubt), after(Leading, slow, putSync(0))},
		{"S2: likewise in quorum mode", both(waitedFor("quorum", "ANY 1 (n2,n3)", cluster.Sync{Leader: "n1", Standbys: []string{"n2"}}), gone("n3"), doubt), after(Leading, slow, putSync(0, "n2"))},
		{"the takeover of the key is such a write itself", both(waitedFor("on", "", cluster.Sync{Leader: "n2"}), doubt), after(Leading, slow, PutSync{cluster.Sync{Leader: "n1", Modified: 6}})},
	})
}

// TestPrioritySteps are the steps of section 7.3 of compat/behaviour.md.
func TestPrioritySteps(t *testing.T) {
	const on, slow, quick = "on", time.Second, soon
	young := func(o *Observation) { o.Server.Synchronous.Age = time.Second }
	unconfirmed := func(o *Observation) { o.Server.Synchronous.Since = flushed + 5 }
	decided(t, leader, []decision{
		{"B-404: first the key says that the mode is in force", waitedFor(on, "", cluster.Sync{}),
			after(Leading, slow, PutSync{cluster.Sync{Leader: "n1", Modified: 6}})},
		{"S2: the user's value stays while the key's standbys have everything by it", both(waitedFor(on, "n2", ledBy("n2")), func(o *Observation) { o.Server.Synchronous.Managed = false }),
			after(Leading, slow, SetStandbyNames{Value: "n2"})},
		{"B-406: the user's value does not count", both(waitedFor(on, "backup", ledBy()), func(o *Observation) { o.Server.Synchronous.Managed = false }),
			after(Leading, slow, SetStandbyNames{})},
		{"B-426: the names come first", waitedFor(on, "", ledBy()), after(Leading, slow, SetStandbyNames{Value: "n2"})},
		{"B-428: then the key", waitedFor(on, "n2", ledBy()), after(Leading, slow, putSync(0, "n2"))},
		{"B-415: not before the standby has what was acknowledged", both(waitedFor(on, "n2", ledBy()), unconfirmed, young), wait(Leading, quick)},
		{"nor before it is known since when commits wait", both(waitedFor(on, "n2", ledBy()), young, func(o *Observation) { o.Server.Synchronous.Since = 0 }),
			wait(Leading, quick)},
		{"one that takes long is not asked about without pause", both(waitedFor(on, "n2", ledBy()), unconfirmed), wait(Leading, slow)},
		{"B-423: done", waitedFor(on, "n2", ledBy("n2")), wait(Leading, slow)},
		{"B-415: who is in the key has it all", both(waitedFor(on, "n2", ledBy("n2")), unconfirmed), wait(Leading, slow)},
		{"B-412: who is synchronous stays so, though another is further", both(waitedFor(on, "n3", ledBy("n3")), sender("n2", func(s *Sender) { s.Position += 9 })),
			wait(Leading, slow)},
		{"B-424: who is gone leaves the key first", both(waitedFor(on, "n2", ledBy("n2")), gone("n2")), after(Leading, slow, PutSync{cluster.Sync{Leader: "n1", Standbys: []string{}, Modified: 6}})},
		{"B-426: then the names are another's", both(waitedFor(on, "n2", ledBy()), gone("n2")), after(Leading, slow, SetStandbyNames{Value: "n3"})},
		{"B-425: nobody is left, and commits go on", both(waitedFor(on, "n2", ledBy()), gone("n2"), gone("n3")), after(Leading, slow, SetStandbyNames{})},
		{"B-425: strict, they wait", both(waitedFor(on, "n2", ledBy()), gone("n2"), gone("n3"), strict), after(Leading, slow, SetStandbyNames{Value: "*"})},
		{"and go on waiting", both(waitedFor(on, "*", ledBy()), gone("n2"), gone("n3"), strict), wait(Leading, slow)},
		{"B-414: two are wanted", both(waitedFor(on, "n2", ledBy("n2")), two), after(Leading, slow, SetStandbyNames{Value: "2 (n2,n3)"})},
		{"B-428: and in the key", both(waitedFor(on, "2 (n2,n3)", ledBy("n2")), two), after(Leading, slow, putSync(0, "n2", "n3"))},
		{"B-424: one is wanted", waitedFor(on, "2 (n2,n3)", ledBy("n2", "n3")), after(Leading, slow, putSync(0, "n2"))},
		{"B-421: the key is another leader's", waitedFor(on, "", cluster.Sync{Leader: "n2", Standbys: []string{"n1"}}),
			after(Leading, slow, PutSync{cluster.Sync{Leader: "n1", Modified: 6}})},
		{"B-410: nosync", both(waitedFor(on, "", ledBy()), tagOf("n2", "nosync", true)), after(Leading, slow, SetStandbyNames{Value: "n3"})},
		{"B-412: sync_priority", both(waitedFor(on, "", ledBy()), tagOf("n3", "sync_priority", 2)), after(Leading, slow, SetStandbyNames{Value: "n3"})},
		{"B-412: nofailover members last", both(waitedFor(on, "", ledBy()), tagOf("n2", "nofailover", true)), after(Leading, slow, SetStandbyNames{Value: "n3"})},
		{"B-411: not one that should stream from another", both(waitedFor(on, "", ledBy()), tagOf("n2", "replicatefrom", "n3")), after(Leading, slow, SetStandbyNames{Value: "n3"})},
		{"B-411: unless that is not there", both(waitedFor(on, "", ledBy()), tagOf("n2", "replicatefrom", "n9")), after(Leading, slow, SetStandbyNames{Value: "n2"})},
		{"B-413: not one that lags", both(waitedFor(on, "", ledBy()), sender("n2", func(s *Sender) { s.Position -= 11 }), func(o *Observation) {
			o.Store.Settings.MaximumLagOnSyncnode = 10
		}), after(Leading, slow, SetStandbyNames{Value: "n3"})},
		{"not one whose agent is silent for long", both(waitedFor(on, "n2", ledBy("n2")), func(o *Observation) {
			o.Memory.Silent = map[string]time.Duration{"n2": loop}
		}), after(Leading, slow, PutSync{cluster.Sync{Leader: "n1", Standbys: []string{}, Modified: 6}})},
		{"L1: at once, if another can take its place: who is not in the electorate cannot succeed", both(waitedFor(on, "n2", ledBy("n2")), func(o *Observation) {
			o.Memory.Silent = map[string]time.Duration{"n2": 0}
		}), after(Leading, slow, PutSync{cluster.Sync{Leader: "n1", Standbys: []string{}, Modified: 6}})},
		{"else a blip does not count", both(waitedFor(on, "n2", ledBy("n2")), gone("n3"), func(o *Observation) { o.Memory.Silent = map[string]time.Duration{"n2": loop - 1} }), wait(Leading, slow)},
		{"what was told is not in force yet", both(waitedFor(on, "n2", ledBy("n2")), two, func(o *Observation) { o.Server.Synchronous.Told = "2 (n2,n3)" }), wait(Leading, slow)},
		{"a server that was just started lets nobody go", both(waitedFor(on, "n2", ledBy("n2")), gone("n2"), func(o *Observation) {
			o.Server.Started = o.Wall.Add(-settleTime + 1)
		}), wait(Leading, slow)},
		{"a standby with two streams is one", both(waitedFor(on, "2 (n2,n3)", ledBy("n2", "n3")), two, func(o *Observation) {
			o.Server.Senders = append(o.Server.Senders, o.Server.Senders[0])
		}), wait(Leading, slow)},
		{"S2: what a quorum left in the key is not believed", waitedFor(on, "ANY 1 (n2,n3)", cluster.Sync{Leader: "n1", Standbys: []string{"n2", "n3"}, Quorum: 1}),
			after(Leading, slow, PutSync{cluster.Sync{Leader: "n1", Standbys: []string{}, Modified: 6}})},
		{"B-405: switched off, the key goes first", waitedFor("", "n2", ledBy("n2")), after(Leading, slow, DropSync{Modified: 6})},
		{"B-405: then the value is the user's", both(waitedFor("", "n2", cluster.Sync{}), func(o *Observation) { o.Store.View.Sync.Modified = 0 }),
			after(Leading, slow, SetStandbyNames{Users: true})},
	})
}

// TestQuorumIsKept shows that the planner of quorum commit is asked about what is
// there; its steps are TestQuorumSteps'.
func TestQuorumIsKept(t *testing.T) {
	const slow = time.Second
	voters := cluster.Sync{Leader: "n1", Standbys: []string{"n2", "n3"}, Quorum: 1}
	decided(t, leader, []decision{
		{"the names first", waitedFor("quorum", "", ledBy()), after(Leading, slow, SetStandbyNames{Value: "ANY 1 (n2,n3)"})},
		{"then the key", waitedFor("quorum", "ANY 1 (n2,n3)", ledBy()), after(Leading, slow, putSync(1, "n2", "n3"))},
		{"done", waitedFor("quorum", "ANY 1 (n2,n3)", voters), wait(Leading, slow)},
		{"from priority mode", waitedFor("quorum", "n2", ledBy("n2")), after(Leading, slow, putSync(1, "n2", "n3"))},
		{"one gone", both(waitedFor("quorum", "ANY 1 (n2,n3)", voters), gone("n3")), after(Leading, slow, SetStandbyNames{Value: "ANY 1 (n2)"})},
		{"B-414: a nofailover member is no voter while there are others", both(waitedFor("quorum", "", ledBy()), tagOf("n2", "nofailover", true)),
			after(Leading, slow, SetStandbyNames{Value: "ANY 1 (n3)"})},
		{"B-457: strict, and nobody is there", both(waitedFor("quorum", "", ledBy()), gone("n2"), gone("n3"), strict),
			after(Leading, slow, SetStandbyNames{Value: "ANY 1 (*)"})},
		{"strict no more", both(waitedFor("quorum", "ANY 1 (*)", ledBy()), gone("n2"), gone("n3")), after(Leading, slow, SetStandbyNames{})},
		{"S2, B-450: somebody else has changed the names: the key comes first", waitedFor("quorum", "", voters), after(Leading, slow, PutSync{cluster.Sync{Leader: "n1", Modified: 6}})},
		{"B-450: or promises less", waitedFor("quorum", "ANY 1 (n2,n3)", cluster.Sync{Leader: "n1", Standbys: []string{"n2", "n3"}}), after(Leading, slow, putSync(1, "n2", "n3"))},
		{"none is wanted", both(waitedFor("quorum", "", ledBy()), func(o *Observation) { o.Store.Settings.SynchronousNodes = 0 }), wait(Leading, slow)},
		{"B-432: a new leader lets nobody go at once", both(waitedFor("quorum", "ANY 1 (n2,n3)", voters), gone("n3"), func(o *Observation) { o.Memory.Led = loop - 1 }),
			wait(Leading, slow)},
	})
}

// Before it is promoted, who was elected says that nobody is known to have what it will
// acknowledge (B-430, B-431).
func TestTheElectedPreparesSynchronousMode(t *testing.T) {
	key := func(quorum int, names ...string) cluster.Sync {
		return cluster.Sync{Leader: "n1", Standbys: names, Quorum: quorum, Modified: 6}
	}
	in := func(mode string, sync cluster.Sync, names string) func(*Observation) {
		return func(o *Observation) {
			o.Store.Settings.Synchronous, o.Store.View.Sync = mode, sync
			o.Server.Synchronous = Synchronous{Names: names, Managed: true}
		}
	}
	mine := func(quorum int, names ...string) Action {
		return PutSync{cluster.Sync{Leader: "n2", Standbys: names, Quorum: quorum, Modified: 6}}
	}
	decided(t, elected, []decision{
		{"B-430: the key", in("on", key(0, "n2"), ""), do(Promotion, mine(0), Promote{})},
		{"B-430: and the names", in("on", key(0, "n2"), "n3"), do(Promotion, mine(0), SetStandbyNames{}, Promote{})},
		{"B-430: strict", both(in("on", key(0, "n2"), ""), strict), do(Promotion, mine(0), SetStandbyNames{Value: "*"}, Promote{})},
		{"B-431: a quorum stays one", in("quorum", key(1, "n2", "n3"), ""), do(Promotion, mine(1, "n1", "n3"), SetStandbyNames{Value: "ANY 1 (n1,n3)"}, Promote{})},
		{"B-431: an outsider waits for one more", in("quorum", key(1, "n3", "n4"), ""),
			do(Promotion, mine(1, "n1", "n3", "n4"), SetStandbyNames{Value: "ANY 2 (n1,n3,n4)"}, Promote{})},
		{"S2: the key was another one than the race was won by", both(in("on", key(0), ""), func(o *Observation) { o.Memory.SyncLost = true }), do(PromotionOverruled, Release{})},
		{"but a person may choose", both(in("on", key(0), ""), requested("", "n2"), func(o *Observation) { o.Memory.SyncLost = true }),
			do(Promotion, mine(0), Promote{}, ClearFailover{Modified: 8})},
		{"B-430: a quorum that is not in force", in("quorum", cluster.Sync{}, ""), do(Promotion, Promote{})},
	})
}

func TestARaceByVotes(t *testing.T) {
	quorum := synchronous("quorum", 1, "n2", "n3")
	behind := answer(func(p *Peer) { p.End = wal.Point{Timeline: 3, LSN: flushed - 1} })
	ahead := answer(func(p *Peer) { p.End = wal.Point{Timeline: 3, LSN: flushed + 1} })
	silent := answer(func(p *Peer) { *p = Peer{Name: "n3", Silent: true} })
	open := func(leaderless time.Duration) func(*Observation) {
		return func(o *Observation) { o.Store.Leaderless = leaderless }
	}
	decided(t, orphan, []decision{
		{"B-946: a vote counts, though its member may not lead", both(quorum, answer(func(p *Peer) { p.Nofailover = true })), acquire(RaceWon)},
		{"S2: not one of a member that is ahead", both(quorum, ahead, func(o *Observation) { o.Peers.Answers[0].Nofailover = true }), wait(RaceOutranked, 2*soon)},
		{"S2: a quorum in the key counts in priority mode too", both(synchronous("on", 1, "n2", "n3"), silent), wait(RaceOutranked, 2*soon)},
		{"S2: the candidate of a switchover needs votes as well", both(requested("n1", "n2"), quorum, silent), wait(RaceOutranked, 2*soon)},
		{"B-115: and has them", both(requested("n1", "n2"), quorum), acquire(RaceWon)},
		{"B-115: whoever is ahead, for what was acknowledged it has", both(requested("n1", "n2"), synchronous("quorum", 0, "n2", "n3"), ahead), acquire(RaceWon)},
		{"B-115: a failover that a person asked for does not", both(requested("", "n2"), quorum, silent), acquire(RaceWon)},
		{"S2: in pause too", both(paused, requested("n1", "n2"), quorum, silent), wait(RaceOutranked, 2*soon)},
		{"S2: in pause, with priorities, one that nobody waited for is no candidate", both(paused, requested("n1", "n2"), synchronous("on", 0, "n3")), wait(RaceExcluded, hurry)},
		{"B-102: in pause it has them", both(paused, requested("n1", "n2"), quorum), acquire(RaceWon)},
		{"B-102: and by hand needs none", both(paused, requested("", "n2"), quorum, silent), acquire(RaceWon)},
		{"B-118: others leave it to a candidate that can be elected", both(requested("n1", "n3"), quorum), wait(RaceLeftToCandidate, hurry)},
		{"B-118: which may still be receiving what the others have", both(requested("n1", "n3"), quorum, behind, open(2*holdBack-1)), wait(RaceLeftToCandidate, 2*soon)},
		{"L1: not for ever to one that cannot", both(requested("n1", "n3"), quorum, behind, open(2*holdBack)), acquire(RaceWon)},
		{"B-145, L1: who stepped down does not wait for one that cannot", both(requested("n2", ""), quorum, behind, func(o *Observation) {
			o.Store.View.Sync.Leader = "n2"
		}), acquire(RaceWon)},
		{"S2, B-145: who stepped down long ago needs votes like any other", both(requested("n2", ""), quorum, silent), wait(RaceOutranked, 2*soon)},
		{"B-145, L1: nor for ever for one that can", both(requested("n2", ""), func(o *Observation) {
			o.Store.Leaderless, o.Peers.Age = steppedBack, soon
		}), acquire(RaceWon)},
	})
}

// A standby for which commits wait asks to be let go before it stops (B-455).
func TestASynchronousStandbyAsksToBeLetGo(t *testing.T) {
	asks := func(start func() Observation) func() Observation {
		return func() Observation {
			o := start()
			synchronous("on", 0, "n2")(&o)
			m := o.member()
			m.Lease = o.Store.LeaseID
			for i := range o.Store.View.Members {
				if o.Store.View.Members[i].Name == o.Me.Name {
					o.Store.View.Members[i] = m // and it is published
				}
			}
			return o
		}
	}
	ending := func() Observation {
		o := standby()
		o.Stopping = true
		return o
	}
	nobody := func(o *Observation) { o.Store.View.Leader = cluster.Leader{} }
	silentLeader := func(o *Observation) { o.Right.Overdue, o.Right.FreeIn = true, soon }
	letGo := func(o *Observation) { o.Store.View.Sync.Standbys = nil }
	stops := do(AgentEnding, Stop{Mode: Fast, For: ForAgentEnd})
	decided(t, asks(ending), []decision{
		{"it waits", nil, wait(AgentEnding, soon)},
		{"until it is let go", letGo, stops},
		{"not for ever", func(o *Observation) { o.Memory.Ending = 2 * loop }, stops},
		{"not with the store away", storeAway, stops},
		{"L1: not where nobody leads who could: the others may wait for this one", nobody, stops},
		{"L1: nor under a leader that is silent", silentLeader, stops},
	})
	decided(t, asks(told(standby, Order{Task: ToRestart})), []decision{
		{"it waits before a restart", nil, wait(Restarting, soon)},
		{"until it is let go", letGo, begins(true)},
		{"not for ever", func(o *Observation) { o.Order.Age = 2 * loop }, begins(true)},
	})
	o := ending()
	synchronous("on", 0, "n2")(&o)
	o.Me.Tags = cluster.Tags{"zone": "east"}
	if m := o.member(); !m.Tags.Nosync() || m.Tags["zone"] != "east" || o.Me.Tags.Nosync() {
		t.Errorf("published: %v", m.Tags)
	}
	o.Stopping = false
	if m := o.member(); m.Tags.Nosync() {
		t.Errorf("and still, when it stays: %v", m.Tags)
	}
}

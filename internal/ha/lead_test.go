package ha

import (
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// elected is n2 with the key, not promoted yet.
func elected() Observation {
	o := standby()
	o.Store.View.Leader, o.Right = cluster.Leader{Name: "n2", Lease: leaseID + 1}, leading()
	o.Server.Streaming, o.Store.View.Revision = false, 10
	return o
}

func TestTheElectedIsPromoted(t *testing.T) {
	decided(t, elected, []decision{
		{"B-279: a standby with the key is promoted", nil, do(Promotion, Promote{})},
		{"S3: it does not take a number that another's timeline has", func(o *Observation) {
			o.Store.View.Members[0].Timeline = 5
		}, do(Promotion, Promote{Above: 5})},
		{"S3: nor one that the history tells of", func(o *Observation) {
			o.Store.View.History.Lines = append(o.Store.View.History.Lines, cluster.HistoryLine{Timeline: 6, LSN: flushed})
		}, do(Promotion, Promote{Above: 7})},
		{"a number that no cluster can have is garbage", func(o *Observation) {
			o.Store.View.Members[0].Timeline = 4_000_000_000
		}, do(Promotion, Promote{})},
		{"B-063: and clears the request that it fulfils", requested("n1", "n2"), do(Promotion, Promote{}, ClearFailover{Modified: 8})},
		{"the promotion does not wait for a renewal of the lease", leaseOverdue, do(Promotion, Promote{}, Renew{})},
		{"P8: not when the permit ran out before", over(time.Millisecond), wait(NoPermit, soon)},
		{"P4: not while a promise to another leader holds", func(o *Observation) { o.Right.MayPromote = false }, wait(NoPermit, soon)},
		{"clients wait for it: its configuration, and its own key, are for later", func(o *Observation) { o.Right.MayPromote, o.Store.Applied = false, 0 },
			wait(NoPermit, soon)},
		{"whatever became of the key: who leads is not asked of it", func(o *Observation) { o.Store.View.Leader = cluster.Leader{} }, do(Promotion, Promote{})},
		{"S1: without a guard too, while the permit runs", unguarded, do(Promotion, Promote{})},
		{"B-095: a server that does not answer is waited for", func(o *Observation) { o.Server.Answering = false }, wait(Leading, soon)},
		{"B-071: paused, it gives the key back", paused, do(PausedReleasing, Release{})},
		{"B-070: paused, but asked for by name", both(paused, requested("n1", "n2")), do(Promotion, Promote{})},
		{"a promotion under way is waited for", working(Promoting, ForNothing), wait(Busy, loop)},
	})
}

func TestTheLeaderKeepsTheRecords(t *testing.T) {
	position := func(o *Observation) { o.Server.End.LSN = flushed + 7 }
	status := cluster.Status{Known: true, Optime: flushed + 7, Slots: map[string]wal.LSN{"n1": flushed + 7, "n2": flushed, "n3": flushed}}
	old := func(o *Observation) { o.Memory.StatusAge = loop }
	kept := status
	kept.Retain = []string{"n4", "n5"}
	decided(t, leader, []decision{
		{"B-136: the position is written every loop_wait", both(position, old), after(Leading, loop, PutStatus{status})},
		{"B-136: not more often", position, wait(Leading, loop)},
		{"B-085: and not when nothing has changed", old, wait(Leading, loop)},
		{"B-336: with the slots of members that were seen lately", both(position, old, func(o *Observation) {
			o.Memory.Seen = map[string]time.Duration{"n5": time.Minute, "n4": 0, "n6": 1800 * time.Second}
		}), after(Leading, settle, PutStatus{kept}, CreateSlot{Name: "n4"}, CreateSlot{Name: "n5"})},
		{"B-015: a lost identity is written again", func(o *Observation) { o.Store.View.Initialize = cluster.Initialize{} },
			after(Leading, loop, AdoptInitialize{SystemID: systemID})},
		{"B-016: so is a lost configuration", func(o *Observation) { o.Store.View.Config = cluster.Config{} },
			after(Leading, loop, PutConfig{map[string]any{"ttl": 30}})},
		{"B-224: the checkpoint after a promotion", func(o *Observation) { o.Server.CheckpointTimeline = 2 }, after(Leading, loop, Checkpoint{})},
		{"B-095: a leader that does not answer keeps its key", func(o *Observation) { o.Server.Answering = false }, wait(Leading, soon)},
		{"B-501: paused, it goes on", paused, wait(Leading, loop)},
	})
}

func TestTheHistoryOfTimelines(t *testing.T) {
	line := func(timeline wal.Timeline, lsn wal.LSN, when, who string) cluster.HistoryLine {
		return cluster.HistoryLine{Timeline: timeline, LSN: lsn, Reason: "no recovery target specified", When: when, NewLeader: who}
	}
	now := "2030-01-01T12:00:00+00:00"
	first := line(1, 0x2000000, "2030-01-01T00:00:00+00:00", "n2")
	stored := func(lines ...cluster.HistoryLine) func(*Observation) {
		return func(o *Observation) { o.Store.View.History = cluster.History{Known: true, Lines: lines} }
	}
	put := func(lines ...cluster.HistoryLine) Plan {
		return after(Leading, loop, PutHistory{cluster.History{Known: true, Lines: lines}})
	}
	onFirst := func(o *Observation) { o.Server.End.Timeline, o.Server.CheckpointTimeline = 1, 1 }
	skipped := func(o *Observation) {
		o.Server.End.Timeline, o.Server.CheckpointTimeline = 5, 5
		o.Server.History.Timeline, o.Server.History.Switches = 5, o.Server.History.Switches[:1]
	}
	decided(t, leader, []decision{
		{"B-881: a new timeline adds its line", stored(first), put(first, line(2, 0x4000000, now, "n1"))},
		{"B-882: what is known of older lines is kept, where the position agrees", stored(line(1, 0x1999999, "then", "n9")),
			put(line(1, 0x2000000, "", ""), line(2, 0x4000000, now, "n1"))},
		{"B-881: no key at all", func(o *Observation) { o.Store.View.History = cluster.History{} },
			put(line(1, 0x2000000, "", ""), line(2, 0x4000000, now, "n1"))},
		{"B-881: a last line that is not complete", stored(first, line(2, 0x4000000, "", "")), put(first, line(2, 0x4000000, now, "n1"))},
		{"B-883: cut to max_timelines_history", both(stored(first), func(o *Observation) { o.Store.Settings.MaxTimelinesHistory = 1 }),
			put(line(2, 0x4000000, now, "n1"))},
		{"B-880: timeline 1 has none", onFirst, put()},
		{"B-880: and says so once", both(onFirst, stored()), wait(Leading, loop)},
		{"B-880: or not at all", both(onFirst, func(o *Observation) { o.Store.View.History = cluster.History{} }), wait(Leading, loop)},
		{"not read yet: nothing is written", func(o *Observation) {
			o.Server.End.Timeline, o.Server.CheckpointTimeline = 4, 4
		}, wait(Leading, loop)},
		{"a promotion that skipped numbers is written", both(skipped, stored()), put(line(1, 0x2000000, now, "n1"))},
		{"and written once", both(skipped, stored(line(1, 0x2000000, now, "n1"))), wait(Leading, loop)},
	})
}

func TestTheUsersCommandMayRefuseAPromotion(t *testing.T) {
	asks := func(o *Observation) { o.Me.AsksPrePromote = true }
	agreed := func(o *Observation) { asks(o); o.Memory.Prepared = true }
	refused := func(since time.Duration) func(*Observation) {
		return func(o *Observation) { asks(o); o.Memory.Unprepared = since }
	}
	lostIt := func(o *Observation) { o.Right = Right{FreeIn: quietly, Guarded: true}; o.Store.View.Leader.Name = "n3" }
	decided(t, elected, []decision{
		{"B-202: it is asked first", asks, do(PromotionAsked, PrePromote{})},
		{"B-063: the request is fulfilled by that", both(asks, requested("n1", "n2")), do(PromotionAsked, PrePromote{}, ClearFailover{Modified: 8})},
		{"B-202: while it runs the lead is kept", both(asks, working(Preparing, ForNothing)), wait(Busy, loop)},
		{"B-203: the lead is lost meanwhile", both(asks, working(Preparing, ForNothing), lostIt), after(Busy, soon, CancelJob{})},
		{"B-202: it has agreed", agreed, do(Promotion, Promote{})},
		{"B-275: it has not: the lead is given up", refused(time.Millisecond), do(PromotionRefused, Release{})},
		{"first the request is cleared that asked for this member", both(refused(time.Millisecond), requested("n1", "n2")), do(PromotionRefused, ClearFailover{Modified: 8}, Release{})},
		{"B-521: in pause too, or it would be asked for again and again", both(refused(time.Millisecond), paused, requested("n1", "n2")),
			do(PromotionRefused, ClearFailover{Modified: 8}, Release{})},
		{"B-101: for ttl", refused(30*time.Second - 1), do(PromotionRefused, Release{})},
		{"B-101: then it is asked anew", refused(30 * time.Second), do(PromotionAsked, PrePromote{})},
		{"P8: not without a permit", both(asks, over(time.Millisecond)), wait(NoPermit, soon)},
		{"also while the store is away", both(asks, func(o *Observation) { o.Store.Current = false }), do(PromotionAsked, PrePromote{})},
	})
	decided(t, orphan, []decision{
		{"B-101: it stays out of the race", refused(time.Second), wait(RaceExcluded, hurry)},
		{"B-521: nor in pause", both(refused(time.Millisecond), paused, requested("n1", "n2")), wait(Paused, hurry)},
		{"B-101: for ttl", refused(30 * time.Second), acquire(RaceWon)},
	})
}

package ha

import (
	"testing"
	"time"
)

// hearsay: one member of the store has told of n2's lead, and no majority answers yet.
func hearsay(o *Observation) {
	storeAway(o)
	o.Store.Later = true
}

// cutOff is n1, the primary that was cut off from everything, and then told of n2's lead.
func cutOff() Observation {
	o := leader()
	theirs(&o)
	hearsay(&o)
	return o
}

// TestOneMembersWordEndsTheRightToWrite: the newer leader key was agreed, whatever has
// happened since.
func TestOneMembersWordEndsTheRightToWrite(t *testing.T) {
	kill, unknown := do(Overtaken, KillServer{}), do(StoreAwayTooLong, KillServer{})
	decided(t, cutOff, []decision{
		{"S1: a primary is killed", nil, kill},
		{"S1: one that stands still as well", frozen, kill},
		{"S1: and a start as one", both(working(StartingPrimary, ForNothing), func(o *Observation) { o.Server.Answering = false }), kill},
		{"B-508: while paused it is the operator's", paused, wait(StoreAway, loop)},
		{"what was known before the store went away is no word of another", func(o *Observation) { o.Store.Later = false }, unknown},
		{"nor is this member's own name", func(o *Observation) { o.Store.View.Leader.Name = "n1" }, unknown},
		{"L3: who leads by the rules goes on", func(o *Observation) { o.Right = leading() }, wait(StoreAway, loop)},
	})
}

// TestOneMembersWordBeginsTheWayBack: it is gone as far as nothing hangs on whether there
// is a newer leader still.
func TestOneMembersWordBeginsTheWayBack(t *testing.T) {
	forkedOff := ends(at(3, flushed+101))
	rewind := do(RejoinRewinding, Rewind{From: bare(fromN2())})
	away := wait(StoreAway, loop)
	decided(t, stopped, []decision{
		{"the log of the leader that was told of is read, and no renewal is waited for", both(hearsay, unread, leaseOverdue),
			do(RejoinReading, ReadLog{From: bare(fromN2())})},
		{"a server with nothing of its own streams", hearsay, do(RejoinStreaming, StartStandby{Upstream: fromN2()})},
		{"S3: one whose log has forked off is rewound", both(hearsay, forkedOff), rewind},
		{"S3: not from one that is not a primary", both(hearsay, forkedOff, logged(func(l *LeaderLog) { l.Primary = false })), wait(RejoinReading, soon)},
		{"B-301: nor before its checkpoint", both(hearsay, forkedOff, func(o *Observation) { o.Store.View.Members[1].CheckpointPending = true }),
			wait(RejoinWaitsForCheckpoint, loop)},
		{"S4: nothing is removed by it", both(hearsay, forkedOff, noRewind, func(o *Observation) { o.Me.RemoveOnDiverged = true }), away},
		{"S4: nor after a rewind that failed", both(hearsay, forkedOff, func(o *Observation) {
			o.Memory.RewindLost, o.Me.RemoveOnRewindFailure = true, true
		}), away},
		{"S4: a directory that is not there is not filled", both(hearsay, func(o *Observation) { o.Server.Directory = Empty }), away},
		{"S4: a half-written one neither", both(hearsay, func(o *Observation) { o.Server.Unfinished = Rewinding }), away},
		{"B-053: nor is another cluster's touched", both(hearsay, func(o *Observation) { o.Server.SystemID = otherID }), away},
		{"B-506: while paused nothing is begun", both(hearsay, paused), away},
		{"B-158: a leader that does not answer keeps no readers waiting", both(hearsay, crashedHard, over(30*time.Second), logged(func(l *LeaderLog) {
			*l = LeaderLog{Leader: "n2", Failed: true}
		})), do(StoreAwayTooLong, StartStandby{})},
		{"without a word the store is away", both(storeAway, forkedOff), away},
	})
}

// TestOneMembersWordIsEnoughForAStandby: it serves readers meanwhile, and its slots are
// left to whoever sees the store.
func TestOneMembersWordIsEnoughForAStandby(t *testing.T) {
	start := func() Observation {
		o := stopped()
		hearsay(&o)
		o.Server.Running, o.Server.Answering, o.Server.Role, o.Server.WasPrimary = true, true, Standby, false
		o.Server.End = at(3, flushed)
		return o
	}
	forkedOff := ends(at(3, flushed+101))
	decided(t, start, []decision{
		{"it follows the leader that was told of", nil, do(ChangingUpstream, Follow{Upstream: fromN2()})},
		{"S3: one whose log has forked off is stopped for a rewind", forkedOff, do(Forked, Stop{Mode: Fast, For: ForRepair})},
		{"B-297: but not where only a copy would help", both(forkedOff, noRewind, func(o *Observation) { o.Me.RemoveOnDiverged = true }), wait(StoreAway, loop)},
		{"no lead is taken by it", func(o *Observation) { o.Right = Right{Free: true, Overdue: true, Guarded: true} },
			do(ChangingUpstream, Follow{Upstream: fromN2()})},
	})
}

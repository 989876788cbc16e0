package ha

import (
	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// rejoin brings a stopped server back under another leader: stream if history
// allows, else rewind, else copy anew where that is allowed (B-295 to B-307).
func rejoin(o Observation) Plan {
	s := o.Store.Settings
	switch {
	case s.Pause && !o.comingBack():
		return wait(Paused, s.LoopWait)
	case o.startFailedLately():
		return wait(StartFailed, retryPause-o.Last.Ago)
	case o.Server.End.Timeline == 0:
		return wait(DirectoryUnreadable, s.LoopWait) // not known is not forked: nothing is repaired, or removed, for that
	}
	if plan, ok := knowLog(o); !ok {
		return plan
	}
	switch {
	case o.Log.Failed && !o.Server.WasPrimary:
		// A standby has written nothing of its own. It may serve readers while
		// the leader is out of reach; what it streams is judged once it runs.
		return do(RejoinStreaming, StartStandby{Upstream: o.upstream()})
	case o.Log.Failed, !o.Log.Primary:
		return wait(RejoinReading, soon)
	case o.contained():
		return do(RejoinStreaming, StartStandby{Upstream: o.upstream()})
	default:
		return repair(o)
	}
}

// repair is for a stopped server whose log has forked off the leader's. It is
// never started before it was rewound or copied anew (S3).
func repair(o Observation) Plan {
	s := o.Store.Settings
	leader, _ := o.Store.View.LeaderMember()
	switch {
	case o.Me.UseRewind && o.Server.CanRewind && !o.Memory.RewindLost:
		switch {
		case leader.CheckpointPending:
			// Its control file still names the old timeline, and pg_rewind would
			// believe it (B-301). The member key changes when it is done.
			return wait(RejoinWaitsForCheckpoint, s.LoopWait)
		case o.Last.Work == Rewinding && o.Last.Failed && o.Last.Ago < retryPause:
			return wait(RejoinWaitsForCheckpoint, retryPause-o.Last.Ago)
		}
		return do(RejoinRewinding, Rewind{From: upstream(leader, "")})
	case o.Me.RemoveOnDiverged, o.Memory.RewindLost && o.Me.RemoveOnRewindFailure:
		return clone(o, RejoinCloning)
	case o.crashedPrimary() && !o.Memory.RewindLost:
		// Whether it has forked off nobody knows yet, and there are no other means to
		// find out: recovery tells where its log ends, and follow judges that (B-297).
		return do(RejoinStreaming, StartStandby{Upstream: o.upstream()})
	default:
		return wait(RejoinImpossible, s.LoopWait)
	}
}

// comingBack reports that the server is down because it handed over, or was made
// fit to start: also while paused it is started again (B-506).
func (o Observation) comingBack() bool {
	switch {
	case o.restarting(): // B-512
		return true
	case o.Last.Work == StoppingServer:
		return o.Last.Purpose == ForHandOver && !o.Last.Failed
	case o.Last.Work == Rewinding, o.Last.Work == Copying:
		return !o.Last.Failed
	case o.Last.Work == CopyingSlots: // it was running before
		return true
	}
	return false
}

// crashedPrimary reports that the server ran as a primary and was not shut down in
// order: the end of its log is not known before recovery.
func (o Observation) crashedPrimary() bool {
	return !o.Server.Running && o.Server.WasPrimary && !o.Server.Clean
}

// contained reports that the leader's history contains everything that this
// server has written or received, so that it can stream from there.
func (o Observation) contained() bool {
	if o.crashedPrimary() {
		return o.sentAll()
	}
	return o.Log.History.Contains(o.Server.End) && o.Log.History.Agrees(o.Server.History)
}

// sentAll reports that a primary which crashed had sent all of its log to whoever leads
// now: as a standby it recovers what it has, writes nothing, and follows. A recovery as
// a primary would write more, and so would a rewind, which begins with one; hence it is
// asked where the log ends, and nothing is known while nobody could tell. Not where the
// server may have run since, or could not be started so (S3), and on the leader's own
// timeline nothing is proved.
func (o Observation) sentAll() bool {
	mine := o.Log.Mine
	end, closed := o.Log.History.End(mine.Timeline)
	switch {
	case !closed, mine.LSN == 0, mine.LSN > end, mine.Timeline != o.Server.End.Timeline, mine.LSN < o.Server.End.LSN:
		return false
	case o.Last.Work != NoWork && o.Last.Ago < o.Log.Age, o.Last.Work == StartingStandby && o.Last.Failed:
		return false
	}
	return o.Log.History.Agrees(o.Server.History)
}

// logFresh is how long an answer about the leader's log is good when it was not
// yet the answer of a primary.
const logFresh = soon

// knowLog makes sure that the leader's log was read since it was promoted. ok is
// false while the plan has to be carried out first.
func knowLog(o Observation) (Plan, bool) {
	leader, _ := o.Store.View.LeaderMember()
	from := upstream(leader, "")
	if from.Host == "" {
		return wait(WaitingForLeader, soon), false // its member key will come
	}
	switch known := o.Log; {
	case known.Leader != leader.Name,
		known.Failed && known.Age >= retryPause/5,
		!known.Failed && !known.Primary && known.Age >= logFresh,
		known.Primary && known.History.Timeline < leader.Timeline,
		known.Primary && known.Age > o.Store.Settings.LoopWait:
		return do(RejoinReading, ReadLog{From: from}), false
	}
	return Plan{}, true
}

// follow decides for a running server under another leader. A primary never comes
// here: guard has dealt with it.
func follow(o Observation) Plan {
	s := o.Store.Settings
	leader, _ := o.Store.View.LeaderMember()
	want := o.upstream()
	switch {
	case !o.Server.Answering:
		return wait(Following, soon)
	case o.Server.Role == Primary: // only while paused (B-503)
		return wait(Paused, s.LoopWait)
	case o.Server.Outgrown && !s.Pause: // B-517
		return do(Outgrown, Stop{Mode: Fast, For: ForRepair})
	case want == o.Server.Upstream && o.Server.Streaming && leader.State == cluster.StateStopping && o.Server.LacksSegment:
		// While the leader still takes writes: to make it costs time, and then clients wait.
		return Plan{Why: Following, Do: []Action{MakeSegment{After: o.Server.End}}, LookAgain: s.LoopWait}
	case want == o.Server.Upstream && o.Server.Streaming:
		return copySlots(o, proveSlots(o, keepSlots(o, wait(Following, s.LoopWait))))
	case want == o.Server.Upstream && o.Server.End.Timeline == leader.Timeline && leader.Timeline != 0:
		return keepSlots(o, wait(Following, 10*soon)) // not streaming yet, or not any more
	}
	if plan, ok := knowLog(o); !ok {
		return plan
	}
	switch {
	case o.Log.Failed && want != o.Server.Upstream:
		return do(ChangingUpstream, Follow{Upstream: want}) // the walreceiver will judge
	case o.Log.Failed, !o.Log.Primary, o.Server.End.Timeline == 0:
		return keepSlots(o, wait(RejoinReading, soon))
	case !o.contained() && !s.Pause:
		return forked(o)
	case want != o.Server.Upstream:
		return do(ChangingUpstream, Follow{Upstream: want})
	default:
		return keepSlots(o, wait(Following, 10*soon))
	}
}

// forked stops a standby whose log has forked off, if anything can be done for
// it; else it stays up for readers, follows nobody (S3), and says so: its walreceiver
// would ask the leader five times a second for what that does not have.
func forked(o Observation) Plan {
	rewind := o.Me.UseRewind && o.Server.CanRewind && !o.Memory.RewindLost
	if rewind || o.Me.RemoveOnDiverged || o.Memory.RewindLost && o.Me.RemoveOnRewindFailure {
		return do(Forked, Stop{Mode: Fast, For: ForRepair})
	}
	if o.Server.Upstream.Host != "" {
		return do(RejoinImpossible, Follow{})
	}
	return wait(RejoinImpossible, o.Store.Settings.LoopWait)
}

// upstream is the server that this node has to stream from (B-280 to B-284).
func (o *Observation) upstream() Upstream {
	if o.Me.Tags.Nostream() {
		return Upstream{}
	}
	slot := ""
	if o.Store.Settings.UseSlots {
		slot = cluster.SlotName(o.Me.Name)
	}
	if name := o.Me.Tags.ReplicateFrom(); name != "" && name != o.Me.Name {
		if m, ok := o.Store.View.Member(name); ok {
			return o.fedBack(upstream(m, slot))
		}
	}
	leader, ok := o.Store.View.LeaderMember()
	if !ok || leader.Name == o.Me.Name {
		return Upstream{}
	}
	return o.fedBack(upstream(leader, slot))
}

// fedBack has the feedback go to the upstream, if there is one, where it must.
func (o *Observation) fedBack(u Upstream) Upstream {
	u.Feedback = u.Host != "" && o.feedsBack(o.Me.Name, o.Me.Tags)
	return u
}

// upstream turns a member into a server to connect to; nobody, if its address is
// not known.
func upstream(m cluster.Member, slot string) Upstream {
	host, port, ok := m.Address()
	if !ok {
		return Upstream{}
	}
	return Upstream{Member: m.Name, Host: host, Port: port, Database: m.Database(), Slot: slot}
}

// behind is how many bytes a position is behind another, never below 0.
func behind(position, reference wal.LSN) int64 {
	if position >= reference {
		return 0
	}
	return int64(reference - position)
}

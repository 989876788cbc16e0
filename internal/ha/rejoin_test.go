package ha

import (
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

func ends(p wal.Point) func(*Observation) { return func(o *Observation) { o.Server.End = p } }

func unread(o *Observation) { o.Log = LeaderLog{} }

func logged(change func(*LeaderLog)) func(*Observation) {
	return func(o *Observation) { change(&o.Log) }
}

func crashedHard(o *Observation) { o.Server.Clean = false }
func noRewind(o *Observation)    { o.Me.UseRewind = false }
func asStandby(o *Observation)   { o.Server.WasPrimary = false }

func TestAStoppedServerRejoins(t *testing.T) {
	stream := do(RejoinStreaming, StartStandby{Upstream: fromN2()})
	rewind := do(RejoinRewinding, Rewind{From: bare(fromN2())})
	copyAnew := do(RejoinCloning, BaseBackup{From: bare(fromN2()), Wipe: true})
	beyond := ends(at(3, flushed+101)) // n2 left timeline 3 one byte before
	asked := do(RejoinReading, ReadLog{From: bare(fromN2())})
	read := func(lsn wal.LSN) func(*Observation) { return logged(func(l *LeaderLog) { l.Mine = at(3, lsn) }) }
	decided(t, stopped, []decision{
		{"B-296: the leader's history contains ours", nil, stream},
		{"B-296: exactly", ends(at(3, flushed+100)), stream},
		{"B-296: an older timeline", ends(at(2, 0x4000000)), stream},
		{"B-296, S3: beyond the fork by one byte", beyond, rewind},
		{"the rewind does not wait for a renewal of the lease", both(beyond, leaseOverdue), do(RejoinRewinding, Rewind{From: bare(fromN2())}, Renew{})},
		{"B-296, S3: an older timeline beyond its end", ends(at(2, 0x4000001)), rewind},
		{"B-296, S3: a later timeline than the leader's", ends(at(5, 1)), rewind},
		{"S3: the same number, but another beginning", both(ends(at(4, 1)), func(o *Observation) {
			o.Server.History = logOfFour(0x3000000).History
		}), rewind},
		{"S3: a crashed primary is rewound: where its log ends nobody knows", crashedHard, rewind},
		{"L2, B-297: without pg_rewind it recovers as a standby, and then it is known", both(crashedHard, noRewind), stream},
		{"L2, B-297: likewise without checksums", both(crashedHard, func(o *Observation) { o.Server.CanRewind = false }), stream},
		{"S3: but not when a rewind of it failed", both(crashedHard, func(o *Observation) { o.Memory.RewindLost = true }), wait(RejoinImpossible, loop)},
		{"a crashed primary that had sent all of its log streams", both(crashedHard, read(flushed+100)), stream},
		{"S3: one byte more, and it is rewound", both(crashedHard, read(flushed+101)), rewind},
		{"S3: what was read before it ran again proves nothing", both(crashedHard, read(flushed+100), finished(StartingPrimary, ForNothing, false, 0),
			logged(func(l *LeaderLog) { l.Age = time.Millisecond })), rewind},
		{"S3: nor does a log that ends before its own checkpoint", both(crashedHard, read(flushed-1), ends(at(3, flushed))), rewind},
		{"S3: nor the log of another timeline", both(crashedHard, logged(func(l *LeaderLog) { l.Mine = at(2, 0x3000000) })), rewind},
		{"S3: nor a timeline that goes on", both(crashedHard, ends(at(4, flushed+100)), logged(func(l *LeaderLog) { l.Mine = at(4, flushed+100) })), rewind},
		{"L2: one that could not be started so is rewound", both(crashedHard, read(flushed+100), finished(StartingStandby, ForNothing, true, 5*time.Second)), rewind},
		{"a clean standby streams", both(asStandby, ends(at(3, flushed))), stream},
		{"S3: a standby whose log has forked off is rewound", both(asStandby, beyond), rewind},
		{"S4: what is not known is not forked: nothing is repaired or removed for it", both(ends(wal.Point{}), func(o *Observation) {
			o.Me.RemoveOnDiverged, o.Server.CanRewind = true, false
		}), wait(DirectoryUnreadable, loop)},

		{"B-297: forked off, no pg_rewind, no permission", both(beyond, noRewind), wait(RejoinImpossible, loop)},
		{"B-297: forked off, no pg_rewind, but permission", both(beyond, noRewind, func(o *Observation) { o.Me.RemoveOnDiverged = true }), copyAnew},
		{"B-306: the rewind failed, with permission", both(beyond, func(o *Observation) { o.Memory.RewindLost, o.Me.RemoveOnRewindFailure = true, true }), copyAnew},
		{"B-306: that permission is not for those who never tried", both(beyond, noRewind, func(o *Observation) { o.Me.RemoveOnRewindFailure = true }),
			wait(RejoinImpossible, loop)},
		{"S4: nothing is removed for a leader of another cluster", both(beyond, noRewind, func(o *Observation) {
			o.Me.RemoveOnDiverged, o.Log.SystemID = true, otherID
		}), wait(WaitingForLeader, loop)},
		{"B-301: the leader's checkpoint is waited for", both(beyond, func(o *Observation) { o.Store.View.Members[1].CheckpointPending = true }),
			wait(RejoinWaitsForCheckpoint, loop)},
		{"B-305: a rewind that failed rests", both(beyond, finished(Rewinding, ForNothing, true, time.Second)), wait(RejoinWaitsForCheckpoint, 4*time.Second)},
		{"B-305: and is tried again", both(beyond, finished(Rewinding, ForNothing, true, 5*time.Second)), rewind},

		{"the leader's history is read first", unread, asked},
		{"that of another leader does not count", logged(func(l *LeaderLog) { l.Leader = "n3" }), asked},
		{"one from before its promotion does not count", logged(func(l *LeaderLog) { l.History.Timeline = 3 }), asked},
		{"B-296: a leader that is not primary yet is asked again soon", logged(func(l *LeaderLog) { l.Primary = false }), wait(RejoinReading, soon)},
		{"B-296: and again", logged(func(l *LeaderLog) { l.Primary, l.Age = false, soon }), asked},
		{"a leader that cannot be read is waited for", logged(func(l *LeaderLog) { *l = LeaderLog{Leader: "n2", Failed: true} }), wait(RejoinReading, soon)},
		{"and asked again", logged(func(l *LeaderLog) { *l = LeaderLog{Leader: "n2", Failed: true, Age: time.Second} }), asked},
		{"a standby starts for readers meanwhile", both(asStandby, logged(func(l *LeaderLog) { *l = LeaderLog{Leader: "n2", Failed: true} })), stream},
		{"a leader without an address is waited for", both(unread, func(o *Observation) { o.Store.View.Members[1].ConnURL = "" }), wait(WaitingForLeader, soon)},
		{"a start that failed rests", finished(StartingStandby, ForNothing, true, time.Second), wait(StartFailed, 4*time.Second)},
		{"B-506: paused, it stays down", paused, wait(Paused, loop)},
		{"B-160: who handed over while paused comes back", both(paused, finished(StoppingServer, ForHandOver, false, 0)), stream},
		{"B-506: who was rewound while paused is started", both(paused, finished(Rewinding, ForNothing, false, 0)), stream},
		{"B-280: nostream has no upstream", tagged("nostream", true), do(RejoinStreaming, StartStandby{})},
		{"without slots", func(o *Observation) { o.Store.Settings.UseSlots = false }, do(RejoinStreaming, StartStandby{Upstream: bare(fromN2())})},
	})
}

// The leader says that it is stopping before it does, and what a standby would have to
// make at the end it makes then.
func TestASegmentIsMadeBeforeItIsWaitedFor(t *testing.T) {
	stopping := func(o *Observation) { o.Store.View.Members[0].State = cluster.StateStopping }
	lacks := func(o *Observation) { o.Server.LacksSegment = true }
	decided(t, standby, []decision{
		{"the leader is stopping, and the segment is not there", both(stopping, lacks), after(Following, loop, MakeSegment{After: standby().Server.End})},
		{"it is there", stopping, wait(Following, loop)},
		{"the leader is not stopping", lacks, wait(Following, loop)},
		{"this server does not stream", both(stopping, lacks, func(o *Observation) { o.Server.Streaming = false }), wait(Following, 10*soon)},
	})
}

func TestAStandbyFollows(t *testing.T) {
	// n2 has just been promoted; n3 still points at n1.
	behindTheTimes := func() Observation {
		o := stopped()
		s := standby()
		o.Me.Name, o.Me.ConnURL, o.Me.APIURL, o.Store.LeaseID = "n3", "postgres://n3:5432/postgres", "http://n3:8008/patroni", leaseID+2
		o.Server = s.Server
		o.Server.Streaming, o.Server.Upstream.Slot = false, "n3"
		o.Server.Slots = []Slot{slot("n1", false), slot("n2", false)}
		return o
	}
	want := fromN2()
	want.Slot = "n3"
	already := func(o *Observation) { o.Server.Upstream = want }
	beyond := ends(at(3, flushed+101))
	read := do(RejoinReading, ReadLog{From: bare(want)})
	decided(t, behindTheTimes, []decision{
		{"B-270: the upstream changes without a restart", nil, do(ChangingUpstream, Follow{Upstream: want})},
		{"its history is read first", unread, read},
		{"S3: a log that has forked off is stopped for repair", beyond, do(Forked, Stop{Mode: Fast, For: ForRepair})},
		{"S3: also when it points there already", both(beyond, already), do(Forked, Stop{Mode: Fast, For: ForRepair})},
		{"S3: with no means of repair it stays up for readers, follows nobody, and says so", both(beyond, noRewind), do(RejoinImpossible, Follow{})},
		{"S3: once", both(beyond, noRewind, func(o *Observation) { o.Server.Upstream = Upstream{} }), wait(RejoinImpossible, loop)},
		{"B-519: paused, it is left running", both(beyond, paused), do(ChangingUpstream, Follow{Upstream: want})},
		{"streaming: nothing to ask", both(already, unread, func(o *Observation) { o.Server.Streaming = true }), wait(Following, loop)},
		{"on the leader's timeline: nothing to ask", both(already, unread, ends(at(4, flushed))), wait(Following, time.Second)},
		{"contained, but not streaming yet", already, wait(Following, time.Second)},
		{"the leader cannot be read: the walreceiver will judge", logged(func(l *LeaderLog) { *l = LeaderLog{Leader: "n2", Failed: true} }),
			do(ChangingUpstream, Follow{Upstream: want})},
		{"and if that was done, it is waited for", both(already, logged(func(l *LeaderLog) { *l = LeaderLog{Leader: "n2", Failed: true} })), wait(RejoinReading, soon)},
		{"the leader is not primary yet", logged(func(l *LeaderLog) { l.Primary = false }), wait(RejoinReading, soon)},
		{"S3: an unknown timeline is not judged", both(already, ends(at(0, flushed))), wait(RejoinReading, soon)},
		{"a server that does not answer is waited for", func(o *Observation) { o.Server.Answering = false }, wait(Following, soon)},
	})
	decided(t, standby, []decision{
		{"B-282: replicatefrom names another member", tagged("replicatefrom", "n3"), do(RejoinReading, ReadLog{From: bare(fromN1())})},
		{"B-282: one that is not there is replaced by the leader", tagged("replicatefrom", "n9"), wait(Following, loop)},
		{"B-284: oneself is, too", tagged("replicatefrom", "n2"), wait(Following, loop)},
		{"the leader's address changes", func(o *Observation) {
			o.Store.View.Members[0].ConnURL = "postgres://10.0.0.9:5433/postgres"
			o.Log = LeaderLog{Leader: "n1", Primary: true, SystemID: systemID, History: historyOfThree()}
		}, do(ChangingUpstream, Follow{Upstream: Upstream{Member: "n1", Host: "10.0.0.9", Port: 5433, Database: "postgres", Slot: "n2"}})},
	})
}

// empty is n2 with an empty directory, the cluster running.
func empty() Observation {
	o := healthy("n2")
	o.Server = Server{Directory: Empty}
	o.Log = LeaderLog{Leader: "n1", Primary: true, SystemID: systemID, History: historyOfThree()}
	return o
}

func TestADirectoryIsFilled(t *testing.T) {
	half := func(unfinished Work) func(*Observation) {
		return func(o *Observation) { o.Server.Directory, o.Server.Unfinished = HalfCopied, unfinished }
	}
	source := func(change func(*cluster.Member)) func(*Observation) {
		return func(o *Observation) {
			m := &o.Store.View.Members[2]
			m.Tags = cluster.Tags{"clonefrom": true}
			change(m)
		}
	}
	n1 := do(Cloning, BaseBackup{From: bare(fromN1()), Wipe: true})
	decided(t, empty, []decision{
		{"B-791: copied from the leader", nil, n1},
		{"the leader is asked first", unread, do(RejoinReading, ReadLog{From: bare(fromN1())})},
		{"S4: not from one that is not primary", logged(func(l *LeaderLog) { l.Primary = false }), wait(WaitingForLeader, soon)},
		{"S4: not from one that is not reached", logged(func(l *LeaderLog) { l.Failed = true }), wait(WaitingForLeader, soon)},
		{"S4: not from another cluster", logged(func(l *LeaderLog) { l.SystemID = otherID }), wait(WaitingForLeader, loop)},
		{"S4: not while the cluster has no identity", func(o *Observation) { o.Store.View.Initialize = cluster.Initialize{} }, wait(WaitingForLeader, loop)},
		{"B-840: from a member tagged as a source", source(func(*cluster.Member) {}),
			do(Cloning, BaseBackup{From: Upstream{Member: "n3", Host: "n3", Port: 5432, Database: "postgres"}, Wipe: true})},
		{"B-840: if it runs", source(func(m *cluster.Member) { m.State = cluster.StateStarting }), n1},
		{"S3: if it streams", source(func(m *cluster.Member) { m.ReplicationState = "" }), n1},
		{"S3: on the leader's timeline", source(func(m *cluster.Member) { m.Timeline = 2 }), n1},
		{"B-845: a copy that failed rests for loop_wait", finished(Copying, ForNothing, true, 4*time.Second), wait(ClonePaused, 6*time.Second)},
		{"B-845: and is tried again", finished(Copying, ForNothing, true, loop), n1},
		{"the rest of our own copy is removed", half(Copying), n1},
		{"S4: the rest of a rewind only with permission", half(Rewinding), wait(HalfWritten, loop)},
		{"with permission", both(half(Rewinding), func(o *Observation) { o.Me.RemoveOnRewindFailure = true }), n1},
		{"S4: what is not ours is never removed", half(NoWork), wait(HalfWritten, loop)},
		{"S4: not with permission either", both(half(NoWork), func(o *Observation) { o.Me.RemoveOnDiverged, o.Me.RemoveOnRewindFailure = true, true }), wait(HalfWritten, loop)},
		{"B-047: a directory that cannot be read", func(o *Observation) { o.Server.Directory = NoAccess }, wait(DirectoryUnreadable, loop)},
		{"B-048: paused", paused, wait(Paused, loop)},
		{"B-045: a server without its directory is killed", func(o *Observation) { o.Server.Running, o.Server.Role = true, Standby }, do(HalfWritten, KillServer{})},
		{"B-046: a leader without a directory releases the key", func(o *Observation) { o.Right = leading() },
			do(StartFailed, Release{})},
		{"B-793: nobody leads", func(o *Observation) { o.Store.View.Leader = cluster.Leader{} }, wait(WaitingForLeader, loop)},
		{"B-846: a copy under way is waited for", both(half(Copying), working(Copying, ForNothing)), wait(Busy, loop)},
	})
}

// unborn is n2 with an empty directory and an empty store.
func unborn() Observation {
	o := empty()
	own := member("n2", "")
	o.Store.View = cluster.View{Members: []cluster.Member{own}}
	o.Right = Right{Free: true, FreeFor: time.Second, Guarded: true}
	o.Log = LeaderLog{}
	return o
}

func creating(modified int64) func(*Observation) {
	return func(o *Observation) { o.Store.View.Initialize = cluster.Initialize{Present: true, Modified: modified} }
}

func TestAClusterIsCreatedOnce(t *testing.T) {
	remains := func(o *Observation) { o.Server.Directory, o.Server.Unfinished = HalfCopied, Bootstrapping }
	mine := func(o *Observation) { o.Store.View.Initialize.Lease = o.Store.LeaseID }
	byAnother := func(o *Observation) {
		m := member("n3", "")
		m.State = cluster.StateInitializing
		o.Store.View.Members = append(o.Store.View.Members, m)
	}
	bornBefore := func(o *Observation) { o.Store.View.Initialize.Present, o.Store.View.Initialize.Value = true, systemID }
	alone := func(o *Observation) { o.Me.CopiesAlone = true }
	byCommand := func(o *Observation) {
		byAnother(o)
		o.Store.View.Members[1].State = cluster.StateCustomStarting
	}
	failed := "creating the cluster failed: see the log above; the directory was moved aside"
	decided(t, unborn, []decision{
		{"S5, B-790: who creates the key may create the cluster", nil, do(CreatingCluster, RaceInitialize{}, Bootstrap{})},
		{"S5, B-790: the key is there", creating(5), wait(WaitingForCreation, loop)},
		{"S5: the cluster is there, without a leader", func(o *Observation) { o.Store.View.Initialize.Present, o.Store.View.Initialize.Value = true, systemID },
			wait(WaitingForLeader, loop)},
		{"B-790: not by a file without bootstrap", func(o *Observation) { o.Me.MayBootstrap = false }, wait(WaitingForLeader, loop)},
		{"B-790: not by nofailover", tagged("nofailover", true), wait(WaitingForLeader, loop)},
		{"B-792: a method that needs no leader makes a copy", both(bornBefore, alone), do(CloningAlone, BaseBackup{})},
		{"B-792: where this node may not create the cluster", both(alone, tagged("nofailover", true)), do(CloningAlone, BaseBackup{})},
		{"S5, B-790: where it may, that comes first", alone, do(CreatingCluster, RaceInitialize{}, Bootstrap{})},
		{"B-792: not while another member creates it", both(creating(5), alone), wait(WaitingForCreation, loop)},
		{"not while a leader's name is in the key", both(bornBefore, alone, func(o *Observation) { o.Store.View.Leader.Name = "n1" }), wait(WaitingForLeader, loop)},
		{"not over what lies there", both(bornBefore, alone, func(o *Observation) { o.Server.Directory = HalfCopied }), wait(WaitingForLeader, loop)},
		{"B-845: when all methods have failed it rests", both(bornBefore, alone, finished(Copying, ForNothing, true, time.Second)), wait(ClonePaused, loop-time.Second)},
		{"B-513: not while paused", paused, wait(Paused, loop)},
		{"not over what lies there", func(o *Observation) { o.Server.Directory = HalfCopied }, wait(WaitingForLeader, loop)},
		{"a creation that never began takes the key back", both(creating(5), mine), do(CreationFailed, Unfound{Modified: 5})},
		{"B-808: one that failed leaves a clean state and ends", both(remains, creating(5), mine, finished(Bootstrapping, ForNothing, true, 0)),
			after(CreationFailed, 0, Unfound{Modified: 5}, MoveAside{}, Quit{Fault: failed})},
		{"B-809: one that was killed is cleared up and tried again", both(remains, creating(5)), do(CreationFailed, Unfound{Modified: 5}, MoveAside{})},
		{"B-809: also before it has written anything", both(creating(5), func(o *Observation) { o.Server.Unfinished = Bootstrapping }),
			do(CreationFailed, Unfound{Modified: 5}, MoveAside{})},
		{"S5: but not while another member creates the cluster", both(remains, creating(6), byAnother), do(CreationFailed, MoveAside{})},
		{"S5: nor while it does so by a command of its own", both(remains, creating(6), byCommand), do(CreationFailed, MoveAside{})},
		{"a creation under way is waited for", both(remains, creating(5), mine, working(Bootstrapping, ForNothing)), wait(Busy, loop)},
	})
}

// founder is n2, its server just created, the store not told of it.
func founder() Observation {
	o := unborn()
	o.Store.View.Initialize = cluster.Initialize{Present: true, Modified: 5, Lease: o.Store.LeaseID}
	o.Server = Server{Directory: Data, SystemID: systemID, Running: true, Answering: true, Role: Primary, End: at(1, flushed)}
	o.Last = Finished{Count: 1, Work: Bootstrapping}
	return o
}

// TestACreationEnds: the first server of a cluster takes writes before there is a
// leader, and nobody stops it for that.
func TestACreationEnds(t *testing.T) {
	found := do(ClusterCreated, Found{SystemID: systemID, Modified: 5})
	known := func(o *Observation) {
		o.Store.View.Initialize = cluster.Initialize{Present: true, Value: systemID, Modified: 6}
	}
	led := func(o *Observation) { o.Store.View.Status.Known = true }
	decided(t, founder, []decision{
		{"S5, B-805: the cluster gets its identity", nil, found},
		{"S5: also without a guard", unguarded, found},
		{"S5: also in the quiet period of the agent's start", both(unguarded, quiet(time.Second)), found},
		{"then its founder takes the lead", known, acquire(RaceRetaken)},
		{"also without a guard", both(unguarded, known), acquire(RaceRetaken)},
		{"after the quiet period", both(unguarded, known, quiet(time.Second)), wait(RaceQuiet, time.Second)},
		{"S1: without a guard that goes for a cluster that nobody has led", both(unguarded, known, led), do(PermitOver, KillServer{})},
		{"S1: and by its own creator", both(unguarded, known, func(o *Observation) { o.Last = Finished{} }), do(PermitOver, KillServer{})},
		{"S1: and while the store is there", both(unguarded, known, storeAway), do(PermitOver, KillServer{})},
	})
}

func TestAClusterFindsItsIdentity(t *testing.T) {
	data := func() Observation {
		o := unborn()
		o.Server = Server{Directory: Data, SystemID: systemID, WasPrimary: true, Clean: true, End: at(1, flushed)}
		return o
	}
	running := func(r Role) func(*Observation) {
		return func(o *Observation) { o.Server.Running, o.Server.Answering, o.Server.Role = true, true, r }
	}
	mine := both(creating(5), func(o *Observation) { o.Store.View.Initialize.Lease = o.Store.LeaseID })
	decided(t, data, []decision{
		{"B-816: a stopped server gives it", nil, do(AdoptingCluster, AdoptInitialize{SystemID: systemID})},
		{"B-815: a running primary gives it", running(Primary), do(AdoptingCluster, AdoptInitialize{SystemID: systemID})},
		{"B-805: the creation is done", both(running(Primary), mine), do(ClusterCreated, Found{SystemID: systemID, Modified: 5})},
		{"B-809: an earlier life's creation is adopted", both(running(Primary), creating(5)), do(AdoptingCluster, AdoptInitialize{SystemID: systemID, Modified: 5})},
		{"B-054: a running standby has to wait for its primary", running(Standby), after(RunsAsStandbyAlone, loop,
			Quit{Fault: "this server runs as a standby, and the store knows no such cluster: start the agent beside the primary first"})},
		{"L1: one that we started races", both(running(Standby), finished(StartingStandby, ForNothing, false, time.Minute)), acquire(RaceWon)},
		{"B-050: no identity to give", func(o *Observation) { o.Server.SystemID = "" }, wait(HalfWritten, loop)},
		{"B-515: not while paused", paused, wait(Paused, loop)},
		{"B-104: but a primary takes the lead of an empty store, which it fills then", both(paused, func(o *Observation) {
			o.Server.Running, o.Server.Answering, o.Server.Role = true, true, Primary
			o.Right.Free, o.Right.FreeIn = true, 0
		}), acquire(RaceWon)},
		{"a server that does not answer is waited for", both(running(Primary), func(o *Observation) { o.Server.Answering = false }), wait(Steady, soon)},
		{"B-053: with another identity the agent ends", func(o *Observation) { o.Store.View.Initialize = cluster.Initialize{Present: true, Value: otherID} },
			after(NotOurCluster, loop, Quit{Fault: "the data directory has system identifier " + systemID + ", but the cluster in the store is " +
				otherID + ": point data_dir at another directory, or scope at another cluster"})},
		{"B-053: and the configuration of that cluster is not given to it", func(o *Observation) {
			o.Store.View.Initialize = cluster.Initialize{Present: true, Value: otherID}
			o.Store.View.Config, o.Store.Applied = cluster.Config{Valid: true, Document: map[string]any{"ttl": 30}, Modified: 3}, 0
		}, after(NotOurCluster, loop, Quit{Fault: "the data directory has system identifier " + systemID + ", but the cluster in the store is " +
			otherID + ": point data_dir at another directory, or scope at another cluster"})},
		{"B-052: paused, it waits", both(paused, func(o *Observation) { o.Store.View.Initialize = cluster.Initialize{Present: true, Value: otherID} }),
			wait(Paused, loop)},
		{"B-051: paused, it gives the key back", both(paused, func(o *Observation) {
			o.Store.View.Initialize = cluster.Initialize{Present: true, Value: otherID}
			o.Store.View.Leader, o.Right = cluster.Leader{Name: "n2", Lease: leaseID + 1}, leading()
		}), do(PausedReleasing, Release{})},
		{"a standby cluster is not run", func(o *Observation) { o.Store.Settings.StandbyCluster = true }, wait(Unsupported, loop)},
	})
}

package ha

import (
	"fmt"
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

func sprint(a Action) string { return fmt.Sprintf("%+v", a) }

func storeAway(o *Observation) { o.Store.Current, o.Store.Silent = false, true }

func leaseOverdue(o *Observation) { o.Store.LeaseAge, o.Store.RenewTry = loop, loop }
func paused(o *Observation)       { o.Store.Settings.Pause = true }
func failsafeOn(o *Observation)   { o.Store.Settings.Failsafe = true }
func working(w Work, p Purpose) func(*Observation) {
	return func(o *Observation) { o.Job = Job{Work: w, Purpose: p} }
}

// theirs: n2 leads, and has been heard a moment ago.
func theirs(o *Observation) {
	o.Store.View.Leader = cluster.Leader{Name: "n2", Lease: leaseID + 1}
	o.Right = Right{FreeIn: quietly, Guarded: o.Right.Guarded}
}

// both makes one change of several.
func both(changes ...func(*Observation)) func(*Observation) {
	return func(o *Observation) {
		for _, c := range changes {
			c(o)
		}
	}
}

// left is what is left of the permit, over is since when nothing is.
func left(d time.Duration) func(*Observation) { return func(o *Observation) { o.Right.Left = d } }
func over(d time.Duration) func(*Observation) {
	return func(o *Observation) { o.Right.Left, o.Right.Over, o.Right.MayPromote = 0, d, false }
}

func unguarded(o *Observation) { o.Right.Guarded = false }

func frozen(o *Observation) { o.Server.Frozen, o.Server.Answering = true, false }

func awake(d time.Duration) func(*Observation) { return func(o *Observation) { o.Memory.Awake = d } }

// quiet: this member may take the lead when so much time has passed in silence.
func quiet(d time.Duration) func(*Observation) {
	return func(o *Observation) { o.Right.Free, o.Right.FreeIn, o.Right.FreeFor = false, d, 0 }
}

func TestARunningPrimaryUnderAnotherLeaderIsKilled(t *testing.T) {
	kill := do(Overtaken, KillServer{})
	decided(t, leader, []decision{
		{"S1, B-080: another leader: killed, and nothing else first", theirs, kill},
		{"S1: also one that the guard holds frozen", both(theirs, frozen), kill},
		{"S1: and one without a guard", both(theirs, unguarded), kill},
		{"S1: a server that does not answer is killed all the same", both(theirs, func(o *Observation) { o.Server.Answering = false }), kill},
		{"S1: and one whose role was never known",
			both(theirs, func(o *Observation) { o.Server.Answering, o.Server.Role = false, RoleUnknown }), kill},
		{"S1: and one that is being promoted", both(theirs, working(Promoting, ForNothing), func(o *Observation) { o.Server.Role = Standby }), kill},
		{"S1: and one that is being started",
			both(theirs, working(StartingPrimary, ForNothing), func(o *Observation) { o.Server.Running = false }), kill},
		{"S1: and one that is being stopped while its log is open", both(theirs, working(StoppingServer, ForHandOver)), kill},
		{"S1: that the other leader is silent does not help: it has had the lead since", both(theirs, func(o *Observation) {
			o.Right.Free, o.Right.FreeIn, o.Right.Overdue = true, 0, true
		}), kill},
		{"S1: nor that this agent has just started", both(theirs, awake(0)), kill},
		{"B-153: a closed log may drain its archive under another leader",
			both(theirs, working(StoppingServer, ForHandOver), func(o *Observation) { o.Job.Shutdown = wal.Point{Timeline: 3, LSN: flushed} }),
			wait(HandingOver, loop)},
		{"S1: the kill does not wait for a renewal or a configuration",
			both(theirs, func(o *Observation) { o.Store.RenewTry, o.Store.LeaseAge, o.Store.Applied = Idle, Idle, 0 }), kill},
		{"B-503: paused, it is left alone", both(theirs, paused), wait(Paused, loop)},
		{"S1: but one that is frozen is not let go beside another leader", both(theirs, paused, frozen), do(Overtaken, KillServer{})},
		{"S2: nor where nobody leads: it could take the lead on an old timeline", both(paused, frozen, func(o *Observation) {
			o.Store.View.Leader, o.Right = cluster.Leader{}, Right{Free: true, FreeFor: time.Second, Guarded: true}
		}), do(FrozenWithoutLead, KillServer{})},
		{"L3: it is let go with its lead", both(paused, frozen), wait(Leading, soon)},
		{"S1: nor is a start gone on with", both(theirs, paused, working(StartingPrimary, ForRestart), func(o *Observation) {
			o.Server.Answering, o.Server.Role = false, RoleUnknown
		}), do(Overtaken, KillServer{})},
		{"B-522: what takes writes by now is left alone", both(theirs, paused, working(StartingPrimary, ForRestart)), wait(Busy, loop)},
		{"B-503: also when that leader is silent", both(theirs, paused, func(o *Observation) {
			o.Right.Free, o.Right.FreeIn, o.Right.Overdue = true, 0, true
		}), wait(Paused, loop)},
		{"B-053: the server of another cluster is refused, not killed",
			both(theirs, func(o *Observation) { o.Server.SystemID = otherID }),
			after(NotOurCluster, loop, Quit{Fault: "the data directory has system identifier " + otherID + ", but the cluster in the store is " +
				systemID + ": point data_dir at another directory, or scope at another cluster"})},
	})
}

// TestAPromotionIsNotTakenBack: an agent that was killed in the middle of a promotion has
// left a standby for which the guard is armed. Nobody disarms it: let run, it would end
// its recovery, whoever leads by then.
func TestAPromotionIsNotTakenBack(t *testing.T) {
	asked := func(o *Observation) { o.Server.Armed = true }
	kill := do(Overtaken, KillServer{})
	decided(t, standby, []decision{
		{"S1: another member leads: killed", asked, kill},
		{"S1: also one that the guard holds frozen", both(asked, frozen), kill},
		{"S1: nobody leads, and nobody can ask it for its timeline", both(asked, frozen, func(o *Observation) { o.Store.View.Leader = cluster.Leader{} }),
			do(FrozenWithoutLead, KillServer{})},
		{"a restarted agent hears the store before it judges", both(asked, storeAway, awake(time.Second)), wait(StoreAway, loop)},
		{"S1: for no longer than retry_timeout", both(asked, storeAway, awake(loop)), do(StoreAwayTooLong, KillServer{})},
	})
	o := leader()
	o.Server.Role, o.Server.Armed = Standby, true
	if plan := Decide(o); !o.MayWrite() || plan.Why != Promotion {
		t.Errorf("its leader goes on with the promotion: %+v", plan)
	}
	if o.Server.Armed = false; o.MayWrite() {
		t.Error("a standby that nobody promotes may not write")
	}
}

func TestThePermitOfALeaderEnds(t *testing.T) {
	kill := do(PermitOver, KillServer{})
	ended := both(unguarded, over(time.Millisecond))
	closed := func(o *Observation) { o.Job.Shutdown = wal.Point{Timeline: 3, LSN: flushed} }
	decided(t, leader, []decision{
		{"L3: a store that is away stops nothing: the others carry the permit", storeAway, wait(StoreAway, loop)},
		{"S1: the guard freezes the server, and that can be taken back", both(over(time.Second), frozen), wait(Leading, soon)},
		{"S1: the guard is quicker than this pass", over(time.Millisecond), wait(Leading, loop)},
		{"L3: also with the store away", both(storeAway, over(time.Second), frozen), wait(StoreAway, loop)},
		{"the key is gone from the store and nobody else leads: it is put again elsewhere",
			func(o *Observation) { o.Store.View.Leader = cluster.Leader{} }, wait(Leading, loop)},
		{"the key hangs on an earlier lease: it is moved elsewhere", func(o *Observation) { o.Store.View.Leader.Lease = 5 }, wait(Leading, loop)},

		{"S1: without a guard it is killed at the end", ended, kill},
		{"S1: also with the store away", both(ended, storeAway), kill},
		{"S1: also when this agent has just started", both(ended, awake(0)), kill},
		{"S1: also when it does not answer", both(ended, func(o *Observation) { o.Server.Answering = false }), kill},
		{"S1: also while it is being promoted", both(ended, working(Promoting, ForNothing)), kill},
		{"S1: also while it is being started", both(ended, working(StartingPrimary, ForNothing)), kill},
		{"S1: also while it is being stopped, its log open", both(ended, working(StoppingServer, ForHandOver)), kill},
		{"S1: the kill does not wait for a renewal", both(ended, leaseOverdue), kill},
		{"a closed log takes no writes", both(ended, working(StoppingServer, ForDemotion), closed), wait(Busy, loop)},
		{"S1: without a guard the next look is at the end of the permit", both(unguarded, left(700*time.Millisecond)), wait(Leading, 700*time.Millisecond)},
		{"S1: also with the store away", both(unguarded, storeAway, left(700*time.Millisecond)), wait(StoreAway, 700*time.Millisecond)},
		{"S1: also while it is being promoted", both(unguarded, working(Promoting, ForNothing), left(700*time.Millisecond)), wait(Busy, 700*time.Millisecond)},
		{"B-508: paused, nothing is stopped", both(ended, storeAway, paused), wait(StoreAway, loop)},
		{"B-501: nor with the store at hand", both(ended, paused), wait(Leading, loop)},
		{"a creation has no clients yet", both(ended, working(Bootstrapping, ForNothing)), wait(Busy, loop)},
		{"S1, B-053: the cluster got another identity under a leading primary", func(o *Observation) {
			o.Store.View.Initialize.Value = otherID
		}, do(NotOurCluster, Stop{Mode: Fast, For: ForDemotion})},
	})
}

// TestAPrimaryThatDoesNotLead starts from former: nobody leads, and n1 may take
// the lead at once.
func TestAPrimaryThatDoesNotLead(t *testing.T) {
	kill := do(PermitOver, KillServer{})
	notIn := quiet(Idle)
	silent := func(o *Observation) { o.Server.Answering = false }
	ownKey := func(o *Observation) { o.Store.View.Leader = cluster.Leader{Name: "n1", Lease: 5} }
	created := both(unguarded, finished(Bootstrapping, ForNothing, false, 0), func(o *Observation) { o.Store.View.Status = cluster.Status{} })
	decided(t, former, []decision{
		{"S1: frozen, nobody can ask it for its timeline: killed", frozen, do(FrozenWithoutLead, KillServer{})},
		{"S1: also in the middle of a promotion", both(frozen, working(Promoting, ForNothing)), do(FrozenWithoutLead, KillServer{})},
		{"S1: one that does not answer cannot take the lead: killed", silent, kill},
		{"a restarted agent hears it first, and the guard keeps to its deadline", both(silent, awake(time.Second)), wait(Steady, soon)},
		{"one that is starting is waited for", both(silent, func(o *Observation) { o.Server.Starting = true }), wait(Steady, soon)},
		{"S1: one that may not take over under this electorate is killed", notIn, kill},
		{"a restarted agent waits for what it does not know yet", both(notIn, awake(time.Second)), wait(RaceExcluded, hurry)},
		{"the quiet period comes first", quiet(800 * time.Millisecond), wait(RaceQuiet, 800*time.Millisecond)},
		{"B-256: the key of an earlier life is won again", ownKey, acquire(RaceRetaken)},
		{"B-256: after the quiet period", both(ownKey, quiet(800*time.Millisecond)), wait(RaceQuiet, 800*time.Millisecond)},

		{"S1: without a guard it is killed at once", unguarded, kill},
		{"S1: also in the quiet period", both(unguarded, quiet(800*time.Millisecond)), kill},
		{"S1: also by an agent that has just started", both(unguarded, ownKey, awake(0)), kill},
		{"S1: also in the middle of a promotion", both(unguarded, working(Promoting, ForNothing)), kill},
		{"S5: the server of a cluster that was just created has no copy anywhere", created, acquire(RaceRetaken)},
		{"S5: it waits for the quiet period of its agent's start", both(created, quiet(800*time.Millisecond)), wait(RaceQuiet, 800*time.Millisecond)},
		{"S1: once it has led there may be copies", both(created, func(o *Observation) { o.Store.View.Status.Known = true }), kill},
	})
	decided(t, former, []decision{
		{"a restarted agent hears the store before it judges", both(storeAway, awake(time.Second)), wait(StoreAway, loop)},
		{"S1: for no longer than retry_timeout", both(storeAway, awake(loop)), do(StoreAwayTooLong, KillServer{})},
		{"S1: frozen or not", both(storeAway, awake(loop), frozen), do(StoreAwayTooLong, KillServer{})},
		{"S1: without a guard not at all", both(storeAway, awake(0), unguarded), kill},
		{"B-508: paused, it is left alone", both(storeAway, unguarded, paused), wait(StoreAway, loop)},
	})
}

func TestTheStoreIsAway(t *testing.T) {
	down := func(o *Observation) { o.Server.Running, o.Server.Answering, o.Server.WasPrimary = false, false, true }
	restarted := func(o *Observation) { o.Right = Right{Guarded: true, FreeIn: Idle} }
	decided(t, leader, []decision{
		{"L3: a crashed primary restarts in place: the others carry its permit", both(storeAway, down), do(CrashRestart, StartPrimary{})},
		{"L3: so does one that was stopped for a hand-over that nobody can be told of",
			both(storeAway, down, finished(StoppingServer, ForHandOver, false, 0)), do(CrashRestart, StartPrimary{})},
		{"L3: the lead is not given up while nobody can be told", both(storeAway, working(StoppingServer, ForHandOver), func(o *Observation) {
			o.Job.Shutdown = at(3, flushed)
			o.Peers = Peers{Asked: true, Answers: []Peer{{Name: "n2", End: at(3, flushed+1)}}}
		}), wait(HandingOver, loop)},
		{"L3: nor for a start that takes long", both(storeAway, working(StartingPrimary, ForNothing), func(o *Observation) {
			o.Job.Running, o.Server.Answering = time.Hour, false
			o.Peers = Peers{Asked: true, Answers: []Peer{{Name: "n2", End: at(3, flushed)}, {Name: "n3", Silent: true}}}
		}), wait(Busy, loop)},
		{"S1: not without a permit", both(storeAway, down, over(time.Second)), wait(NoPermit, soon)},
		{"S1: nor when this agent does not know of one", both(storeAway, down, restarted), wait(StoreAway, loop)},
		{"not in a tight circle", both(storeAway, down, func(o *Observation) {
			o.Last = Finished{Work: StartingPrimary, Failed: true, Ago: time.Second}
		}), wait(StoreAway, loop)},
		{"B-158: a primary that was stopped for it comes back for readers", both(storeAway, down, restarted,
			finished(StoppingServer, ForDemotion, false, 0)), do(StoreAwayTooLong, StartStandby{})},
		{"B-158: one that the guard killed after ttl as well", both(storeAway, down, over(30*time.Second)), do(StoreAwayTooLong, StartStandby{})},
		{"B-158: it does not wait for the silent store", both(storeAway, down, over(30*time.Second), leaseOverdue),
			do(StoreAwayTooLong, StartStandby{}, Renew{})},
		{"B-547: in failsafe mode after a pass and what the store had to answer in", both(storeAway, down, over(20*time.Second), failsafeOn),
			do(StoreAwayTooLong, StartStandby{})},
		{"B-547: not before", both(storeAway, down, over(19*time.Second), failsafeOn), wait(NoPermit, soon)},
		{"B-158: not before", both(storeAway, down, over(29*time.Second)), wait(NoPermit, soon)},
		{"B-158: nor one that leads no more", both(storeAway, down, over(29*time.Second), func(o *Observation) { o.Right.Leading = false }),
			wait(StoreAway, loop)},
		{"B-158: not in a tight circle", both(storeAway, down, over(30*time.Second), finished(StartingStandby, ForNothing, true, time.Second)),
			wait(StoreAway, loop)},
		{"never from a half-written directory", both(storeAway, down, func(o *Observation) { o.Server.Unfinished = Rewinding }), wait(StoreAway, loop)},
		{"B-508: paused, nothing is started", both(storeAway, down, paused), wait(StoreAway, loop)},
		{"B-508: nor after ttl", both(storeAway, down, paused, over(time.Hour)), wait(StoreAway, loop)},
	})
	decided(t, elected, []decision{
		{"L1: who has won is promoted though the store has gone since", storeAway, do(Promotion, Promote{})},
		{"S1: not without a permit", both(storeAway, over(time.Second)), wait(StoreAway, loop)},
		{"P4: not while a promise to another leader holds", both(storeAway, func(o *Observation) { o.Right.MayPromote = false }), wait(StoreAway, loop)},
		{"S2: in synchronous mode the sync key comes first", both(storeAway, synchronous("quorum", 1, "n2", "n3")), wait(StoreAway, loop)},
		{"S2: above all when this life has seen none", both(storeAway, synchronous("quorum", 1, "n2", "n3"), unseen), wait(StoreAway, loop)},
		{"S2: nor may another mode be in force than the one that it has seen last", both(storeAway, unseen), wait(StoreAway, loop)},
		{"B-505: not while paused", both(storeAway, paused), wait(StoreAway, loop)},
		{"not while it does not answer", both(storeAway, func(o *Observation) { o.Server.Answering = false }), wait(StoreAway, loop)},
	})
	decided(t, standby, []decision{
		{"B-092: a standby goes on", storeAway, wait(StoreAway, loop)},
		{"S1: nobody takes over from a leader that cannot be seen", both(storeAway, func(o *Observation) {
			o.Right.Free, o.Right.FreeIn, o.Right.Overdue = true, 0, true
		}), wait(StoreAway, loop)},
		{"B-093: a stopped one stays down", both(storeAway, func(o *Observation) { o.Server.Running = false }), wait(StoreAway, loop)},
		{"S1: it never starts as primary, whatever it was", both(storeAway, down), wait(StoreAway, loop)},
	})
}

// unseen is an agent that was started while the store was away.
func unseen(o *Observation) { o.Store.View = cluster.View{} }

func TestThePassIsPatientOnlyAsLongAsThePermit(t *testing.T) {
	cases := []struct {
		name   string
		change func(*Observation)
		want   time.Duration
	}{
		{"S1: without a guard until the permit ends", both(unguarded, left(700*time.Millisecond)), 700 * time.Millisecond},
		{"a guard does not wait for this pass", left(700 * time.Millisecond), Idle},
		{"a standby has nothing to lose", both(unguarded, func(o *Observation) { o.Server.Role = Standby }), Idle},
		{"nor has a paused cluster", both(unguarded, paused), Idle},
	}
	for _, c := range cases {
		o := leader()
		c.change(&o)
		if got := o.Patience(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestWhoLeads(t *testing.T) {
	key := func(name string) func(*Observation) { return func(o *Observation) { o.Store.View.Leader.Name = name } }
	free := func(o *Observation) { o.Right.Free, o.Right.FreeIn = true, 0 }
	cases := []struct {
		name   string
		start  func() Observation
		change func(*Observation)
		want   Leadership
	}{
		{"the leader leads", leader, nil, Ours},
		{"L3: also when the store is away", leader, storeAway, Ours},
		{"L3: or its key has gone", leader, key(""), Ours},
		{"another's key", standby, nil, Theirs},
		{"also when a word of it is overdue", standby, func(o *Observation) { o.Right.Overdue = true }, Theirs},
		{"nobody, once its permit has surely ended", standby, free, Nobody},
		{"S1: but not for a server that may write", standby, both(free, func(o *Observation) { o.Server.Role = Primary }), Theirs},
		{"S1: nor while it is being promoted", standby, both(free, working(Promoting, ForNothing)), Theirs},
		{"no key", standby, key(""), Nobody},
		{"a key of an earlier life of ours", standby, key("n2"), Nobody},
		{"the store is away", standby, storeAway, Unknown},
		{"S1: free or not", standby, both(storeAway, free), Unknown},
		{"the store is away, and its last word was our name", standby, both(storeAway, key("n2")), Unknown},
	}
	for _, c := range cases {
		o := c.start()
		if c.change != nil {
			c.change(&o)
		}
		if got := o.Leadership(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

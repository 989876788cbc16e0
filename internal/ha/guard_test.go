package ha

import (
	"fmt"
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

func sprint(a Action) string { return fmt.Sprintf("%+v", a) }

func storeAway(o *Observation) { o.Store.Current = false }

func leaseOverdue(o *Observation) { o.Store.LeaseAge, o.Store.RenewTry = loop, loop }
func paused(o *Observation)       { o.Store.Settings.Pause = true }
func theirs(o *Observation)       { o.Store.View.Leader = cluster.Leader{Name: "n2", Lease: leaseID + 1} }
func working(w Work, p Purpose) func(*Observation) {
	return func(o *Observation) { o.Job = Job{Work: w, Purpose: p} }
}

// both makes one change of several.
func both(changes ...func(*Observation)) func(*Observation) {
	return func(o *Observation) {
		for _, c := range changes {
			c(o)
		}
	}
}

func grip(d time.Duration) func(*Observation) {
	return func(o *Observation) { o.Store.Grip = d }
}

func TestARunningPrimaryWithoutTheRightIsStopped(t *testing.T) {
	decided(t, leader, []decision{
		{"S1, B-080: another leader: killed, and nothing else first", theirs, do(Overtaken, KillServer{})},
		{"S1: a server that does not answer is killed all the same",
			both(theirs, func(o *Observation) { o.Server.Answering = false }), do(Overtaken, KillServer{})},
		{"S1: and one whose role was never known",
			both(theirs, func(o *Observation) { o.Server.Answering, o.Server.Role = false, RoleUnknown }), do(Overtaken, KillServer{})},
		{"S1: and one that is being promoted",
			both(theirs, working(Promoting, ForNothing), func(o *Observation) { o.Server.Role = Standby }), do(Overtaken, KillServer{})},
		{"S1: and one that is being started",
			both(theirs, working(StartingPrimary, ForNothing), func(o *Observation) { o.Server.Running = false }), do(Overtaken, KillServer{})},
		{"S1: and one that is being stopped while its log is open",
			both(theirs, working(StoppingServer, ForHandOver)), do(Overtaken, KillServer{})},
		{"B-153: a closed log may drain its archive under another leader",
			both(theirs, working(StoppingServer, ForHandOver), func(o *Observation) { o.Job.Shutdown = wal.Point{Timeline: 3, LSN: flushed} }),
			wait(HandingOver, loop)},
		{"S1: the kill does not wait for a renewal or a configuration",
			both(theirs, func(o *Observation) { o.Store.RenewTry, o.Store.LeaseAge, o.Store.Applied = Idle, Idle, 0 }), do(Overtaken, KillServer{})},
		{"B-503: paused, it is left alone", both(theirs, paused), wait(Paused, loop)},
		{"B-053: the server of another cluster is refused, not killed",
			both(theirs, func(o *Observation) { o.Server.SystemID = otherID }),
			after(NotOurCluster, loop, Quit{Fault: "the data directory has system identifier " + otherID + ", but the cluster in the store is " +
				systemID + ": point data_dir at another directory, or scope at another cluster"})},
	})
}

func keyGone(o *Observation) {
	o.Store.View.Leader, o.Store.Grip, o.Store.Leaderless = cluster.Leader{}, 0, time.Second
}

func TestTheLeaseRunsOut(t *testing.T) {
	decided(t, leader, []decision{
		{"B-091: a store that is away demotes nobody while the lease holds", storeAway, wait(StoreAway, loop)},
		{"S1: the key is gone, and a primary that does not answer cannot take it again", both(keyGone, func(o *Observation) {
			o.Server.Answering = false
		}), do(GripLost, KillServer{})},
		{"a primary that is starting is waited for", both(keyGone, func(o *Observation) {
			o.Server.Answering, o.Server.Starting = false, true
		}), wait(Steady, soon)},
		{"S1, B-053: the cluster got another identity under a leading primary", func(o *Observation) {
			o.Store.View.Initialize.Value = otherID
		}, do(NotOurCluster, Stop{Mode: Fast, For: ForDemotion})},
		{"the next look is when the guard has to decide",
			both(storeAway, grip(10*time.Second+700*time.Millisecond)), wait(StoreAway, 700*time.Millisecond)},
		{"S1, B-091: a stop begins a retry_timeout before the end, and ends with a kill before it",
			both(storeAway, grip(10*time.Second)), do(StoreAwayTooLong, Stop{Mode: Fast, For: ForDemotion, Within: 9 * time.Second})},
		{"S1: in the last second there is no time for a stop", both(storeAway, grip(time.Second)), do(StoreAwayTooLong, KillServer{})},
		{"S1: a stop under way is killed in the last second",
			both(storeAway, grip(time.Second), working(StoppingServer, ForDemotion)), do(StoreAwayTooLong, KillServer{})},
		{"a stop under way goes on till then",
			both(storeAway, grip(5*time.Second), working(StoppingServer, ForDemotion)), wait(Busy, loop)},
		{"S1: a promotion under way is killed", both(storeAway, grip(5*time.Second), working(Promoting, ForNothing)), do(StoreAwayTooLong, KillServer{})},
		{"S1: so is a start", both(storeAway, grip(5*time.Second), working(StartingPrimary, ForNothing)), do(StoreAwayTooLong, KillServer{})},
		{"S1: the stop does not wait for a renewal from a silent store",
			both(storeAway, grip(5*time.Second), func(o *Observation) { o.Store.RenewTry, o.Store.LeaseAge = Idle, 25*time.Second }),
			do(StoreAwayTooLong, Stop{Mode: Fast, For: ForDemotion, Within: 4 * time.Second})},
		{"S1, B-181: the store answers and the lease cannot be renewed",
			grip(3 * time.Second), do(GripLost, Stop{Mode: Fast, For: ForDemotion, Within: 2 * time.Second})},
		{"B-508: paused, nothing is stopped", both(storeAway, grip(0), paused), wait(StoreAway, loop)},
		{"a creation has no clients yet", both(storeAway, grip(0), working(Bootstrapping, ForNothing)), wait(Busy, loop)},
		{"the key hangs on an earlier lease of ours: it is moved first",
			func(o *Observation) { o.Store.LeaseID = 99 }, do(LeaseMoved, Reclaim{})},
		{"a restarted agent moves the key before it judges",
			both(grip(0), func(o *Observation) { o.Store.LeaseID, o.Memory.Awake = 99, time.Second }), do(LeaseMoved, Reclaim{})},
		{"a restarted agent hears the store before it judges",
			both(storeAway, grip(0), func(o *Observation) { o.Store.LeaseID, o.Memory.Awake = 0, time.Second }), wait(StoreAway, soon)},
		{"S1: nor does it listen for longer than retry_timeout",
			both(storeAway, grip(0), func(o *Observation) { o.Store.LeaseID, o.Memory.Awake = 0, loop }), do(StoreAwayTooLong, KillServer{})},
		{"a restarted agent hears the store before it judges",
			both(storeAway, grip(0), func(o *Observation) { o.Store.LeaseID, o.Memory.Awake = 0, time.Second }), wait(StoreAway, soon)},
		{"S1: for no longer than retry_timeout",
			both(storeAway, grip(0), func(o *Observation) { o.Store.LeaseID, o.Memory.Awake = 0, loop }), do(StoreAwayTooLong, KillServer{})},
		{"S1: nor does it wait longer with moving the key",
			both(grip(0), func(o *Observation) { o.Store.LeaseID, o.Memory.Awake = 99, loop }), do(GripLost, KillServer{})},
	})
}

func TestTheStoreIsAway(t *testing.T) {
	down := func(o *Observation) { o.Server.Running, o.Server.Answering, o.Server.WasPrimary = false, false, true }
	decided(t, leader, []decision{
		{"L3: a crashed primary restarts while its lease holds", both(storeAway, down), do(CrashRestart, StartPrimary{})},
		{"S1: not when it is about to end", both(storeAway, down, grip(loop)), wait(StoreAway, loop)},
		{"not in a tight circle", both(storeAway, down, func(o *Observation) {
			o.Last = Finished{Work: StartingPrimary, Failed: true, Ago: time.Second}
		}), wait(StoreAway, loop)},
		{"B-158: a primary that was stopped for it comes back for readers", both(storeAway, down, grip(0), func(o *Observation) {
			o.Last = Finished{Work: StoppingServer, Purpose: ForDemotion}
		}), do(StoreAwayTooLong, StartStandby{})},
		{"never from a half-written directory", both(storeAway, down, func(o *Observation) { o.Server.Unfinished = Rewinding }), wait(StoreAway, loop)},
		{"B-508: paused, nothing is started", both(storeAway, down, paused), wait(StoreAway, loop)},
	})
	decided(t, standby, []decision{
		{"B-092: a standby goes on", storeAway, wait(StoreAway, loop)},
		{"B-093: a stopped one stays down", both(storeAway, func(o *Observation) { o.Server.Running = false }), wait(StoreAway, loop)},
		{"S1: it never starts as primary, whatever it was", both(storeAway, down), wait(StoreAway, loop)},
	})
}

func TestThePassIsPatientOnlyAsLongAsTheLease(t *testing.T) {
	cases := []struct {
		name   string
		change func(*Observation)
		want   time.Duration
	}{
		{"S1: until the guard has to stop it", grip(12 * time.Second), 2 * time.Second},
		{"S1: then until it has to kill it", grip(4 * time.Second), 3 * time.Second},
		{"a standby has nothing to lose", func(o *Observation) { o.Server.Role = Standby }, Idle},
		{"nor has a paused cluster", paused, Idle},
	}
	for _, c := range cases {
		o := leader()
		c.change(&o)
		if got := o.Patience(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

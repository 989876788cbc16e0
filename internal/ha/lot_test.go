package ha

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// lots is how many observations are drawn. They need not be likely: whatever is
// observed, the plan must be safe.
const lots = 30_000

// TestPlansAreSafeWhateverIsObserved draws observations by lot and holds each plan
// against what must always hold.
func TestPlansAreSafeWhateverIsObserved(t *testing.T) {
	seen, reasons := map[string]int{}, map[Reason]int{}
	for seed := range uint64(lots) {
		o := drawn(rand.New(rand.NewPCG(seed, 7)))
		again := drawn(rand.New(rand.NewPCG(seed, 7)))
		plan := Decide(o)
		if !reflect.DeepEqual(plan, Decide(again)) {
			t.Fatalf("seed %d: equal observations gave different plans:\n%+v", seed, plan)
		}
		if !reflect.DeepEqual(o, again) {
			t.Fatalf("seed %d: the observation was changed", seed)
		}
		reasons[plan.Why]++
		for _, a := range plan.Do {
			seen[reflect.TypeOf(a).Name()]++
		}
		for _, fault := range unsafe(o, plan) {
			t.Fatalf("seed %d: %s\nplan: %v %v\nobservation: %+v", seed, fault, plan.Why, describe(plan.Do), o)
		}
	}
	for _, name := range []string{"Acquire", "Release", "Promote", "StartPrimary", "StartStandby", "KillServer", "Stop",
		"BaseBackup", "Rewind", "Bootstrap", "Found", "Unfound", "MoveAside", "Quit", "Follow", "PutMember", "PutStatus", "Renew", "CancelJob",
		"TakeUp", "Answer", "OrderScheduled", "DropSchedule"} {
		if seen[name] == 0 {
			t.Errorf("no observation led to %s: the lots are drawn badly", name)
		}
	}
	if len(reasons) < 40 {
		t.Errorf("only %d reasons came up", len(reasons))
	}
}

// unsafe names what is wrong with a plan.
func unsafe(o Observation, plan Plan) (faults []string) {
	wrong := func(holds bool, format string, args ...any) {
		if !holds {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	s, v, mine := o.Store.Settings, o.Store.View, o.Leadership() == Ours
	has := func(match func(Action) bool) bool { return slices.ContainsFunc(plan.Do, match) }
	kills := has(func(a Action) bool { return a == KillServer{} })

	if o.MayWrite() && !s.Pause {
		r := o.Right
		foreign := o.Leadership() == Theirs && foreign(o)
		if o.Leadership() == Theirs && !foreign {
			wrong(kills, "S1: a server that may write under another leader lives on")
		}
		permitted := r.Leading && r.Left > 0
		if !r.Guarded && !permitted && !o.founding() && !foreign {
			wrong(kills, "S1: a server that may write lives on without a guard and without a permit")
		}
		if !r.Guarded && permitted && !kills {
			wrong(plan.LookAgain <= r.Left, "S1: the next look is in %v, and the permit of a server without a guard ends in %v", plan.LookAgain, r.Left)
		}
		if o.Leadership() == Nobody && o.Server.Frozen {
			wrong(kills, "a frozen server that cannot take the lead stays frozen")
		}
		if o.Leadership() == Unknown && o.Memory.Awake >= s.RetryTimeout {
			wrong(kills, "S1: nothing is known, for too long, and the server lives on")
		}
		if plan.Why == Overtaken || plan.Why == PermitOver || plan.Why == StoreAwayTooLong || plan.Why == FrozenWithoutLead {
			wrong(len(plan.Do) == 1, "S1: something beside the end of the right: %v", describe(plan.Do))
		}
	}
	if o.Leadership() == Ours && o.Right.Guarded && !o.Stopping && !o.Right.Barred {
		wrong(!kills || o.Server.Directory != Data || o.Server.Unfinished != NoWork, "the leader's server is killed though the guard can thaw it")
	}
	for i, a := range plan.Do {
		switch a := a.(type) {
		case Promote:
			wrong(o.Right.MayPromote, "S1, P4, P8: promotion without the right to")
			wrong(!o.Right.Barred || s.Pause, "B-274: promotion without the watchdog that is required")
			wrong(o.Server.Role == Standby && o.Server.Answering && o.Job.Work == NoWork, "promotion of what is no idle standby")
			wrong(!s.Pause || v.Failover.Candidate == o.Me.Name, "B-505: promotion while paused")
		case StartPrimary:
			wrong(o.Right.Leading && o.Right.Left > 0, "S1: start as primary without a permit")
			wrong(!o.Right.Barred || s.Pause, "B-273: start as primary without the watchdog that is required")
			wrong(o.Server.WasPrimary && !o.Server.Running && (!s.Pause || o.restarting()), "start as primary of what was none, runs, or is paused")
		case StartStandby:
			wrong(!o.Server.Running && o.Server.Directory == Data && o.Server.Unfinished == NoWork, "a half-written directory is started")
		case Acquire:
			wrong(o.Leadership() == Nobody && o.Right.Free, "S1: the lead is taken while another may have it")
			wrong(!o.Right.Barred || s.Pause, "B-110: the lead is taken without the watchdog that is required")
			wrong(plan.LookAgain > 0, "nobody would look whether the lead was won")
			unfit(o, wrong)
		case AskPeers:
			silent := slices.ContainsFunc(a.Members, func(m cluster.Member) bool {
				return m.Name == v.Leader.Name && m.Role != cluster.RoleReplica // not promoted yet, it may be there
			})
			wrong(a.Within > 0 && len(a.Members) > 0, "nobody is asked, or without an end")
			wrong(!o.Contested() || !silent, "the leader that has gone silent is asked")
			wrong(!o.Contested() || o.Right.Free || o.Right.FreeIn <= askAhead || plan.Why == RaceQuiet, "S2: positions are asked for while the last leader may write")
		case Release, PutStatus, PutHistory, PutConfig:
			_, gives := a.(Release)
			wrong(mine, "%T without the key", a)
			wrong(!gives || !o.MayWrite() || s.Pause, "S1: the key is given up under a server that may write")
		case BaseBackup:
			wrong(o.Leadership() == Theirs && o.Log.Primary && !o.Log.Failed && o.Log.Leader == v.Leader.Name, "S4: a copy without a running leader")
			wrong(o.Log.SystemID == v.Initialize.SystemID() && o.Log.SystemID != "", "S4: a copy of another cluster")
			ordered := o.Order.Task == ToReinitialize
			wrong(!o.Server.Running && (!s.Pause || o.comingBack() || ordered), "S4: a copy over a running or paused server")
			wrong(o.Server.Directory == Empty || o.Server.Unfinished == Copying || o.Me.RemoveOnDiverged || o.Me.RemoveOnRewindFailure || ordered,
				"S4: removal without permission")
			source, ok := v.Member(a.From.Member)
			wrong(ok && (source.Name == v.Leader.Name || source.ReplicationState == cluster.Streaming), "S3: a copy of what does not stream")
		case Rewind:
			wrong(o.Leadership() == Theirs && o.Log.Primary && a.From.Member == v.Leader.Name, "S3: a rewind against what is not a running leader")
			wrong(o.Me.UseRewind && o.Server.CanRewind && !o.Server.Running, "a rewind that is not possible")
		case Bootstrap:
			wrong(i > 0 && plan.Do[i-1] == RaceInitialize{}, "S5: a creation without the race for the key")
			wrong(!v.Initialize.Present && v.Leader.Name == "" && o.Server.Directory == Empty, "S5: a creation over what is there")
		case MoveAside:
			wrong(o.Server.Unfinished == Bootstrapping && !o.Server.Running, "S4: the directory of no failed creation is moved")
		case Unfound:
			wrong(v.Initialize.Bootstrapping() && a.Modified == v.Initialize.Modified, "S5: the identity of a cluster is taken back")
		case Found:
			wrong(v.Initialize.Lease == o.Store.LeaseID && v.Initialize.Lease != 0 && v.Initialize.Bootstrapping(), "S5: the creation of another is ended")
		case AskFailsafe:
			_, asksItself := a.Others[o.Me.Name]
			wrong(i == 0 && mine && s.Failsafe && !s.Pause && o.Store.Silent && o.Server.Role == Primary && v.Failsafe[o.Me.Name] != "" && !asksItself,
				"B-542: a failsafe round of who has no right to one")
		case Stop:
			wrong(a.For != ForRestart || !o.MayWrite() || o.firm() && mine, "S1: a primary is stopped that could not be started again")
			wrong(a.For != ForReinitialize || o.Leadership() == Theirs && o.Log.Primary && o.Log.SystemID == v.Initialize.SystemID(),
				"S4: a server is stopped for a copy that there is no leader for")
		case CancelJob:
			wrong(a.For != ForHandOver || o.Job.Work == StartingPrimary && mine && !o.Server.Answering && v.Failover.Requested() && !o.Stopping,
				"a start is broken off for a hand-over that nobody asked for, or of a server that takes writes")
		case Quit:
			wrong(i == len(plan.Do)-1, "something after the end")
		}
	}
	if !o.Store.Current {
		wrong(!has(func(a Action) bool { _, ok := a.(PutMember); return ok }), "B-094: a store that is away is written to")
	}
	if o.hurried() {
		wrong(plan.LookAgain <= s.RetryTimeout/2, "the lease is forgotten over the race")
	} else if !kills && !has(func(a Action) bool { _, ok := a.(Stop); return ok }) {
		renews := has(func(a Action) bool { _, ok := a.(Renew); return ok })
		quits := has(func(a Action) bool { _, ok := a.(Quit); return ok })
		wrong(renews == o.renewalDue() || quits, "the lease is renewed: %v, due: %v", renews, o.renewalDue())
		wrong(plan.LookAgain <= o.nextRenewal(), "the lease wants another look in %v, the plan in %v", o.nextRenewal(), plan.LookAgain)
	}
	wrong(plan.LookAgain > 0 || len(plan.Do) > 0, "a plan without actions asks to be looked at again at once")
	return faults
}

// unfit holds the taking of the key against S6: only a running primary, or work
// that makes one, or the candidate that a person named, is beyond these rules.
func unfit(o Observation, wrong func(bool, string, ...any)) {
	s, v := o.Store.Settings, o.Store.View
	if o.MayWrite() && (o.Server.Role == Primary || o.Job.Work != NoWork) {
		wrong(!s.Pause || o.Job.Work != NoWork || v.Failover.Candidate == o.Me.Name || !o.superseded(), "S2: an old primary takes the lead in a pause")
		return
	}
	if v.Leader.Name == o.Me.Name && o.crashedLeader() && !s.Pause {
		return // nobody has led since it was primary
	}
	if o.Right.LedLast && o.crashedLeader() && s.Pause && o.restarting() {
		wrong(o.newestTimeline() == 0 && !v.Failover.Requested(), "S3: a primary takes the key again, and another may have been promoted since")
		wrong(!slices.ContainsFunc(o.Peers.Answers, func(p Peer) bool { return p.Primary && !p.Silent }), "B-128: the key is taken beside a living primary")
		return
	}
	wrong(o.Server.Running && o.Server.Answering && o.Server.Role == Standby && o.Job.Work == NoWork, "the key is taken without a server")
	wrong(!o.Me.Tags.Nofailover(), "S6: nofailover takes the key")
	if s.Pause {
		wrong(v.Failover.Candidate == o.Me.Name, "B-505: a standby takes the key while paused")
		return
	}
	if s.Failsafe && len(v.Failsafe) > 0 {
		wrong(v.Failsafe[o.Me.Name] != "", "B-111: a member outside the failsafe map takes the key")
	}
	if s.Synchronous == "on" && v.Sync.Leader != "" {
		wrong(v.Sync.Includes(o.Me.Name), "S6: a member outside the sync set takes the key")
	}
	if !v.Failover.Requested() {
		wrong(o.Server.End.LSN >= v.Status.Optime || int64(v.Status.Optime-o.Server.End.LSN) <= s.MaximumLagOnFailover,
			"S6: a member that is too far behind takes the key")
	}
	for _, p := range o.Peers.Answers {
		listed := slices.ContainsFunc(o.opponents(), func(m cluster.Member) bool { return m.Name == p.Name })
		able := listed && !p.Silent && !p.Nofailover && !p.WatchdogFailed
		if able && p.Primary {
			wrong(v.Failover.Requested(), "B-128: the key is taken beside a living primary")
		}
		if able && p.End.Timeline > o.Server.End.Timeline && o.Server.End.Timeline > 0 {
			wrong(v.Failover.Requested() || o.syncActive(), "S3: the key is taken from under a later timeline")
		}
		if able && o.Me.Name != v.Failover.Candidate {
			wrong(o.Peers.Age <= o.Right.FreeFor+2*askAhead, "S2: positions are believed from while the last leader could still write")
		}
	}
}

// drawn is an observation by lot: every part is one of a few values, so that rare
// combinations come up.
func drawn(r *rand.Rand) Observation {
	start := []func() Observation{leader, standby, orphan, stopped, empty, unborn, former, elected, crashed, asked, founder}
	o := start[r.IntN(len(start))]()
	for range r.IntN(6) {
		mutate(r, &o)
	}
	// What cannot be observed: an answer from nobody, or without a role.
	o.Server.Answering = o.Server.Answering && o.Server.Running
	if o.Server.Answering && o.Server.Role == RoleUnknown {
		o.Server.Role = Standby
	}
	o.Server.Frozen = o.Server.Frozen && o.Server.Running && o.Right.Guarded
	o.Server.Answering = o.Server.Answering && !o.Server.Frozen
	return o
}

// right is a right by lot, as package permit can give it.
func right(r *rand.Rand) Right {
	yes := func() bool { return r.IntN(2) == 0 }
	some := func() time.Duration {
		return pick(r, 1, 50*time.Millisecond, 400*time.Millisecond, time.Second, loop, time.Minute)
	}
	out := Right{Guarded: r.IntN(3) > 0, FreeIn: Idle, Mixed: yes(), Barred: r.IntN(5) == 0}
	switch r.IntN(4) {
	case 0: // a leader: with a permit, with one that has ended, without one yet
		out.Leading = true
		switch r.IntN(3) {
		case 0:
			out.Left, out.MayPromote = some(), yes()
		case 1:
			out.Over = some()
		}
	case 1: // it may take over
		out.Free, out.FreeIn, out.FreeFor = true, 0, pick(r, 0, some())
		out.Overdue, out.Releasing, out.LedLast = yes(), r.IntN(10) == 0, yes()
	case 2: // in the quiet period
		out.FreeIn, out.Overdue, out.LedLast = some(), yes(), yes()
	case 3: // the electorate names others, or nothing is known
		out.Overdue, out.Releasing = yes(), yes()
	}
	return out
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func mutate(r *rand.Rand, o *Observation) {
	seconds := func() time.Duration {
		return pick(r, 0, 50*time.Millisecond, time.Second, 4*time.Second, loop, 30*time.Second, Idle)
	}
	yes := func() bool { return r.IntN(2) == 0 }
	point := func() wal.Point {
		return at(pick[wal.Timeline](r, 0, 1, 2, 3, 4, 5), pick[wal.LSN](r, 0, flushed-2_000_000, flushed-1, flushed, flushed+1, flushed+101))
	}
	name := func() string { return pick(r, "", "n1", "n2", "n3", "n9") }
	work := func() Work { return Work(r.IntN(int(StoppingServer) + 1)) }
	purpose := func() Purpose { return Purpose(r.IntN(int(ForReinitialize) + 1)) }
	switch r.IntN(28) {
	case 0:
		o.Store.Current = yes()
		o.Store.Silent = !o.Store.Current || yes()
	case 1:
		o.Store.View.Leader = cluster.Leader{Name: name(), Lease: leaseID + int64(r.IntN(3))}
	case 2:
		o.Right = right(r)
	case 3:
		o.Store.Settings.Pause = yes()
	case 4:
		o.Server.Role = pick(r, RoleUnknown, Primary, Standby)
	case 5:
		o.Server.Running, o.Server.Answering = yes(), false
	case 6:
		o.Server.Answering = o.Server.Running && yes()
	case 7:
		o.Server.End = point()
	case 8:
		o.Server.Directory = pick(r, NoAccess, Empty, Data, HalfCopied)
	case 9:
		o.Server.Unfinished = pick(r, NoWork, Bootstrapping, Copying, Rewinding)
	case 10:
		o.Job = Job{Work: work(), Purpose: purpose(), Running: seconds(), Shutdown: pick(r, wal.Point{}, at(3, flushed))}
	case 11:
		o.Last = Finished{Count: 1, Work: work(), Purpose: purpose(), Failed: yes(), Ago: seconds(), Optime: pick[wal.LSN](r, 0, flushed)}
	case 12:
		o.Stopping = yes()
	case 13:
		o.Me.Tags = pick(r, nil, cluster.Tags{"nofailover": true}, cluster.Tags{"failover_priority": 5}, cluster.Tags{"nostream": true}, cluster.Tags{"replicatefrom": "n3"})
	case 14:
		o.Store.View.Failover = cluster.Failover{Leader: name(), Candidate: name(), Modified: 8,
			At: pick(r, "", "", "2030-01-02T12:00:00+00:00", "2030-01-02T12:00:05+00:00", "nonsense")}
	case 15:
		synchronous(pick(r, "", "on", "quorum"), r.IntN(3), pick(r, []string{"n2"}, []string{"n2", "n3"}, nil)...)(o)
	case 16:
		o.Store.View.Initialize = pick(r, cluster.Initialize{}, cluster.Initialize{Present: true, Modified: 5},
			cluster.Initialize{Present: true, Value: systemID, Modified: 2}, cluster.Initialize{Present: true, Value: otherID, Modified: 2})
	case 17:
		o.Log = pick(r, LeaderLog{}, logOfFour(flushed), LeaderLog{Leader: o.Store.View.Leader.Name, Primary: yes(), Failed: yes(),
			SystemID: pick(r, systemID, otherID), History: historyOfThree(), Age: seconds()})
	case 18:
		o.Peers = Peers{Asked: yes(), Age: seconds(), Done: seconds(), Answers: []Peer{
			{Name: "n1", Silent: yes(), Primary: yes(), End: point()}, {Name: "n2", Silent: yes(), End: point()},
			{Name: "n3", Silent: yes(), Nofailover: yes(), End: point(), Priority: r.IntN(3)}}}
		o.Store.Leaderless = seconds()
	case 19:
		o.Me.UseRewind, o.Me.RemoveOnDiverged, o.Me.RemoveOnRewindFailure, o.Server.CanRewind = yes(), yes(), yes(), yes()
		o.Memory.RewindLost, o.Server.WasPrimary, o.Server.Clean = yes(), yes(), yes()
	case 20:
		o.Store.LeaseID, o.Store.LeaseAge, o.Store.RenewTry = pick[int64](r, 0, leaseID, leaseID+1), seconds(), seconds()
	case 21:
		o.Store.View.Initialize.Lease, o.Memory.Released, o.Memory.Awake = pick(r, 0, o.Store.LeaseID), seconds(), seconds()
		o.Memory.StatusAge, o.Memory.MemberAge, o.Store.Applied = seconds(), seconds(), pick[int64](r, 0, 3)
	case 22:
		o.Store.Settings.PrimaryStartTimeout, o.Store.Settings.CheckTimeline, o.Store.Settings.Failsafe = pick(r, 0, 300*time.Second), yes(), yes()
		o.Store.View.Failsafe = pick(r, nil, map[string]string{"n1": "u", "n2": "u"}, map[string]string{"n3": "u"})
	case 23:
		o.Server.Frozen, o.Server.Outgrown = yes(), yes()
	case 24:
		o.Server.SystemID = pick(r, systemID, systemID, otherID, "")
	case 25, 26:
		o.Order = Order{Task: pick(r, ToRestart, ToReinitialize), Force: yes(), FromLeader: yes(), Age: seconds(), TakenUp: yes(), Since: seconds(),
			After: r.IntN(2), Told: yes(), Timeout: pick(r, 0, time.Second), Conditions: Conditions{Pending: r.IntN(5) == 0}}
	case 27:
		o.Server.Started = noon.Add(-time.Hour)
		o.Schedule = Schedule{At: noon.Add(pick(r, 0, -time.Minute, time.Second)), Started: pick(r, noon, o.Server.Started)}
	}
}

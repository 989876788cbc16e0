package ha

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"matriarch/internal/cluster"
)

// TestWhatAMemberSaysOfItself is B-098: a case states what differs from the healthy
// member's key.
func TestWhatAMemberSaysOfItself(t *testing.T) {
	unpositioned := func(m *cluster.Member) {
		m.Location, m.ReceiveLSN, m.ReplayLSN, m.Timeline, m.ReplicationState = 0, 0, 0, 0, ""
	}
	said := func(state cluster.State, role cluster.Role) func(*cluster.Member) {
		return func(m *cluster.Member) {
			unpositioned(m)
			m.State, m.Role = state, role
		}
	}
	down := func(o *Observation) { o.Server.Running, o.Server.Answering, o.Server.Role = false, false, RoleUnknown }
	cases := []struct {
		name   string
		start  func() Observation
		change func(*Observation)
		want   func(*cluster.Member)
	}{
		{"a leader", leader, func(*Observation) {}, func(*cluster.Member) {}},
		{"a standby", standby, func(*Observation) {}, func(*cluster.Member) {}},
		{"from the archive", standby, func(o *Observation) { o.Server.Streaming, o.Server.Archive = false, true },
			func(m *cluster.Member) { m.ReplicationState = cluster.InArchiveRecovery }},
		{"neither", standby, func(o *Observation) { o.Server.Streaming = false }, func(m *cluster.Member) { m.ReplicationState = "" }},
		{"starting", standby, func(o *Observation) { o.Server.Answering, o.Server.Starting = false, true },
			said(cluster.StateStarting, cluster.RoleReplica)},
		{"busy, but running", standby, func(o *Observation) { o.Server.Answering = false }, said(cluster.StateRunning, cluster.RoleReplica)},
		{"stopped", standby, down, said(cluster.StateStopped, cluster.RoleReplica)},
		{"crashed", leader, both(down, func(o *Observation) { o.Memory.Crashed, o.Server.WasPrimary = true, true }), said(cluster.StateCrashed, cluster.RolePrimary)},
		{"it did not start", standby, both(down, finished(StartingStandby, ForNothing, true, 0)), said(cluster.StateStartFailed, cluster.RoleReplica)},
		{"creating the cluster", standby, both(down, working(Bootstrapping, ForNothing), func(o *Observation) { o.Server.Directory = HalfCopied }),
			said(cluster.StateInitializing, cluster.RoleUninitialized)},
		{"which failed", standby, both(down, finished(Bootstrapping, ForNothing, true, 0), func(o *Observation) { o.Server.Directory = HalfCopied }),
			said(cluster.StateInitdbFailed, cluster.RoleUninitialized)},
		{"creating it by a command", standby, both(down, working(Bootstrapping, ForNothing), func(o *Observation) { o.Me.CustomBootstrap = true }),
			said(cluster.StateCustomRunning, cluster.RoleReplica)},
		{"which is done, and its server recovers", standby, both(working(Bootstrapping, ForNothing), func(o *Observation) { o.Me.CustomBootstrap = true }),
			func(m *cluster.Member) {
				m.State, m.Location, m.Timeline, m.ReceiveLSN, m.ReplayLSN, m.ReplicationState = cluster.StateCustomStarting, 0, 0, 0, 0, ""
			}},
		{"which failed", standby, both(down, finished(Bootstrapping, ForNothing, true, 0), func(o *Observation) { o.Me.CustomBootstrap = true }),
			said(cluster.StateCustomFailed, cluster.RoleReplica)},
		{"asking pre_promote", standby, working(Preparing, ForNothing), func(*cluster.Member) {}},
		{"copying", standby, both(down, func(o *Observation) { o.Job = Job{Work: Copying, Progress: "42%"} }), func(m *cluster.Member) {
			said(cluster.StateCreatingCopy, cluster.RoleUninitialized)(m)
			m.Progress = "base backup 42%"
		}},
		{"rewinding: a member with a past", standby, both(down, func(o *Observation) {
			o.Job, o.Server.Directory = Job{Work: Rewinding, Progress: "7%"}, HalfCopied
		}), func(m *cluster.Member) {
			said(cluster.StateStopped, cluster.RoleReplica)(m)
			m.Progress = "rewind 7%"
		}},
		{"an empty directory", standby, both(down, func(o *Observation) { o.Server.Directory = Empty }), said(cluster.StateStopped, cluster.RoleUninitialized)},
		{"being promoted: nobody may rewind from it yet (B-301)", elected, working(Promoting, ForNothing), func(m *cluster.Member) {
			m.Role, m.CheckpointPending, m.ReplicationState = cluster.RolePromoted, true, ""
		}},
		{"promoted, its checkpoint not written (B-223)", leader, func(o *Observation) { o.Server.CheckpointTimeline = 2 },
			func(m *cluster.Member) { m.CheckpointPending = true }},
		{"stopping for a hand-over", leader, working(StoppingServer, ForHandOver), said(cluster.StateStopping, cluster.RolePrimary)},
		{"and handed over", leader, both(working(StoppingServer, ForHandOver), theirs), said(cluster.StateStopping, cluster.RoleDemoted)},
		{"and down", leader, both(down, theirs, finished(StoppingServer, ForHandOver, false, 0)), said(cluster.StateStopped, cluster.RoleDemoted)},
		{"paused", standby, paused, func(m *cluster.Member) { m.Pause = true }},
		{"settings that wait for a restart", standby, func(o *Observation) {
			o.Server.PendingRestart = map[string]cluster.Change{"port": {Old: "1", New: "2"}}
		},
			func(m *cluster.Member) {
				m.PendingRestart, m.PendingReason = true, map[string]cluster.Change{"port": {Old: "1", New: "2"}}
			}},
		{"B-719: tags that are off are not said", standby, func(o *Observation) { o.Me.Tags = cluster.Tags{"nofailover": false, "clonefrom": true} },
			func(m *cluster.Member) { m.Tags = cluster.Tags{"clonefrom": true} }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := c.start()
			c.change(&o)
			want, _ := o.Store.View.Member(o.Me.Name)
			if c.start().Server.Role == Primary {
				want = member(o.Me.Name, cluster.RolePrimary)
			}
			want.Lease, want.Tags = 0, cluster.Tags{}
			c.want(&want)
			if got := o.member(); !reflect.DeepEqual(got, want) {
				t.Errorf("member:\n  %+v\nwant:\n  %+v", got, want)
			}
		})
	}
}

func TestTheMemberKeyIsWrittenWhenItSaysSomethingNew(t *testing.T) {
	moved := func(o *Observation) { o.Server.Received, o.Server.End.LSN = flushed+9, flushed+9 }
	cases := []struct {
		name   string
		change func(*Observation)
		want   bool
	}{
		{"nothing new", func(*Observation) {}, false},
		{"a state: at once", func(o *Observation) { o.Server.Streaming = false }, true},
		{"a position: not at once", moved, false},
		{"a position: after loop_wait", both(moved, func(o *Observation) { o.Memory.MemberAge = loop }), true},
		{"nothing new after loop_wait", func(o *Observation) { o.Memory.MemberAge = loop }, false},
		{"the first position: at once", func(o *Observation) { o.Store.View.Members[1].Location = 0 }, true},
		{"the key is gone", func(o *Observation) { o.Store.View.Members = o.Store.View.Members[:1] }, true},
		{"the key hangs on another lease", func(o *Observation) { o.Store.View.Members[1].Lease = 5 }, true},
		{"without a lease it cannot be written", func(o *Observation) { o.Store.LeaseID = 0 }, false},
		{"but with the one that this pass gets", func(o *Observation) { o.Store.LeaseID, o.Store.RenewTry = 0, Idle }, true},
		{"B-094: nothing is written to a store that is away", both(storeAway, func(o *Observation) { o.Server.Streaming = false }), false},
	}
	for _, c := range cases {
		o := standby()
		c.change(&o)
		wrote := false
		for _, a := range Decide(o).Do {
			_, put := a.(PutMember)
			wrote = wrote || put
		}
		if wrote != c.want {
			t.Errorf("%s: written %v, want %v", c.name, wrote, c.want)
		}
	}
}

// TestTheMemberKeyWaitsForTheShortStepsOfTheWayBack: each would else wait for a store that
// is electing.
func TestTheMemberKeyWaitsForTheShortStepsOfTheWayBack(t *testing.T) {
	beyond := ends(at(3, flushed+101))
	repairing := func(ran time.Duration) func(*Observation) {
		return func(o *Observation) { o.Job = Job{Work: StoppingServer, Purpose: ForRepair, Running: ran} }
	}
	for name, c := range map[string]struct {
		from   func() Observation
		change func(*Observation)
		want   bool
	}{
		"nothing is to be done":              {standby, func(*Observation) {}, true},
		"the leader's log is read":           {stopped, unread, false},
		"a rewind begins":                    {stopped, beyond, false},
		"the leader's checkpoint is awaited": {stopped, both(beyond, func(o *Observation) { o.Store.View.Members[1].CheckpointPending = true }), true},
		"it is started":                      {stopped, func(*Observation) {}, true},
		"a stop for a repair":                {standby, repairing(time.Second), false},
		"one that takes long":                {standby, repairing(5 * time.Second), true},
		"a stop for another purpose":         {standby, func(o *Observation) { o.Job = Job{Work: StoppingServer, Purpose: ForRestart} }, true},
		"the rewind is under way":            {stopped, func(o *Observation) { o.Job = Job{Work: Rewinding} }, true},
		"there is no leader":                 {stopped, both(unread, func(o *Observation) { o.Store.View.Leader = cluster.Leader{} }), true},
	} {
		o := c.from()
		for i := range o.Store.View.Members {
			if o.Store.View.Members[i].Name == o.Me.Name {
				o.Store.View.Members[i].Lease = 5
			}
		}
		c.change(&o)
		plan := Decide(o)
		wrote := slices.ContainsFunc(plan.Do, func(a Action) bool { _, put := a.(PutMember); return put })
		if wrote != c.want {
			t.Errorf("%s: written %v in %v", name, wrote, plan)
		}
	}
}

// TestAMemberKeyReadBackSaysNothingNew guards against a circle of writes: the agent
// is woken by its own write and must find nothing left to say.
func TestAMemberKeyReadBackSaysNothingNew(t *testing.T) {
	for _, tags := range []cluster.Tags{nil, {"nofailover": true}, {"failover_priority": 2, "zone": "süd", "a": 1.5, "l": []any{1, "x"}, "m": map[string]any{"k": nil}}} {
		o := leader()
		o.Me.Tags = tags
		o.Server.PendingRestart = map[string]cluster.Change{"port": {Old: "1", New: "<2>"}}
		o.Memory.MemberAge = loop
		entries := map[string]cluster.Entry{"members/n1": {Data: o.member().Encode(), Lease: leaseID}}
		o.Store.View.Members = cluster.Parse(1, entries).Members
		if o.worthPutting(o.member()) {
			t.Errorf("tags %v: written again: %s", tags, o.member().Encode())
		}
	}
}

func TestUpkeepOfTheLease(t *testing.T) {
	tried := func(d time.Duration) func(*Observation) { return func(o *Observation) { o.Store.RenewTry = d } }
	aged := func(d time.Duration) func(*Observation) { return func(o *Observation) { o.Store.LeaseAge = d } }
	changed := func(o *Observation) { o.Store.Applied = 1 }
	apply := ApplyConfig{Document: map[string]any{"ttl": 30}, Modified: 3}
	decided(t, leader, []decision{
		{"renewed every loop_wait, and then left alone as long", both(aged(loop), tried(loop)), after(Leading, loop, Renew{})},
		{"not before", both(aged(9*time.Second), tried(9*time.Second)), wait(Leading, time.Second)},
		{"the next look is when it is due", both(aged(4*time.Second), tried(4*time.Second)), wait(Leading, 6*time.Second)},
		{"a renewal that failed is tried again after a pause", both(aged(12*time.Second), tried(400*time.Millisecond)), wait(Leading, 600*time.Millisecond)},
		{"the lease comes first, then the configuration, then the rest", both(aged(loop), tried(loop), changed, func(o *Observation) { o.Server.CheckpointTimeline = 2 }),
			after(Leading, loop, Renew{}, apply, Checkpoint{})},
		{"B-006: a configuration is applied once", changed, after(Leading, loop, apply)},
		{"one that is no object is not", both(changed, func(o *Observation) { o.Store.View.Config = cluster.Config{Modified: 4} }),
			after(Leading, loop, PutConfig{map[string]any{"ttl": 30}})},
	})
	decided(t, standby, []decision{
		{"one without a lease gets one, and writes its key", both(tried(Idle), func(o *Observation) { o.Store.LeaseID = 0 }),
			after(Following, loop, Renew{}, PutMember{standby().member()})},
		{"also while the store is away, and soon again", both(storeAway, aged(loop), tried(loop)), after(StoreAway, soon, Renew{})},
	})
}

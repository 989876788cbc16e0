package ha

import "matriarch/internal/cluster"

// undirected decides for a node without a usable data directory: create the
// cluster, copy it from the leader, or wait (B-045 to B-050, B-790 to B-793).
func undirected(o Observation) Plan {
	s := o.Store.Settings
	switch {
	case o.Server.Running && o.Server.Unfinished == Bootstrapping: // left by an agent that was killed in it
		return do(CreationFailed, KillServer{})
	case o.Server.Running: // the directory went away under the server, or was never whole
		return do(HalfWritten, KillServer{})
	case o.Leadership() == Ours:
		return do(StartFailed, Release{})
	case o.Server.Directory == NoAccess:
		return wait(DirectoryUnreadable, s.LoopWait)
	case s.Pause:
		return wait(Paused, s.LoopWait)
	case o.Server.Unfinished == Bootstrapping:
		return abandon(o)
	case o.Leadership() == Theirs:
		return copyFromLeader(o)
	}
	initialize := o.Store.View.Initialize
	switch {
	case o.creating():
		return do(CreationFailed, Unfound{Modified: initialize.Modified}) // created, but never begun
	case initialize.Bootstrapping():
		return wait(WaitingForCreation, s.LoopWait)
	case o.Store.View.Leader.Name != "" || o.Server.Directory != Empty:
		return wait(WaitingForLeader, s.LoopWait)
	case !initialize.Present && o.Me.MayBootstrap && !o.Me.Tags.Nofailover():
		return do(CreatingCluster, RaceInitialize{}, Bootstrap{}) // S5: one of us wins the key
	case o.Me.CopiesAlone:
		return cloneAlone(o)
	default:
		return wait(WaitingForLeader, s.LoopWait)
	}
}

// cloneAlone has a method make the copy that needs no server for it (B-792). Whether
// what it brings may ever lead, the race decides, as for any other member.
func cloneAlone(o Observation) Plan {
	if pause, ok := o.clonePaused(); ok {
		return pause
	}
	return do(CloningAlone, BaseBackup{})
}

// clonePaused is the rest between two tries (B-845).
func (o Observation) clonePaused() (Plan, bool) {
	if o.Last.Work == Copying && o.Last.Failed && o.Last.Ago < o.Store.Settings.LoopWait {
		return wait(ClonePaused, o.Store.Settings.LoopWait-o.Last.Ago), true
	}
	return Plan{}, false
}

// abandon puts aside the remains of a creation that failed, or that an earlier
// life of this agent was killed in: the next try finds a clean state.
func abandon(o Observation) Plan {
	actions := []Action{MoveAside{}}
	if i := o.Store.View.Initialize; i.Bootstrapping() && !o.createdElsewhere() {
		actions = append([]Action{Unfound{Modified: i.Modified}}, actions...)
	}
	if o.Last.Work == Bootstrapping { // B-808; the supervisor starts us again
		actions = append(actions, Quit{Fault: "creating the cluster failed: see the log above; the directory was moved aside"})
	}
	return do(CreationFailed, actions...)
}

// creating reports that it is this node that creates the cluster: the empty key
// hangs on our lease, whether or not the answer to our write came through.
func (o Observation) creating() bool {
	i := o.Store.View.Initialize
	return i.Bootstrapping() && i.Lease != 0 && i.Lease == o.Store.LeaseID
}

// createdElsewhere reports that another member is creating the cluster: then the
// initialize key is not the rest of our own try (S5).
func (o Observation) createdElsewhere() bool {
	for _, m := range o.Store.View.Members {
		switch m.State {
		case cluster.StateInitializing, cluster.StateCustomRunning, cluster.StateCustomStarting:
			if m.Name != o.Me.Name {
				return true
			}
		}
	}
	return false
}

// copyFromLeader fills the directory with a base backup. What is in it may be
// removed only where it is the rest of our own copy, or the configuration says
// so, and never unless the leader is of the same cluster and running (S4).
func copyFromLeader(o Observation) Plan {
	s := o.Store.Settings
	removable := o.Server.Directory == Empty || o.Server.Unfinished == Copying ||
		o.Server.Unfinished == Rewinding && (o.Me.RemoveOnDiverged || o.Me.RemoveOnRewindFailure)
	if !removable {
		return wait(HalfWritten, s.LoopWait)
	}
	return clone(o, Cloning)
}

// clone begins a base backup once the leader is known to be the right one.
func clone(o Observation, why Reason) Plan {
	if pause, ok := o.clonePaused(); ok {
		return pause
	}
	if plan, ok := knowLog(o); !ok {
		return plan
	}
	switch {
	case o.Log.Failed, !o.Log.Primary:
		return wait(WaitingForLeader, soon)
	case o.Log.SystemID != o.Store.View.Initialize.SystemID():
		return wait(WaitingForLeader, o.Store.Settings.LoopWait) // S4: not our cluster
	}
	return do(why, BaseBackup{From: o.copySource(), Wipe: true})
}

// copySource is a running member that is tagged as a source of copies, else the
// leader (B-840). With several, the first by name: the choice is the same on
// every node and a person can foresee it. It has to stream on the leader's
// timeline: a member that has forked off runs, too, and must not be copied (S3).
func (o Observation) copySource() Upstream {
	leader, _ := o.Store.View.LeaderMember()
	for _, m := range o.Store.View.Members {
		_, _, ok := m.Address()
		ok = ok && m.ReplicationState == cluster.Streaming && m.Timeline == leader.Timeline
		if ok && m.Tags.Clonefrom() && m.State == cluster.StateRunning && m.Name != o.Me.Name && m.Name != o.Store.View.Leader.Name {
			return upstream(m, "")
		}
	}
	return upstream(leader, "")
}

// uninitialized decides for a node with data in a cluster that has no identity
// and no leader yet (B-054, B-055, B-805, B-815, B-816).
func uninitialized(o Observation) Plan {
	initialize := o.Store.View.Initialize
	switch {
	case o.Store.Settings.Pause && o.Server.Running && o.Server.Answering && o.Server.Role == Primary:
		return race(o) // B-104: an empty store, a new one for example; the leader writes the rest
	case o.Store.Settings.Pause:
		return wait(Paused, o.Store.Settings.LoopWait)
	case o.Server.Running && !o.Server.Answering:
		return wait(Steady, soon)
	case o.Server.Running && o.Server.Role == Primary && o.creating():
		return do(ClusterCreated, Found{SystemID: o.Server.SystemID, Modified: initialize.Modified})
	case o.Server.Running && o.Server.Role == Standby && o.Last.Work == NoWork:
		return do(RunsAsStandbyAlone, Quit{Fault: "this server runs as a standby, and the store knows no such cluster: " +
			"start the agent beside the primary first"})
	case !cluster.ValidSystemID(o.Server.SystemID):
		return wait(HalfWritten, o.Store.Settings.LoopWait) // B-050
	case o.Server.Running && o.Server.Role == Standby:
		return race(o) // the key was lost under a living cluster; the next leader writes it again
	default:
		return do(AdoptingCluster, AdoptInitialize{SystemID: o.Server.SystemID, Modified: initialize.Modified})
	}
}

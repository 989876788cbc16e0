package ha

import (
	"strings"
	"time"

	"matriarch/internal/cluster"
)

// member is what this node publishes of itself (B-098).
func (o Observation) member() cluster.Member {
	m := cluster.Member{
		Name: o.Me.Name, ConnURL: o.Me.ConnURL, APIURL: o.Me.APIURL, ProxyURL: o.Me.ProxyURL, Version: o.Me.Version,
		State: o.State(), Role: o.Role(), Tags: o.Me.Tags.Published(), Pause: o.Store.Settings.Pause, Permit: true,
		Guard: o.Guard(), PendingRestart: len(o.Server.PendingRestart) > 0, PendingReason: o.Server.PendingRestart,
		CheckpointPending: o.Leadership() == Ours && (o.checkpointPending() || o.Role() == cluster.RolePromoted),
	}
	if o.goesAway() && !o.Me.Tags.Nosync() {
		m.Tags["nosync"], m.Tags["sync_priority"] = true, 0
	}
	if !o.Schedule.At.IsZero() {
		m.ScheduledRestart = o.Schedule.Published
	}
	switch o.Job.Work {
	case Copying:
		m.Progress = strings.TrimSpace("base backup " + o.Job.Progress)
	case Rewinding:
		m.Progress = strings.TrimSpace("rewind " + o.Job.Progress)
	}
	if !o.Server.Answering || o.Job.Work != NoWork && o.Job.Work != Promoting && o.Job.Work != Preparing {
		return m
	}
	m.Location, m.Timeline = o.Server.End.LSN, o.Server.End.Timeline
	if o.Server.Role == Standby {
		m.ReceiveLSN, m.ReplayLSN = o.Server.Received, o.Server.Replayed
		switch {
		case o.Server.Streaming:
			m.ReplicationState = cluster.Streaming
		case o.Server.Archive:
			m.ReplicationState = cluster.InArchiveRecovery
		}
	}
	return m
}

// Guard is how well the running server is kept from writing without the right to.
// While the cluster is paused nothing keeps it, and every view says so.
func (o *Observation) Guard() string {
	switch {
	case !o.Server.Running || o.Server.Guard == "":
		return ""
	case o.Store.Settings.Pause:
		return "off"
	default:
		return o.Server.Guard
	}
}

// State is what the server is doing, in Patroni's words.
func (o *Observation) State() cluster.State {
	switch {
	case o.Order.Task == ToReinitialize && o.Order.TakenUp:
		return cluster.StateCreatingCopy
	case o.restarting() && o.Job.Work == NoWork && !o.Server.Answering,
		o.Job.Work == StoppingServer && o.Job.Purpose == ForRestart, o.Job.starts() && o.Job.Purpose == ForRestart:
		return cluster.StateRestarting
	}
	switch o.Job.Work {
	case Bootstrapping:
		switch {
		case !o.Me.CustomBootstrap:
			return cluster.StateInitializing
		case o.Server.Running:
			return cluster.StateCustomStarting
		}
		return cluster.StateCustomRunning
	case Copying:
		return cluster.StateCreatingCopy
	case StartingPrimary, StartingStandby:
		return cluster.StateStarting
	case CopyingSlots:
		if !o.Server.Answering {
			return cluster.StateRestarting
		}
	case StoppingServer:
		return cluster.StateStopping
	}
	switch {
	case o.Server.Running && (o.Server.Starting || !o.Server.Answering && o.Server.Role == RoleUnknown):
		return cluster.StateStarting
	case o.Server.Running:
		return cluster.StateRunning
	case o.Last.started() && o.Last.Failed && o.Last.Purpose == ForRestart:
		return cluster.StateRestartFailed
	case o.Last.started() && o.Last.Failed:
		return cluster.StateStartFailed
	case o.Last.Work == Bootstrapping && o.Last.Failed && o.Me.CustomBootstrap:
		return cluster.StateCustomFailed
	case o.Last.Work == Bootstrapping && o.Last.Failed:
		return cluster.StateInitdbFailed
	case o.Memory.Crashed && !o.Store.Settings.Pause: // B-030
		return cluster.StateCrashed
	default:
		return cluster.StateStopped
	}
}

// Role is the node's role, in Patroni's words.
func (o *Observation) Role() cluster.Role {
	switch {
	case o.Job.Work == Rewinding: // half written, but not without a past
		return cluster.RoleReplica
	case o.Server.Directory != Data || o.Job.Work == Copying:
		return cluster.RoleUninitialized
	case o.Job.Work == Promoting:
		return cluster.RolePromoted
	case o.Job.Work == StoppingServer && o.Job.Purpose != ForRepair && o.Leadership() != Ours && o.Server.Role == Primary:
		return cluster.RoleDemoted
	case o.Server.Running && o.Server.Role == Primary:
		return cluster.RolePrimary
	case !o.Server.Running && o.Leadership() == Ours && o.Server.WasPrimary:
		return cluster.RolePrimary
	case !o.Server.Running && o.Last.Work == StoppingServer && o.Last.Purpose == ForAgentEnd && o.Server.WasPrimary:
		return cluster.RolePrimary // its last word, in Patroni too (compat/dcs.md §6)
	case !o.Server.Running && o.Last.Work == StoppingServer && o.Last.Purpose == ForHandOver:
		return cluster.RoleDemoted
	default:
		return cluster.RoleReplica
	}
}

// worthPutting reports that the member key has to be written: at once when it
// says something new, every loop_wait when only positions moved.
func (o *Observation) worthPutting(m cluster.Member) bool {
	if o.Store.LeaseID == 0 && !o.renewalDue() {
		return false
	}
	stored, ok := o.Store.View.Member(o.Me.Name)
	if !ok || stored.Lease != o.Store.LeaseID {
		return true
	}
	if o.Memory.MemberAge >= o.Store.Settings.LoopWait {
		return !m.Equal(stored)
	}
	return !withoutPositions(m).Equal(withoutPositions(stored))
}

func withoutPositions(m cluster.Member) cluster.Member {
	known := m.Location > 0
	m.Location, m.ReceiveLSN, m.ReplayLSN = 0, 0, 0
	if known {
		m.Location = 1
	}
	return m
}

// Idle is a very long time: the age of what has never happened.
const Idle = 1000 * time.Hour

package ha

import (
	"slices"
	"time"

	"matriarch/internal/cluster"
)

// down decides for a node whose server is not running although it has data.
func down(o Observation) Plan {
	switch o.Leadership() {
	case Ours:
		return downAsLeader(o)
	case Theirs:
		return rejoin(o)
	default:
		return downAlone(o)
	}
}

// downAsLeader restarts a crashed primary in place, or hands the key on (1.4 of
// compat/behaviour.md).
//
// The key has been ours without a gap since this server was primary, so nobody
// was promoted meanwhile and it may go on on its own timeline, also after an
// agent restart, where Patroni begins a new one (B-256).
func downAsLeader(o Observation) Plan {
	s := o.Store.Settings
	switch {
	case o.Last.Work == StoppingServer && o.Last.Purpose == ForHandOver && !o.Last.Failed:
		return do(HandingOver, Release{Optime: o.Last.Optime})
	case s.Pause && !(o.restarting() && o.Server.WasPrimary):
		return do(PausedReleasing, Release{}) // B-056
	case o.startFailedLately():
		return do(StartFailed, Release{}) // B-040
	case o.Right.Barred && !s.Pause:
		return do(Barred, Release{}) // B-274
	case !o.Server.WasPrimary:
		return do(StartAlone, StartStandby{})
	case !o.firm():
		return wait(NoPermit, soon)
	case o.restarting():
		return do(Restarting, StartPrimary{})
	case s.PrimaryStartTimeout > 0:
		return do(CrashRestart, StartPrimary{}) // B-251
	}
	candidates := o.candidates(false)
	if plan, ok := askedNow(o, candidates, CrashHandedOn); !ok {
		return plan
	}
	if o.failoverPossible(candidates, 0) {
		return do(CrashHandedOn, Release{}) // B-250
	}
	return do(CrashRestart, StartPrimary{})
}

// handOverPause is how long the old leader leaves the key to its successor after
// a switchover before it starts its server without one (B-157).
const handOverPause = 2 * time.Second

func downAlone(o Observation) Plan {
	if plan, ok := reclaim(o); ok {
		return plan
	}
	switch {
	case o.Right.Releasing:
		return wait(HandedOver, soon)
	case o.Store.View.Leader.Name == o.Me.Name && o.crashedLeader() && o.Right.FreeIn < Idle && !o.Right.Barred && (!o.Store.Settings.Pause || o.restarting()):
		// The key has been ours all the while, and this agent is new: once it is won
		// again the server may go on where it left off (B-256).
		return take(o, RaceRetaken)
	case o.Store.Settings.Pause && !o.comingBack():
		return wait(Paused, o.Store.Settings.LoopWait) // B-506
	case o.Memory.Released > 0 && o.Memory.Released < handOverPause && o.Last.Purpose == ForHandOver:
		return wait(HandedOver, handOverPause-o.Memory.Released)
	case o.startFailedLately():
		return wait(StartFailed, retryPause-o.Last.Ago)
	default:
		return do(StartAlone, StartStandby{}) // then the race decides
	}
}

// reclaim takes the lead again for a primary that went down in pause, and so gave the
// lead up (B-056), when a person has it restarted: it is to come back as what it was
// (B-702, B-104). ok is false where that is not plain.
//
// It began no new timeline when it was the last to lead and nobody has been promoted
// since: the log goes on where it ended, and has all that was acknowledged (S2, S3). That
// nobody is at it in this moment is seen to by the taking of the lead (S1), and whoever
// runs as a primary is asked besides: in pause a person may have made it one.
func reclaim(o Observation) (Plan, bool) {
	handedOver := o.Last.Work == StoppingServer && o.Last.Purpose == ForHandOver
	if !o.Store.Settings.Pause || !o.restarting() || !o.crashedLeader() || handedOver || !o.Right.LedLast || o.Right.FreeIn >= Idle ||
		o.Right.Releasing || o.Store.View.Failover.Requested() || o.newestTimeline() != 0 {
		return Plan{}, false
	}
	if plan, ok := askedNow(o, o.others(), RaceAsking); !ok {
		return plan, true
	}
	if slices.ContainsFunc(o.Peers.Answers, func(p Peer) bool { return p.Primary && !p.Silent }) ||
		slices.ContainsFunc(o.Store.View.Members, o.anotherPrimary) {
		return Plan{}, false
	}
	return take(o, RaceRetaken), true
}

// anotherPrimary reports that a member is another one, and said of itself last that it is
// a primary.
func (o Observation) anotherPrimary(m cluster.Member) bool {
	return m.Name != o.Me.Name && (m.Role == cluster.RolePrimary || m.Role == cluster.RolePromoted)
}

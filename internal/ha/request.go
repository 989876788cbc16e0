package ha

import (
	"slices"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// request is the leader's side of a switchover or failover that a person asked
// for (B-660 to B-671). ok is false when there is nothing to do about it now.
func request(o Observation) (Plan, bool) {
	s, f := o.Store.Settings, o.Store.View.Failover
	clear := func(why Reason) (Plan, bool) { return do(why, ClearFailover{Modified: f.Modified}), true }
	at, scheduled, err := f.Scheduled()
	switch {
	case f.At != "" && s.Pause:
		return Plan{}, false // B-511
	case err != nil:
		return clear(RequestUnreadable) // B-670: nobody can tell when
	case scheduled && at.Sub(o.Wall) > 0 && !o.Server.Answering:
		return Plan{}, false // nothing is settled
	case scheduled && at.Sub(o.Wall) > 0:
		return o.settled(wait(RequestScheduled, min(at.Sub(o.Wall), s.LoopWait))), true
	case f.FulfilledBy(o.Me.Name): // before it could count as late: the old leader may have stopped slowly
		return clear(RequestDone)
	case scheduled && o.Wall.Sub(at) > s.LoopWait*3/2:
		return clear(RequestLate)
	case f.Leader != "" && f.Leader != o.Me.Name, f.Candidate == o.Me.Name, s.Pause && f.Candidate == "":
		return clear(RequestMisaddressed) // B-662
	}
	candidates := o.candidates(false)
	if len(candidates) == 0 {
		return clear(RequestNoMember)
	}
	voters := o.voters(candidates)
	if plan, ok := askedNow(o, voters, RequestAsking); !ok {
		return plan, true
	}
	switch {
	case o.byVotes() && f.Switchover() && o.votesToCome(voters) <= o.Store.View.Sync.Quorum:
		return clear(RequestNoVotes)
	case !o.failoverPossible(candidates, 0):
		return clear(RequestNobodyAble)
	}
	if o.Job.Work == StartingPrimary {
		return do(HandingOver, CancelJob{For: ForHandOver}), true // then the key is released
	}
	// The checkpoint is written while clients still write; the one of the
	// shutdown then has little left to do.
	stop := Stop{Mode: Fast, For: ForHandOver, Checkpoint: true, Within: o.stopLimit()}
	if o.Server.Starting {
		// It has no checkpoint to write, and what its recovery hangs on can keep it from
		// stopping as well.
		stop.Checkpoint, stop.Within = false, s.RetryTimeout
	}
	return do(HandingOver, stop), true
}

// stopLimit is how long a primary has to stop before it is stopped harder; 0: without
// limit. In synchronous mode another member has what was acknowledged (B-152, B-172).
func (o Observation) stopLimit() time.Duration {
	if o.Store.Settings.Synchronous == "" {
		return 0
	}
	return max(0, o.Store.Settings.PrimaryStopTimeout)
}

// candidates are the members that could take over (B-140). Without the one that
// was asked for by name when it has proved unfit.
func (o Observation) candidates(withoutNamed bool) []cluster.Member {
	f, sync := o.Store.View.Failover, o.Store.View.Sync
	manual := f.Candidate != "" && !f.Switchover()
	var out []cluster.Member
	for _, m := range o.Store.View.Members {
		switch {
		case m.Name == o.Me.Name, m.APIURL == "", m.Tags.Nofailover():
		case f.Candidate != "" && !withoutNamed && m.Name != f.Candidate:
		case f.Candidate != "" && withoutNamed && m.Name == f.Candidate:
		case o.syncActive() && !manual && !sync.Includes(m.Name):
		default:
			out = append(out, m)
		}
	}
	return out
}

// voters are the members by whose votes the candidate that a switchover names has to win,
// the candidate among them. Patroni steps down without asking the others (B-142), and where
// votes are missing the lead goes to nobody until it is back. Without votes, or a name, they
// are the candidates.
func (o Observation) voters(candidates []cluster.Member) []cluster.Member {
	f := o.Store.View.Failover
	if !o.byVotes() || f.Candidate == "" || !f.Switchover() {
		return candidates
	}
	return slices.DeleteFunc(slices.Clone(o.Store.View.Members), func(m cluster.Member) bool {
		return m.Name == o.Me.Name || m.APIURL == "" || !o.Store.View.Sync.Includes(m.Name)
	})
}

// votesToCome is how many of the voters answered, the candidate with them.
func (o Observation) votesToCome(voters []cluster.Member) int {
	n := 0
	for _, p := range o.Peers.of(voters) {
		if !p.Silent {
			n++
		}
	}
	return n
}

// failoverPossible reports that at least one of the members answered and could
// take over: not too far behind, or, once the shutdown position is known, not
// behind it at all (B-141, S6). With quorum commit and nobody named there have to be the
// votes for one of them as well, else the lead would go to nobody (B-142).
func (o Observation) failoverPossible(members []cluster.Member, shutdown wal.LSN) bool {
	able := 0
	for _, m := range members {
		if slices.ContainsFunc(o.Peers.Answers, func(p Peer) bool { return p.Name == m.Name && o.couldLead(p, shutdown) }) {
			able++
		}
	}
	named := len(members) == 1 && members[0].Name == o.Store.View.Failover.Candidate
	if o.byVotes() && !named {
		return able > o.Store.View.Sync.Quorum
	}
	return able > 0
}

// couldLead reports that a member's answer does not speak against it as the next leader.
func (o Observation) couldLead(p Peer, shutdown wal.LSN) bool {
	s, v := o.Store.Settings, o.Store.View
	switch {
	case p.Silent, p.Nofailover, p.WatchdogFailed:
	case shutdown == 0 && v.Failover.Switchover() && o.Leadership() == Nobody && !o.electable(p):
	case s.CheckTimeline && p.End.Timeline < v.Timeline():
	case shutdown > 0 && p.End.LSN <= shutdown: // it lacks the checkpoint's record
	case shutdown == 0 && behind(p.End.LSN, v.Status.Optime) > s.MaximumLagOnFailover:
	default:
		return true
	}
	return false
}

// busy decides while long work is under way: nothing that would get in its way.
func busy(o Observation) Plan {
	s := o.Store.Settings
	switch {
	case o.Job.Work == StoppingServer:
		return stopping(o)
	case o.Job.Work == Preparing && o.Leadership() != Ours:
		return Plan{Why: Busy, Do: []Action{CancelJob{}}, LookAgain: soon} // B-203
	case o.Right.Barred && o.MayWrite() && (o.Job.Work == StartingPrimary || o.Job.Work == Promoting) && !s.Pause:
		return do(Barred, KillServer{}) // B-273
	case o.Leadership() == Nobody && o.MayWrite() && !o.Right.Barred && !s.Pause:
		return take(o, RaceRetaken) // the lead went away under a promotion or a start
	case o.Job.Work == StartingPrimary && o.Leadership() == Ours && o.Store.Current:
		return recovering(o)
	}
	return wait(Busy, s.LoopWait)
}

// recovering decides for the leader whose primary is being started, which takes as long
// as its recovery. A person who asks for another leader need not wait for the end of that
// (B-034, B-664): what had not been sent to the others before the crash is given up, as
// with B-032. One that answers takes writes already, and is stopped in order in a moment,
// when the start has ended as well.
func recovering(o Observation) Plan {
	s, f := o.Store.Settings, o.Store.View.Failover
	if f.Requested() && !o.Server.Answering {
		if plan, ok := request(o); ok {
			return plan
		}
	}
	if o.Job.Running > o.startLimit() && !s.Pause {
		candidates := o.candidates(false)
		if plan, ok := askedNow(o, candidates, BusyStartTooSlow); !ok {
			return plan
		}
		if o.failoverPossible(candidates, 0) {
			return do(BusyStartTooSlow, CancelJob{}) // B-032; then the key is released
		}
	}
	if at, scheduled, err := f.Scheduled(); scheduled && err == nil && at.After(o.Wall) {
		return wait(Busy, min(at.Sub(o.Wall), s.LoopWait))
	}
	return wait(Busy, s.LoopWait)
}

// stopping releases the key during a hand-over as soon as a candidate has the
// shutdown checkpoint: the log is closed, so nothing can be acknowledged any more
// however long the archive takes to drain (B-153).
func stopping(o Observation) Plan {
	why := Busy
	switch o.Job.Purpose {
	case ForHandOver:
		why = HandingOver
	case ForAgentEnd:
		why = AgentEnding
	default:
		return wait(Busy, o.Store.Settings.LoopWait)
	}
	if o.Job.Purpose == ForAgentEnd && o.Server.Frozen && o.MayWrite() && !o.Store.Current {
		// Members and store are gone, as when a whole cluster is stopped: it would stop in
		// order only with a permit, which nobody is there to give.
		return do(why, KillServer{})
	}
	if o.Job.Shutdown.LSN == 0 || o.Leadership() != Ours || !o.Store.Current {
		// Without the store nobody could take the lead that is given up, and the
		// server, once down, may be restarted in place (L3).
		return wait(why, o.Store.Settings.LoopWait)
	}
	candidates := o.candidates(false)
	if o.failoverPossible(candidates, o.closing()) {
		if o.Job.Optime > 0 {
			return do(why, Release{Optime: o.Job.Optime})
		}
		return do(why, Release{Optime: o.Job.Shutdown.LSN})
	}
	if !o.Peers.Asked || o.Peers.Done >= hurriedAsk {
		// One that gave no answer a moment ago would cost the time until it gives none
		// again, and clients wait.
		candidates = slices.DeleteFunc(candidates, o.silentLately)
		if len(candidates) > 0 {
			return do(why, AskPeers{Members: candidates, Within: 2 * soon})
		}
		return wait(why, soon)
	}
	return wait(why, hurriedAsk)
}

// closing is what a candidate must have of our log before the key is released. With the
// last record of all, it promotes where our log ends, and we follow it without a rewind,
// which would take our slots away. It is being sent that, but a standby that gets its log
// from an archive alone may never do: then what was switched to is not waited for (B-137).
func (o Observation) closing() wal.LSN {
	if o.Job.Closed < closingPatience {
		return max(o.Job.Shutdown.LSN, o.Job.Checkpoint)
	}
	return o.Job.Shutdown.LSN
}

// closingPatience is more than a standby that streams needs for a segment: the stop ends
// with its receipt, unless an archive keeps it.
const closingPatience = time.Second

// hurriedAsk is the pause between two questions to the candidates whether they have
// the shutdown checkpoint. The old primary sends it before it ends, so it is a matter
// of milliseconds.
const hurriedAsk = 10 * time.Millisecond

// end brings the node to rest because its agent was told to end (B-744 to B-747).
func end(o Observation) Plan {
	switch {
	case o.Store.Settings.Pause:
		return do(AgentEnded, Quit{}) // B-507: PostgreSQL and the key are left alone
	case o.Job.Work == StoppingServer:
		return stopping(o)
	case o.Job.Work != NoWork:
		return Plan{Why: AgentEnding, Do: []Action{CancelJob{}}, LookAgain: time.Second}
	case o.Right.Releasing && o.Store.Current && o.Memory.Released < o.Store.Settings.RetryTimeout:
		return wait(AgentEnding, soon) // the others need not wait if the store knows
	case o.Server.Frozen && o.MayWrite():
		return do(AgentEnding, KillServer{}) // it cannot be stopped in order, nor let go
	case o.onDuty() && o.Memory.Ending < 2*o.Store.Settings.LoopWait:
		return wait(AgentEnding, soon)
	case o.Server.Running:
		primary := o.Server.Role == Primary
		stop := Stop{Mode: Fast, For: ForAgentEnd, Checkpoint: primary && o.Server.Answering}
		if primary {
			stop.Within = o.stopLimit()
		}
		return do(AgentEnding, stop)
	case o.Leadership() == Ours && o.Last.Work == StoppingServer && !o.Last.Failed:
		return do(AgentEnding, Release{Optime: o.Last.Optime})
	case o.Leadership() == Ours:
		return do(AgentEnding, Release{})
	default:
		return do(AgentEnded, Quit{})
	}
}

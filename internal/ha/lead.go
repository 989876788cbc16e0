package ha

import (
	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// lead decides for the holder of the leader key whose server runs.
func lead(o Observation) Plan {
	s, f := o.Store.Settings, o.Store.View.Failover
	switch {
	case !o.Server.Answering:
		return unanswered(o)
	case o.Server.Role == Standby && s.Pause && f.Candidate != o.Me.Name:
		return do(PausedReleasing, Release{}) // B-071
	case o.Server.Role == Standby && o.Right.Barred && !s.Pause:
		return barredStandby(o)
	case o.Server.Role == Standby && o.Memory.SyncLost && !o.namedByHand():
		return do(PromotionOverruled, Release{}) // S2: the race was won by another key
	case o.Server.Role == Standby && !o.Right.MayPromote:
		return wait(NoPermit, soon)
	case o.Server.Role == Standby:
		plan, clear := o.promotion(), ClearFailover{Modified: f.Modified}
		switch {
		case !f.Requested():
		case plan.Why == PromotionRefused:
			// First: once the lead is given up it is nobody's to clear, and all would
			// leave the lead to a candidate that does not take it.
			plan.Do = append([]Action{clear}, plan.Do...)
		case s.Pause: // it may take a while, and the name is what lets this member go on
		default:
			plan.Do = append(plan.Do, clear) // B-063
		}
		return plan
	case f.Requested():
		if plan, ok := request(o); ok {
			return plan
		}
	}
	return o.settled(wait(Leading, s.LoopWait))
}

// unanswered decides for a leader whose server is starting or out of connections: the
// lease goes on (B-095), and a person who asks for another leader need not wait for the
// end of that (B-034). What is frozen cannot be stopped in order.
func unanswered(o Observation) Plan {
	if o.Store.View.Failover.Requested() && o.Server.Role != Standby && !o.Server.Frozen {
		if plan, ok := request(o); ok {
			return plan
		}
	}
	return wait(Leading, soon)
}

// settled adds what a leader does besides when nothing moves its lead: what it has to
// write down, its slots, and who its commits wait for.
func (o Observation) settled(plan Plan) Plan {
	plan.Do = o.leaderRecords()
	actions, steady := o.synchronize()
	plan.LookAgain = min(plan.LookAgain, o.syncWait(steady))
	plan = keepSlots(o, plan)
	plan.Do = append(plan.Do, actions...)
	return plan
}

// promotion has the server promoted, once the user's command has agreed to it (B-202).
// One that does not has the lead given up, and keeps this member out of the race for a
// while (B-275, B-101).
func (o Observation) promotion() Plan {
	switch {
	case !o.Me.AsksPrePromote || o.Memory.Prepared:
		return do(Promotion, append(o.promotionSync(), Promote{Above: o.newestTimeline()})...)
	case o.unprepared():
		return do(PromotionRefused, Release{})
	default:
		return do(PromotionAsked, PrePromote{})
	}
}

// unprepared reports that the user's command has refused a promotion lately.
func (o Observation) unprepared() bool {
	return o.Memory.Unprepared > 0 && o.Memory.Unprepared < o.Store.Settings.TTL
}

// timelinesMissed is how many numbers a promotion may pass over. More is not a
// cluster's history but garbage in the store.
const timelinesMissed = 1000

// NextTimeline is the number that a promotion now would give, as far as is known.
func (o *Observation) NextTimeline() wal.Timeline {
	return max(o.newestTimeline(), o.Server.End.Timeline) + 1
}

// newestTimeline is the highest number that is known to have been given to a
// timeline of this cluster; 0 if this server is on it. PostgreSQL takes the next
// number of which its own disk knows nothing. A standby that missed a whole reign
// would give that reign's number to its own timeline, and nothing could tell the
// two logs apart afterwards (S3).
func (o *Observation) newestTimeline() wal.Timeline {
	own := o.Server.End.Timeline
	newest := max(o.Store.View.Timeline(), o.Log.History.Timeline)
	if o.Right.Claimed > 0 {
		newest = max(newest, o.Right.Claimed-1) // the highest is this leader's own
	}
	for _, m := range o.Store.View.Members {
		newest = max(newest, m.Timeline)
	}
	for _, p := range o.Peers.Answers {
		newest = max(newest, p.End.Timeline)
	}
	if newest <= own || newest-own > timelinesMissed {
		return 0
	}
	return newest
}

// leaderRecords are the writes of a settled leader: the identity and the
// configuration where they were lost (B-015, B-016), status, history, and the
// checkpoint that lets others rewind from here (B-224).
func (o *Observation) leaderRecords() []Action {
	var actions []Action
	v := o.Store.View
	if v.Initialize.SystemID() == "" && cluster.ValidSystemID(o.Server.SystemID) {
		actions = append(actions, AdoptInitialize{SystemID: o.Server.SystemID, Modified: v.Initialize.Modified})
	}
	if !v.Config.Valid && len(o.Store.Dynamic) > 0 {
		actions = append(actions, PutConfig{Document: o.Store.Dynamic})
	}
	if o.Memory.StatusAge >= min(settle, o.Store.Settings.LoopWait) { // else it is not due, whatever it says
		if status := o.status(); o.statusDue(status) {
			actions = append(actions, PutStatus{Status: status})
		}
	}
	if data, due := v.FailsafeWrite(o.Store.Settings, o.Me.Name, o.Me.APIURL); due {
		actions = append(actions, PutFailsafe{Data: string(data)})
	}
	if history, changed := o.history(); changed {
		actions = append(actions, PutHistory{History: history})
	}
	if o.checkpointPending() {
		actions = append(actions, Checkpoint{})
	}
	return actions
}

// checkpointPending reports that the control file still names the timeline from
// before the promotion.
func (o *Observation) checkpointPending() bool {
	return o.Server.Role == Primary && o.Server.CheckpointTimeline != 0 && o.Server.CheckpointTimeline < o.Server.End.Timeline
}

// statusDue reports that the status has to be written: every loop_wait, and soon when
// there is a slot that the others do not know, since they make their own by it.
func (o *Observation) statusDue(status cluster.Status) bool {
	stored := o.Store.View.Status
	due := o.Store.Settings.LoopWait
	if !sameNames(status.Slots, stored.Slots) {
		due = settle
	}
	return o.Memory.StatusAge >= due && !status.Equal(stored)
}

func sameNames(a, b map[string]wal.LSN) bool {
	for name := range a {
		if _, both := b[name]; !both {
			return false
		}
	}
	return len(a) == len(b)
}

// status is what the leader writes of itself: its position, that of every slot,
// and the slots of absent members that are still kept (B-340, B-336).
func (o *Observation) status() cluster.Status {
	status := cluster.Status{Known: true, Optime: o.Server.End.LSN, Slots: o.publishedSlots()}
	if o.Store.Settings.UseSlots {
		status.Retain = o.retained()
	}
	return status
}

// history is what the history key should hold (B-880 to B-883).
func (o *Observation) history() (cluster.History, bool) {
	stored, own := o.Store.View.History, o.Server.History
	if o.Server.End.Timeline == 1 {
		return cluster.History{Known: true}, stored.Known && len(stored.Lines) > 0
	}
	if own.Timeline != o.Server.End.Timeline || len(own.Switches) == 0 {
		return cluster.History{}, false // not read yet
	}
	if n := len(stored.Lines); n > 0 {
		if l := stored.Lines[n-1]; l.Timeline == own.Timeline-1 && l.When != "" && l.NewLeader != "" {
			return cluster.History{}, false
		}
	}
	out := cluster.History{Known: true}
	for i, s := range own.Switches {
		line := cluster.HistoryLine{Timeline: s.Timeline, LSN: s.LSN, Reason: s.Reason}
		if i == len(own.Switches)-1 {
			line.When, line.NewLeader = o.Server.HistoryTime, o.Me.Name
		} else {
			for _, old := range stored.Lines {
				if old.Timeline == line.Timeline && old.LSN == line.LSN {
					line.When, line.NewLeader = old.When, old.NewLeader
				}
			}
		}
		out.Lines = append(out.Lines, line)
	}
	if keep := o.Store.Settings.MaxTimelinesHistory; keep > 0 && len(out.Lines) > keep {
		out.Lines = out.Lines[len(out.Lines)-keep:]
	}
	// Where a promotion passed over a number, the last line never is that of the
	// timeline before ours: what is stored already must not be written again.
	return out, string(out.Encode()) != string(stored.Encode())
}

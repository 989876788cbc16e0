package ha

import (
	"slices"
	"strings"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// settle is when to look again after slots were made or dropped: what follows from
// it, for example that others learn of a new one, is not to wait for loop_wait.
const settle = time.Second

// keepSlots adds what brings the slots of this server into order (B-345 to B-352).
// Every node keeps a slot for every other member, and the permanent ones, so that
// whoever is promoted still has the log that the others need.
func keepSlots(o Observation, plan Plan) Plan {
	if !o.Server.Answering || o.Store.Settings.StandbyCluster {
		return plan
	}
	var room slotRoom
	wanted, _ := o.wantedSlots(&room)
	before := len(plan.Do)
	for _, slot := range o.Server.Slots {
		w, ok := find(wanted, slot.Name)
		switch {
		case !ok && !o.disposable(slot), ok && slot.Active:
		case !ok, !w.like(slot), slot.Lost && o.disposable(slot):
			plan.Do = append(plan.Do, DropSlot{Name: slot.Name}) // made anew in a later pass
		case slot.Logical:
			plan.Do = append(plan.Do, o.moveLogical(slot, w)...)
		default:
			plan.Do = append(plan.Do, o.movePhysical(slot, w)...)
		}
	}
	for _, w := range wanted {
		if !o.Server.has(w.Name) && (!w.Logical() || o.Server.Role == Primary) { // B-349, B-351
			plan.Do = append(plan.Do, CreateSlot{Name: w.Name, Database: w.Database, Plugin: w.Plugin})
		}
	}
	changed := slices.ContainsFunc(plan.Do[before:], func(a Action) bool {
		_, moves := a.(AdvanceSlot)
		return !moves
	})
	if changed && plan.LookAgain > 0 {
		plan.LookAgain = min(plan.LookAgain, settle)
	}
	return plan
}

// disposable reports that a slot may be dropped if nobody wants it (B-346). One that
// somebody made while this agent was looking on stays until the server is started
// anew or changes its role (B-345): a subscriber that is away for a moment must not
// lose its place for that.
func (o *Observation) disposable(slot Slot) bool {
	s := o.Store.Settings
	return !slot.Active && !slot.Young && !s.Pause && !slices.ContainsFunc(s.Ignore, func(i cluster.IgnoreSlot) bool {
		return i.Matches(slot.Name, slot.kind(), slot.Database, slot.Plugin)
	})
}

// movePhysical is what to do with a physical slot that nobody is using (B-348, B-350).
func (o *Observation) movePhysical(slot Slot, w wantedSlot) []Action {
	limit := o.Server.Replayed
	if o.Server.Role == Primary {
		limit = o.Server.End.LSN
	}
	leader := o.Store.View.Leader.Name
	led := leader != "" && (leader != o.Me.Name || o.Server.Role == Primary)
	to := min(w.known, limit)
	switch {
	case w.use == inUse: // its member will move it
	case slot.HasXmin && w.use == unused && led:
		// Left from when it was in use; it would hold back vacuum for ever.
		return []Action{DropSlot{Name: slot.Name}}
	case slot.HasXmin:
	case slot.Restart == 0: // made by others; it keeps nothing, and cannot be moved
		return []Action{DropSlot{Name: slot.Name}}
	case to > slot.Restart:
		return []Action{AdvanceSlot{Name: slot.Name, To: to}}
	}
	return nil
}

// moveLogical lets a standby's copy of a logical slot follow the leader's (B-352).
func (o *Observation) moveLogical(slot Slot, w wantedSlot) []Action {
	to := min(w.known, o.Server.Replayed)
	if o.Server.Role == Primary || slot.Spent || to <= slot.Confirmed {
		return nil
	}
	return []Action{AdvanceSlot{Name: slot.Name, To: to, Database: slot.Database}}
}

// copySlots adds the copying of logical slots that this standby lacks, or whose log it
// has lost (B-352, B-375). The server is restarted for it, so it is put off while
// anything else is going on.
func copySlots(o Observation, plan Plan) Plan {
	if !o.wantsLogical() || !o.lacksLogical() {
		return plan
	}
	s, v := o.Store.Settings, o.Store.View
	leader, _ := v.LeaderMember()
	from := upstream(leader, "")
	// A leader that only failsafe mode tells of has no Modified (B-353).
	if s.Pause || s.StandbyCluster || v.Leader.Modified == 0 || v.Failover.Requested() || from.Host == "" {
		return plan
	}
	var room slotRoom
	wanted, _ := o.wantedSlots(&room)
	copies := CopySlots{From: from, Upstream: o.upstream()}
	for _, w := range wanted {
		if w.Logical() && w.known > 0 && (!o.Server.has(w.Name) || o.Server.spent(w.Name)) {
			copies.Slots = append(copies.Slots, w.PermanentSlot)
		}
	}
	if len(copies.Slots) == 0 {
		return plan
	}
	if pause := o.copyPause(copies.Slots); pause > 0 {
		plan.LookAgain = min(plan.LookAgain, pause)
		return plan
	}
	plan.Do, plan.LookAgain = append(plan.Do, copies), 0
	return plan
}

// lacksLogical reports that a permanent logical slot is missing here, or of no use.
func (o *Observation) lacksLogical() bool {
	return slices.ContainsFunc(o.Store.Settings.Permanent, func(p cluster.PermanentSlot) bool {
		return p.Logical() && (!o.Server.has(p.Name) || o.Server.spent(p.Name))
	})
}

// spentPause is the least time between two copies of a slot that did not become usable
// by the first, or could not be placed: for one thing a standby that was copied after the
// slot was made lacks the beginning of its log, until the slot's client has got further.
const spentPause = time.Minute

// copyPause is how long the next copy has to wait since the last one failed or has not
// helped: each restarts the server.
func (o Observation) copyPause(slots []cluster.PermanentSlot) time.Duration {
	if o.Last.Work != CopyingSlots {
		return 0
	}
	pause := retryPause
	if o.Last.Hopeless || slices.ContainsFunc(slots, func(p cluster.PermanentSlot) bool { return o.Server.spent(p.Name) }) {
		pause = spentPause
	}
	return pause - o.Last.Ago
}

// slotPositions are the positions of the slots that this server keeps by the rules, for
// the others to move theirs (B-340). There is no slot of its own name, but the others
// advance their copies of it by this server's position.
func (o *Observation) slotPositions() map[string]wal.LSN {
	positions := map[string]wal.LSN{cluster.SlotName(o.Me.Name): o.Server.End.LSN}
	var room slotRoom
	wanted, _ := o.wantedSlots(&room)
	for _, slot := range o.Server.Slots {
		if w, ok := find(wanted, slot.Name); ok && w.like(slot) {
			positions[slot.Name] = slot.position()
		}
	}
	return positions
}

// publishedSlots are those of the status key: without retention only the permanent
// ones (B-340).
func (o *Observation) publishedSlots() map[string]wal.LSN {
	positions := o.slotPositions()
	if !o.Store.Settings.UseSlots {
		return map[string]wal.LSN{}
	}
	if o.Store.Settings.MemberSlotsTTL > 0 {
		return positions
	}
	published := map[string]wal.LSN{}
	for _, p := range o.Store.Settings.Permanent {
		if at, known := positions[p.Name]; known {
			published[p.Name] = at
		}
	}
	return published
}

// retained are the slots whose members were seen within member_slots_ttl, but for the
// permanent ones (B-336), sorted.
func (o *Observation) retained() []string {
	var out []string
	for name, ago := range o.Memory.Seen {
		permanent := slices.ContainsFunc(o.Store.Settings.Permanent, func(p cluster.PermanentSlot) bool { return p.Name == name })
		if ago < o.Store.Settings.MemberSlotsTTL && !permanent {
			out = append(out, name)
		}
	}
	slices.SortFunc(out, strings.Compare)
	return out
}

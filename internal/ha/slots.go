package ha

import (
	"slices"
	"strings"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// keepSlots adds what brings the physical slots of this server into order. Every
// node keeps a slot for every other member, so that whoever is promoted still has
// the log that the others need (B-331, B-345 to B-350).
func keepSlots(o Observation, plan Plan) Plan {
	if !o.Store.Settings.UseSlots || !o.Server.Answering || o.Store.Settings.StandbyCluster {
		return plan
	}
	wanted := o.wantedSlots()
	for _, slot := range o.Server.Slots {
		known, want := wanted[slot.Name]
		delete(wanted, slot.Name)
		switch {
		case slot.Foreign, slot.Active, o.leftAlone(slot.Name):
		case !want || slot.Lost:
			if !o.Store.Settings.Pause { // B-516
				plan.Do = append(plan.Do, DropSlot{Name: slot.Name})
			}
		case o.Server.Role == Primary: // its member will move it
		case slot.HasXmin, slot.Restart == 0:
			// B-348, B-350: left from when it was in use; it would hold back vacuum
			// for ever, or keep nothing. It is made anew in the next pass.
			plan.Do = append(plan.Do, DropSlot{Name: slot.Name})
		case known > slot.Restart && known <= o.Server.Replayed:
			plan.Do = append(plan.Do, AdvanceSlot{Name: slot.Name, To: known})
		}
	}
	var missing []string
	for name := range wanted {
		missing = append(missing, name)
	}
	slices.Sort(missing) // equal observations give equal plans
	for _, name := range missing {
		plan.Do = append(plan.Do, CreateSlot{Name: name})
	}
	return plan
}

// leftAlone reports a slot that the configuration gives to somebody else: a
// permanent one, or one that ignore_slots matches (B-337, B-346).
func (o Observation) leftAlone(name string) bool {
	s := o.Store.Settings
	return slices.Contains(s.Permanent, name) || slices.ContainsFunc(s.Ignore, func(i cluster.IgnoreSlot) bool { return i.Matches(name) })
}

// wantedSlots are the slots that should exist here, with the position that the
// leader published for each (0: none).
func (o Observation) wantedSlots() map[string]wal.LSN {
	v, mine := o.Store.View, cluster.SlotName(o.Me.Name)
	wanted := map[string]wal.LSN{}
	for _, m := range v.Members {
		if m.Name == o.Me.Name || m.Tags.Nostream() {
			continue
		}
		if o.Me.Tags.Nofailover() && m.Tags.ReplicateFrom() != o.Me.Name {
			continue // it will never be promoted, so only its own followers matter
		}
		name := cluster.SlotName(m.Name)
		wanted[name] = v.Status.Slots[name]
		if m.Tags.ReplicateFrom() != "" { // B-334
			wanted[name] = max(wanted[name], m.Position())
		}
	}
	keep := v.Status.Retain
	if o.Leadership() == Ours {
		keep = o.retained()
	}
	for _, name := range keep {
		if _, listed := wanted[name]; !listed && name != mine && !o.Me.Tags.Nofailover() {
			wanted[name] = v.Status.Slots[name]
		}
	}
	delete(wanted, mine)
	return wanted
}

// retained are the slots whose members were seen within member_slots_ttl (B-336),
// sorted.
func (o Observation) retained() []string {
	var out []string
	for name, ago := range o.Memory.Seen {
		if ago < o.Store.Settings.MemberSlotsTTL {
			out = append(out, name)
		}
	}
	slices.SortFunc(out, strings.Compare)
	return out
}

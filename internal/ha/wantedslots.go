package ha

import (
	"slices"
	"strings"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// wantedSlot is one that should exist on this server.
type wantedSlot struct {
	cluster.PermanentSlot
	known wal.LSN // where it stands by what the leader published; 0: nobody knows
	use   use     // of a physical one
	owner string  // the member that it is for, if one is listed that has it
}

// use is whether somebody should be streaming from this server by a slot.
type use int

const (
	anyone use = iota // it is kept for a member that is away: where that will connect nobody can tell
	inUse
	unused // the copy of one that is in use elsewhere
)

// like reports that a slot is what is wanted, not only by its name (B-347).
func (w wantedSlot) like(s Slot) bool {
	return w.Logical() == s.Logical && w.Database == s.Database && w.Plugin == s.Plugin
}

func find(wanted []wantedSlot, name string) (wantedSlot, bool) {
	for _, w := range wanted {
		if w.Name == name {
			return w, true
		}
	}
	return wantedSlot{}, false
}

// WantsSlot reports that a slot of that name should exist on this server.
func (o *Observation) WantsSlot(name string) bool {
	var room slotRoom
	wanted, _ := o.wantedSlots(&room)
	_, ok := find(wanted, name)
	return ok
}

// SlotFaults are sentences about slots for a person to see: clashes of names that two
// owners claim, and what is kept although nobody wants it, since somebody uses it (B-346).
func (o *Observation) SlotFaults() (clashes, kept []string) {
	if !o.mayClash() && !slices.ContainsFunc(o.Server.Slots, func(slot Slot) bool { return slot.Active }) {
		return nil, nil
	}
	var room slotRoom
	wanted, clashes := o.wantedSlots(&room)
	if o.Store.Settings.StandbyCluster {
		return clashes, nil
	}
	for _, slot := range o.Server.Slots {
		if _, ok := find(wanted, slot.Name); ok || !slot.Active {
			continue
		}
		if slot.Active = false; o.disposable(slot) {
			kept = append(kept, "the replication slot "+slot.Name+" is no member's and not in the configuration, and stays as long as somebody uses it; "+
				"to keep it for good, name it in slots or ignore_slots")
		}
	}
	return clashes, kept
}

// mayClash reports that a name is there twice, whoever wants it here: it is asked in
// every pass, and mostly no name is.
func (o *Observation) mayClash() bool {
	members := o.Store.View.Members
	for i := range members {
		name := cluster.SlotName(members[i].Name)
		for j := range members[:i] {
			if cluster.SlotName(members[j].Name) == name {
				return true
			}
		}
	}
	return o.wantsLogical() // they must not have the names of others
}

// slotRoom is where the caller of wantedSlots has room for as many slots as there mostly
// are. They are asked for several times in every pass.
type slotRoom [6]wantedSlot

// wantedSlots are the slots that should exist here, sorted by name (B-330 to B-339).
// One name has one slot: the members' come first.
func (o *Observation) wantedSlots(room *slotRoom) (wanted []wantedSlot, clashes []string) {
	if !o.Store.Settings.UseSlots {
		return nil, nil
	}
	wanted, clashes = o.memberSlots(room[:0])
	wanted = o.retainedSlots(wanted)
	wanted, clashes = o.permanentSlots(wanted, clashes)
	slices.SortFunc(wanted, func(a, b wantedSlot) int { return strings.Compare(a.Name, b.Name) })
	return wanted, clashes
}

// bystander reports that this server is never promoted, so that only those who follow
// it need its slots. A primary with that tag, however it came to be one, is no
// bystander: the others stream from it.
func (o *Observation) bystander() bool {
	return o.Me.Tags.Nofailover() && o.Server.Role != Primary
}

// memberSlots adds those of the other members (B-331, B-332).
func (o *Observation) memberSlots(wanted []wantedSlot) (_ []wantedSlot, clashes []string) {
	bystander, old := o.bystander(), o.ledByOld()
	for i := range o.Store.View.Members {
		m := &o.Store.View.Members[i]
		if m.Name == o.Me.Name || m.Tags.Nostream() {
			continue
		}
		use := unused
		if o.serves(m) {
			use = inUse
		}
		if bystander && m.Tags.ReplicateFrom() != o.Me.Name || o.Store.Settings.MemberSlotsTTL == 0 && use != inUse {
			continue
		}
		name := cluster.SlotName(m.Name)
		if first, taken := find(wanted, name); taken {
			clashes = append(clashes, "the members "+first.owner+" and "+m.Name+" share the replication slot "+name)
			continue
		}
		wanted = append(wanted, wantedSlot{PermanentSlot: cluster.PermanentSlot{Name: name}, known: o.knownPosition(name, m, old), use: use, owner: m.Name})
	}
	return wanted, clashes
}

// serves reports that a member should stream from this server (B-332, B-333).
func (o *Observation) serves(m *cluster.Member) bool {
	from := m.Tags.ReplicateFrom()
	if o.Server.Role != Primary {
		return from == o.Me.Name && m.Name != o.Store.View.Leader.Name
	}
	if from == "" || from == o.Me.Name {
		return true
	}
	_, exists := o.Store.View.Member(from)
	return !exists
}

// knownPosition is where a member's slot stands (B-334). One that follows another
// member moves no slot of the leader's, and old leaders do not publish those of the
// members: then the member's own word counts.
func (o *Observation) knownPosition(name string, m *cluster.Member, old bool) wal.LSN {
	known := o.Store.View.Status.Slots[name]
	if old || m.Tags.ReplicateFrom() != "" {
		known = max(known, m.Position())
	}
	return known
}

// ledByOld reports that the leader is from before 4.0.
func (o *Observation) ledByOld() bool {
	v := &o.Store.View
	return v.Leader.Name != "" && slices.ContainsFunc(v.Members, func(m cluster.Member) bool { return m.Name == v.Leader.Name && beforeFour(m.Version) })
}

func beforeFour(version string) bool {
	if strings.HasPrefix(version, "4.") { // the usual, in every pass
		return false
	}
	v, ok := cluster.Version3(version)
	return ok && v[0] < 4
}

// retainedSlots adds those of members that are away (B-335).
func (o *Observation) retainedSlots(wanted []wantedSlot) []wantedSlot {
	if o.bystander() {
		return wanted
	}
	names := o.Store.View.Status.Retain
	if o.Leadership() == Ours {
		names = o.retained()
	}
	mine := cluster.SlotName(o.Me.Name)
	for _, name := range names {
		if _, taken := find(wanted, name); name != mine && !taken {
			wanted = append(wanted, wantedSlot{PermanentSlot: cluster.PermanentSlot{Name: name}, known: o.Store.View.Status.Slots[name], use: anyone})
		}
	}
	return wanted
}

// permanentSlots adds those of the configuration (B-337 to B-339).
func (o *Observation) permanentSlots(listed []wantedSlot, clashes []string) ([]wantedSlot, []string) {
	if o.bystander() || len(o.Store.Settings.Permanent) == 0 {
		return listed, clashes
	}
	wanted, mine := listed, cluster.SlotName(o.Me.Name)
	fedBack := o.Server.Role == Primary || o.carrier(o.Me.Name, o.Me.Tags) != ""
	for _, p := range o.Store.Settings.Permanent {
		_, taken := find(listed, p.Name)
		switch {
		case !p.In(o.Store.Settings.StandbyCluster):
		case p.Logical() && (taken || p.Name == mine):
			clashes = append(clashes, "the permanent logical slot "+p.Name+" has the name of a member's slot, and is not made")
		case p.Logical() && !fedBack, taken, p.Name == mine:
		case p.Logical():
			wanted = append(wanted, wantedSlot{PermanentSlot: p, known: o.Store.View.Status.Slots[p.Name]})
		default:
			wanted = append(wanted, o.permanentPhysical(p))
		}
	}
	return wanted, clashes
}

func (o *Observation) permanentPhysical(p cluster.PermanentSlot) wantedSlot {
	w := wantedSlot{PermanentSlot: p, known: o.Store.View.Status.Slots[p.Name], use: unused}
	if o.Server.Role == Primary {
		w.use = inUse // B-338
	}
	for i := range o.Store.View.Members {
		m := &o.Store.View.Members[i]
		if m.Tags.ReplicateFrom() != "" && cluster.SlotName(m.Name) == p.Name {
			w.known, w.use = max(w.known, m.Position()), unused // B-339
		}
	}
	return w
}

// carrier is the slot on the leader by which a member's feedback comes there: its own,
// or that of the first member on the way. None, where the way is broken by a member
// that does not stream, or leads in a circle (B-337, B-381).
func (o *Observation) carrier(name string, tags cluster.Tags) string {
	var passed []string
	for {
		if tags.Nostream() || slices.Contains(passed, name) {
			return ""
		}
		passed = append(passed, name)
		from := tags.ReplicateFrom()
		next, ok := o.Store.View.Member(from)
		if !ok || from == name || from == o.Store.View.Leader.Name {
			return cluster.SlotName(name)
		}
		name, tags = next.Name, next.Tags
	}
}

// feedsBack reports that a standby must tell its upstream which rows it still needs: it
// keeps permanent logical slots, or somebody behind it does (B-377).
func (o *Observation) feedsBack(name string, tags cluster.Tags) bool {
	if !o.wantsLogical() || o.carrier(name, tags) == "" {
		return false
	}
	return !tags.Nofailover() || slices.ContainsFunc(o.Store.View.Members, func(m cluster.Member) bool {
		return m.Tags.ReplicateFrom() == name && m.Name != name && m.Name != o.Store.View.Leader.Name && o.feedsBack(m.Name, m.Tags)
	})
}

// wantsLogical reports that there are permanent logical slots.
func (o *Observation) wantsLogical() bool {
	s := &o.Store.Settings
	return s.UseSlots && slices.ContainsFunc(s.Permanent, func(p cluster.PermanentSlot) bool { return p.Logical() && p.In(s.StandbyCluster) })
}

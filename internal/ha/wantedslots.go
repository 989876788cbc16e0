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
func (o Observation) WantsSlot(name string) bool {
	wanted, _ := o.wantedSlots()
	_, ok := find(wanted, name)
	return ok
}

// SlotClashes are the sentences about names that two owners claim.
func (o Observation) SlotClashes() []string {
	_, clashes := o.wantedSlots()
	return clashes
}

// wantedSlots are the slots that should exist here, sorted by name (B-330 to B-339).
// One name has one slot: the members' come first.
func (o Observation) wantedSlots() (wanted []wantedSlot, clashes []string) {
	if !o.Store.Settings.UseSlots {
		return nil, nil
	}
	wanted, clashes = o.memberSlots()
	wanted = append(wanted, o.retainedSlots(wanted)...)
	permanent, more := o.permanentSlots(wanted)
	wanted, clashes = append(wanted, permanent...), append(clashes, more...)
	slices.SortFunc(wanted, func(a, b wantedSlot) int { return strings.Compare(a.Name, b.Name) })
	return wanted, clashes
}

// bystander reports that this server is never promoted, so that only those who follow
// it need its slots. A primary with that tag, however it came to be one, is no
// bystander: the others stream from it.
func (o Observation) bystander() bool {
	return o.Me.Tags.Nofailover() && o.Server.Role != Primary
}

// memberSlots are those of the other members (B-331, B-332).
func (o Observation) memberSlots() (wanted []wantedSlot, clashes []string) {
	owner := map[string]string{}
	for _, m := range o.Store.View.Members {
		if m.Name == o.Me.Name || m.Tags.Nostream() {
			continue
		}
		use := unused
		if o.serves(m) {
			use = inUse
		}
		if o.bystander() && m.Tags.ReplicateFrom() != o.Me.Name || o.Store.Settings.MemberSlotsTTL == 0 && use != inUse {
			continue
		}
		name := cluster.SlotName(m.Name)
		if first, taken := owner[name]; taken {
			clashes = append(clashes, "the members "+first+" and "+m.Name+" share the replication slot "+name)
			continue
		}
		owner[name] = m.Name
		wanted = append(wanted, wantedSlot{cluster.PermanentSlot{Name: name}, o.knownPosition(name, m), use})
	}
	return wanted, clashes
}

// serves reports that a member should stream from this server (B-332, B-333).
func (o Observation) serves(m cluster.Member) bool {
	from := m.Tags.ReplicateFrom()
	if o.Server.Role != Primary {
		return from == o.Me.Name && m.Name != o.Store.View.Leader.Name
	}
	_, exists := o.Store.View.Member(from)
	return from == "" || from == o.Me.Name || !exists
}

// knownPosition is where a member's slot stands (B-334). One that follows another
// member moves no slot of the leader's, and leaders before 4.0 do not publish those of
// the members: then the member's own word counts.
func (o Observation) knownPosition(name string, m cluster.Member) wal.LSN {
	known := o.Store.View.Status.Slots[name]
	leader, led := o.Store.View.LeaderMember()
	if m.Tags.ReplicateFrom() != "" || led && beforeFour(leader.Version) {
		known = max(known, m.Position())
	}
	return known
}

func beforeFour(version string) bool {
	v, ok := cluster.Version3(version)
	return ok && v[0] < 4
}

// retainedSlots are those of members that are away (B-335).
func (o Observation) retainedSlots(listed []wantedSlot) (wanted []wantedSlot) {
	if o.bystander() {
		return nil
	}
	names := o.Store.View.Status.Retain
	if o.Leadership() == Ours {
		names = o.retained()
	}
	mine := cluster.SlotName(o.Me.Name)
	for _, name := range names {
		_, taken := find(listed, name)
		_, twice := find(wanted, name)
		if name != mine && !taken && !twice {
			wanted = append(wanted, wantedSlot{cluster.PermanentSlot{Name: name}, o.Store.View.Status.Slots[name], anyone})
		}
	}
	return wanted
}

// permanentSlots are those of the configuration (B-337 to B-339).
func (o Observation) permanentSlots(listed []wantedSlot) (wanted []wantedSlot, clashes []string) {
	if o.bystander() {
		return nil, nil
	}
	v, mine := o.Store.View, cluster.SlotName(o.Me.Name)
	fedBack := o.Server.Role == Primary || o.carrier(o.Me.Name, o.Me.Tags) != ""
	for _, p := range o.Store.Settings.Permanent {
		_, taken := find(listed, p.Name)
		switch {
		case !p.In(o.Store.Settings.StandbyCluster):
		case p.Logical() && (taken || p.Name == mine):
			clashes = append(clashes, "the permanent logical slot "+p.Name+" has the name of a member's slot, and is not made")
		case p.Logical() && !fedBack, taken, p.Name == mine:
		case p.Logical():
			wanted = append(wanted, wantedSlot{PermanentSlot: p, known: v.Status.Slots[p.Name]})
		default:
			wanted = append(wanted, o.permanentPhysical(p))
		}
	}
	return wanted, clashes
}

func (o Observation) permanentPhysical(p cluster.PermanentSlot) wantedSlot {
	w := wantedSlot{p, o.Store.View.Status.Slots[p.Name], unused}
	if o.Server.Role == Primary {
		w.use = inUse // B-338
	}
	for _, m := range o.Store.View.Members {
		if cluster.SlotName(m.Name) == p.Name && m.Tags.ReplicateFrom() != "" {
			w.known, w.use = max(w.known, m.Position()), unused // B-339
		}
	}
	return w
}

// carrier is the slot on the leader by which a member's feedback comes there: its own,
// or that of the first member on the way. None, where the way is broken by a member
// that does not stream, or leads in a circle (B-337, B-381).
func (o Observation) carrier(name string, tags cluster.Tags) string {
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
func (o Observation) feedsBack(name string, tags cluster.Tags) bool {
	s := o.Store.Settings
	logical := slices.ContainsFunc(s.Permanent, func(p cluster.PermanentSlot) bool { return p.Logical() && p.In(s.StandbyCluster) })
	if !s.UseSlots || !logical || o.carrier(name, tags) == "" {
		return false
	}
	return !tags.Nofailover() || slices.ContainsFunc(o.Store.View.Members, func(m cluster.Member) bool {
		return m.Tags.ReplicateFrom() == name && m.Name != name && m.Name != o.Store.View.Leader.Name && o.feedsBack(m.Name, m.Tags)
	})
}

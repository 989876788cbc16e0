package ha

import "slices"

// proveSlots adds the look whether this standby's logical slots could be used (B-380 to
// B-383). It asks the leader alone, so it waits for one that the store knows.
func proveSlots(o Observation, plan Plan) Plan {
	if !slices.ContainsFunc(o.Server.Slots, func(slot Slot) bool { return slot.Pending }) {
		return plan
	}
	leader, led := o.Store.View.LeaderMember()
	from := upstream(leader, "")
	carrier := o.carrier(o.Me.Name, o.Me.Tags)
	if !led || from.Host == "" || carrier == "" || o.Server.Role != Standby || o.Store.Settings.StandbyCluster {
		return plan
	}
	var room slotRoom
	wanted, _ := o.wantedSlots(&room)
	var pending []string
	for _, slot := range o.Server.Slots {
		if w, ok := find(wanted, slot.Name); ok && slot.Pending && w.Logical() && w.like(slot) {
			pending = append(pending, slot.Name)
		}
	}
	if len(pending) > 0 {
		plan.Do = append(plan.Do, ProveSlots{Slots: pending, Carrier: carrier, From: from})
	}
	return plan
}

// CatalogHorizons are the oldest transactions whose rows of the catalogue are kept; 0:
// not known.
type CatalogHorizons struct {
	Leader  uint32 // by the leader's slot of that name, when it was seen first
	Carrier uint32 // by the leader's slot by which the feedback of this standby comes there
	Own     uint32 // by the standby's copy
}

// Proved reports that no row of the catalogue that a copy of a logical slot needs can be
// gone (B-383): from the time that the leader's slot was seen on, the standby's feedback
// has kept the leader from removing any that the copy still needs.
func (c CatalogHorizons) Proved() bool {
	return c.Leader != 0 && c.Carrier != 0 && c.Own != 0 && notAfter(c.Leader, c.Carrier) && notAfter(c.Carrier, c.Own)
}

// notAfter compares transaction numbers, which go round (transam.c,
// TransactionIdPrecedesOrEquals).
func notAfter(a, b uint32) bool { return int32(a-b) <= 0 }

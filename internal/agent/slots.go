package agent

import (
	"slices"

	"matriarch/internal/ha"
)

// slotMemory is what the agent remembers of its server's slots: which of them it knows.
//
// A slot that was there when the server was started, or took its role, or when a pause
// ended, is known, and so is one that the rules want; it may be dropped when nobody
// wants it any more. One that somebody makes while the agent looks on is not: Patroni
// does not see it before its next full look either (B-345).
type slotMemory struct {
	looked bool // since the server was started, took its role, or a pause ended
	role   ha.Role
	paused bool
	known  map[string]bool
	told   map[string]bool // faults
}

// notice marks the slots that are not known.
func (m *slotMemory) notice(o *ha.Observation) {
	resumed := m.paused && !o.Store.Settings.Pause
	m.paused = o.Store.Settings.Pause
	if !o.Server.Running || resumed {
		m.looked = false
	}
	if !o.Server.Answering {
		return
	}
	first := !m.looked || m.role != o.Server.Role
	if first {
		m.looked, m.role, m.known = true, o.Server.Role, map[string]bool{}
	}
	o.Server.Slots = slices.Clone(o.Server.Slots)
	for i, slot := range o.Server.Slots {
		if !m.known[slot.Name] && (first || o.WantsSlot(slot.Name)) { // what is known stays so: no need to ask in every pass
			m.known[slot.Name] = true
		}
		o.Server.Slots[i].Young = !m.known[slot.Name]
	}
}

// made takes note of a slot that was made by a decision.
func (m *slotMemory) made(name string) {
	if m.known != nil {
		m.known[name] = true
	}
}

// newFault reports that a fault was not seen before. The few that were are kept for
// the agent's life.
func (m *slotMemory) newFault(fault string) bool {
	if m.told[fault] || len(m.told) > 100 {
		return false
	}
	if m.told == nil {
		m.told = map[string]bool{}
	}
	m.told[fault] = true
	return true
}

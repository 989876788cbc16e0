package ha

import (
	"slices"

	"matriarch/internal/cluster"
)

// askFailsafe is the question that lets a leader go on without the store where
// members of Patroni's would race as soon as the lease ends (B-090): at the first
// silence of the store, and every loop_wait.
//
// All of the failsafe key are asked, for the call tells them the slots' positions
// (B-551). But members of ours are bound by the electorate whatever they answer, so
// only the acceptance of the rest is needed; without Patroni's members that of nobody.
func (o Observation) askFailsafe() (AskFailsafe, bool) {
	s, v := o.Store.Settings, o.Store.View
	primary := o.Right.Leading && o.Server.Running && o.Server.Role == Primary
	if !cluster.FailsafeApplies(s, primary, o.Store.Silent) || o.Failsafe.Asking || o.Failsafe.Age < s.LoopWait {
		return AskFailsafe{}, false
	}
	others, ok := cluster.FailsafeOthers(v.Failsafe, o.Me.Name)
	if !ok {
		return AskFailsafe{}, false // B-542: nobody has promised anything, and the lease ends
	}
	// One that has just come may be in the key already, by a put without an answer.
	for _, m := range v.Members {
		if !m.Permit && m.APIURL != "" && m.Name != o.Me.Name {
			others[m.Name] = m.APIURL
		}
	}
	ask := AskFailsafe{Others: others, Mixed: o.Right.Mixed, Call: cluster.FailsafeCall{Name: o.Me.Name, ConnURL: o.Me.ConnURL, APIURL: o.Me.APIURL, Permit: !o.Right.Mixed}}
	for name := range others {
		if m, _ := v.Member(name); !m.Permit && o.Right.Mixed {
			ask.Needed = append(ask.Needed, name)
		}
	}
	slices.Sort(ask.Needed)
	if o.Server.Answering {
		ask.Call.Slots = o.slotPositions()
	}
	return ask, true
}

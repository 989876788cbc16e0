package fence

import "matriarch/internal/fence/guard"

// The rule "freeze, thaw, kill" is the guard's own; the simulator runs it as well.
type (
	State    = guard.State
	Verdict  = guard.Verdict
	Action   = guard.Action
	Standing = guard.Standing
	Order    = guard.Order
	Reason   = guard.Reason
)

// The values of the rule's types, so that its users need not know the guard.
const (
	Wait   = guard.Wait
	Freeze = guard.Freeze
	Thaw   = guard.Thaw
	Kill   = guard.Kill

	Running  = guard.Running
	Freezing = guard.Freezing
	Frozen   = guard.Frozen

	NoOrder     = guard.NoOrder
	OrderFreeze = guard.OrderFreeze
	OrderKill   = guard.OrderKill
)

// Decide is the rule by which a guard acts.
func Decide(s State) Verdict { return guard.Decide(s) }

// Stopped reports that every process of a postmaster's server stands still, as the
// kernel tells it: for when the guard does not say.
func Stopped(postmaster int) bool { return guard.Stopped(postmaster) }

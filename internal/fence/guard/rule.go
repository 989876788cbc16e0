package guard

import (
	"time"

	"matriarch/internal/boottime"
)

// Standing is how the server is being kept.
type Standing int

const (
	Running  Standing = iota // it runs freely
	Freezing                 // asked to stop, not every process was seen stopped yet
	Frozen                   // no process of it runs an instruction
)

func (s Standing) String() string { return [...]string{"running", "freezing", "frozen"}[s] }

// Order is what the agent wants whatever the deadline says.
type Order int

const (
	NoOrder Order = iota
	OrderFreeze
	OrderKill
)

// State is all that the rule looks at.
type State struct {
	Now boottime.Instant

	// Deadline is the end of the permit. The server must not run at it or later.
	Deadline boottime.Instant

	// Alive is true from the start of the postmaster until no process of the
	// server is left, not just until the postmaster has ended: a backend that
	// outlives it can still answer a client.
	Alive bool

	// Armed is true of a server that is or may become a primary. A standby
	// acknowledges nothing and is never frozen for the deadline.
	Armed bool

	Standing Standing
	Since    boottime.Instant // of the present freeze, when it was begun
	GiveUp   time.Duration    // how long a freeze may last before it ends in a kill
	Told     Order
}

// Action is what the guard does next.
type Action int

const (
	Wait   Action = iota // nothing until LookAgain
	Freeze               // begin, or go on until all is seen stopped
	Thaw
	Kill // go on until nothing is left
)

func (a Action) String() string { return [...]string{"wait", "freeze", "thaw", "kill"}[a] }

// Reason is why.
type Reason string

const (
	Idle        Reason = "nothing to guard"
	Permitted   Reason = "permit holds"
	Unguarded   Reason = "not armed"
	Expired     Reason = "permit has ended"
	Ordered     Reason = "told by the agent"
	NothingCame Reason = "no permit came for too long"
	FoundFrozen Reason = "left frozen by a guard before"
)

// Verdict is an action, its reason, and when to decide again at the latest; 0 is
// when something changes.
type Verdict struct {
	Do        Action
	Why       Reason
	LookAgain boottime.Instant
}

// retry is how soon an unfinished freeze or kill is carried on. Waiting for a
// process that is in the kernel costs the guard nothing more than a scan.
const retry = time.Millisecond

// Decide is the rule. It reads nothing but its argument.
//
// A permit that was extended wins over giving up: whoever extends it has the
// right to write, and nobody else can have it then. An order to kill wins over
// everything, since it cannot be taken back halfway.
func Decide(s State) Verdict {
	stopped := s.Standing != Running
	expired := s.Armed && s.Now >= s.Deadline
	switch {
	case !s.Alive:
		return Verdict{Do: Wait, Why: Idle}
	case s.Told == OrderKill:
		return Verdict{Do: Kill, Why: Ordered, LookAgain: s.Now.Add(retry)}
	case s.Told != OrderFreeze && !expired:
		return free(s, stopped)
	case stopped && s.Now.Sub(s.Since) >= s.GiveUp:
		return Verdict{Do: Kill, Why: NothingCame, LookAgain: s.Now.Add(retry)}
	}
	why := Expired
	if s.Told == OrderFreeze {
		why = Ordered
	}
	if s.Standing == Frozen {
		return Verdict{Do: Wait, Why: why, LookAgain: s.Since.Add(s.GiveUp)}
	}
	return Verdict{Do: Freeze, Why: why, LookAgain: s.Now.Add(retry)}
}

// free is the rule for a server that may run.
func free(s State, stopped bool) Verdict {
	v := Verdict{Do: Wait, Why: Unguarded}
	if s.Armed {
		v.Why, v.LookAgain = Permitted, s.Deadline
	}
	if stopped {
		v.Do = Thaw
	}
	return v
}

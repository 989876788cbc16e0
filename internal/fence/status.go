package fence

import (
	"syscall"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/fence/guard"
)

// Protection is how well the server is guarded, as the member's status says it.
type Protection string

const (
	Off     Protection = "off"     // no server, or no guard
	Freezer Protection = "freezer" // the guard's child, in a cgroup of its own
	Signals Protection = "signals" // the guard's child, stopped by signals
	Adopted Protection = "adopted" // not its child: no signal if the guard dies
)

// Status is what a guard tells of itself and its server.
type Status struct {
	GuardPID int
	Version  int

	PID        int // of the postmaster; 0 when there is no server
	Protection Protection
	Method     string // cgroup or signals
	Armed      bool
	Standing   Standing
	Since      boottime.Instant // of the present freeze, its beginning
	Deadline   boottime.Instant
	GiveUp     time.Duration

	// Kept is the record of Keep; nil when there is none.
	Kept []byte

	// Last is how the last server ended; its PID is 0 when none has.
	Last Exit

	MemoryLocked bool
	OOMSpared    bool
	Priority     string // realtime, nice or normal

	Freezes    int           // since the guard was started
	FrozenTime time.Duration // of all freezes that have ended
	LastLate   time.Duration // of the last freeze: its beginning after the deadline
	LastTook   time.Duration // of the last freeze: until every process was seen stopped
}

// Exit is how a postmaster ended.
type Exit struct {
	PID    int
	Status syscall.WaitStatus // 0 for a server that was adopted
	How    string
}

func statusOf(m guard.Message) Status {
	s := Status{
		GuardPID: int(m.Int("guard")), Version: int(m.Int("version")),
		PID: int(m.Int("pid")), Protection: Protection(m.Get("protection")), Method: m.Get("method"),
		Armed: m.Bool("armed"), Since: boottime.Instant(m.Int("since")),
		Deadline: boottime.Instant(m.Int("deadline")), GiveUp: time.Duration(m.Int("giveup")),
		Last:         Exit{PID: int(m.Int("lastpid")), Status: syscall.WaitStatus(m.Int("laststatus")), How: m.Get("lasthow")},
		MemoryLocked: m.Bool("locked"), OOMSpared: m.Bool("oom"), Priority: m.Get("priority"),
		Freezes: int(m.Int("freezes")), FrozenTime: time.Duration(m.Int("frozentotal")),
		LastLate: time.Duration(m.Int("late")), LastTook: time.Duration(m.Int("took")),
	}
	if kept := m.All("kept"); len(kept) > 0 {
		s.Kept = []byte(kept[0])
	}
	if s.PID == 0 {
		s.Protection = Off
	}
	for _, standing := range []Standing{Running, Freezing, Frozen} {
		if m.Get("standing") == standing.String() {
			s.Standing = standing
		}
	}
	return s
}

// Kind is what an event tells.
type Kind string

const (
	Exited     Kind = "exited"   // no process of the server is left
	IsFreezing Kind = "freezing" // a freeze has begun that is not done at once
	WasFrozen  Kind = "frozen"   // every process was seen stopped
	WasThawed  Kind = "thawed"   // it runs again
	IsKilled   Kind = "killing"  // the guard has begun to kill it, unasked
)

// Event is something that the guard did or saw.
type Event struct {
	Kind Kind
	At   boottime.Instant
	Why  Reason
	Exit Exit          // of Exited
	Late time.Duration // of WasFrozen: the beginning after the deadline
	Took time.Duration // of WasFrozen: from the beginning to the end; of WasThawed: the whole pause
}

func eventOf(m guard.Message) Event {
	e := Event{Kind: Kind(m.Verb), At: boottime.Instant(m.Int("at")), Why: Reason(m.Get("why")),
		Late: time.Duration(m.Int("late")), Took: time.Duration(m.Int("took"))}
	switch e.Kind {
	case Exited:
		e.Exit = Exit{PID: int(m.Int("pid")), Status: syscall.WaitStatus(m.Int("status")), How: m.Get("how")}
	case WasThawed:
		e.Took = time.Duration(m.Int("lasted"))
	}
	return e
}

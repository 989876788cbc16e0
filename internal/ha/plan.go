package ha

import (
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// Plan is what to do, in order, why, and when to look again at the latest. The
// agent stops at the first action that fails and observes anew.
type Plan struct {
	Why       Reason
	Do        []Action
	LookAgain time.Duration // 0: at once
}

// Action is one thing to do: data, never a function, so that a test of a
// decision needs no fake.
type Action interface{ action() }

// Actions on the store. Each is one conditional transaction.
type (
	// Renew extends this node's lease, or gets a new one.
	Renew struct{}

	// Acquire takes the leader key by the rules of package permit. It does not
	// wait: a later pass sees whether it was won.
	Acquire struct{}

	// Release gives up the leader key, after writing the last position where it
	// is known (Optime 0: leave the status as it is).
	Release struct{ Optime wal.LSN }

	// PutMember publishes this node's member key.
	PutMember struct{ Member cluster.Member }

	// PutStatus writes the status key, if the leader key is still ours.
	PutStatus struct{ Status cluster.Status }

	// PutHistory writes the history key, if the leader key is still ours.
	PutHistory struct{ History cluster.History }

	// PutFailsafe writes the failsafe key, if the leader key is still ours.
	PutFailsafe struct{ Data string }

	// PutConfig restores a lost dynamic configuration, if the leader key is ours.
	PutConfig struct{ Document map[string]any }

	// ClearFailover takes back a request, if it is still the one that was seen.
	ClearFailover struct{ Modified int64 }

	// RaceInitialize creates the empty initialize key under this node's lease: who
	// succeeds may create the cluster (S5).
	RaceInitialize struct{}

	// AdoptInitialize writes this server's system identifier where there is none,
	// if the initialize key is still as it was seen (Modified 0: absent).
	AdoptInitialize struct {
		SystemID string
		Modified int64
	}

	// Found ends the creation of the cluster: system identifier and configuration
	// in one transaction, if the initialize key is still ours.
	Found struct {
		SystemID string
		Modified int64
	}

	// Unfound takes back the initialize key after a creation that failed.
	Unfound struct{ Modified int64 }
)

// Quick actions on this node's server and on the others.
type (
	// AskPeers asks the agents of these members where they stand. Who has not
	// answered within that time is silent.
	AskPeers struct {
		Members []cluster.Member
		Within  time.Duration
	}

	// AskFailsafe asks all the others, API URL by name, to accept that this member
	// stays leader without the store. It does not wait: a later pass sees the end of
	// the round, which is a success if all of Needed have accepted. Mixed: the right to
	// write hangs on that.
	AskFailsafe struct {
		Others map[string]string
		Needed []string
		Mixed  bool
		Call   cluster.FailsafeCall
	}

	// ReadLog asks the leader's server for its timeline history.
	ReadLog struct{ From Upstream }

	// Follow changes whom a running standby follows, without a restart.
	Follow struct{ Upstream Upstream }

	// CreateSlot makes a slot: a logical one where a database and a plugin are given.
	// That, like the moving of one, can take long and is not waited for.
	CreateSlot struct{ Name, Database, Plugin string }
	DropSlot   struct{ Name string }

	// AdvanceSlot lets a slot give up the log before a position. Database: of a
	// logical one.
	AdvanceSlot struct {
		Name     string
		To       wal.LSN
		Database string
	}

	// ProveSlots finds out, beside the passes, whether this standby's copies of logical
	// slots could be used after a promotion: the leader is asked how far it and the slot
	// by which this server's feedback comes there have kept the rows of the catalogue.
	ProveSlots struct {
		Slots   []string
		Carrier string
		From    Upstream
	}

	// Checkpoint puts the new timeline into the control file, in the background.
	Checkpoint struct{}

	// MakeSegment makes the file of the next segment of a standby's log.
	MakeSegment struct{ After wal.Point }

	// ApplyConfig gives the dynamic configuration of that revision to the server.
	ApplyConfig struct {
		Document map[string]any
		Modified int64
	}

	// MoveAside renames the directory of a creation that failed.
	MoveAside struct{}

	// KillServer sends SIGKILL to the whole server: it may run not one more
	// instruction. Work under way ends by that.
	KillServer struct{}

	// CancelJob ends the work under way. A server that it was starting is killed. With
	// ForHandOver that was the stop of a hand-over, and ends as one.
	CancelJob struct{ For Purpose }

	// Quit ends the agent. An empty Fault is a clean end.
	Quit struct{ Fault string }
)

// StopMode is how a server is stopped, in PostgreSQL's words (pg_ctl(1)).
type StopMode int

// Fast lets the shutdown checkpoint reach the standbys; Immediate writes none.
const (
	Fast StopMode = iota
	Immediate
)

// Long work on this node's server: it begins and the pass goes on.
type (
	// Bootstrap runs initdb and makes the roles.
	Bootstrap struct{}

	// BaseBackup copies the upstream's data directory, by the configured methods in
	// their order; from nobody, by those that need no server to copy from. Wipe permits
	// the removal of what is there; S4 is checked where it is set. Builtin: by the base
	// backup alone, whatever is configured.
	BaseBackup struct {
		From    Upstream
		Wipe    bool
		Builtin bool
	}

	// Rewind runs pg_rewind against the upstream.
	Rewind struct{ From Upstream }

	// StartPrimary starts the server where it left off, on its own timeline.
	StartPrimary struct{ For Purpose }

	// StartStandby starts the server in recovery.
	StartStandby struct {
		Upstream Upstream
		For      Purpose
	}

	// PrePromote runs the user's command that has to agree to the promotion.
	PrePromote struct{}

	// Promote ends recovery and begins a new timeline, with a number beyond Above
	// (0: the next one).
	Promote struct{ Above wal.Timeline }

	// CopySlots brings logical slots over from the leader's server. This one, a standby,
	// is stopped for it and started anew, to follow the upstream.
	CopySlots struct {
		Slots    []cluster.PermanentSlot
		From     Upstream
		Upstream Upstream
	}

	// Stop stops the server. With Within set, it is killed when it takes longer.
	Stop struct {
		Mode       StopMode
		For        Purpose
		Checkpoint bool // before the stop, while clients still write
		Within     time.Duration
	}
)

func (Renew) action()           {}
func (Acquire) action()         {}
func (Release) action()         {}
func (PutMember) action()       {}
func (PutStatus) action()       {}
func (PutHistory) action()      {}
func (PutFailsafe) action()     {}
func (PutConfig) action()       {}
func (ClearFailover) action()   {}
func (RaceInitialize) action()  {}
func (AdoptInitialize) action() {}
func (Found) action()           {}
func (Unfound) action()         {}
func (AskPeers) action()        {}
func (AskFailsafe) action()     {}
func (ReadLog) action()         {}
func (Follow) action()          {}
func (CreateSlot) action()      {}
func (DropSlot) action()        {}
func (AdvanceSlot) action()     {}
func (ProveSlots) action()      {}
func (Checkpoint) action()      {}
func (MakeSegment) action()     {}
func (ApplyConfig) action()     {}
func (MoveAside) action()       {}
func (KillServer) action()      {}
func (CancelJob) action()       {}
func (Quit) action()            {}
func (Bootstrap) action()       {}
func (BaseBackup) action()      {}
func (Rewind) action()          {}
func (StartPrimary) action()    {}
func (StartStandby) action()    {}
func (PrePromote) action()      {}
func (Promote) action()         {}
func (CopySlots) action()       {}
func (Stop) action()            {}

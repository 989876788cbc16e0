// Package ha decides what a node does.
//
// Decide takes an Observation, everything this node knows at one moment, and
// returns a Plan: what to do, in order, why, and when to look again. It is pure:
// no clock, no file, no network, no goroutine, and what it cannot import it
// cannot do by accident (purity_test.go holds that line). So all that Matriarch
// believes about high availability can be read here, and a test of it is a table.
//
// What is not known is observed, not returned as an error: a store out of reach,
// a server that does not answer, a peer that is silent are values.
package ha

import (
	"slices"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// Observation is what one node knows at one moment.
type Observation struct {
	Now      time.Time // for durations; never compared with another machine's
	Wall     time.Time // what a calendar says: for what a person scheduled
	Me       Me
	Store    Store
	Right    Right
	Failsafe Failsafe
	Server   Server
	Job      Job      // the work under way; Job.Work is NoWork when there is none
	Last     Finished // the work that ended last
	Peers    Peers
	Log      LeaderLog
	Memory   Memory
	Order    Order    // what an operator asked for; Order.Task is NoTask when there is nothing
	Schedule Schedule // a restart that is to come
	Stopping bool     // the agent was told to end
}

// Me is what this node is by its configuration.
type Me struct {
	Name     string
	Tags     cluster.Tags
	ConnURL  string
	APIURL   string
	ProxyURL string
	Version  string

	MayBootstrap          bool // the file has a bootstrap section
	CustomBootstrap       bool // by a command of the user's
	CopiesAlone           bool // one of create_replica_methods needs no server to copy from
	AsksPrePromote        bool // pre_promote
	UseRewind             bool // use_pg_rewind
	RemoveOnDiverged      bool // remove_data_directory_on_diverged_timelines
	RemoveOnRewindFailure bool // remove_data_directory_on_rewind_failure
}

// Leadership is who holds the leader key, seen from here.
type Leadership int

// The four answers. Unknown is one of them.
const (
	Unknown Leadership = iota // the store is out of reach
	Nobody                    // there is no leader, or one who has lost the right to write and may be succeeded
	Ours                      // by the rules of package permit, whatever became of the key
	Theirs
)

// Store is what this node knows of the store.
type Store struct {
	Current  bool         // the view is not older than the watch that feeds it
	Silent   bool         // it is not, or a call of the store had no answer
	Later    bool         // it is not, but its leader key was put after it last was, see succeeded
	View     cluster.View // the last one, even when it is not current
	Settings cluster.Settings
	Dynamic  map[string]any // the last good dynamic configuration
	Applied  int64          // revision of the configuration that the server runs with

	LeaseID  int64         // 0: none
	LeaseAge time.Duration // since the renewal that was confirmed last was sent
	RenewTry time.Duration // since a renewal was last tried, successful or not

	Leaderless time.Duration // since the leadership was first seen open to others; 0: it is not
}

// Right is this node's right to write, and to take the lead, as package permit
// keeps it. Durations count from the observation.
type Right struct {
	Leading    bool          // this node leads, for the newest term that it knows
	Left       time.Duration // until its server must have stopped taking writes; 0: it has no permit
	Over       time.Duration // since the permit ended; 0: it has not, or there was none
	MayPromote bool          // the server may be promoted now (P4, P8)
	Releasing  bool          // this node gave up, and the store has not confirmed it yet

	Key     int64         // revision of the electorate key under which all this is so, and the lead may be asked for
	Free    bool          // this node may take over now
	FreeIn  time.Duration // until it may, if the leader stays silent; Idle: not under this electorate
	FreeFor time.Duration // since it may
	// LedLast: the store names this node as the last one that led, and it does not lead. A
	// leader of Patroni's that came and went unseen leaves no trace there.
	LedLast bool
	// Unarmed: the electorate says that nothing stops its leader's server at the end of its
	// permit, or says nothing else for certain: the guard was disarmed in a pause. While this
	// node leads or LedLast is so, that is this node's.
	Unarmed bool
	// Electorate is who may take over besides; nobody: anyone. A member outside it
	// cannot win, however far it has got, until a leader takes it in.
	Electorate []string

	// Claimed is the highest number that a leader, this one included, has claimed for a
	// timeline (leader only; 0: none).
	Claimed wal.Timeline

	// Heard is how long ago the present leader's newest heartbeat came that was
	// acknowledged; 0: none. It is for the account of a failover, and decides nothing.
	Heard time.Duration

	Overdue bool // a word of the leader is overdue, or there is evidence that it is gone

	// Guarded: a process of its own freezes the server at the end of the permit,
	// whatever becomes of this one.
	Guarded bool

	// Mixed: members of Patroni's are in the scope, so the permit ends with the lease
	// of the leader key unless they promise in failsafe mode not to race.
	Mixed bool

	// Barred: a watchdog is required and does not work, so this node must not lead
	// (B-110, B-273). Nothing is asked of it while the cluster is paused.
	Barred bool
}

// Failsafe is how failsafe mode stands.
type Failsafe struct {
	Asking bool          // a round of questions is under way
	Age    time.Duration // since the last one was begun; very long if none ever was
}

// Leadership tells who leads. A key that carries our name without our leading is
// left from an earlier life, or is just being given up: it has to be won anew.
func (o *Observation) Leadership() Leadership {
	switch leader := o.Store.View.Leader.Name; {
	case o.Right.Leading:
		return Ours
	case o.succeeded():
		return Theirs
	case !o.Store.Current:
		return Unknown
	case leader == "", leader == o.Me.Name:
		return Nobody
	case o.Right.Free && !o.MayWrite():
		return Nobody // its permit has surely ended
	default:
		return Theirs
	}
}

// Contested reports that the lead is open, or may be in a moment: time to ask the
// others for their positions.
func (o *Observation) Contested() bool {
	return o.Leadership() == Nobody || o.Store.Current && o.Leadership() == Theirs && o.Right.Overdue && o.Right.FreeIn < Idle && !o.MayWrite()
}

// ledByAnother reports that another member's name is in the leader key, alive or not.
// Then there is a cluster, whatever else is missing in the store.
func (o *Observation) ledByAnother() bool {
	leader := o.Store.View.Leader.Name
	return leader != "" && leader != o.Me.Name
}

// Directory is the state of the data directory.
type Directory int

// The states of a data directory (compat/behaviour.md, stage H).
const (
	NoAccess   Directory = iota // it cannot be read
	Empty                       // missing, or nothing in it that counts
	Data                        // a control file is there
	HalfCopied                  // files, but no control file
)

// Role is PostgreSQL's own answer to the question whether it is in recovery.
type Role int

// A server that does not answer has no known role.
const (
	RoleUnknown Role = iota
	Primary
	Standby
)

// Server is what this node's PostgreSQL looked like.
type Server struct {
	Directory  Directory
	Unfinished Work // what was cut off in the middle of this directory, NoWork if nothing
	SystemID   string
	Running    bool      // a postmaster is alive
	Answering  bool      // and it answered this pass's query
	Starting   bool      // and it answered that it does not take connections yet
	Version    int       // server_version_num; 0: not known
	Started    time.Time // as answered: since when the postmaster runs
	Guard      string    // by what it is stopped at the end of the right to write: freezer, signals, adopted or off
	Frozen     bool      // the guard holds it: it runs no instruction, and is not asked
	Armed      bool      // the guard stops it at the end of the right to write
	Role       Role      // as answered; as known last while it does not answer

	// End is how far the log goes. Running: flushed by a primary, the larger of
	// received and replayed of a standby. Down: what the control file vouches
	// for; of a primary that was shut down cleanly one byte into its shutdown
	// checkpoint, so that whoever has the record contains it.
	End wal.Point

	Received  wal.LSN
	Replayed  wal.LSN
	Streaming bool
	Archive   bool // not streaming, but fed from the archive

	// LacksSegment: a standby that streams would have to make the next segment of its log
	// while its primary shuts down.
	LacksSegment bool

	// Outgrown: it has stopped replaying, since the primary was started with higher
	// values of the settings that a standby must not go below.
	Outgrown bool

	WasPrimary bool // down: it ran as a primary last
	Clean      bool // down: it was shut down in order

	Upstream           Upstream     // whom its configuration says to follow
	Synchronous        Synchronous  // of a server that answers
	Senders            []Sender     // the streams from a primary
	Slots              []Slot       // sorted by name
	CheckpointTimeline wal.Timeline // timeline of the last checkpoint in the control file
	History            wal.History  // of this server's own timeline, as its pg_wal has it
	HistoryTime        string       // when that history file was written, ISO 8601
	CanRewind          bool         // checksums or wal_log_hints are on, and the tool runs

	PendingRestart map[string]cluster.Change
	Reloads        int // how often it was told to read its files anew, in this life of the agent
}

// Upstream is a server to stream from. The zero value is nobody.
type Upstream struct {
	Member   string
	Host     string
	Port     int
	Database string
	Slot     string // empty: without a slot
	Feedback bool   // it is told which rows are still needed here (B-377)
}

// Slot is a replication slot of this server. Temporary ones, and those that the servers
// keep in step by themselves (failover, since PostgreSQL 17), are not shown (B-341).
type Slot struct {
	Name      string
	Logical   bool
	Database  string // of a logical one
	Plugin    string // likewise
	Active    bool
	Restart   wal.LSN // 0: it keeps nothing
	Confirmed wal.LSN // of a logical one: how far its client has got
	HasXmin   bool
	Lost      bool // wal_status says that its log is gone
	Spent     bool // logical: it could not be moved on, for want of log (B-352)
	Young     bool // somebody else made it while this agent looked on
	Pending   bool // logical, on a standby: it is not proved that it could be used after a promotion (B-380)
}

// position is where a slot stands, as others are told (B-340).
func (s Slot) position() wal.LSN {
	if s.Logical {
		return s.Confirmed
	}
	return s.Restart
}

func (s Slot) kind() string {
	if s.Logical {
		return "logical"
	}
	return "physical"
}

// has reports that there is a slot of that name, and spent that it is of no use for
// want of log.
func (s *Server) has(slot string) bool { return s.anySlot(slot, func(Slot) bool { return true }) }

func (s *Server) spent(slot string) bool {
	return s.anySlot(slot, func(found Slot) bool { return found.Spent })
}

func (s *Server) anySlot(name string, holds func(Slot) bool) bool {
	return slices.ContainsFunc(s.Slots, func(slot Slot) bool { return slot.Name == name && holds(slot) })
}

// Work is long work on the server. One at a time is under way.
type Work int

// The kinds of work.
const (
	NoWork Work = iota
	Bootstrapping
	Copying   // base backup
	Rewinding // pg_rewind
	StartingPrimary
	StartingStandby
	Preparing // pre_promote
	Promoting
	StoppingServer
	CopyingSlots // of the leader's logical slots, with a restart
)

// Purpose is why the server is being stopped, which decides what happens to the
// leader key meanwhile. A start has one if it is the second half of a restart.
type Purpose int

// The purposes.
const (
	ForNothing      Purpose = iota
	ForHandOver             // switchover: the key is released when a candidate has everything
	ForAgentEnd             // the agent ends: likewise
	ForDemotion             // the right to write is ending; the key is left alone
	ForRepair               // a rewind, a copy or a start with other settings follows
	ForRestart              // an operator asked for it: a start follows, in the same role
	ForReinitialize         // an operator asked for it: a copy follows
)

// Job is the work under way.
type Job struct {
	Work     Work
	Purpose  Purpose
	Running  time.Duration // since it began
	Upstream Upstream
	Progress string // for people: "42%"

	// Shutdown is set during a stop as soon as the control file holds the
	// shutdown checkpoint; the postmaster may still live, draining its archive.
	Shutdown wal.Point
	// Optime is the position to leave behind then, as in Finished; 0: that of the
	// checkpoint.
	Optime wal.LSN
	// Checkpoint is where the shutdown checkpoint begins, which Shutdown is not when the log
	// was switched before it; 0: not known. Closed is how long the two have been known.
	Checkpoint wal.LSN
	Closed     time.Duration
}

// starts reports that the server is being started.
func (j Job) starts() bool { return j.Work == StartingPrimary || j.Work == StartingStandby }

// Finished is the outcome of the work that ended last. The zero value: none yet.
type Finished struct {
	Count    int // how many works have ended in this agent's life
	Work     Work
	Purpose  Purpose
	Failed   bool
	Ago      time.Duration
	From     string    // of a rewind or copy: the member
	Shutdown wal.Point // of a stop: its shutdown checkpoint

	// Hopeless is set when trying again would fail again, the other side being well.
	Hopeless bool

	// Optime is the position to leave behind in the status key: that of the
	// shutdown checkpoint, or of the WAL switch just before it (B-137).
	Optime wal.LSN
}

// started reports that the work was a start, successful or not.
func (f Finished) started() bool { return f.Work == StartingPrimary || f.Work == StartingStandby }

// Peers are the answers of the other members' agents to one round of questions.
type Peers struct {
	Asked   bool
	Age     time.Duration // since the round was begun
	Done    time.Duration // since the last answer, or the end of waiting for it
	Mine    wal.Point     // how far this server was when the round was begun
	Answers []Peer        // sorted by name; with those who were silent in an earlier round and not asked in this one
}

// Peer is one answer. A peer that did not answer is Silent, and only that.
type Peer struct {
	Name           string
	Silent         bool
	Unheard        int64 // of a silent one: the revision of the store up to which that was known
	Primary        bool  // it is not in recovery
	End            wal.Point
	Nofailover     bool
	Priority       int
	WatchdogFailed bool
}

// LeaderLog is what the leader's server said of its log over a replication
// connection. It is what tells whether this server can follow it.
type LeaderLog struct {
	Leader   string // empty: not read yet
	Age      time.Duration
	Failed   bool // it could not be read
	Primary  bool // it was not in recovery
	SystemID string
	History  wal.History

	// Mine is where this server's own log ends, when it is down as a primary that
	// crashed; zero: only recovery could tell.
	Mine wal.Point
}

// Memory is what the agent remembers of its own doings. All of it is lost when
// the agent restarts, and every decision must be safe without it.
type Memory struct {
	Awake      time.Duration // since the agent started
	Led        time.Duration // since this node began to lead, in this life of its agent; 0: it does not
	Released   time.Duration // since this node gave up the leader key by itself; 0: never
	Ending     time.Duration // since the agent was told to end
	Crashed    bool          // the server died under this agent's eyes
	Forked     bool          // the last leader's history did not contain this server's log, and nothing was done about it
	Prepared   bool          // pre_promote has agreed since this node took the lead
	SyncLost   bool          // since it took the lead, the sync key was found to be another one than the race was won by
	SyncDoubt  bool          // a write of the sync key may still be applied, of which this view shows nothing
	Unprepared time.Duration // since it did not; 0: it always did
	RewindLost bool          // the last rewind failed while the leader was reachable
	MemberAge  time.Duration // since the member key was put; very long if never
	StatusAge  time.Duration // since the status key was put; very long if never

	// Silent is for how long each member that sends heartbeats has been left out of the
	// electorate, as one that is silent (leader only).
	Silent map[string]time.Duration

	// Seen is how long ago each slot's member was last in the view (leader only).
	Seen map[string]time.Duration
}

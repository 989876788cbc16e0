// Package agent makes the passes of one node: observe, decide, act.
//
// All decisions are package ha's. What the agent adds is the hands (the store,
// the server, the other members) and the memory of what they did. Step makes one
// pass and starts nothing, so the simulator drives it as well as Run does.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
	"matriarch/internal/ha"
	"matriarch/internal/wal"
)

// Server is the hands on this node's PostgreSQL.
type Server interface {
	// Observe looks once. What it cannot find out it leaves unknown.
	Observe(ctx context.Context) ha.Server

	// Work is the long work under way and how the last one ended.
	Work(now time.Time) (ha.Job, ha.Finished)

	// Begin starts long work and returns. It is refused while other work is
	// under way.
	Begin(work ha.Action) error

	// Cancel ends the work under way. A start that is cancelled for a hand-over ends as
	// the stop of one. Kill sends SIGKILL to the whole server. Neither waits.
	Cancel(why ha.Purpose)
	Kill()

	// Changed receives a value after the server died or work ended. Coalesced.
	Changed() <-chan struct{}

	// Hold tells those who freeze the server at the end of the permit whether it may
	// be a primary. It is told in every pass, and before anything is begun.
	Hold(ctx context.Context, mayWrite bool)

	Follow(ctx context.Context, upstream ha.Upstream) error
	// SetStandbyNames returns when the server has been told. That the value is in force
	// is seen by a later look.
	SetStandbyNames(ctx context.Context, names ha.SetStandbyNames) error
	ReadLog(ctx context.Context, from ha.Upstream) ha.LeaderLog
	// CreateSlot, DropSlot and AdvanceSlot keep the slots. What is to be done to a
	// logical one can take long: it is begun, and a later look sees its end.
	CreateSlot(ctx context.Context, slot ha.CreateSlot) error
	DropSlot(ctx context.Context, name string) error
	AdvanceSlot(ctx context.Context, slot ha.AdvanceSlot) error
	ProveSlots(slots ha.ProveSlots) // in the background

	// Checkpoint and MakeSegment go on in the background.
	Checkpoint()
	MakeSegment(after wal.Point)
	Configure(ctx context.Context, dynamic map[string]any) error
	MoveAside(ctx context.Context) error
}

// Peers asks the other members' agents.
type Peers interface {
	// Ask returns one answer for each member, in order of their names. Who does
	// not answer within the context's deadline is silent.
	Ask(ctx context.Context, members []cluster.Member) []ha.Peer
}

// Callbacks runs the commands by which the user has the world told of this server. It
// waits for none of them.
type Callbacks interface{ Call(c ha.Callback) }

// Right keeps this node's right to write, at its own pace (package permit). No call
// waits for a store or a member.
type Right interface {
	// See makes it look at the store's mirror.
	See()

	// State is how things stand.
	State(now time.Time) ha.Right

	// Know tells it what the last pass knows.
	Know(k Knowledge)

	// Stand takes the lead, if the rules allow it now and the electorate is still the one
	// of that key (ha.Right). Release gives it up, after the
	// server has stopped taking writes, and writes what else is given in the same
	// transaction.
	Stand(key int64)
	Release(also []dcs.Op)

	// Passed says that a pass has been finished: an agent that hangs must not stay
	// leader for ever.
	Passed()

	// Changed receives a value when State has changed in what decides. Coalesced.
	Changed() <-chan struct{}
}

// Knowledge is what the keeping of the right needs from a pass.
type Knowledge struct {
	Permit    time.Duration // the permit's length
	TTL       time.Duration // of the lease
	Members   []string      // who may succeed this node; nil: not known, for the store was never seen
	Sole      bool          // if there is nobody, nobody may succeed it: it is its own quorum
	Unarmed   bool          // nothing stops its server at the end of the permit: the cluster is paused, or was
	Key       int64         // revision of the electorate key under which that is so
	Mixed     bool          // there are members that go by the lease alone
	Position  wal.Point     // how far this node's server has got
	Promotion wal.Timeline  // the one that a promotion would begin, as far as is known; 0: the server is a primary
	Upstream  string        // the member from which its server has a stream; empty: it has none
}

// Config is what an agent is made of.
type Config struct {
	Me      ha.Me
	Dynamic map[string]any // configuration to begin with: a cached one, or bootstrap.dcs
	Store   dcs.Store
	Server  Server
	Right   Right
	Peers   Peers
	Logger  *slog.Logger

	// Saw is told of every pass before it acts, and must not wait. nil: nobody looks on.
	Saw func(Report)

	Callbacks Callbacks        // nil: nobody is told
	Failsafe  Failsafe         // nil: this node takes no part in failsafe mode
	Now       func() time.Time // a clock that runs on in suspend and is never stepped
	Wall      func() time.Time // the calendar, for scheduled requests; nil: Now

	// Limit bounds one call of the hands, as context.WithTimeout does, which it is when
	// nil. That goes by the wall clock, and where time is not real there is another.
	Limit func(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc)
}

// Agent is one node's agent.
type Agent struct {
	cfg    Config
	log    *slog.Logger
	memory memory
	wake   chan struct{}

	mu     sync.Mutex
	cut    context.CancelCauseFunc // ends the call of the store that is under way; nil: none is
	end    bool                    // Stop was called
	order  *order                  // nil: none
	latest Report
	carry  carry
	news   chan struct{} // closed when latest is replaced; nil: nobody has asked since

	schedule ha.Schedule // a restart for later
	later    ha.Order    // what becomes of it then
}

// Report is what the last pass saw and decided, for those who ask.
type Report struct {
	Observation ha.Observation
	Plan        ha.Plan
	At          time.Time // when the pass began
	StoreSeen   time.Time // when the view was last known to be current
}

// New makes an agent that has not looked at anything yet.
func New(cfg Config) *Agent {
	if cfg.Limit == nil {
		cfg.Limit = context.WithTimeout
	}
	a := &Agent{cfg: cfg, log: cfg.Logger, wake: make(chan struct{}, 1)}
	a.memory.begin(cfg.Now(), cfg.Dynamic)
	return a
}

// Wake makes the agent look again at once.
func (a *Agent) Wake() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Stop tells the agent to bring its node to rest. Run returns when it is.
func (a *Agent) Stop() {
	a.mu.Lock()
	a.end = true
	a.mu.Unlock()
	a.Wake()
}

// Reconfigure replaces what the node is by its configuration, from the next pass
// on.
func (a *Agent) Reconfigure(me ha.Me) {
	a.mu.Lock()
	a.cfg.Me = me
	a.mu.Unlock()
	a.Wake()
}

// Latest is the report of the last pass.
func (a *Agent) Latest() Report {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.latest
}

// Changed returns a channel that is closed by the next pass.
func (a *Agent) Changed() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.news == nil {
		a.news = make(chan struct{})
	}
	return a.news
}

// Quit is the error with which Run ends when the node cannot go on.
type Quit struct{ Why string }

func (q *Quit) Error() string { return q.Why }

// errEnded is a plan's word that the node is at rest.
var errEnded = errors.New("the agent has ended")

// Step makes one pass. It starts nothing and reads no clock but now. The error
// is that of the action that failed, a *Quit when the agent has to end.
func (a *Agent) Step(ctx context.Context, now time.Time) (ha.Plan, error) {
	defer a.cfg.Right.Passed()
	o := a.observe(ctx, now)
	a.hold(ctx, o)
	a.cfg.Right.Know(knowledge(o))
	plan := ha.Decide(o)
	a.memory.judge(plan.Why)
	a.publish(o, plan, now)
	a.tell(o, plan)
	a.callBack(o, plan)
	for _, action := range plan.Do {
		if err := a.do(ctx, now, o, action); err != nil {
			return plan, a.failed(ctx, plan, action, err)
		}
	}
	if o.Store.Current && a.memory.silences == 0 && o.Right.Leading {
		a.forgetFailsafe() // B-552
	}
	return plan, nil
}

func (a *Agent) limit(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	return a.cfg.Limit(ctx, most)
}

// hold tells the guard whether the server has to stop at the end of the permit.
func (a *Agent) hold(ctx context.Context, o ha.Observation) {
	ctx, cancel := a.limit(ctx, serverTimeout)
	defer cancel()
	a.cfg.Server.Hold(ctx, o.Held())
}

// callBack has the user's commands run that this pass calls for.
func (a *Agent) callBack(o ha.Observation, plan ha.Plan) {
	told, due := a.memory.told.Next(o, plan)
	a.memory.told = told
	for _, c := range due {
		if a.cfg.Callbacks != nil {
			a.cfg.Callbacks.Call(c)
		}
	}
}

// knowledge is what this pass knows that the right to write hangs on.
func knowledge(o ha.Observation) Knowledge {
	k := Knowledge{Permit: o.Store.Settings.Permit, TTL: o.Store.Settings.TTL, Position: o.Server.End, Members: []string{},
		Unarmed: o.Unarmed(), Key: o.Right.Key}
	if o.Server.Role != ha.Primary {
		k.Promotion = o.NextTimeline()
	}
	if o.Server.Streaming {
		k.Upstream = o.Server.Upstream.Member
	}
	for _, m := range o.Store.View.Members {
		switch {
		case m.Name == o.Me.Name:
		case !m.Permit:
			k.Mixed = true
		case m.APIURL != "" && !m.Tags.Nofailover() && !leftBehind(o, m):
			k.Members = append(k.Members, m.Name)
		}
	}
	if o.Right.Leading {
		// A key can be gone after an outage of the store though its member is well, and
		// the lead must not hang on the store alone for that. A member that is gone is
		// silent, and is left out for it.
		for _, name := range o.Right.Electorate {
			if _, listed := o.Store.View.Member(name); !listed {
				k.Members = append(k.Members, name)
			}
		}
	}
	// B-543, B-550: alone in the failsafe key it is granted, for nobody else races.
	others, listed := cluster.FailsafeOthers(o.Store.View.Failsafe, o.Me.Name)
	k.Sole = o.Store.Settings.Failsafe && listed && len(others) == 0
	if unread(o.Store) {
		k.Members = nil
	}
	return k
}

// leftBehind reports that a member is not on this leader's timeline although it has had
// the time to come: its log has forked off and was not repaired, or it is being copied
// anew. It must not be the one that may take over.
func leftBehind(o ha.Observation, m cluster.Member) bool {
	return o.Right.Leading && o.Memory.Led >= comingOver && o.Server.Role == ha.Primary &&
		m.Timeline > 0 && m.Timeline < o.Server.End.Timeline
}

// comingOver is how long a member has to follow a new leader's timeline before it is
// left out of the electorate.
const comingOver = 10 * time.Second

func (a *Agent) publish(o ha.Observation, plan ha.Plan, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	seen := a.latest.StoreSeen
	if o.Store.Current {
		seen = now
	}
	a.latest = Report{Observation: o, Plan: plan, At: now, StoreSeen: seen}
	if a.cfg.Saw != nil {
		a.cfg.Saw(a.latest)
	}
	if a.news != nil {
		close(a.news)
		a.news = nil
	}
}

// tell logs what is new: a reason, never a pass.
func (a *Agent) tell(o ha.Observation, plan ha.Plan) {
	for _, fault := range a.memory.newFaults(o.Store.View.Faults) {
		a.log.Warn("the store holds a value that cannot be read", "fault", fault)
	}
	clashes, kept := o.SlotFaults()
	for _, clash := range clashes {
		if a.memory.slots.newFault(clash) {
			a.log.Error(clash)
		}
	}
	for _, slot := range kept {
		if a.memory.slots.newFault(slot) {
			a.log.Warn(slot)
		}
	}
	if plan.Why == ha.StoreAway && o.Memory.Awake < time.Second {
		return // the watch that has just been opened speaks in a moment
	}
	if !a.memory.newReason(plan.Why) {
		return
	}
	level := slog.LevelInfo
	switch plan.Why {
	case ha.Outgrown, ha.Overtaken, ha.PermitOver, ha.FrozenWithoutLead, ha.StoreAway, ha.StoreAwayTooLong, ha.StartFailed, ha.CreationFailed, ha.ClonePaused,
		ha.RequestUnreadable, ha.RequestLate, ha.RequestMisaddressed, ha.RequestNoMember, ha.RequestNobodyAble, ha.RequestNoVotes,
		ha.PromotionRefused, ha.RestartFailed, ha.RestartRefused, ha.ReinitializeRefused:
		level = slog.LevelWarn
	case ha.NotOurCluster, ha.RunsAsStandbyAlone, ha.HalfWritten, ha.RejoinImpossible, ha.Unsupported, ha.DirectoryUnreadable:
		level = slog.LevelError
	}
	said := []any{"leader", o.Store.View.Leader.Name, "timeline", o.Server.End.Timeline, "lsn", o.Server.End.LSN.String()}
	if because := outranked(o, plan.Why); because != "" {
		said = append(said, "because", because)
	}
	a.log.Log(context.Background(), level, plan.Why.String(), said...)
}

// outranked says to whom this member leaves the lead, in Patroni's words; empty when it
// does not.
func outranked(o ha.Observation, why ha.Reason) string {
	for _, p := range o.Peers.Answers {
		switch {
		case p.Silent:
		case why == ha.RaceOutranked && o.Behind(p):
			return "Wal position of " + p.Name + " is ahead of my wal position"
		case why == ha.RaceLessPreferred && p.End.LSN == o.Server.End.LSN && p.Priority > o.Me.Tags.FailoverPriority():
			return fmt.Sprintf("%s has equally tolerable WAL position and priority %d, while this node has priority %d",
				p.Name, p.Priority, o.Me.Tags.FailoverPriority())
		}
	}
	return ""
}

// failed turns the error of an action into that of the pass.
func (a *Agent) failed(ctx context.Context, plan ha.Plan, action ha.Action, err error) error {
	var quit *Quit
	switch {
	case errors.As(err, &quit), errors.Is(err, errEnded), errors.Is(err, errUrgent):
		return err
	case errors.Is(err, dcs.ErrConflict):
		// The store said no: it holds something newer than this pass knew.
		a.log.Info("the store holds something newer", "action", name(action), "why", plan.Why.String())
		if _, sync := action.(ha.PutSync); sync && plan.Why == ha.Promotion {
			a.memory.syncLost = true
		}
		reread, cancel := a.storeCall(ctx, a.memory.patience())
		defer cancel()
		if _, readErr := a.cfg.Store.Read(reread); readErr != nil {
			return errors.Join(err, readErr)
		}
		return err
	}
	said := err.Error()
	if plan.Why == ha.StoreAway {
		said = plan.Why.String() // the members of the store take turns in not answering
	}
	if a.memory.newFailure(name(action), said) {
		a.log.Warn("an action failed; it will be decided anew", "action", name(action), "why", plan.Why.String(), "err", err)
	}
	return err
}

// Package account tells how the leader changed: what this member saw, what it decided
// and why, with times, from the passes of its agent.
//
// It is told of every pass and looks on. It reads no clock and changes nothing, so
// what it says can be tested as a text; to publish it is the daemon's.
package account

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/ha"
	"matriarch/internal/wal"
)

// Teller turns passes into accounts. Whoever takes over tells the whole story; a
// leader that gives up or loses the lead tells its side of it.
type Teller struct {
	begun   bool // a pass was seen
	leading bool
	request cluster.Failover // the last one that was seen and is not answered
	asked   time.Time        // when it was seen first

	open   *cluster.Account // the story that is going on; nil: none
	opened time.Time        // when it began to be told
	why    ha.Reason        // told last
	round  time.Time        // the round of questions that was told last
	work   ha.Work
}

// See takes in a pass. It returns the account when there is something to publish: as
// soon as the lead has changed hands, for this member may be gone the next moment, and
// again when the story has come to its end.
func (t *Teller) See(o ha.Observation, plan ha.Plan) (cluster.Account, bool) {
	defer func() { t.begun, t.leading = true, o.Right.Leading }()
	t.seeRequest(o)
	switch {
	case o.Right.Leading && !t.leading:
		return t.taken(o, plan)
	case o.Right.Leading:
		return t.lead(o, plan)
	case t.leading:
		return t.lost(o, plan)
	}
	return t.contend(o, plan)
}

// seeRequest remembers what was asked for: the winner clears it with the lead.
func (t *Teller) seeRequest(o ha.Observation) {
	f := o.Store.View.Failover
	switch {
	case f.Requested() && f.Modified != t.request.Modified:
		t.request, t.asked = f, o.Wall
	case !f.Requested() && o.Store.Current && t.open == nil && o.Leadership() != ha.Nobody:
		t.request = cluster.Failover{}
	}
}

// begin opens a story.
func (t *Teller) begin(o ha.Observation) {
	t.open = &cluster.Account{By: o.Me.Name, From: o.Store.View.Leader.Name}
	if t.open.From == "" {
		t.open.From = t.request.Leader
	}
	t.opened = o.Wall
	t.why, t.round, t.work = -1, time.Time{}, ha.NoWork
	if t.request.Requested() {
		text := "requested: failover"
		if t.request.Switchover() {
			text = "requested: switchover from " + t.request.Leader
		}
		if t.request.Candidate != "" {
			text += " to " + t.request.Candidate
		}
		if t.request.At != "" {
			text += ", scheduled for " + t.request.At
		}
		t.open.Tell(t.asked, text)
	}
}

// contend is a pass in which another one leads, or nobody.
func (t *Teller) contend(o ha.Observation, plan ha.Plan) (cluster.Account, bool) {
	if !o.Contested() {
		t.open = nil // the leader was heard again, or another one has taken over and tells
		return cluster.Account{}, false
	}
	if t.open == nil {
		t.begin(o)
		t.silence(o)
	}
	t.pass(o, plan)
	return cluster.Account{}, false
}

// silence tells why the lead is open.
func (t *Teller) silence(o ha.Observation) {
	leader := o.Store.View.Leader.Name
	if o.Right.Heard > 0 && leader != "" {
		t.open.Tell(o.Wall.Add(-o.Right.Heard), "the last heartbeat of "+leader)
	}
	switch {
	case leader == "" && t.open.From != "":
		t.open.Tell(o.Wall, "seen: "+t.open.From+" has given up the lead")
	case leader == "":
		t.open.Tell(o.Wall, "seen: nobody leads")
	case leader == o.Me.Name:
		t.open.Tell(o.Wall, "seen: the leader key carries this member's own name, from an earlier life")
	case o.Right.Overdue:
		t.open.Tell(o.Wall, "seen: no heartbeat of "+leader+" when one was due, or its connection has broken")
	default:
		t.open.Tell(o.Wall, "seen: the permit of "+leader+" has surely ended")
	}
}

// pass tells what a pass decided and what has come in since the last one.
func (t *Teller) pass(o ha.Observation, plan ha.Plan) {
	t.positions(o)
	t.doings(o)
	if plan.Why == t.why || plan.Why == ha.Steady || plan.Why == ha.Following || plan.Why == ha.Leading || plan.Why == ha.Busy {
		return
	}
	t.why = plan.Why
	t.open.Tell(o.Wall, "decided: "+plan.Why.String())
}

// positions tells what the others have answered, once for each round of questions.
func (t *Teller) positions(o ha.Observation) {
	if !o.Peers.Asked {
		return
	}
	round := o.Wall.Add(-o.Peers.Age)
	if round.Before(t.opened) { // the question was another one
		return
	}
	if d := round.Sub(t.round); d < time.Millisecond && d > -time.Millisecond { // computed anew in each pass
		return
	}
	t.round = round
	said := []string{o.Me.Name + " itself " + position(o.Server.End)}
	for _, p := range o.Peers.Answers {
		said = append(said, answer(p))
	}
	t.open.Tell(round.Add(o.Peers.Age-o.Peers.Done), "seen: positions: "+strings.Join(said, ", "))
}

func answer(p ha.Peer) string {
	switch {
	case p.Silent:
		return p.Name + " is silent"
	case p.Primary:
		return p.Name + " " + position(p.End) + " as primary"
	case p.Nofailover:
		return p.Name + " " + position(p.End) + ", nofailover"
	}
	return p.Name + " " + position(p.End)
}

func position(at wal.Point) string {
	if at.LSN == 0 {
		return "not known"
	}
	return at.String()
}

// doings tells of the work that has ended or begun.
func (t *Teller) doings(o ha.Observation) {
	if t.work == o.Job.Work {
		return
	}
	if name := workText[t.work]; name != "" && o.Job.Work == ha.NoWork {
		text := "done: " + name
		if o.Last.Work == t.work && o.Last.Failed {
			text = "failed: " + name
		}
		t.open.Tell(o.Wall.Add(-o.Last.Ago), text)
	}
	if name := workText[o.Job.Work]; name != "" {
		t.open.Tell(o.Wall.Add(-o.Job.Running), "begun: "+name)
	}
	t.work = o.Job.Work
}

var workText = map[ha.Work]string{
	ha.Promoting: "promotion", ha.StoppingServer: "stop of the server", ha.StartingPrimary: "start as primary", ha.StartingStandby: "start as standby",
}

// taken is the first pass that leads. Who was the primary before has taken nothing
// over.
func (t *Teller) taken(o ha.Observation, plan ha.Plan) (cluster.Account, bool) {
	if o.Server.Role == ha.Primary || !t.begun {
		t.open = nil
		return cluster.Account{}, false
	}
	if t.open == nil { // the leader key came between two passes
		t.begin(o)
	}
	t.open.Kind, t.open.To = "failover", o.Me.Name
	switch {
	case t.request.Switchover():
		t.open.Kind = "switchover"
	case t.request.Requested():
		t.open.Kind = "requested failover"
	}
	t.positions(o)
	t.open.Tell(o.Wall, "done: took the leader key")
	t.pass(o, plan)
	return t.copy(), true
}

// lead is a pass of a leader: the end of a takeover, or the begin of a handover.
func (t *Teller) lead(o ha.Observation, plan ha.Plan) (cluster.Account, bool) {
	if t.open != nil && t.open.To == o.Me.Name {
		t.pass(o, plan)
		if o.Server.Role != ha.Primary || o.Job.Work == ha.Promoting || o.Right.Left <= 0 || o.Server.Frozen {
			return cluster.Account{}, false
		}
		t.open.Timeline = o.Server.End.Timeline
		t.open.Tell(o.Wall, fmt.Sprintf("done: writes are possible, on timeline %d", o.Server.End.Timeline))
		return t.close()
	}
	switch {
	case givesUp(plan.Why):
		if t.open == nil {
			t.begin(o)
			t.open.From = o.Me.Name
		}
		t.pass(o, plan)
	case t.open != nil && (plan.Why == ha.Steady || plan.Why == ha.Leading): // it stays the leader
		t.open = nil
	case t.open != nil:
		t.pass(o, plan)
	}
	return cluster.Account{}, false
}

// givesUp are the reasons that a leader may lose the lead by.
func givesUp(why ha.Reason) bool {
	switch why {
	case ha.NoPermit, ha.StoreAwayTooLong, ha.PermitOver, ha.FrozenWithoutLead, ha.Overtaken, ha.Barred, ha.BusyStartTooSlow, ha.HandingOver, ha.HandedOver,
		ha.AgentEnding, ha.CrashHandedOn, ha.CrashRestart, ha.PausedReleasing, ha.Promotion, ha.RequestAsking:
		return true
	}
	return false
}

// lost is the first pass after a lead.
func (t *Teller) lost(o ha.Observation, plan ha.Plan) (cluster.Account, bool) {
	if t.open == nil || t.open.To != "" {
		t.begin(o)
	}
	t.open.From, t.open.Kind = o.Me.Name, "failover"
	if t.request.Switchover() {
		t.open.Kind = "switchover"
	}
	t.pass(o, plan)
	if leader := o.Store.View.Leader.Name; leader != "" && leader != o.Me.Name {
		t.open.To = leader
		t.open.Tell(o.Wall, "seen: "+leader+" leads")
	} else {
		t.open.Tell(o.Wall, "done: gave up the lead")
	}
	return t.close()
}

// copy is the story so far, in the order of its times: an answer is told by a later
// pass than the one that it came to.
func (t *Teller) copy() cluster.Account {
	out := *t.open
	out.Steps = slices.Clone(out.Steps)
	slices.SortStableFunc(out.Steps, func(a, b cluster.Step) int { return a.At.Compare(b.At) })
	return out
}

func (t *Teller) close() (cluster.Account, bool) {
	done := t.copy()
	t.open = nil
	t.request = cluster.Failover{Modified: t.request.Modified} // answered
	return done, true
}

package ha

import (
	"slices"
	"strings"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// race decides for a running server in a cluster without a leader. Every member
// judges itself; several may find that they qualify, and the store lets one have
// the key (section 2 of compat/behaviour.md).
func race(o Observation) Plan {
	s, request := o.Store.Settings, o.Store.View.Failover
	switch {
	case o.Right.Releasing:
		return wait(HandedOver, soon) // the store has to know first
	case !o.Server.Answering:
		return wait(Steady, soon) // starting, or too busy to say
	case s.Pause:
		return racePaused(o)
	case o.unstopped() && !o.namedByHand():
		return wait(RaceUnarmed, s.LoopWait)
	case o.Server.Role == Primary:
		if o.Server.End.Timeline < o.Store.View.Timeline() { // B-105: somebody was promoted since
			return do(RaceStaleTimeline, Stop{Mode: Immediate, For: ForDemotion})
		}
		return take(o, RaceRetaken)
	case o.Me.Tags.Nofailover(): // S6
		return wait(RaceNofailover, s.LoopWait)
	case o.excluded() && !o.namedByHand(), o.Memory.Forked, o.Right.Barred, o.unprepared(): // S6, S3, B-110, B-101
		return wait(RaceExcluded, s.LoopWait)
	case !o.Right.Free && o.Right.FreeIn >= Idle:
		return take(o, RaceWon)
	case !o.Right.Free && o.Right.FreeIn > o.askAhead():
		return awaitEnd(o)
	case request.Requested():
		return raceRequested(o)
	default:
		return raceOpen(o, o.opponents(), true)
	}
}

// awaitEnd waits for the end of the permit of the leader that was lost. Who of the
// others is alive is asked meanwhile, so that nobody who is not has to be waited for
// when it counts.
func awaitEnd(o Observation) Plan {
	rest := o.Right.FreeIn - o.askAhead()
	asked := o.Peers.Asked && o.Peers.Age <= o.Store.Leaderless
	if members := o.opponents(); !asked && len(members) > 0 && rest > askAhead {
		return do(RaceQuiet, AskPeers{Members: members, Within: min(rest, o.answersWithin())})
	}
	return wait(RaceQuiet, min(rest, o.Store.Settings.LoopWait))
}

// racePaused lets a running primary keep the lead, and a standby take it only
// when it was asked for by name (B-102 to B-106). Patroni lets any primary have it
// (B-504). Here one that the cluster has gone on from has to be asked for as well.
func racePaused(o Observation) Plan {
	f := o.Store.View.Failover
	named := f.Candidate == o.Me.Name && f.At == "" && !o.Me.Tags.Nofailover() && !o.unprepared()
	switch {
	case named && o.Server.Role != Primary && o.unstopped() && !o.namedByHand():
		return wait(RaceUnarmed, o.Store.Settings.LoopWait) // a switchover is in order, and that is the old leader's to begin
	case named && o.Server.Role != Primary && o.syncActive() && !o.namedByHand():
		return raceRequested(o) // the old leader may have died before it stepped down, with what only others have (S2)
	case named, o.Server.Role == Primary && !o.superseded():
		return take(o, RaceWon)
	case o.Server.Role == Primary:
		return wait(PausedSuperseded, o.Store.Settings.LoopWait)
	}
	return wait(Paused, o.Store.Settings.LoopWait)
}

// superseded reports that the history key has the end of this primary's timeline: another
// member has led since, and what it acknowledged is not here (S2, S3). One that a person
// has promoted in the pause began a timeline of its own, at a place that the key does not
// have, be its number what it may.
func (o Observation) superseded() bool {
	v := o.Store.View
	if o.Server.End.Timeline >= v.Timeline() {
		return false
	}
	known := wal.History{}
	for _, l := range v.History.Lines {
		known.Switches = append(known.Switches, wal.Switch{Timeline: l.Timeline, LSN: l.LSN})
	}
	return o.Server.History.Agrees(known)
}

// take takes the lead as soon as the rules of package permit let this member: a
// silent leader's permit has to end first. The answer wakes the next pass.
func take(o Observation, why Reason) Plan {
	switch r := o.Right; {
	case r.Free:
		return Plan{Why: why, Do: []Action{Acquire{}}, LookAgain: soon}
	case r.FreeIn < Idle:
		return wait(RaceQuiet, min(max(r.FreeIn, time.Millisecond), o.Store.Settings.LoopWait))
	}
	return wait(RaceExcluded, o.Store.Settings.LoopWait) // the electorate names others
}

// excluded reports the memberships that a candidate needs: that of the failsafe
// map (B-111) and, in synchronous mode, that of the sync key (B-112, S2).
func (o Observation) excluded() bool {
	v, s := o.Store.View, o.Store.Settings
	if _, listed := v.Failsafe[o.Me.Name]; s.Failsafe && len(v.Failsafe) > 0 && !listed {
		return true
	}
	if s.Synchronous != "" && v.Sync.Illegible {
		return true // anybody at all may lack what was acknowledged (S2)
	}
	return o.syncActive() && s.Synchronous == "on" && !v.Sync.Includes(o.Me.Name)
}

// namedByHand reports that a person asked for a failover to this member, and has been
// told what may be lost (B-109, B-115).
func (o Observation) namedByHand() bool {
	f := o.Store.View.Failover
	return f.Candidate == o.Me.Name && !f.Switchover() && f.At == ""
}

// syncActive reports that synchronous mode is configured and a leader has said in
// the sync key that it is in force (B-401).
func (o Observation) syncActive() bool {
	return o.Store.Settings.Synchronous != "" && o.Store.View.Sync.Leader != ""
}

// raceRequested is the race while somebody asked for a switchover or a failover
// (2.4 of compat/behaviour.md).
func raceRequested(o Observation) Plan {
	s, f := o.Store.Settings, o.Store.View.Failover
	if o.syncActive() && f.Switchover() && !o.Store.View.Sync.Includes(o.Me.Name) { // B-108
		return wait(RaceExcluded, s.LoopWait)
	}
	if f.Candidate == o.Me.Name && (!f.Switchover() || !o.byVotes()) {
		return take(o, RaceWon) // B-115: it was asked for by name
	}
	if f.Candidate != "" || f.Leader == o.Me.Name {
		// Everybody in one round: two rounds about different members would make
		// each other stale, and the race would ask for ever.
		if plan, ok := askedNow(o, o.others(), RaceAsking); !ok {
			return plan
		}
	}
	if f.Candidate == o.Me.Name && o.electable(Peer{Name: o.Me.Name, End: o.Server.End}) {
		return take(o, RaceWon) // B-115: with the votes it has what was acknowledged, whoever may have more
	}
	if f.Candidate != "" {
		for _, p := range o.Peers.of(o.candidates(false)) {
			switch {
			case p.Name == o.Me.Name, p.Silent, p.Nofailover, p.WatchdogFailed:
			case !o.mayWin(p): // nor would it ever, without a leader that takes it in
			case !f.Switchover() || o.electable(p):
				return wait(RaceLeftToCandidate, s.LoopWait) // B-118
			case o.Store.Leaderless < 2*holdBack:
				return wait(RaceLeftToCandidate, 2*soon) // the rest of the old primary's log is still coming in
			}
		}
	}
	if f.Leader == o.Me.Name && (!o.byVotes() || strings.EqualFold(o.Store.View.Sync.Leader, o.Me.Name)) { // B-145: I stepped down for another
		if o.failoverPossible(o.candidates(true), 0) && o.Store.Leaderless < steppedBack {
			return wait(RaceLeftToCandidate, 10*soon)
		}
		return take(o, RaceWon)
	}
	return raceOpen(o, o.opponents(), false)
}

// steppedBack is how long a leader that has made way on request leaves the lead to the
// others: longer than any of them holds back for another.
const steppedBack = 4 * holdBack

// byVotes reports that a race is decided by the votes of the members of the sync key. A
// quorum in the key counts in either mode: until the leader has made the change, one
// standby alone need not have everything (S2).
func (o Observation) byVotes() bool {
	return o.syncActive() && (o.Store.Settings.Synchronous == "quorum" || o.Store.View.Sync.Quorum > 0)
}

// electable reports that another member can have the votes that it needs, as far as the
// answers tell: nobody else needs to wait for one that cannot. Where there are no votes
// everybody is.
func (o Observation) electable(p Peer) bool {
	if !o.byVotes() {
		return true
	}
	votes := -1
	if sync := o.Store.View.Sync; sync.Includes(p.Name) {
		votes = 0
	}
	for _, voter := range append(slices.Clone(o.Peers.Answers), Peer{Name: o.Me.Name, End: o.Server.End}) {
		if voter.Name != p.Name && !voter.Silent && voter.End.LSN > 0 && o.Store.View.Sync.Includes(voter.Name) && !ahead(voter.End, p.End) {
			votes++
		}
	}
	return votes >= o.Store.View.Sync.Quorum
}

// others are all other members that can be asked.
func (o Observation) others() []cluster.Member {
	var out []cluster.Member
	for _, m := range o.Store.View.FailsafePeers(o.Store.Settings) {
		if m.Name != o.Me.Name && m.APIURL != "" && !o.silentLeader(m) {
			out = append(out, m)
		}
	}
	return out
}

// opponents are the members whose word counts in a race: in synchronous mode only
// those of the sync key (B-113), else all that can be asked.
func (o Observation) opponents() []cluster.Member {
	var out []cluster.Member
	for _, m := range o.Store.View.FailsafePeers(o.Store.Settings) {
		voter := o.syncActive() && o.Store.View.Sync.Includes(m.Name)
		switch {
		case m.Name == o.Me.Name, m.APIURL == "", o.silentLeader(m):
		case o.syncActive() && !voter:
		case m.Tags.Nofailover() && !voter: // B-124
		default:
			out = append(out, m)
		}
	}
	return out
}

// silentLeader reports that a member is the leader that has gone silent. It is not
// asked: it would only cost the time until it does not answer. One that by its own last
// word is a standby is asked: it has fallen silent between the key and its promotion,
// perhaps for its agent alone, and its server may hold what no other one does (S6). So
// is one whose server has just said, when its log was read, that it is in recovery: it
// has come back as a standby, and has not been able to write so into its key.
func (o Observation) silentLeader(m cluster.Member) bool {
	back := o.Log.Leader == m.Name && !o.Log.Failed && !o.Log.Primary && o.Log.Age < answersFresh
	return m.Name == o.Store.View.Leader.Name && m.Role != cluster.RoleReplica && !back && o.Contested()
}

// askAhead is how long before the end of the quiet period the others are asked, so
// that a round of questions costs no time of its own. Not longer: the end of the
// silent leader's permit lies two margins before that of the quiet period, which are
// 40 ms at the least (package permit), and half of that is for its guard. What was
// said before that end is not final: until then another member can have received,
// and acknowledged, what would be lost (S2).
const askAhead = 20 * time.Millisecond

// askAhead is nothing where commits wait for standbys: a guard that is late by more than
// half of the margins keeps S1 all the same, and nothing acknowledged may be lost (S2).
func (o Observation) askAhead() time.Duration {
	if o.syncActive() {
		return 0
	}
	return askAhead
}

// holdBack is how long a member that is behind leaves the lead to a better one:
// one that answers and yet does not take it has its own reasons. With a round of
// questions and a promotion it stays within the second of L1.
const holdBack = 500 * time.Millisecond

// raceOpen compares this member with the others. All answers belong to one round
// of questions, begun after the leader was lost, and positions are compared with
// their timelines, so that two candidates cannot each believe the other ahead.
func raceOpen(o Observation, opponents []cluster.Member, lagCounts bool) Plan {
	s, v := o.Store.Settings, o.Store.View
	switch {
	case lagCounts && behind(o.Server.End.LSN, v.Status.Optime) > s.MaximumLagOnFailover: // B-121, S6
		return wait(RaceBehind, s.LoopWait)
	case s.CheckTimeline && o.Server.End.Timeline < v.Timeline(): // B-122
		return wait(RaceBehind, s.LoopWait)
	}
	if plan, ok := askedNow(o, opponents, RaceAsking); !ok {
		return plan
	}
	switch why, ok := o.fittest(opponents); {
	case ok, o.heldBack(opponents, why):
		return take(o, RaceWon)
	case !o.Right.Free:
		return wait(why, soon)
	default:
		return wait(why, 2*soon)
	}
}

// heldBack reports that a better member has had its moment and did not take the
// lead. One that is further behind it than maximum_lag_on_failover goes on waiting,
// a newer timeline is never passed over, and in synchronous mode nobody is (S2).
func (o Observation) heldBack(opponents []cluster.Member, why Reason) bool {
	if why != RaceOutranked && why != RaceLessPreferred || o.syncActive() || min(o.Right.FreeFor, o.Store.Leaderless) < holdBack {
		return false
	}
	for _, p := range o.Peers.of(opponents) {
		newer := p.End.Timeline > o.Server.End.Timeline
		if !p.Silent && (newer || behind(o.Server.End.LSN, p.End.LSN) > o.Store.Settings.MaximumLagOnFailover) {
			return false
		}
	}
	return true
}

// fittest judges the answers of the opponents (B-127 to B-135), not those that are
// left from an earlier round about others. Who was asked to step down does not
// stand in the way of those who come after it, unless it is still primary (B-146).
func (o Observation) fittest(opponents []cluster.Member) (Reason, bool) {
	sync, stepped, quorum := o.Store.View.Sync, o.Store.View.Failover.Leader, o.byVotes()
	votes, ahead := -1, 0
	if quorum && sync.Includes(o.Me.Name) {
		votes = 0
	}
	for _, p := range o.Peers.of(opponents) {
		former := o.syncActive() && strings.EqualFold(p.Name, sync.Leader)
		voter := quorum && sync.Includes(p.Name)
		switch {
		case !p.Silent && voter && (p.Nofailover || p.WatchdogFailed || p.Name == stepped) && !p.Primary:
			// It does not race, and so cannot block. But it knows what was acknowledged. In
			// Patroni it has no vote, and a cluster with such members may elect nobody (B-946).
			if p.End.LSN > 0 && !o.Behind(p) {
				votes++
			}
		case p.Silent, p.Nofailover, p.WatchdogFailed: // B-127: cannot block, cannot vote
		case p.Primary && p.Name == o.Store.View.Leader.Name: // its permit ends before the quiet period
		case p.Primary:
			return RacePrimaryAlive, false // B-128
		case p.Name == stepped:
		case !voter && !o.mayWin(p) && p.End.Timeline <= o.Server.End.Timeline:
			// It cannot win, however far it has got, until a leader takes it in. But what
			// was written on a newer timeline is not passed over for that.
		case o.Behind(p) && !former:
			return RaceOutranked, false // B-129
		case o.Behind(p):
			ahead++ // B-130
		case p.End.LSN == o.Server.End.LSN && p.Priority > o.Me.Tags.FailoverPriority() && !former && (!quorum || voter):
			return RaceLessPreferred, false // B-131
		case voter && p.End.LSN > 0:
			votes++ // B-132
		}
	}
	last := strings.EqualFold(sync.Leader, o.Me.Name) && o.newestTimeline() == 0 // nobody has been promoted since
	if quorum && votes < sync.Quorum && !(ahead == 0 && last) {
		return RaceOutranked, false // B-135
	}
	return RaceWon, true
}

// mayWin reports that a member is in the electorate, where there is one, or the leader
// of it, who may take the lead again.
func (o Observation) mayWin(p Peer) bool {
	return len(o.Right.Electorate) == 0 || slices.Contains(o.Right.Electorate, p.Name) || p.Name == o.Store.View.Leader.Name
}

// Behind compares positions with their timelines where both are known.
func (o Observation) Behind(p Peer) bool { return ahead(p.End, o.Server.End) }

func ahead(a, b wal.Point) bool {
	if a.Timeline == 0 || b.Timeline == 0 {
		return a.LSN > b.LSN
	}
	return a.Compare(b) > 0
}

// answersFresh is how long a round of answers may be used. It counts from the end
// of the round: a member that is silent makes a round take its whole timeout, and
// counted from the beginning such a round would be stale as soon as it is over.
const answersFresh = time.Second

// askedNow makes sure that these members have been asked a moment ago at most, and
// where the lead is open, after that and not before the last leader's permit had
// ended. A round counts from the beginning of its pass, which looked at the server
// before it asked: hence twice askAhead.
func askedNow(o Observation, members []cluster.Member, why Reason) (Plan, bool) {
	// A position of ours that is newer than the answers would beat members who have got
	// as far since: what the last leader sent at its end is still coming in.
	moved := o.Server.Running && o.Peers.Mine != o.Server.End
	fresh := o.Peers.Asked && o.Peers.Done < answersFresh &&
		(!o.Contested() || !moved && o.Peers.Age <= o.Store.Leaderless && o.Peers.Age+o.Right.FreeIn <= o.Right.FreeFor+2*o.askAhead())
	var ask []cluster.Member
	for _, m := range members {
		fresh = fresh && o.Peers.has(m.Name)
		if !o.knownSilent(m) {
			ask = append(ask, m)
		}
	}
	if fresh || len(ask) == 0 {
		return Plan{}, true
	}
	return do(why, AskPeers{Members: ask, Within: o.answersWithin()}), false
}

// knownSilent reports that a member gave no answer to a round of this race: it is not
// waited for again.
func (o Observation) knownSilent(m cluster.Member) bool {
	return o.Contested() && o.Peers.Age <= o.Store.Leaderless && o.silentLately(m)
}

// silentLately reports that a member gave no answer to the last round in which it was
// asked, that this was a moment ago, and that it has not written its key since.
func (o Observation) silentLately(m cluster.Member) bool {
	if !o.Peers.Asked || o.Peers.Done >= 2*answersFresh {
		return false
	}
	return slices.ContainsFunc(o.Peers.Answers, func(p Peer) bool { return p.Name == m.Name && p.Silent && m.Modified <= p.Unheard })
}

// answersWithin is how long the others have to answer. While nobody leads, clients
// wait for it.
func (o Observation) answersWithin() time.Duration {
	if o.Contested() {
		return max(o.Store.Settings.Permit/3, soon)
	}
	return 10 * soon
}

// of are the answers of these members.
func (p Peers) of(members []cluster.Member) []Peer {
	var out []Peer
	for _, a := range p.Answers {
		if slices.ContainsFunc(members, func(m cluster.Member) bool { return m.Name == a.Name }) {
			out = append(out, a)
		}
	}
	return out
}

func (p Peers) has(name string) bool {
	for _, a := range p.Answers {
		if a.Name == name {
			return true
		}
	}
	return false
}

package ha

import (
	"slices"
	"strings"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// Synchronous is how a running primary waits for standbys before it acknowledges.
type Synchronous struct {
	Names   string // synchronous_standby_names, in force
	Managed bool   // it is this agent's value, not the user's
	Told    string // the value that the server was told last

	// Since is a position: all that was acknowledged by an earlier value of Names lies
	// before it. 0: not known yet, so nobody can have confirmed it (B-415).
	Since wal.LSN
	Age   time.Duration // since this value was first seen in force
}

// Sender is a standby's stream from this server (pg_stat_replication).
type Sender struct {
	Application  string
	State        string
	SyncState    string
	SyncPriority int
	Position     wal.LSN // how far it is by the measure of synchronous_commit; 0: not known (B-410)
}

// Actions of synchronous mode.
type (
	// PutSync writes the sync key, if the leader key is ours and the sync key is still
	// as it was seen (Sync.Modified; 0: absent).
	PutSync struct{ Sync cluster.Sync }

	// DropSync deletes it, likewise.
	DropSync struct{ Modified int64 }

	// SetStandbyNames gives the server a value of synchronous_standby_names; with Users
	// set it is the user's own again.
	SetStandbyNames struct {
		Value string
		Users bool
	}
)

func (PutSync) action()         {}
func (DropSync) action()        {}
func (SetStandbyNames) action() {}

// syncWait is how long the leader may rest before it looks at its standbys again. The
// end of a stream wakes it, but nothing tells that a position has been reached.
func (o *Observation) syncWait(steady bool) time.Duration {
	switch {
	case !steady && o.Server.Synchronous.Age < 50*soon:
		return soon
	case !steady || o.Store.Settings.Synchronous != "":
		return 10 * soon
	}
	return o.Store.Settings.LoopWait
}

// settleTime is how long the standbys of a server that was started anew have to connect
// again before they are let go.
const settleTime = 3 * time.Second

// young reports that the server was started a moment ago.
func (o *Observation) young() bool {
	return !o.Server.Started.IsZero() && o.Wall.Sub(o.Server.Started) < settleTime
}

// vanished is how long a standby whose agent is silent is waited for by commits. Its
// stream can look well for a minute when its host is gone (wal_sender_timeout).
func (o Observation) vanished() time.Duration { return o.Store.Settings.LoopWait }

// synchronize is the leader's work for synchronous mode: one step towards the wanted
// standbys (B-400). Not steady: there is another step to come.
func (o Observation) synchronize() (do []Action, steady bool) {
	key, mode := o.Store.View.Sync, o.Store.Settings.Synchronous
	switch {
	case mode == "" && key.Modified != 0:
		return []Action{DropSync{Modified: key.Modified}}, false // B-405: first the key
	case mode == "" && o.Server.Synchronous.Managed:
		return []Action{SetStandbyNames{Users: true}}, false
	case mode == "":
		return nil, true
	case o.Memory.SyncDoubt && strings.EqualFold(key.Leader, o.Me.Name):
		// A standby that is not among these may be made eligible by it at any moment, and
		// commits must not cease to wait for that one. Once the key has been put again the
		// older write compares what is no more (S2).
		return []Action{PutSync{key}}, false
	case key.Leader == "":
		return []Action{PutSync{cluster.Sync{Leader: o.Me.Name, Modified: key.Modified}}}, false // B-404
	case !o.Server.Synchronous.Managed && len(key.Standbys) > 0:
		// It is by this value that the key's standbys have everything, whosever it is.
		return []Action{SetStandbyNames{Value: o.Server.Synchronous.Names}}, false
	case !o.Server.Synchronous.Managed:
		// The user's own value does not count while the mode is on (B-406).
		return []Action{SetStandbyNames{Value: o.standbyNamesAtFirst()}}, false
	case mode == "quorum":
		return o.quorumStep()
	}
	return o.priorityStep()
}

// standbyNamesAtFirst is what a new primary begins with (B-430, B-433): nobody is known
// to follow it yet.
func (o Observation) standbyNamesAtFirst() string {
	switch s := o.Store.Settings; {
	case !s.SynchronousStrict:
		return ""
	case s.Synchronous == "quorum":
		return cluster.StandbyNames{Any: true, Count: 1, Names: []string{cluster.AnyStandby}}.String()
	}
	return cluster.AnyStandby
}

// promotionSync is what has to be written before a promotion, so that nobody who is
// not known to have what the new primary acknowledges may succeed it (B-430, B-431).
//
// In quorum mode the members of a race stay the same, and only their leader changes.
// Patroni leaves that for later. But the key's leader may take the lead without votes
// (B-135), so it has to be the one that was primary last. That the key is still the one
// by which the race was won, the comparison shows (S2).
func (o Observation) promotionSync() []Action {
	s, key := o.Store.Settings, o.Store.View.Sync
	if s.Synchronous == "" {
		return nil
	}
	names, sync := o.standbyNamesAtFirst(), cluster.Sync{Leader: o.Me.Name, Modified: key.Modified}
	var before []Action
	switch {
	case s.Synchronous == "quorum" && key.Leader == "":
	case s.Synchronous == "quorum":
		q := quorum{me: o.Me.Name, key: key}
		others := less(q.racers(), []string{o.Me.Name})
		count := len(q.racers()) - key.Quorum - 1
		if !containsName(q.racers(), o.Me.Name) {
			count++
		}
		if count > 0 && len(others) > 0 {
			names = cluster.StandbyNames{Any: true, Count: min(count, len(others)), Names: others}.String()
		}
		sync.Standbys, sync.Quorum = others, min(key.Quorum, max(0, len(others)-1))
		before = []Action{PutSync{sync}}
	default:
		before = []Action{PutSync{sync}}
	}
	if now := o.Server.Synchronous; !now.Managed || now.Names != names {
		before = append(before, SetStandbyNames{Value: names})
	}
	return before
}

// streamer is a member whose stream a commit may wait for.
type streamer struct {
	cluster.Member
	stream Sender
}

// streamers are the members that may be synchronous (B-410 to B-413), the preferred
// first.
func (o *Observation) streamers() []streamer {
	var list, silent []streamer
	for _, s := range o.Server.Senders {
		i := slices.IndexFunc(o.Store.View.Members, func(m cluster.Member) bool { return strings.EqualFold(m.Name, s.Application) })
		if i < 0 || s.State != "streaming" || s.Position == 0 {
			continue
		}
		m := o.Store.View.Members[i]
		twice := slices.ContainsFunc(list, func(other streamer) bool { return other.Name == m.Name }) // an old stream of its own
		if m.Name == o.Me.Name || twice || m.State != cluster.StateRunning || m.Tags.Nosync() || o.cascades(m) {
			continue
		}
		if out, known := o.Memory.Silent[m.Name]; known && out < o.vanished() {
			silent = append(silent, streamer{m, s})
		} else if !known {
			list = append(list, streamer{m, s})
		}
	}
	// Who is left out of the electorate cannot succeed this leader. While there are others
	// to take its place it is let go at once; else it may come back (L1).
	if len(list) < o.Store.Settings.SynchronousNodes {
		list = append(list, silent...)
	}
	slices.SortStableFunc(list, func(a, b streamer) int {
		if d := b.Tags.SyncPriority() - a.Tags.SyncPriority(); d != 0 {
			return d
		}
		if d := strings.Compare(b.stream.SyncState, a.stream.SyncState); d != 0 {
			return d // sync, quorum, potential, async: who is synchronous stays so
		}
		switch {
		case a.stream.Position > b.stream.Position:
			return -1
		case a.stream.Position < b.stream.Position:
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	slices.SortStableFunc(list, func(a, b streamer) int { return rank(a.Tags.Nofailover()) - rank(b.Tags.Nofailover()) })
	return o.keepingUp(list)
}

func rank(last bool) int {
	if last {
		return 1
	}
	return 0
}

// onDuty reports that commits wait for this standby. Before it goes away in order it asks
// to be let go, for a while: a courtesy to those who write (B-455). Where nobody leads
// nobody writes, and the others may be waiting for this very member to take the lead or
// to be gone.
func (o *Observation) onDuty() bool {
	return o.Store.Current && o.Leadership() == Theirs && !o.Contested() && o.Server.Running && o.Server.Role == Standby && o.syncActive() && containsName(o.Store.View.Sync.Standbys, o.Me.Name) &&
		!strings.EqualFold(o.Store.View.Leader.Name, o.Me.Name)
}

// goesAway reports that this server is about to be stopped in order.
func (o *Observation) goesAway() bool {
	return o.Server.Role == Standby && o.Store.Settings.Synchronous != "" && !o.Store.Settings.Pause && (o.Stopping || o.Order.Task == ToRestart && (!o.Order.TakenUp || o.Last.Count <= o.Order.After))
}

// cascades reports that a member should stream from another one that streams from here
// (B-411).
func (o *Observation) cascades(m cluster.Member) bool {
	for range o.Store.View.Members { // no longer than the longest chain
		from, ok := o.Store.View.Member(m.Tags.ReplicateFrom())
		switch {
		case !ok || from.Name == o.Me.Name || from.Name == m.Name || from.State != cluster.StateRunning || from.Tags.Nostream():
			return false
		case slices.ContainsFunc(o.Server.Senders, func(s Sender) bool { return s.State == "streaming" && strings.EqualFold(s.Application, from.Name) }):
			return true
		}
		m = from
	}
	return false
}

// keepingUp leaves out who is too far behind the best, or behind this server if it is
// alone (B-413).
func (o *Observation) keepingUp(list []streamer) []streamer {
	most := o.Store.Settings.MaximumLagOnSyncnode
	if most <= 0 || len(list) == 0 {
		return list
	}
	var best wal.LSN
	for _, s := range list {
		best = max(best, s.stream.Position)
	}
	if len(list) == 1 {
		best = o.Server.End.LSN
	}
	return slices.DeleteFunc(list, func(s streamer) bool { return behind(s.stream.Position, best) > most })
}

// names is the value in force, and who of it has confirmed.
func (o *Observation) names() (value cluster.StandbyNames, confirmed []string) {
	value, _ = cluster.ParseStandbyNames(o.Server.Synchronous.Names)
	since, key := o.Server.Synchronous.Since, o.Store.View.Sync
	for _, s := range o.Server.Senders {
		switch {
		case !containsName(value.Members(), s.Application), s.State != "streaming":
		case s.SyncState != "sync" && s.SyncState != "quorum":
		case o.Store.Settings.Synchronous == "on" && key.Quorum == 0 && strings.EqualFold(key.Leader, o.Me.Name) && containsName(key.Standbys, s.Application) && !value.Any:
			// By the key every commit has waited for it already.
			confirmed = append(confirmed, s.Application)
		case since > 0 && s.Position >= since:
			confirmed = append(confirmed, s.Application)
		}
	}
	return value, union(confirmed, nil)
}

// priorityStep is one step of section 7.3 of compat/behaviour.md: commits wait for all
// of the names, so each of them has every commit, and each of the key's standbys is
// among the names. To let one go the key comes first, to take one in the names do.
func (o *Observation) priorityStep() (do []Action, steady bool) {
	key := o.Store.View.Sync
	if !strings.EqualFold(key.Leader, o.Me.Name) {
		return []Action{PutSync{cluster.Sync{Leader: o.Me.Name, Modified: key.Modified}}}, false // B-421
	}
	if o.young() && len(key.Standbys) > 0 && key.Quorum == 0 {
		return nil, false // they are connecting again
	}
	var picked []string
	for _, s := range o.streamers() {
		if len(picked) < o.Store.Settings.SynchronousNodes {
			picked = append(picked, s.Name)
		}
	}
	picked = union(picked, nil)
	names, confirmed := o.names()
	if all := names.Count >= len(names.Names) && !names.Any; !all {
		confirmed = nil // not everybody on the list has everything
	}
	if stay := less(key.Standbys, less(key.Standbys, confirmed)); len(stay) < len(key.Standbys) || key.Quorum != 0 {
		return []Action{PutSync{cluster.Sync{Leader: o.Me.Name, Standbys: stay, Modified: key.Modified}}}, false // B-422, B-424
	}
	// Who is picked no more leaves the key first (B-424).
	if stay := less(key.Standbys, less(key.Standbys, picked)); len(stay) < len(key.Standbys) {
		return []Action{PutSync{cluster.Sync{Leader: o.Me.Name, Standbys: stay, Modified: key.Modified}}}, false
	}
	if told := o.Server.Synchronous; told.Told != told.Names {
		return nil, false
	}
	wanted := cluster.StandbyNames{Count: len(picked), Names: picked}
	if len(picked) == 0 {
		wanted, _ = cluster.ParseStandbyNames(o.standbyNamesAtFirst()) // B-425
	}
	switch ready := less(picked, less(picked, confirmed)); {
	case !names.Same(wanted):
		return []Action{SetStandbyNames{Value: wanted.String()}}, false // B-426
	case !same(ready, key.Standbys):
		return []Action{PutSync{cluster.Sync{Leader: o.Me.Name, Standbys: ready, Modified: key.Modified}}}, false // B-428
	default:
		return nil, len(ready) == len(picked)
	}
}

// quorumStep is one step of section 7.5.
func (o *Observation) quorumStep() (do []Action, steady bool) {
	s := o.Store.Settings
	names, confirmed := o.names()
	q := quorum{
		me: o.Me.Name, key: o.Store.View.Sync, names: union(names.Members(), nil), any: names.Any, confirmed: confirmed,
		wanted: s.SynchronousNodes, settling: o.Memory.Led > 0 && o.Memory.Led < s.LoopWait || o.young(),
		waiting: o.Server.Synchronous.Told != o.Server.Synchronous.Names,
	}
	q.count = min(names.Count, len(q.names))
	if len(q.names) < len(names.Names) {
		q.count = 0 // anybody at all may have acknowledged
	}
	var last []string // B-414
	for _, m := range o.streamers() {
		if m.Tags.Nofailover() {
			last = append(last, m.Name)
			continue
		}
		q.active = append(q.active, m.Name)
	}
	q.active = append(q.active, last[:min(len(last), max(0, s.SynchronousNodes-len(q.active)))]...)
	q.active = union(q.active, nil)
	switch step := q.next(); {
	case step.key != nil:
		return []Action{PutSync{*step.key}}, false
	case step.names != nil && len(step.names.Names) > 0:
		return []Action{SetStandbyNames{Value: step.names.String()}}, false
	case (step.names != nil || min(q.wanted, len(q.active)) == 0 && len(q.names) == 0 && !q.waiting) && o.Server.Synchronous.Names != o.standbyNamesAtFirst():
		return []Action{SetStandbyNames{Value: o.standbyNamesAtFirst()}}, false // B-457
	case q.wanted == 0:
		return nil, len(q.names) == 0 && len(q.key.Standbys) == 0
	}
	return nil, same(q.active, q.key.Standbys) && same(q.names, q.active) && q.key.Quorum == len(q.active)-min(q.wanted, len(q.active))
}

package agent

import (
	"log/slog"
	"slices"
	"strings"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/ha"
)

// memory is what the agent remembers from pass to pass. It is lost with the
// agent, and every decision is safe without it.
type memory struct {
	started    time.Time
	renewTried time.Time
	released   time.Time
	memberPut  time.Time
	statusPut  time.Time
	noLeader   time.Time // since when the lead is open to others
	forked     bool
	rewindLost bool
	prepared   bool      // pre_promote has agreed in this reign
	unprepared time.Time // when it last did not
	rewindFrom string    // the member against whom it was lost
	doubt      syncDoubt
	raced      int64 // revision of the sync key by which the lead was asked for last
	syncLost   bool  // in this reign the sync key was found to be another one
	ending     time.Time
	finished   int // how many works had ended when this was last looked at
	wasRunning bool
	crashed    bool
	seen       map[string]time.Time // slot name to when its member was last in the view
	silent     map[string]time.Time // member to since when it has been left out of the electorate

	leads    bool // at the last look
	ledSince time.Time
	sure     int64 // the store's revision when the view was last current; 0: it never was
	silences int   // calls of the store in a row that had no answer in time

	peers      ha.Peers
	peersAt    time.Time // when the round was begun
	peersDone  time.Time
	unanswered map[string]time.Time // who gave no answer when asked last, and when
	log        ha.LeaderLog
	logAt      time.Time

	told ha.Told

	settings cluster.Settings
	dynamic  map[string]any
	read     int64 // revision of the configuration last read
	applied  int64 // revision of the configuration that the server has

	reason      ha.Reason
	hasReason   bool
	faults      []string
	failure     string
	slots       slotMemory
	failures    int // passes in a row that failed
	immediately int // passes in a row that asked for another one at once
}

func (m *memory) begin(now time.Time, dynamic map[string]any) {
	m.started, m.dynamic = now, dynamic
	m.seen, m.silent = map[string]time.Time{}, map[string]time.Time{}
	settings, _, err := cluster.ReadSettings(dynamic)
	if err != nil {
		settings = cluster.DefaultSettings()
	}
	m.settings = settings
}

// configure takes over a new dynamic configuration, or keeps the one in force
// when the new one cannot be used.
func (m *memory) configure(c cluster.Config, log *slog.Logger) {
	if !c.Valid || c.Modified == m.read {
		return
	}
	m.read = c.Modified
	settings, notes, err := cluster.ReadSettings(c.Document)
	if err != nil {
		log.Error("the dynamic configuration is refused; the one in force stays", "err", err)
		// The keys that are read straight from the document count all the same
		// (compat/config.md §1.2).
		m.settings.Pause = cluster.Truth(c.Document["pause"])
		return
	}
	for _, note := range notes {
		log.Warn("dynamic configuration: " + note)
	}
	m.settings, m.dynamic = settings, c.Document
}

// leaderless is how long the lead has been open to others.
func (m *memory) leaderless(now time.Time, o ha.Observation) time.Duration {
	if !o.Contested() {
		if o.Leadership() != ha.Unknown {
			m.noLeader = time.Time{}
		}
		return 0
	}
	if m.noLeader.IsZero() {
		m.noLeader = now
	}
	return now.Sub(m.noLeader)
}

// patience is how long the next call of the store may take.
func (m *memory) patience() time.Duration {
	return min(storeTimeoutLeast<<min(m.silences, 10), storeTimeoutMost)
}

// notice updates the memory by what this pass saw, and gives it to the
// observation.
func (m *memory) notice(now time.Time, o *ha.Observation) {
	if m.wasRunning && !o.Server.Running && o.Job.Work == ha.NoWork && o.Last.Work != ha.StoppingServer {
		m.crashed = true
	}
	if o.Server.Running {
		m.crashed = false
	}
	m.wasRunning = o.Server.Running && o.Job.Work == ha.NoWork

	if leads := o.Right.Leading; leads != m.leads {
		m.leads = leads
		if leads {
			m.ledSince = now
			m.released, m.statusPut = time.Time{}, time.Time{}
		}
	}
	leader := o.Store.View.Leader.Name
	if o.Last.Count != m.finished && (o.Last.Work == ha.Rewinding || o.Last.Work == ha.Copying) {
		m.rewindLost, m.rewindFrom = o.Last.Hopeless, o.Last.From
	}
	if o.Last.Count != m.finished && o.Last.Work == ha.Preparing && o.Right.Leading {
		if m.prepared = !o.Last.Failed; o.Last.Failed {
			m.unprepared = now
		}
	}
	m.prepared = m.prepared && o.Right.Leading
	m.syncLost = (m.syncLost || m.overruled(o)) && o.Right.Leading && o.Server.Role != ha.Primary
	m.finished = o.Last.Count
	if leader != m.rewindFrom {
		m.rewindLost = false // another leader, another try (B-307)
	}
	m.remember(now, o)
	m.listen(now, o)
	o.Memory = ha.Memory{
		Awake: now.Sub(m.started), Crashed: m.crashed, Forked: m.forked, RewindLost: m.rewindLost, Prepared: m.prepared, SyncLost: m.syncLost, SyncDoubt: m.doubt.about(o.Store),
		MemberAge: since(now, m.memberPut), StatusAge: since(now, m.statusPut),
	}
	if o.Stopping {
		if m.ending.IsZero() {
			m.ending = now
		}
		o.Memory.Ending = now.Sub(m.ending)
	}
	if m.leads {
		o.Memory.Led = now.Sub(m.ledSince)
	}
	if !m.unprepared.IsZero() {
		o.Memory.Unprepared = max(now.Sub(m.unprepared), 1)
	}
	if !m.released.IsZero() {
		o.Memory.Released = max(now.Sub(m.released), 1)
	}
	o.Memory.Seen, o.Memory.Silent = ages(now, m.seen), ages(now, m.silent)
	m.slots.notice(o)
	o.Peers = m.peers
	o.Peers.Age, o.Peers.Done = since(now, m.peersAt), since(now, m.peersDone)
	o.Log = m.log
	o.Log.Age = since(now, m.logAt)
	if o.Log.Leader != leader {
		o.Log = ha.LeaderLog{}
	}
}

// overruled reports that the lead was won by another sync key than the last leader has
// left: the store showed the newer one only afterwards. Who may succeed that leader it
// says anew, and this member may lack what was acknowledged since (S2).
func (m *memory) overruled(o *ha.Observation) bool {
	key := o.Store.View.Sync
	return o.Store.Settings.Synchronous != "" && key.Leader != "" && key.Modified != m.raced && !strings.EqualFold(key.Leader, o.Me.Name)
}

// ages are for how long; nil: there is nothing.
func ages(now time.Time, since map[string]time.Time) map[string]time.Duration {
	if len(since) == 0 {
		return nil // as with every member that does not lead, in every pass
	}
	out := make(map[string]time.Duration, len(since))
	for name, at := range since {
		out[name] = now.Sub(at)
	}
	return out
}

// silentFor is for how long a member that gave no answer is not asked again. It may come
// back while nobody leads, and its vote may be what is missing.
const silentFor = 2 * time.Second

// withSilent adds those who were silent when they were asked last, and were not asked
// again for that.
func (m *memory) withSilent(now time.Time, revision int64, answers []ha.Peer) []ha.Peer {
	answered := func(name string) bool {
		return slices.ContainsFunc(answers, func(p ha.Peer) bool { return p.Name == name })
	}
	was := m.unanswered
	m.unanswered = map[string]time.Time{}
	for i := range answers {
		if p := &answers[i]; p.Silent {
			p.Unheard = revision
			m.unanswered[p.Name] = now
		}
	}
	for _, old := range m.peers.Answers {
		if at := was[old.Name]; old.Silent && !answered(old.Name) && now.Sub(at) < silentFor {
			answers = append(answers, old)
			m.unanswered[old.Name] = at
		}
	}
	slices.SortFunc(answers, func(a, b ha.Peer) int { return strings.Compare(a.Name, b.Name) })
	return answers
}

// remember keeps when each member's slot was last wanted by a member. Who takes
// the lead begins anew with all that its predecessor kept (B-336).
func (m *memory) remember(now time.Time, o *ha.Observation) {
	if o.Leadership() != ha.Ours {
		clear(m.seen)
		return
	}
	if len(m.seen) == 0 {
		for _, name := range o.Store.View.Status.Retain {
			m.seen[name] = now
		}
	}
	for _, member := range o.Store.View.Members {
		if !member.Tags.Nostream() {
			m.seen[cluster.SlotName(member.Name)] = now
		}
	}
}

// listen keeps since when each member that sends heartbeats has not been in the
// electorate of this leader.
func (m *memory) listen(now time.Time, o *ha.Observation) {
	if !o.Right.Leading {
		clear(m.silent)
		return
	}
	for _, member := range o.Store.View.Members {
		name := member.Name
		heard := !member.Permit || name == o.Me.Name || member.Tags.Nofailover() || slices.Contains(o.Right.Electorate, name)
		if _, known := m.silent[name]; heard {
			delete(m.silent, name)
		} else if !known {
			m.silent[name] = now
		}
	}
}

// judge keeps the verdict about this server's log for the time after the leader
// that it was compared with: a log known to have forked off must not win a race.
func (m *memory) judge(why ha.Reason) {
	switch why {
	case ha.RejoinImpossible:
		m.forked = true
	case ha.Following, ha.ChangingUpstream, ha.RejoinStreaming, ha.RejoinRewinding, ha.RejoinCloning, ha.Leading:
		m.forked = false
	}
}

func (m *memory) newReason(why ha.Reason) bool {
	if m.hasReason && m.reason == why {
		return false
	}
	m.reason, m.hasReason = why, true
	return true
}

func (m *memory) newFaults(faults []string) []string {
	if slices.Equal(faults, m.faults) {
		return nil
	}
	fresh := slices.DeleteFunc(slices.Clone(faults), func(f string) bool { return slices.Contains(m.faults, f) })
	m.faults = faults
	return fresh
}

func (m *memory) newFailure(action, said string) bool {
	text := action + ": " + said
	if text == m.failure {
		return false
	}
	m.failure = text
	return true
}

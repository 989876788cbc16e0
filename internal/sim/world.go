package sim

import (
	"bytes"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
	"matriarch/internal/ha"
	"matriarch/internal/permit"
	"matriarch/internal/wal"
)

// Settings are what a world is made of. They are drawn by lot from a seed, or said
// by a story.
type Settings struct {
	Hosts    int
	External bool // etcd's three members are on machines of their own
	Permit   time.Duration
	TTL      int // seconds, as loop_wait and retry_timeout
	LoopWait int
	Retry    int
	MaxLag   int64 // bytes
	RowBytes int64 // of one commit
	Drift    int64 // the fastest and the slowest clock differ by twice as much; parts per million
	Latency  float64
	NoFail   string // a member that must not be promoted
	Failsafe bool   // failsafe_mode
	Calm     bool   // no lots: messages take the usual, clocks agree
	Instant  bool   // messages, looks and writes take no time at all
	Rewind   bool
	Sync     string // synchronous_mode: on, quorum or nothing
	Strict   bool   // synchronous_mode_strict
	Waits    int    // synchronous_node_count
	Slots    bool   // the configuration has permanent slots
	Dense    bool   // faults follow on each other, without rest
	Timed    bool   // they wait for their moment
	ByHand   bool   // a person takes a hand, in pauses too
	Counted  bool   // faults wait for a standby to count as synchronous
	Apart    bool   // no two promotions give the same number to their timelines
	Mutant   Mutant
}

// World is one cluster and all that surrounds it, under virtual time.
type World struct {
	engine
	set      Settings
	seed     uint64
	net      *network
	etcd     *etcd
	hosts    []*host
	machines []*machine
	dynamic  map[string]any
	permit   time.Duration
	conns    [][]bool // by the machines of leader and member: heartbeats go over a connection

	rowBytes    wal.LSN
	replayLag   time.Duration
	synchronous bool
	rewind      bool
	etcdSlow    time.Duration
	busy        time.Duration // how late timers are
	waking      bool
	supervised  bool // agents that end are started again

	paused, pausedLately bool // as the store has it; in this episode

	branches, systems, promotions, freezes, kills, adoptions, passes int

	faults   int // that were drawn
	cures    []func()
	ambushes []ambush

	syncKey     cluster.Sync                  // as it was put last
	countedNext []func(leader, standby *host) // wait for a standby to come into it
	longest     time.Duration                 // the longest permit ever
	leaps       bool
	deaf        bool // a machine is heard and hears nothing
	leapt       int
	afterHeal   time.Duration
	stable      instant // since when no fault has begun or ended
	unbroken    bool    // no fault is in force that may stop writes (L3)
	checks
	teller
}

// NewWorld makes machines on which nothing has been started.
func NewWorld(seed uint64, set Settings) *World {
	w := &World{set: set, seed: seed, permit: set.Permit, rowBytes: wal.LSN(set.RowBytes),
		rewind: set.Rewind, synchronous: set.Sync != "", supervised: true, longest: set.Permit, leaps: true}
	w.reseed(seed, 0)
	w.checks.begin(w)
	for range set.Hosts {
		w.conns = append(w.conns, make([]bool, set.Hosts))
	}
	machines := set.Hosts
	if set.External {
		machines += etcdMembers
	}
	w.net = newNetwork(&w.engine, machines)
	w.net.calm, w.net.instant = set.Calm, set.Instant
	for i := range set.Hosts {
		h := newHost(w, "n"+strconv.Itoa(i+1), i)
		if !set.Calm {
			h.clock = clock{booted: w.now - instant(w.upTo(time.Hour)), ppm: w.lot.Int64N(2*set.Drift+1) - set.Drift}
			if w.chance(2) { // the extremes matter
				h.clock.ppm = set.Drift * int64(1-2*w.lot.IntN(2))
			}
		}
		if h.name == set.NoFail {
			h.tags["nofailover"] = true
		}
		w.hosts = append(w.hosts, h)
		w.machines = append(w.machines, &machine{name: h.name, host: h})
	}
	w.dynamic = map[string]any{
		"ttl": set.TTL, "loop_wait": set.LoopWait, "retry_timeout": set.Retry, "maximum_lag_on_failover": int(set.Mutant.lag(set.MaxLag)),
		"permit": set.Permit.Seconds(), "failsafe_mode": set.Failsafe, "postgresql": map[string]any{"use_pg_rewind": set.Rewind},
	}
	if set.Slots {
		w.dynamic["slots"] = permanentSlots
	}
	if set.Sync != "" {
		w.dynamic["synchronous_mode"], w.dynamic["synchronous_mode_strict"] = set.Sync, set.Strict
		w.dynamic["synchronous_node_count"] = set.Waits
	}
	w.etcd = newEtcd(w)
	first := 0
	if set.External {
		for i := range etcdMembers {
			w.machines = append(w.machines, &machine{name: "e" + strconv.Itoa(i+1)})
		}
		first = set.Hosts
	}
	for i := range min(etcdMembers, machines) {
		m := &member{name: w.machines[first+i].name, machine: first + i}
		m.start()
		w.etcd.members = append(w.etcd.members, m)
	}
	w.etcd.elect()
	w.after(writeEvery, w.clients)
	return w
}

const etcdMembers = 3

// permanentSlots are one of each kind. A logical one has a standby restarted when it is
// copied there.
var permanentSlots = map[string]any{"backup": nil, "cdc": map[string]any{"database": "app", "plugin": "pgoutput"}}

func (w *World) ttl() time.Duration { return time.Duration(w.set.TTL) * time.Second }

// giveUp is how long a guard keeps a frozen server.
func (w *World) giveUp() time.Duration {
	s, _, err := cluster.ReadSettings(w.dynamic)
	if err != nil {
		panic(err)
	}
	return s.GiveUp()
}

// Begin starts every agent. One of them creates the cluster.
func (w *World) Begin() {
	for _, h := range w.hosts {
		h.agent.begin()
	}
	if w.supervised {
		w.after(superviseEvery, w.supervise)
	}
}

// superviseEvery is how soon an agent that has ended is started again, at most.
const superviseEvery = 250 * time.Millisecond

// End lets go of the agents' coroutines, and with them of the world.
func (w *World) End() {
	for _, h := range w.hosts {
		if h.agent.quit != nil {
			h.agent.quit()
		}
	}
}

// supervise is the service manager of every machine.
func (w *World) supervise() {
	w.after(superviseEvery, w.supervise)
	for _, h := range w.hosts {
		if p := h.agent; p.ended && !p.alive && !p.stopping {
			p.begin()
		}
	}
}

// Run lets time pass, until something is broken.
func (w *World) Run(d time.Duration) {
	end := w.now.add(d)
	for w.broken == "" && w.step(end) {
	}
	if w.broken == "" {
		w.now = max(w.now, end)
	}
}

// RunUntil lets time pass until the condition holds, and reports whether it did
// within the limit.
func (w *World) RunUntil(limit time.Duration, holds func() bool) bool {
	end := w.now.add(limit)
	for w.broken == "" && w.now < end {
		if holds() {
			return true
		}
		next := min(w.now.add(50*time.Millisecond), end)
		for w.broken == "" && w.step(next) {
		}
		w.now = max(w.now, next)
	}
	return w.broken == "" && holds()
}

// about is a duration by lot, from three quarters to five quarters.
func (w *World) about(d time.Duration) time.Duration {
	if w.set.Calm {
		return d
	}
	return d*3/4 + w.upTo(d/2)
}

// cost is what something small takes.
func (w *World) cost(d time.Duration) time.Duration {
	if w.set.Instant {
		return 0
	}
	return w.about(d)
}

// late is how late a timer fires on a busy machine.
func (w *World) late() time.Duration {
	if w.busy == 0 {
		return 0
	}
	return w.upTo(w.busy)
}

// freezeTakes is from the guard's decision until no process of the server runs. By
// lot it comes near to what the permit's margins allow.
func (w *World) freezeTakes() time.Duration {
	usual := 3 * time.Millisecond
	if w.set.Calm {
		return usual
	}
	allowed := 2*marginOf(w.permit) - time.Duration(2*w.set.Drift)*w.permit/million - 2*time.Millisecond
	if w.chance(2) {
		return time.Duration(w.set.Latency * float64(allowed))
	}
	return w.upTo(usual)
}

// marginOf is package permit's Margin.
func marginOf(permit time.Duration) time.Duration { return max(permit/20, 20*time.Millisecond) }

// connected notes a heartbeat connection from a leader to a member.
func (w *World) connected(leader, member *host) { w.conns[leader.machine][member.machine] = true }

// disconnected ends it, and reports whether there was one.
func (w *World) disconnected(leader, member *host) bool {
	there := w.conns[leader.machine][member.machine]
	w.conns[leader.machine][member.machine] = false
	return there
}

func (w *World) forget(leader *host) {
	for _, h := range w.hosts {
		w.disconnected(leader, h)
	}
}

// initdb makes a new system.
func (w *World) initdb() disk {
	w.systems++
	w.branches++
	return disk{
		present: true, systemID: "700000000000000" + strconv.Itoa(1000+w.systems), checkpoint: 1,
		history: wal.History{Timeline: 1}, log: []stretch{{branch: w.branches, timeline: 1, end: 0x3000000}},
	}
}

// writeEvery is how often clients try to write, on every node.
const writeEvery = 80 * time.Millisecond

// clients write through every server that takes writes.
func (w *World) clients() {
	w.after(w.about(writeEvery), w.clients)
	for _, h := range w.hosts {
		if s := h.server; s.acknowledges() {
			s.write()
		}
	}
}

// written is told of every transaction that was applied.
func (w *World) written(txn dcs.Txn, before map[string]dcs.Value) {
	if len(w.ambushes) > 0 {
		electorate, _ := permit.ParseElectorate(before[permit.Key].Data)
		w.observed(txn, true, electorate)
	}
	for _, op := range txn.Then {
		if !comesByItself(op.Key) && (op.Delete || !bytes.Equal(op.Data, before[op.Key].Data)) {
			w.touched()
		}
		switch {
		case op.Key == dcs.KeyInitialize:
			w.checkInitialize(op)
		case op.Key == dcs.KeySync:
			w.counted()
		case op.Key != dcs.KeyLeader:
		case op.Delete:
			w.tell("etcd: the leader key is deleted")
		case !bytes.Equal(op.Data, before[op.Key].Data):
			w.tell("etcd: leader %s, revision %d", op.Data, w.etcd.revision)
			w.checkChoice(w.host(string(op.Data)))
		}
	}
}

// comesByItself reports the keys that are put again and again because positions
// move. What else changes in them has touched the world already.
func comesByItself(key string) bool {
	return key == dcs.KeyStatus || strings.HasPrefix(key, dcs.KeyMembers)
}

// news is told when a pass of an agent gives another reason than the one before.
func (w *World) news(h *host, why ha.Reason) {
	w.tell("%s: %s", h.name, why)
	w.touched()
}

// leader is the host that the leader key names; nil: none.
func (w *World) leader() *host { return w.host(string(w.etcd.values[dcs.KeyLeader].Data)) }

// primary is the host whose server acknowledges commits; nil: none.
func (w *World) primary() *host {
	i := slices.IndexFunc(w.hosts, func(h *host) bool { return h.server.acknowledges() })
	if i < 0 {
		return nil
	}
	return w.hosts[i]
}

// settled reports that the leader's server takes writes and every other one streams
// from it, on its timeline (L2).
func (w *World) settled() bool {
	leader := w.leader()
	if leader == nil || !leader.server.acknowledges() || !leader.agent.runs() {
		return false
	}
	for _, h := range w.hosts {
		if h == leader {
			continue
		}
		s := h.server
		if !h.agent.runs() || !s.runs() || !s.receiver.streamsFrom(leader.server) || s.disk.history.Timeline != leader.server.disk.history.Timeline {
			return false
		}
	}
	return true
}

// logger lets the agent's words into the story, when it is told.
func (w *World) logger(h *host) *slog.Logger {
	if !w.telling {
		return quiet
	}
	return slog.New(&sayer{w: w, name: h.name})
}

package sim

import (
	"math"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
	"matriarch/internal/ha"
	"matriarch/internal/wal"
)

// fault is something that goes wrong for a while.
type fault struct {
	name   string
	weight int
	begin  func(w *World) (heal func()) // nil: there is nothing to take back

	// alone: when it is the only one, and a standby is left that may lead, there is a
	// primary again in time (L1).
	alone bool
}

const etcdAway = "etcd away"

// faultTable is what can go wrong, and how often beside the others.
var faultTable = []fault{
	{name: "agent killed", weight: 8, begin: (*World).killAgent, alone: true},
	{name: "agent stopped", weight: 8, begin: (*World).stopAgent, alone: true},
	{name: "agent told to end", weight: 3, begin: (*World).endAgent},
	{name: "guard killed", weight: 3, begin: (*World).killGuard, alone: true},
	{name: "guard stopped", weight: 2, begin: (*World).stopGuard},
	{name: "PostgreSQL killed", weight: 8, begin: (*World).killServer, alone: true},
	{name: "PostgreSQL stopped", weight: 3, begin: (*World).stopServer},
	{name: "host lost", weight: 8, begin: (*World).loseHost, alone: true},
	{name: "host suspended", weight: 5, begin: (*World).suspendHost, alone: true},
	{name: "host cut off", weight: 10, begin: (*World).cutHost, alone: true},
	{name: "links cut", weight: 8, begin: (*World).cutLinks},
	{name: "store cut off", weight: 6, begin: (*World).cutStore},
	{name: "etcd member killed", weight: 5, begin: (*World).killMember},
	{name: "etcd leader changes", weight: 4, begin: (*World).changeLeader},
	{name: etcdAway, weight: 4, begin: (*World).loseEtcd},
	{name: "etcd slow", weight: 4, begin: (*World).slowEtcd},
	{name: "network lossy", weight: 4, begin: (*World).lossyNetwork},
	{name: "network slow", weight: 4, begin: (*World).slowNetwork},
	{name: "watch late", weight: 3, begin: (*World).lateWatch},
	{name: "connections reset", weight: 3, begin: (*World).resetConnections},
	{name: "replication lags", weight: 3, begin: (*World).lagBehind},
	{name: "machines busy", weight: 4, begin: (*World).busyMachines},
	{name: "switchover requested", weight: 4, begin: (*World).requestSwitchover},
	{name: "restart requested", weight: 3, begin: (*World).requestRestart},
	{name: "copy requested", weight: 2, begin: (*World).requestCopy},
	{name: "permit changed", weight: 2, begin: (*World).changePermit},
	{name: "foreign directory", weight: 1, begin: (*World).foreignDirectory},
}

// drawFault lets one happen, for a while by lot.
func (w *World) drawFault() fault {
	table := faultTable
	switch {
	case w.set.Timed:
		table = timedTable
	case w.set.ByHand:
		table = byHandTable
	case w.set.Counted:
		table = countedTable
	}
	total := 0
	for _, f := range table {
		total += f.weight
	}
	at := w.lot.IntN(total)
	for _, f := range table {
		if at -= f.weight; at < 0 {
			w.inject(f, w.whileDown())
			return f
		}
	}
	panic("no fault was drawn")
}

// inject lets a fault happen, and heals it after a while, or when all is healed.
func (w *World) inject(f fault, lasts time.Duration) {
	w.faults++
	w.touched()
	w.stable = w.now
	heal := f.begin(w)
	if heal == nil {
		return
	}
	healed := false
	once := func() {
		if !healed {
			healed = true
			w.touched()
			w.stable = w.now
			heal()
		}
	}
	w.cures = append(w.cures, once)
	w.after(lasts, once)
}

// heal ends all faults that are in force.
func (w *World) heal() {
	cures := w.cures
	w.cures = nil
	for _, cure := range cures {
		cure()
	}
	w.ambushes, w.countedNext = nil, nil
	w.net.loss, w.net.twice, w.etcdSlow, w.busy, w.replayLag = 0, 0, 0, 0, 0
	for _, h := range w.hosts {
		h.lag = 0
		h.server.receiver.hurry()
		if h.agent.alive {
			h.agent.store.lag = 0
		}
	}
	w.tell("all faults are healed")
	w.review()
}

// whileDown is for how long a fault lasts: from 50 ms to 50 s, every order of
// magnitude as often as another.
func (w *World) whileDown() time.Duration {
	return time.Duration(float64(50*time.Millisecond) * math.Pow(1000, w.lot.Float64()))
}

// anyHost is one by lot, every other time the leader's.
func (w *World) anyHost() *host {
	if h := w.leader(); h != nil && w.chance(2) {
		return h
	}
	return w.hosts[w.lot.IntN(len(w.hosts))]
}

func (w *World) killAgent() func() {
	p := w.anyHost().agent
	if p.h.guard.stopped != 0 {
		return nil // nobody would be left to look after the guard; see the package's doc
	}
	w.tell("FAULT %s: agent killed", p.h.name)
	p.kill()
	p.stopping = !w.chance(3) // else its supervisor starts it again at once
	return func() {
		p.stopping = false
		p.begin()
	}
}

func (w *World) stopAgent() func() {
	p := w.anyHost().agent
	if p.h.guard.stopped != 0 || !p.alive {
		return nil
	}
	w.tell("FAULT %s: agent stopped", p.h.name)
	return w.stopProcess(&p.process)
}

// stopProcess is SIGSTOP, and SIGCONT when it is healed.
func (w *World) stopProcess(p *process) func() {
	life := p.life
	p.stop(bySignal)
	w.checkPrimaries()
	return func() {
		if p.alive && p.life == life {
			p.resume(bySignal)
			w.checkPrimaries()
			w.review()
		}
	}
}

func (w *World) endAgent() func() {
	p := w.anyHost().agent
	if !p.alive || p.stopped != 0 {
		return nil
	}
	w.tell("FAULT %s: agent told to end", p.h.name)
	p.terminate()
	return func() {
		p.stopping = false
		p.begin()
	}
}

func (w *World) killGuard() func() {
	g := w.anyHost().guard
	w.tell("FAULT %s: guard killed", g.h.name)
	g.die()
	if g.h.agent.alive {
		g.h.agent.wake()
	}
	return nil
}

func (w *World) stopGuard() func() {
	g := w.anyHost().guard
	if !g.runs() || !g.h.agent.runs() {
		return nil
	}
	w.tell("FAULT %s: guard stopped", g.h.name)
	return w.stopGuardOf(g.h)
}

// stopGuardOf is SIGSTOP to a guard. The agent beside it looks after it when the
// deadline that it was told last has passed.
func (w *World) stopGuardOf(h *host) func() {
	heal := w.stopProcess(&h.guard.process)
	h.agent.hold.lookAfter()
	return heal
}

func (w *World) killServer() func() {
	h := w.anyHost()
	w.tell("FAULT %s: PostgreSQL killed", h.name)
	h.server.crash()
	return nil
}

func (w *World) stopServer() func() {
	s := w.anyHost().server
	if !s.alive {
		return nil
	}
	w.tell("FAULT %s: PostgreSQL stopped", s.h.name)
	return w.stopProcess(&s.process)
}

func (w *World) loseHost() func() {
	i := w.anyMachine()
	w.tell("FAULT %s: lost", w.machines[i].name)
	w.powerOff(i)
	return func() { w.powerOn(i) }
}

// anyMachine is mostly a host's.
func (w *World) anyMachine() int {
	if w.set.External && w.chance(4) {
		return w.set.Hosts + w.lot.IntN(len(w.machines)-w.set.Hosts)
	}
	return w.anyHost().machine
}

func (w *World) suspendHost() func() {
	i := w.anyMachine()
	if h := w.machines[i].host; h != nil && h.guard.stopped != 0 {
		return nil // its agent could not look after the guard; see the package's doc
	}
	w.tell("FAULT %s: suspended", w.machines[i].name)
	w.suspend(i)
	return func() { w.wake(i) }
}

// cut cuts the ways that which names, until it is healed.
func (w *World) cut(which func(from, to int) bool) func() {
	var cut [][2]int
	for from := range w.machines {
		for to := range w.machines {
			if from != to && which(from, to) {
				w.net.cuts[from][to]++
				cut = append(cut, [2]int{from, to})
			}
		}
	}
	w.review()
	return func() {
		for _, way := range cut {
			w.net.cuts[way[0]][way[1]]--
		}
		w.review()
	}
}

func (w *World) cutHost() func() {
	i := w.anyMachine()
	name := w.machines[i].name
	switch w.lot.IntN(4) {
	case 0:
		w.tell("FAULT %s: nothing reaches it", name)
		w.deaf = true
		heal := w.cut(func(_, to int) bool { return to == i })
		return func() {
			w.deaf = false
			heal()
		}
	case 1:
		w.tell("FAULT %s: nothing comes from it", name)
		return w.cut(func(from, _ int) bool { return from == i })
	}
	w.tell("FAULT %s: cut off", name)
	return w.cut(func(from, to int) bool { return from == i || to == i })
}

func (w *World) cutLinks() func() {
	w.tell("FAULT some links are cut")
	one := w.chance(2)
	chosen := map[[2]int]bool{}
	for from := range w.machines {
		for to := range from {
			if w.chance(3) {
				chosen[[2]int{from, to}] = true
				chosen[[2]int{to, from}] = !one || w.chance(2)
				w.tell("FAULT   %s to %s, and back %v", w.machines[from].name, w.machines[to].name, chosen[[2]int{to, from}])
			}
		}
	}
	return w.cut(func(from, to int) bool { return chosen[[2]int{from, to}] })
}

// cutStore cuts a host off from etcd, or from everything but etcd. Where etcd is on
// the hosts themselves it is cut off from the others' members only, or the members
// from each other.
func (w *World) cutStore() func() {
	i := w.anyHost().machine
	etcd := func(m int) bool { return w.etcdOn(m) != nil && m != i }
	if w.chance(2) {
		w.tell("FAULT %s: cut off from etcd", w.machines[i].name)
		return w.cut(func(from, to int) bool { return from == i && etcd(to) || to == i && etcd(from) })
	}
	w.tell("FAULT %s: cut off from the other hosts", w.machines[i].name)
	hostly := func(m int) bool { return w.machines[m].host != nil }
	return w.cut(func(from, to int) bool { return from == i && hostly(to) || to == i && hostly(from) })
}

func (w *World) killMember() func() {
	m := w.etcd.members[w.lot.IntN(len(w.etcd.members))]
	if w.etcd.leader != none && w.chance(2) {
		m = w.etcd.members[w.etcd.leader]
	}
	if !m.alive {
		return nil
	}
	if w.chance(3) {
		w.tell("FAULT etcd member %s stopped", m.name)
		heal := w.stopProcess(&m.process)
		w.review()
		return heal
	}
	w.tell("FAULT etcd member %s killed", m.name)
	m.end()
	w.review()
	return func() { w.startMember(m) }
}

func (w *World) startMember(m *member) {
	if !m.alive && !w.machines[m.machine].off {
		m.start()
		if w.machines[m.machine].suspended {
			m.stop(bySuspension)
		}
		w.review()
	}
}

func (w *World) changeLeader() func() {
	w.tell("FAULT etcd's leader changes")
	w.etcd.ailing = true
	w.etcd.electLater()
	return nil
}

// loseEtcd ends all of its members.
func (w *World) loseEtcd() func() {
	w.tell("FAULT etcd is away")
	for _, m := range w.etcd.members {
		m.end()
	}
	w.review()
	return func() {
		for _, m := range w.etcd.members {
			w.startMember(m)
		}
	}
}

func (w *World) slowEtcd() func() {
	w.etcdSlow = w.between(50*time.Millisecond, 1500*time.Millisecond)
	w.tell("FAULT etcd's disks take up to %v more", w.etcdSlow)
	return func() { w.etcdSlow = 0 }
}

func (w *World) lossyNetwork() func() {
	w.net.loss, w.net.twice = 5+w.lot.IntN(40), w.lot.IntN(10)
	w.tell("FAULT %d %% of messages are lost", w.net.loss)
	return func() { w.net.loss, w.net.twice = 0, 0 }
}

func (w *World) slowNetwork() func() {
	most := w.upTo(2 * w.permit)
	w.tell("FAULT messages take up to %v on some links", most)
	slow := make([][]bool, len(w.machines))
	for i := range slow {
		slow[i] = make([]bool, len(w.machines))
		for j := range slow[i] {
			if slow[i][j] = i != j && w.chance(2); slow[i][j] {
				w.net.slow[i][j] = most
			}
		}
	}
	return func() {
		for i := range slow {
			for j := range slow[i] {
				if slow[i][j] {
					w.net.slow[i][j] = 0
				}
			}
		}
	}
}

func (w *World) lateWatch() func() {
	h := w.anyHost()
	if !h.agent.alive {
		return nil
	}
	c := h.agent.store
	c.lag = w.upTo(3 * time.Second)
	w.tell("FAULT %s: its watch is %v late", h.name, c.lag)
	return func() { c.lag = 0 }
}

func (w *World) resetConnections() func() {
	leader := w.leader()
	if leader == nil {
		return nil
	}
	w.tell("FAULT connections from %s are reset", leader.name)
	for _, h := range w.hosts {
		if h != leader && w.chance(2) && h.agent.alive {
			h.agent.streamLost(leader.name)
		}
		if h != leader && w.chance(2) && h.server.receiver.connected && h.server.runs() {
			h.server.receiver.lost()
		}
	}
	return nil
}

func (w *World) lagBehind() func() {
	h := w.anyHost()
	h.lag = w.upTo(5 * time.Second)
	w.replayLag = w.upTo(time.Second)
	w.tell("FAULT %s: receives %v late, everybody replays %v late", h.name, h.lag, w.replayLag)
	return func() { h.lag, w.replayLag = 0, 0 }
}

func (w *World) busyMachines() func() {
	w.busy = w.upTo(w.permit)
	w.tell("FAULT the machines are busy: timers are up to %v late", w.busy)
	return func() { w.busy = 0 }
}

func (w *World) requestSwitchover() func() {
	leader := w.leader()
	if leader == nil || !w.etcd.works() {
		return nil
	}
	f := cluster.Failover{Leader: leader.name}
	if w.chance(2) {
		f.Candidate = w.hosts[w.lot.IntN(len(w.hosts))].name
	}
	if f.Candidate == leader.name {
		f.Candidate = ""
	}
	w.tell("FAULT switchover requested from %s to %q", f.Leader, f.Candidate)
	_, _ = w.etcd.apply(dcs.Txn{Then: []dcs.Op{{Key: dcs.KeyFailover, Data: f.Encode()}}}, 0)
	return nil
}

// requestRestart and requestCopy are an operator's, who waits for no answer.
func (w *World) requestRestart() func() {
	w.order(w.anyHost(), ha.Order{Task: ha.ToRestart})
	return nil
}

func (w *World) requestCopy() func() {
	w.order(w.anyHost(), ha.Order{Task: ha.ToReinitialize, Force: w.chance(2), FromLeader: w.chance(2)})
	return nil
}

func (w *World) order(h *host, what ha.Order) {
	p := h.agent
	if !p.runs() {
		return // it does not take requests
	}
	w.tell("FAULT %s: %v requested", h.name, what.Task)
	if err := p.agent.Give(what); err != nil {
		w.tell("%s: %v", h.name, err)
	}
	p.wake()
}

func (w *World) changePermit() func() {
	lengths := []time.Duration{300 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second}
	return w.setPermit(lengths[w.lot.IntN(len(lengths))])
}

// foreignDirectory puts another cluster's data directory in the place of a host's.
// Nothing may come of it; when it is healed, a person has removed it.
func (w *World) foreignDirectory() func() {
	h := w.hosts[w.lot.IntN(len(w.hosts))]
	if h == w.leader() || w.systemID == "" || w.primaryNow == nil || w.primaryNow == h {
		return nil // what a person removes then would be the cluster
	}
	w.tell("FAULT %s: has another cluster's data directory", h.name)
	h.agent.kill()
	h.server.crash()
	w.branches++
	end := h.server.disk.end() + wal.LSN(w.lot.IntN(1<<20))
	history := wal.History{Timeline: 1}
	if w.chance(2) && h.server.disk.present { // by its timeline it could be one of ours
		history = h.server.disk.history
	}
	d := disk{present: true, systemID: "7999999999999999999", checkpoint: history.Timeline, history: history,
		log: []stretch{{branch: w.branches, timeline: history.Timeline, end: end}}, standby: w.chance(2), clean: true}
	h.server.disk = d
	h.agent.begin()
	return func() {
		if h.server.disk.systemID == d.systemID {
			h.agent.kill()
			h.server.crash()
			h.server.disk = disk{}
			h.agent.stopping = false
			h.agent.begin()
		}
	}
}

package sim

import (
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/permit"
)

// gap is the mean time from the end of one episode of faults to the next.
const gap = 4 * time.Minute

// Simulate lets a cluster live for some time, with an episode of faults every few
// minutes.
func (w *World) Simulate(hours float64) Result {
	w.Begin()
	end := time.Duration(hours * float64(time.Hour))
	episodes := 0
	for w.broken == "" && time.Duration(w.now+w.skipped) < end {
		if rests := !w.set.Dense || episodes%restEvery == 0; rests {
			w.comeToRest()
		}
		if !w.set.Dense {
			w.untilNextFault()
		}
		if w.broken != "" {
			break
		}
		episodes++
		w.reseed(w.seed, uint64(episodes))
		w.episode()
	}
	return w.result(episodes)
}

// restEvery is after how many episodes a cluster under dense faults may settle.
const restEvery = 10

// settleLimit is L2's: a fault has ended, and every member streams. A copy of a data
// directory takes 3 s here, and a wait after a failed try up to loop_wait.
const settleLimit = 3 * time.Minute

// comeToRest waits until every member streams from the leader.
func (w *World) comeToRest() {
	if !w.RunUntil(settleLimit, w.settled) && w.broken == "" {
		w.violation("L2: %v after the faults ended the cluster has not settled: %s", settleLimit, w.unsettled())
	}
}

// unsettled says what is missing.
func (w *World) unsettled() string {
	leader := w.leader()
	if leader == nil {
		return "nobody leads"
	}
	if !leader.server.acknowledges() {
		return "the server of " + leader.name + ", who leads, takes no writes"
	}
	for _, h := range w.hosts {
		switch {
		case h == leader:
		case !h.agent.runs():
			return "the agent of " + h.name + " does not run"
		case !h.server.runs():
			return "the server of " + h.name + " does not run"
		case !h.server.receiver.streamsFrom(leader.server):
			w.tell("%s: %+v, current %v, base %d shown %d etcd %d watch %+v", h.name, h.agent.right.State(h.now()), h.agent.store.current, h.agent.store.base, h.agent.store.shown.Revision, w.etcd.revision, h.agent.store.watch.standing)
			w.tell("electorate %s", w.etcd.values["electorate"].Data)
			return h.name + " does not stream from " + leader.name
		}
	}
	return "timelines differ"
}

// quietFor is how long nothing that matters must have happened before time is leapt
// over: longer than everything that the agents, the guards and the permits count, of
// which retry_timeout is the longest but for the life of leases, and those are looked
// at.
func (w *World) quietFor() time.Duration {
	return max(time.Duration(w.set.Retry)*time.Second+2*time.Second, 3*w.longest)
}

// untilNextFault lets the time pass until then. A cluster in which nothing has
// happened for a while goes on as it is, in circles of loop_wait: what it does now it
// will have done in any number of circles from now. So whole circles are left out,
// and the fault finds the cluster at the place in its circle where it would have.
func (w *World) untilNextFault() {
	pause := time.Duration(w.lot.ExpFloat64() * float64(gap))
	start := w.now
	circle := time.Duration(w.set.LoopWait) * time.Second
	for w.leaps && pause > 2*w.quietFor() && w.broken == "" && w.now.sub(start) < pause {
		w.Run(time.Second)
		if !w.isQuiet() {
			continue
		}
		left := pause - w.now.sub(start)
		leap := left / circle * circle
		w.skipped += instant(leap)
		w.leapt++
		w.tell("nothing happens for %v", leap)
		w.Run(left - leap)
		return
	}
	w.Run(pause - w.now.sub(start))
}

// isQuiet reports that the cluster has come to a fixed point.
func (w *World) isQuiet() bool {
	if w.now.sub(w.disturbed) < w.quietFor() || !w.settled() || len(w.etcd.leases) != len(w.hosts) || !w.etcd.works() {
		return false
	}
	for _, h := range w.hosts {
		if h.agent.work.job != nil || !h.agent.store.current || !h.guard.runs() || h.server.frozen {
			return false
		}
	}
	return true
}

// episode is one to four faults close to each other, and their healing.
func (w *World) episode() {
	w.cures, w.pausedLately = nil, w.paused
	n := 1
	for n < 4 && w.chance(2) {
		n++
	}
	w.tell("---- faults: %d", n)
	between, after := 8*time.Second, 12*time.Second
	if w.set.Dense {
		between, after = 2*w.permit, 4*w.permit
		if w.set.Timed { // a scene takes its time
			between, after = 2*w.length(), 8*w.length()+time.Second
		}
	}
	calm := w.settled() && w.stableFor() > calmFor && w.now.sub(w.disturbed) > calmFor
	for range n {
		f := w.drawFault()
		if n == 1 && calm {
			w.single(f)
		}
		w.Run(w.upTo(between))
		if w.broken != "" {
			return
		}
	}
	w.Run(w.upTo(after))
	if w.broken == "" {
		w.heal()
		w.checkProgress()
	}
	w.unbroken = false
}

// calmFor is how long nothing has happened before a fault that is judged by itself.
const calmFor = 3 * time.Second

// stableFor is how long no fault has begun or ended.
func (w *World) stableFor() time.Duration { return w.now.sub(w.stable) }

// single is what a single fault of a settled cluster may not do.
func (w *World) single(f fault) {
	if f.name == etcdAway {
		w.unbroken = w.heard() // with nobody to hear the leader the store alone carries it (P6)
		return
	}
	if f.alone && w.successor() {
		w.await("L1: %v after one fault (" + f.name + ") nobody takes writes, and %s could")
	}
}

// heard reports that there is somebody in the electorate.
func (w *World) heard() bool {
	v := permit.Look(w.etcd.snapshot())
	return len(v.Electorate.Members) > 0
}

// successor reports that etcd has a majority, and that there is a standby that may
// lead.
func (w *World) successor() bool {
	for _, h := range w.hosts {
		if h != w.leader() && w.able(h) {
			return true
		}
	}
	return false
}

// able reports that a host's standby may take over: it runs, as its agent does, and
// reaches a majority of etcd. While commits wait for the standbys of the sync key alone,
// nobody else may (B-112).
func (w *World) able(h *host) bool {
	s := h.server
	if key := w.etcd.snapshot().View().Sync; w.set.Sync == "on" && key.Leader != "" && !key.Includes(h.name) || !w.mayBeVoted(h, key) {
		return false
	}
	if !s.runs() || s.primary || s.phase != ready || !h.agent.runs() || h.tags.Nofailover() || s.disk.systemID != w.systemID || !w.complete(s) {
		return false
	}
	reached := 0
	for _, m := range w.etcd.members {
		if m.runs() && w.machineRuns(m.machine) && w.net.joined(m.machine, h.machine) {
			reached++
		}
	}
	return 2*reached > len(w.etcd.members) && s.receiver.connected
}

// mayBeVoted reports that a host can have the votes that it needs, where there is a vote:
// of voters that are down, or not heard, it gets none (B-135, S2).
func (w *World) mayBeVoted(h *host, key cluster.Sync) bool {
	if w.set.Sync == "" || key.Leader == "" || w.set.Sync == "on" && key.Quorum == 0 {
		return true
	}
	votes := -1
	if key.Includes(h.name) {
		votes = 0
	}
	for _, v := range w.hosts {
		if s := v.server; v != h && key.Includes(v.name) && s.runs() && s.phase == ready && !s.primary && v.agent.runs() && w.net.joined(v.machine, h.machine) {
			votes++
		}
	}
	return votes >= key.Quorum
}

// await is L1: a primary within permit + 1 s, and a moment for a new leader of etcd.
func (w *World) await(words string) {
	from := w.now
	limit := w.progressLimit()
	if !w.RunUntil(limit, func() bool { return w.primaryNow != nil && w.now.sub(from) > w.longest/2 }) && w.broken == "" && w.primaryNow == nil {
		able := "nobody"
		for _, h := range w.hosts {
			if w.able(h) {
				able = h.name
			}
		}
		if able != "nobody" {
			w.violation(words, limit, able)
		}
	}
}

// progressLimit is L1's: the permit and its margin, one second, and where etcd has to
// elect a leader first, that and what its clients take to find it.
func (w *World) progressLimit() time.Duration {
	limit := w.longest + marginOf(w.longest) + time.Second
	if w.deaf {
		limit += w.longest // it takes half a permit to know that nothing comes back, and the last heartbeat has to be waited out
	}
	if !w.etcd.works() {
		limit += electionMost + 2*requestTimeout
	}
	return limit
}

// checkProgress is L1 after the faults. Where no standby could lead when they ended,
// servers have to be started, and agents to wait out what they may have promised.
func (w *World) checkProgress() {
	from := w.now
	limit := w.progressLimit() + 15*time.Second
	if w.successor() && !w.pausedLately { // else what was left down has to be started first
		limit = w.progressLimit() + time.Second
	}
	if !w.RunUntil(limit, func() bool { return w.primaryNow != nil }) && w.broken == "" {
		w.violation("L1: %v after the faults ended nobody takes writes", limit)
	}
	w.afterHeal = max(w.afterHeal, w.now.sub(from))
}

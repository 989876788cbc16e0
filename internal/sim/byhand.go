package sim

import (
	"math/rand/v2"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
	"matriarch/internal/ha"
	"matriarch/internal/wal"
)

// byHandTable is what goes wrong, and what a person does about it meanwhile: the cluster
// is paused, servers that are down are started, with the agent's help or without, and
// another leader is asked for at odd moments.
var byHandTable = append([]fault{
	{name: "paused", weight: 40, begin: (*World).pause},
	{name: "restart requested", weight: 15, begin: (*World).requestRestart},
	{name: "restart of a server that is down requested", weight: 25, begin: (*World).restartWhatIsDown},
	{name: "started by hand", weight: 15, begin: (*World).startByHand},
	{name: "the leader's PostgreSQL killed", weight: 15, begin: (*World).killPrimary},
	{name: "another leader asked for in a recovery", weight: 10, begin: (*World).askInRecovery},
	{name: "failover requested", weight: 10, begin: (*World).requestFailover},
	{name: "the lead passed on in a pause, and back", weight: 20, begin: (*World).passOn},
}, faultTable...)

// ByHand are the settings of a seed in which a person takes a hand, under dense faults in
// every other one.
func ByHand(seed uint64) Settings {
	s := Draw(seed)
	if rand.New(rand.NewPCG(seed, 1<<34)).IntN(2) == 0 {
		s = Dense(seed, Mutant{})
	}
	s.ByHand, s.Apart = true, true
	return s
}

// pause hands the cluster over to a person, and takes it back when it is healed.
func (w *World) pause() func() {
	if w.paused || !w.etcd.works() || w.systemID == "" {
		return nil
	}
	w.tell("FAULT the cluster is paused")
	w.paused, w.pausedLately = true, true
	for _, h := range w.hosts {
		h.loose = true
	}
	w.dynamic["pause"] = true
	w.putConfig()
	return w.goOn
}

// goOn ends the pause, as soon as the store takes it.
func (w *World) goOn() {
	if !w.etcd.works() {
		w.after(50*time.Millisecond, w.goOn)
		return
	}
	w.tell("the pause is over")
	w.paused = false
	delete(w.dynamic, "pause")
	w.putConfig()
	w.touched()
}

func (w *World) putConfig() {
	_, _ = w.etcd.apply(dcs.Txn{Then: []dcs.Op{{Key: dcs.KeyConfig, Data: cluster.EncodeJSON(w.dynamic)}}}, 0)
}

// handsOff reports that a host's server is left alone whatever it may do: its guard was
// disarmed in a pause, and has not had a permit to keep to since. An agent that is started
// after the pause arms it with the first one that it has.
func (w *World) handsOff(h *host) bool {
	if h.loose && !w.paused && h.guard.armed && h.guard.deadline > h.instant() {
		h.loose, h.passedOver = false, false
	}
	return h.loose
}

// excused reports that two primaries are a person's doing: in the pause, and after it where
// a failover to another member was asked for by hand while nobody guarded this one.
func (w *World) excused(h *host) bool {
	return w.handsOff(h) && (w.paused || h.passedOver)
}

// restartWhatIsDown asks for the restart of a server that is down.
func (w *World) restartWhatIsDown() func() {
	for _, h := range w.hosts {
		if !h.server.alive && h.agent.runs() {
			w.order(h, ha.Order{Task: ha.ToRestart})
			return nil
		}
	}
	return nil
}

// startByHand starts a server that is down in a pause, as pg_ctl does: as what its disk
// says that it is. A person does not do that to an old primary when there is another.
func (w *World) startByHand() func() {
	h := w.anyHost()
	s := h.server
	if !w.paused || s.alive || !s.disk.present || s.disk.unfinished != ha.NoWork || s.disk.systemID != w.systemID || h.agent.work.job != nil ||
		!w.machineRuns(h.machine) || !s.disk.standby && (w.primaryNow != nil || w.leader() != nil || !w.isNewest(s)) {
		return nil
	}
	w.tell("FAULT %s: PostgreSQL is started by hand, as primary %v", h.name, !s.disk.standby)
	s.launchByHand(w.about(startTime))
	return nil
}

// launchByHand starts a server as what its disk says that it is. Somebody may be promoted
// meanwhile, because another person has asked for that: the rules of the agents are not to
// blame for two primaries in a pause.
func (s *server) launchByHand(takes time.Duration) {
	s.launch(!s.disk.standby, takes)
	s.byHand = true
}

func (w *World) killPrimary() func() {
	h := w.leader()
	if h == nil {
		return nil
	}
	w.tell("FAULT %s: PostgreSQL killed, it leads", h.name)
	h.server.crash()
	return nil
}

// askInRecovery has the leader's server crash, and asks for another leader while it is
// coming back.
func (w *World) askInRecovery() func() {
	if w.killPrimary(); w.leader() != nil {
		w.after(w.upTo(2*recoveryTime), func() { w.requestSwitchover() })
	}
	return nil
}

// passOn has two primaries crash in a pause, one after the other, the second one promoted
// by hand in place of the first, and then the first one restarted.
func (w *World) passOn() func() {
	goOn := w.pause()
	old := w.leader()
	if goOn == nil || old == nil || w.synchronous {
		return goOn
	}
	next := w.hosts[w.lot.IntN(len(w.hosts))]
	w.after(w.upTo(200*time.Millisecond), func() {
		w.killPrimary()
		w.askFor(next)
		w.after(w.between(100*time.Millisecond, time.Second), func() {
			w.killPrimary()
			w.after(w.between(10*time.Millisecond, 500*time.Millisecond), func() { w.order(old, ha.Order{Task: ha.ToRestart}) })
		})
	})
	return goOn
}

// requestFailover asks for a failover by hand, which asks for no more than that its
// candidate may lead.
func (w *World) requestFailover() func() {
	h := w.hosts[w.lot.IntN(len(w.hosts))]
	if h == w.leader() || !w.etcd.works() || w.synchronous {
		return nil // in synchronous mode it may lose commits, with open eyes
	}
	w.askFor(h)
	return nil
}

func (w *World) askFor(h *host) {
	w.tell("FAULT failover requested to %q", h.name)
	h.named = w.now
	for _, other := range w.hosts {
		other.passedOver = other.loose && other != h
	}
	_, _ = w.etcd.apply(dcs.Txn{Then: []dcs.Op{{Key: dcs.KeyFailover, Data: cluster.Failover{Candidate: h.name}.Encode()}}}, 0)
}

// checkReturn is S3 for a primary that its agent has go on where it left off: nobody may have been
// promoted since.
func (w *World) checkReturn(s *server) {
	if n := w.newest; !w.isNewest(s) {
		w.violation("S3: %s at %v is a primary again, and %s has been promoted since, and is at %v", s.h.name, s.disk.point(), n.h.name, n.disk.point())
	}
}

// checkChoice is told who has the lead now. A person may give it to a primary that the
// cluster has gone on from (B-102): from then on its log is the cluster's, and what the
// others have acknowledged the person has given up.
func (w *World) checkChoice(h *host) {
	if s := h.server; w.paused && s.primary && !w.isNewest(s) && w.etcd.snapshot().View().Failover.Candidate == h.name {
		w.newest, w.waited = s, map[int]wal.LSN{}
	}
}

// isNewest reports that a server has everything that the last one promoted has.
func (w *World) isNewest(s *server) bool {
	n := w.newest
	return n == nil || n == s || n.disk.isPrefixOf(&s.disk)
}

package sim

import "time"

// countedTable is what goes wrong where faults wait for a standby to count as synchronous.
var countedTable = append([]fault{
	{name: "a leader is lost as a standby counts", weight: 60, begin: (*World).loseAsCounted},
	{name: "a stream ends", weight: 10, begin: (*World).endStream},
}, faultTable...)

// Counted are the settings of a seed in synchronous mode, under dense faults that wait for
// a standby to come into the sync key.
func Counted(seed uint64, m Mutant) Settings {
	s := Dense(seed, m)
	s.Counted = true
	if s.Sync == "" {
		s.Sync, s.Waits = []string{"on", "quorum"}[seed%2], 1
	}
	return s
}

// loseAsCounted has all standbys' servers restart, so that commits wait for none of them,
// and receive late. The next one that counts as synchronous has to have all that was
// acknowledged meanwhile, and its leader is lost in that moment (S2).
func (w *World) loseAsCounted() func() {
	leader := w.leader()
	if leader == nil || !leader.server.acknowledges() {
		return nil
	}
	s, late := w.scene(), w.upTo(4*w.length())
	w.tell("FAULT the leader is to be lost as a standby counts, all receive %v late", late)
	for _, h := range w.hosts {
		if h != leader {
			h.lag = late
			h.server.crash()
			s.until(func() { h.lag = 0 })
		}
	}
	s.awaitCounted(func(leader, standby *host) {
		s.after(w.upTo(100*time.Millisecond), func() {
			w.tell("FAULT   %s: lost, %s counts", leader.name, standby.name)
			w.powerOff(leader.machine)
			s.until(func() { w.powerOn(leader.machine) })
		})
	})
	return s.end
}

// endStream has a standby connect anew.
func (w *World) endStream() func() {
	h := w.anyHost()
	if r := &h.server.receiver; r.connected && h.server.runs() {
		w.tell("FAULT %s: its stream ends", h.name)
		r.lost()
	}
	return nil
}

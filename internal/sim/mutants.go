package sim

import (
	"matriarch/internal/cluster"
	"matriarch/internal/ha"
	"matriarch/internal/permit"
)

// Mutant is something left out or done wrong on purpose, to see that the simulator
// notices.
type Mutant struct {
	Name  string
	omits *permit.Omission // a part of the rules of the permit

	guardOff       bool // the guard lets the deadline pass
	lsnOnly        bool // positions are compared without their timelines
	systemIDOff    bool // every server is taken to be of this cluster
	stalePositions bool // what a peer said first is believed for ever
	tagsOff        bool // a member does not know that it must not be promoted
	lagOff         bool // maximum_lag_on_failover is not kept to
	confirmOff     bool // a standby is synchronous as soon as it is named
	forkedOff      bool // every log is taken to be contained in the leader's
}

// Mutants are all that there are.
func Mutants() []Mutant {
	var all []Mutant
	for i := range permit.Omissions {
		all = append(all, Mutant{Name: permit.Omissions[i].Name, omits: &permit.Omissions[i]})
	}
	return append(all,
		Mutant{Name: "the guard does not freeze", guardOff: true},
		Mutant{Name: "positions are compared without timelines", lsnOnly: true},
		Mutant{Name: "the system identifier is not looked at", systemIDOff: true},
		Mutant{Name: "a stale position is believed", stalePositions: true},
		Mutant{Name: "nofailover is not kept to", tagsOff: true},
		Mutant{Name: "maximum_lag_on_failover is not kept to", lagOff: true},
		Mutant{Name: "a log that has parted is followed", forkedOff: true},
		Mutant{Name: "a standby counts as synchronous before it has what was acknowledged", confirmOff: true},
	)
}

func (m Mutant) lag(bytes int64) int64 {
	if m.lagOff {
		return 1 << 40
	}
	return bytes
}

func (m Mutant) tags(tags cluster.Tags) cluster.Tags {
	if m.tagsOff {
		return cluster.Tags{}
	}
	return tags
}

// mutateServer is what the hands say of the server.
func (w *World) mutateServer(s ha.Server) ha.Server {
	if w.set.Mutant.systemIDOff && s.SystemID != "" && w.systemID != "" {
		s.SystemID = w.systemID
	}
	if w.set.Mutant.confirmOff && s.Synchronous.Names != "" {
		s.Synchronous.Since = 1
	}
	return s
}

// mutateLog is what is read of the leader's log.
func (w *World) mutateLog(s *server, l ha.LeaderLog) ha.LeaderLog {
	if w.set.Mutant.systemIDOff && w.systemID != "" {
		l.SystemID = w.systemID
	}
	if w.set.Mutant.forkedOff {
		l.History = s.disk.history
	}
	return l
}

// mutatePeers is what the peers are taken to have said.
func (w *World) mutatePeers(h *host, answers []ha.Peer) []ha.Peer {
	m := w.set.Mutant
	for i := range answers {
		if m.lsnOnly {
			answers[i].End.Timeline = 0
		}
		if first, heard := h.heard[answers[i].Name]; m.stalePositions && heard && !answers[i].Silent {
			answers[i].End = first.End
		} else if m.stalePositions && !answers[i].Silent {
			h.heard[answers[i].Name] = answers[i]
		}
	}
	return answers
}

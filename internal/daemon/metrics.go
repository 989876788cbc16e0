package daemon

import (
	"time"

	"matriarch/internal/api"
	"matriarch/internal/boottime"
	"matriarch/internal/ha"
)

// Metrics are what this node measures beside what Patroni does. All of them are at
// hand: nobody is asked.
func (n *node) Metrics() []api.Metric {
	r := n.agent.Latest()
	out := n.lead(r.Observation)
	out = append(out, guardMetrics(n.hands.keeper.Standing(), r.Observation.Guard())...)
	out = append(out, api.Metric{Name: "matriarch_heartbeat_seconds", Kind: api.HistogramKind,
		Help: "From the send of a heartbeat to its acknowledgement, by member. On the leader.", Samples: n.right.pulse.samples()})
	out = append(out, n.times.metrics()...)
	return append(out, n.tally.metrics()...)
}

// lead tells of this node's right to write.
func (n *node) lead(o ha.Observation) []api.Metric {
	s, now := n.right.runner.State(), boottime.Now()
	left := time.Duration(0)
	if s.Permit != 0 {
		left = max(0, s.Permit.Sub(now))
	}
	return []api.Metric{
		one("matriarch_leading", "1 when this member holds the lead by its own clock.", truth(s.Leading)),
		one("matriarch_permit_left_seconds", "Until this member's server must have stopped taking writes, 0 without a permit.", left.Seconds()),
		one("matriarch_permit_seconds", "Length of the permit.", o.Store.Settings.Permit.Seconds()),
		one("matriarch_electorate_members", "Members that may succeed the leader.", float64(len(s.Electorate.Members))),
		one("matriarch_mixed", "1 while members of Patroni's are in the scope, so that the permit ends with the lease.", truth(s.Mixed)),
	}
}

// guardMetrics tell how the server is kept from writing without the right to.
func guardMetrics(s Standing, protection string) []api.Metric {
	guard := api.Metric{Name: "matriarch_guard", Kind: api.Gauge, Help: "1 for the way in which the running server is guarded: freezer, signals, adopted or off."}
	for _, way := range []string{"freezer", "signals", "adopted", "off"} {
		guard.Samples = append(guard.Samples, api.Sample{Labels: []api.Label{{Name: "protection", Value: way}}, Value: truth(way == protection)})
	}
	freezes := one("matriarch_freezes_total", "Freezes since the guard was started.", float64(s.Freezes))
	frozen := one("matriarch_frozen_seconds_total", "Length of all freezes since the guard was started.", s.FrozenTime.Seconds())
	freezes.Kind, frozen.Kind = api.Counter, api.Counter
	return []api.Metric{
		guard,
		one("matriarch_guard_armed", "1 when the guard freezes the server at the end of the permit.", truth(s.Armed)),
		one("matriarch_server_frozen", "1 while the server is frozen.", truth(s.Frozen)),
		freezes, frozen,
		one("matriarch_freeze_late_seconds", "From the end of the permit to the begin of the last freeze.", s.LastLate.Seconds()),
		one("matriarch_freeze_took_seconds", "From the begin of the last freeze until every process stood still.", s.LastTook.Seconds()),
	}
}

func one(name, help string, value float64) api.Metric {
	return api.Metric{Name: name, Help: help, Kind: api.Gauge, Samples: []api.Sample{{Value: value}}}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

var _ api.Measured = (*node)(nil)

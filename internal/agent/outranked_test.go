package agent

import (
	"testing"

	"matriarch/internal/cluster"
	"matriarch/internal/ha"
	"matriarch/internal/wal"
)

func TestWhoIsPreferredIsNamed(t *testing.T) {
	ahead := ha.Peer{Name: "n2", End: wal.Point{Timeline: 3, LSN: 0x200}}
	preferred := ha.Peer{Name: "n3", End: wal.Point{Timeline: 3, LSN: 0x100}, Priority: 2}
	for what, c := range map[string]struct {
		why     ha.Reason
		answers []ha.Peer
		want    string
	}{
		"B-129: one that is ahead": {ha.RaceOutranked, []ha.Peer{preferred, ahead}, "Wal position of n2 is ahead of my wal position"},
		"B-131: one with priority": {ha.RaceLessPreferred, []ha.Peer{ahead, preferred},
			"n3 has equally tolerable WAL position and priority 2, while this node has priority 1"},
		"B-127: not who is silent":   {ha.RaceOutranked, []ha.Peer{{Name: "n2", Silent: true, End: ahead.End}}, ""},
		"not when it takes the lead": {ha.RaceWon, []ha.Peer{ahead, preferred}, ""},
	} {
		o := ha.Observation{Me: ha.Me{Name: "n1", Tags: cluster.Tags{"failover_priority": 1}}}
		o.Server.End, o.Peers.Answers = preferred.End, c.answers
		if got := outranked(o, c.why); got != c.want {
			t.Errorf("%s: %q", what, got)
		}
	}
}

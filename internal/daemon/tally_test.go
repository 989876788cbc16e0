package daemon

import (
	"strings"
	"testing"
	"time"

	"matriarch/internal/agent"
	"matriarch/internal/api"
	"matriarch/internal/cluster"
	"matriarch/internal/ha"
)

// pass is what one pass saw. The zero value follows n1 in peace.
type pass struct {
	leader  string // as the leader key has it; "-": nobody
	leading bool
	primary bool
	request cluster.Failover
	why     ha.Reason
	job     ha.Job
	last    ha.Finished
	after   time.Duration // since the pass before
}

func tallied(passes ...pass) string {
	t, at := newTally(), time.Unix(1_900_000_000, 0)
	t.see(agent.Report{}) // nothing is known before the first pass
	for _, p := range passes {
		at = at.Add(p.after)
		o := ha.Observation{Job: p.job, Last: p.last}
		o.Right.Leading = p.leading
		o.Server.Role = ha.Standby
		if p.primary {
			o.Server.Role = ha.Primary
		}
		o.Store.View.Failover = p.request
		switch p.leader {
		case "":
			o.Store.View.Leader.Name = "n1"
		case "-":
		default:
			o.Store.View.Leader.Name = p.leader
		}
		t.see(agent.Report{Observation: o, Plan: ha.Plan{Why: p.why}, At: at})
	}
	return string(api.PrintMetrics(nil, t.metrics()...))
}

func TestTally(t *testing.T) {
	asked := cluster.Failover{Leader: "n1", Candidate: "n2"}
	lead := pass{leader: "n2", leading: true, primary: true, why: ha.Leading}
	won := func(how string, n string) string { return `matriarch_lead_won_total{reason="` + how + `"} ` + n }
	lost := func(why ha.Reason, n string) string {
		return `matriarch_lead_lost_total{reason="` + why.String() + `"} ` + n
	}
	for name, c := range map[string]struct {
		passes []pass
		want   []string
	}{
		"the leader is lost": {[]pass{{}, {leader: "-"}, {leader: "n2", leading: true, why: ha.Promotion}, lead}, []string{won("failover", "1"), won("switchover", "0")}},
		"a switchover": {[]pass{{}, {request: asked}, {leader: "-", request: asked}, {leader: "n2", leading: true}, lead},
			[]string{won("switchover", "1"), won("failover", "0")}},
		"a failover on request": {[]pass{{request: cluster.Failover{Candidate: "n2"}}, {leader: "-", request: cluster.Failover{Candidate: "n2"}}, {leader: "n2", leading: true}},
			[]string{won("requested failover", "1"), won("failover", "0")}},
		"a request that was refused before the leader was lost": {[]pass{{request: asked}, {}, {leader: "-"}, {leader: "n2", leading: true}},
			[]string{won("failover", "1"), won("switchover", "0")}},
		"the key is gone and this is the primary": {[]pass{{leader: "-", primary: true}, lead}, []string{won("in place", "1")}},
		"an agent that finds itself leading":      {[]pass{lead, lead}, []string{won("in place", "0"), won("failover", "0")}},
		"overtaken, and won back":                 {[]pass{lead, {leader: "n3", why: ha.Overtaken}, {leader: "-"}, {leader: "n2", leading: true}, {leader: "n3", why: ha.Overtaken}}, []string{lost(ha.Overtaken, "2"), won("failover", "1")}},
		"handed over": {[]pass{lead, {leader: "n2", leading: true, why: ha.HandingOver}, {leader: "-", why: ha.HandedOver}},
			[]string{lost(ha.HandedOver, "1")}},
		"no reason of its own": {[]pass{lead, {leader: "n2", leading: true, why: ha.HandingOver}, {}},
			[]string{lost(ha.HandingOver, "1")}},
		"work from its begin to its end": {[]pass{{last: ha.Finished{Count: 5}}, {job: ha.Job{Work: ha.Promoting, Running: 10 * time.Millisecond}, last: ha.Finished{Count: 5}, after: time.Second},
			{last: ha.Finished{Count: 6, Work: ha.Promoting, Ago: 10 * time.Millisecond}, after: 80 * time.Millisecond}},
			[]string{`matriarch_work_seconds_sum{work="promotion",outcome="ok"} 0.08`, `matriarch_work_seconds_bucket{work="promotion",outcome="ok",le="0.05"} 0`,
				`matriarch_work_seconds_bucket{work="promotion",outcome="ok",le="0.1"} 1`}},
		"work that nobody saw begin": {[]pass{{}, {last: ha.Finished{Count: 1, Work: ha.Rewinding, Failed: true}, after: time.Second}},
			[]string{`matriarch_work_seconds_count{work="rewind",outcome="failed"} 1`, `matriarch_work_seconds_sum{work="rewind",outcome="failed"} 0`}},
	} {
		t.Run(name, func(t *testing.T) {
			got := tallied(c.passes...)
			for _, want := range c.want {
				if !strings.Contains(got, want+"\n") {
					t.Errorf("%s is not in\n%s", want, got)
				}
			}
		})
	}
}

func TestGuardMetrics(t *testing.T) {
	got := string(api.PrintMetrics(nil, guardMetrics(Standing{Protection: "freezer", Armed: true, Frozen: true, Freezes: 3,
		FrozenTime: 1500 * time.Millisecond, LastLate: 2 * time.Millisecond, LastTook: 3 * time.Millisecond}, "freezer")...))
	for _, want := range []string{
		`matriarch_guard{protection="freezer"} 1`, `matriarch_guard{protection="off"} 0`, "matriarch_guard_armed{} 1", "matriarch_server_frozen{} 1",
		"# TYPE matriarch_freezes_total counter\nmatriarch_freezes_total{} 3", "matriarch_frozen_seconds_total{} 1.5",
		"matriarch_freeze_late_seconds{} 0.002", "matriarch_freeze_took_seconds{} 0.003",
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("%s is not in\n%s", want, got)
		}
	}
}

package ha

import (
	"testing"
	"time"

	"matriarch/internal/cluster"
)

func barred(o *Observation) { o.Right.Barred = true }

func TestWithoutTheWatchdogThatIsRequiredNobodyLeads(t *testing.T) {
	demote := do(Barred, Stop{Mode: Immediate, For: ForDemotion})
	down := func(o *Observation) {
		o.Server.Running, o.Server.Answering, o.Server.WasPrimary = false, false, true
	}
	decided(t, leader, []decision{
		{"B-273: a primary is demoted at once", barred, demote},
		{"B-273: also without the store", both(barred, storeAway), demote},
		{"B-273: also one that does not answer", both(barred, func(o *Observation) { o.Server.Answering = false }), demote},
		{"B-273: also one that nobody's key stands behind", both(barred, func(o *Observation) {
			o.Right, o.Store.View.Leader = Right{Free: true, Guarded: true, Barred: true}, cluster.Leader{}
		}), demote},
		{"B-273: one that is being started is killed", both(barred, working(StartingPrimary, ForNothing)), do(Barred, KillServer{})},
		{"B-273: one that is being promoted is killed", both(barred, working(Promoting, ForNothing)), do(Barred, KillServer{})},
		{"the demotion under way is waited for", both(barred, working(StoppingServer, ForDemotion)), wait(Busy, loop)},
		{"B-274: then the lead is given up", both(barred, down, finished(StoppingServer, ForDemotion, false, 0)), do(Barred, Release{})},
		{"without the store that has to wait, and readers do not", both(barred, down, storeAway, finished(StoppingServer, ForDemotion, false, 0)),
			do(StoreAwayTooLong, StartStandby{})},
		{"S1: it does not restart in place after a crash either", both(barred, down, storeAway), wait(StoreAway, loop)},
		{"what the guard has frozen is judged when it is thawed", both(barred, frozen, over(time.Second)), wait(Leading, soon)},
		{"B-500: paused, no watchdog is asked for", both(barred, paused), wait(Leading, loop)},
		{"S1: another leader comes first", both(barred, theirs, barred), do(Overtaken, KillServer{})},
	})
	decided(t, elected, []decision{
		{"B-274: a standby gives the lead up", barred, do(Barred, Release{})},
		{"B-274: without a permit, too", both(barred, over(time.Second)), do(Barred, Release{})},
		{"a promotion that has failed may still happen: it is stopped first", both(barred, finished(Promoting, ForNothing, true, time.Second)),
			do(Barred, Stop{Mode: Fast, For: ForDemotion})},
		{"S1: it is not promoted without the store", both(barred, storeAway), wait(StoreAway, loop)},
		{"B-521: paused, it is promoted when asked for by name", both(barred, paused, requested("n1", "n2")), do(Promotion, Promote{})},
	})
	decided(t, orphan, []decision{
		{"B-110: a race is lost", barred, wait(RaceExcluded, hurry)},
		{"B-274: also by the one that was asked for by name", both(barred, requested("n1", "n2")), wait(RaceExcluded, hurry)},
	})
	decided(t, crashed, []decision{
		{"B-110: a key of an earlier life is not won again", barred, do(Barred, Release{})},
	})
	decided(t, standby, []decision{{"who follows needs none", barred, wait(Following, loop)}})
}

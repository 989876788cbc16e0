package ha

import (
	"testing"
	"time"
)

// unarmed: the electorate says that nothing stops its leader's server.
func unarmed(o *Observation) { o.Right.Unarmed = true }
func ledLast(o *Observation) { o.Right.LedLast = true }
func armed(o *Observation)   { o.Server.Armed = true }

func TestNobodyTakesOverFromAServerThatNothingStops(t *testing.T) {
	stands := wait(RaceUnarmed, hurry)
	decided(t, orphan, []decision{
		{"S1: after a pause in which the leader's agent ended", unarmed, stands},
		{"S1: nor on request of a switchover, which its server has to be stopped for", both(unarmed, requested("n1", "n2")), stands},
		{"S1: not in the pause either", both(paused, unarmed, requested("n1", "n2")), stands},
		{"B-102: a failover by hand is a person's word that it is down", both(unarmed, requested("", "n2")), acquire(RaceWon)},
		{"B-102: in the pause too", both(paused, unarmed, requested("", "n2")), acquire(RaceWon)},
		{"B-102: but not one to another member", both(unarmed, requested("", "n3")), stands},
		{"that leader itself may, for it has looked after its server", both(unarmed, ledLast), acquire(RaceWon)},
	})
	alone := func() Observation {
		o := orphan()
		o.Server.Role, o.Right.Guarded, o.Memory.Awake = Primary, true, time.Hour
		return o
	}
	decided(t, alone, []decision{
		{"B-105: a running primary takes the lead that nobody has", nil, acquire(RaceRetaken)},
		{"S1: one beside a leader that may be writing is killed", unarmed, do(PermitOver, KillServer{})},
		{"the leader of before the pause is not", both(unarmed, ledLast), acquire(RaceRetaken)},
		{"B-504: in the pause it is left alone", both(paused, unarmed), acquire(RaceWon)},
	})
}

func TestAGuardIsLetGoWhenTheElectorateSaysSo(t *testing.T) {
	for _, c := range []struct {
		name   string
		start  func() Observation
		change func(*Observation)
		want   bool
	}{
		{"a primary is held", leader, armed, true},
		{"in a pause until the key says that it is not", leader, both(armed, paused), true},
		{"B-500: and then it is let go", leader, both(armed, paused, unarmed), false},
		{"one that nobody held is not held for a pause", leader, paused, false},
		{"B-503: nor one without the lead", leader, both(paused, func(o *Observation) { o.Right.Leading = false }), false},
		{"S1: one that has lost the lead is not let go on another's word", leader, both(armed, paused, unarmed, theirs, unarmed), true},
		{"after the pause it is held again", leader, unarmed, true},
		{"a standby is not", standby, nil, false},
	} {
		o := c.start()
		if c.change != nil {
			c.change(&o)
		}
		if got := o.Held(); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestTheElectorateSaysUnarmedUntilTheGuardIsArmed(t *testing.T) {
	for _, c := range []struct {
		name   string
		start  func() Observation
		change func(*Observation)
		want   bool
	}{
		{"not in quiet times", leader, armed, false},
		{"as long as the cluster is paused", leader, both(armed, paused), true},
		{"and until the guard is armed", leader, unarmed, true},
		{"not any longer", leader, both(unarmed, armed), false},
		{"where there can be no guard nobody waits for one", leader, both(unarmed, unguarded), false},
		{"a standby's server need not be stopped", standby, unarmed, false},
	} {
		o := c.start()
		c.change(&o)
		if got := o.Unarmed(); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	o := leader()
	o.Right.Unarmed = true
	if plan := Decide(o); plan.LookAgain > soon {
		t.Errorf("the guard has been armed since, and that is seen after %v", plan.LookAgain)
	}
}

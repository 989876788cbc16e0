package chaos

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// TestLong deals faults by lot until its time is over. CHAOS_UNFENCED deals those
// as well of which only a watchdog device could keep two primaries.
func TestLong(t *testing.T) {
	minutes, err := strconv.ParseFloat(os.Getenv("CHAOS_MINUTES"), 64)
	if err != nil {
		t.Skip("CHAOS_MINUTES is not set")
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("CHAOS_SEED"); text != "" {
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("CHAOS_SEED: %v", err)
		}
	}
	t.Logf("CHAOS_SEED=%d", seed)
	d := &dice{Rand: rand.New(rand.NewPCG(seed, 0)), unfenced: os.Getenv("CHAOS_UNFENCED") != ""}
	f := newField(t)
	f.s.say("CHAOS_SEED=%d", seed)
	end := f.h.Now() + time.Duration(minutes*float64(time.Minute))
	var names []string
	var results []result
	for f.h.Now() < end {
		x := d.fault()
		names, results = append(names, x.name), append(results, f.deal(x))
	}
	t.Log(f.finish())
	t.Log(table(names, results))
}

// dice draw faults.
type dice struct {
	*rand.Rand
	unfenced bool
}

// fault draws one; now and then two that overlap.
func (d *dice) fault() fault {
	x := d.one()
	if d.IntN(4) == 0 && !x.takes {
		y := d.simple()
		if !x.keeps || !y.keeps { // of etcd's, one at a time
			x = and(x, y, d.between(0, 3*time.Second))
			x.keeps, x.clean = false, false
		}
	}
	if x.hold == 0 {
		x.hold = d.hold()
	}
	return x
}

// hold is short or as long as a takeover may take.
func (d *dice) hold() time.Duration {
	if d.IntN(3) == 0 {
		return d.between(3*time.Second, 30*time.Second)
	}
	return d.between(0, 3*time.Second)
}

func (d *dice) between(low, high time.Duration) time.Duration {
	return low + time.Duration(d.Int64N(int64(high-low)))
}

// one draws from everything.
func (d *dice) one() fault {
	if stepsClock && d.IntN(6) == 0 {
		return clockFault(d.between(-10*time.Minute, 10*time.Minute).Round(time.Second))
	}
	switch d.IntN(12) {
	case 0:
		return switchFault
	case 1:
		return terminateFault
	case 2:
		return restartFault.during(d.between(0, 2*time.Second))
	case 3:
		return d.etcd()
	case 4:
		return d.either(crashFault)
	default:
		return d.simple()
	}
}

// simple draws from what can come together with another.
func (d *dice) simple() fault {
	if d.IntN(3) == 0 {
		return d.network()
	}
	return d.processes()
}

func (d *dice) processes() fault {
	for {
		s := everySignals()[d.IntN(26)]
		if !s.unfenced() || d.unfenced {
			return d.either(processFault(s))
		}
	}
}

func (d *dice) network() fault {
	if d.IntN(3) == 0 {
		return d.either(cableFault)
	}
	from := []string{"all", "etcd", "peers"}[d.IntN(3)]
	return d.either(cutFault(from, []direction{bothWays, hears, speaks}[d.IntN(3)]))
}

func (d *dice) etcd() fault {
	switch d.IntN(4) {
	case 0:
		return etcdAway.during(time.Minute)
	case 1:
		return etcdStutters.during(d.between(5*time.Second, 20*time.Second))
	case 2:
		return etcdFull.during(d.between(2*time.Second, 10*time.Second))
	default:
		return etcdBeheaded
	}
}

// either makes it a fault of the primary or of one of the standbys. What a standby suffers
// must not make another node the leader.
func (d *dice) either(x fault) fault {
	if d.IntN(3) == 0 {
		return x.onStandby(1 + d.IntN(2))
	}
	return x
}

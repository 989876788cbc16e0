package sim

import (
	"slices"
	"time"
)

// network joins the machines. What it does to a message is decided when the
// message is sent, and once more when it arrives: a link that was cut meanwhile
// loses it.
type network struct {
	engine  *engine
	cuts    [][]int // how many faults cut the way from one machine to another
	slow    [][]time.Duration
	loss    int           // of a hundred messages, this many are lost
	twice   int           // and this many come twice
	usual   time.Duration // a message takes between half of this and this
	calm    bool          // the usual, and nothing else: no lots are drawn
	instant bool          // no time at all
}

func newNetwork(e *engine, machines int) *network {
	n := &network{engine: e, usual: 400 * time.Microsecond, cuts: make([][]int, machines), slow: make([][]time.Duration, machines)}
	for i := range machines {
		n.cuts[i], n.slow[i] = make([]int, machines), make([]time.Duration, machines)
	}
	return n
}

// open reports that messages get from one machine to another.
func (n *network) open(from, to int) bool { return from == to || n.cuts[from][to] == 0 }

// joined reports that messages get both ways.
func (n *network) joined(a, b int) bool { return n.open(a, b) && n.open(b, a) }

// delay is how long a message takes.
func (n *network) delay(from, to int) time.Duration {
	if n.instant {
		return 0
	}
	if from == to {
		return 20 * time.Microsecond
	}
	if n.calm {
		return n.usual / 2
	}
	d := n.usual/2 + n.engine.upTo(n.usual/2)
	if slow := n.slow[from][to]; slow > 0 {
		d += n.engine.upTo(slow)
	}
	return d
}

// send carries a message. lost messages never come; some come twice.
func (n *network) send(from, to int, arrive func()) {
	if !n.open(from, to) {
		return
	}
	if from != to && n.loss > 0 && n.engine.lot.IntN(100) < n.loss {
		if n.engine.chance(2) {
			return
		}
		// TCP sends it again, after 200 ms at the least (RFC 6298 as Linux has it).
		n.engine.after(n.engine.between(200*time.Millisecond, 600*time.Millisecond), func() { n.arrive(from, to, arrive) })
		return
	}
	n.engine.after(n.delay(from, to), func() { n.arrive(from, to, arrive) })
	if from != to && n.twice > 0 && n.engine.lot.IntN(100) < n.twice {
		n.engine.after(n.delay(from, to)+n.engine.upTo(50*time.Millisecond), func() { n.arrive(from, to, arrive) })
	}
}

func (n *network) arrive(from, to int, arrive func()) {
	if n.open(from, to) {
		arrive()
	}
}

// slowed reports that some way is slow.
func (n *network) slowed() bool {
	for _, ways := range n.slow {
		if slices.Max(ways) > 0 {
			return true
		}
	}
	return false
}

package permit

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/dcs"
)

// The model is a whole cluster on one goroutine under virtual time: the real Node
// on every node, one linearizable store, a network that loses, delays and cuts one
// way, agents that stall and restart, hosts that reboot, clocks of different
// rates, permits that change their length and leaders that give up. Real time is
// in nanoseconds; no node sees it.

// setting is what a run is about.
type setting struct {
	omit   rule
	guard  float64 // the guard's latency as a part of what the margins allow
	faults time.Duration
	trace  bool

	driven  bool // the hosts are Drivers
	patroni bool // and some are Patroni's at times
	lone    bool // leaders want to be the sole quorum at times
}

type event struct {
	at, order int64
	do        func()
}

type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].order < q[j].order
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

// drift bounds the rate of a clock, both ways: 1,100 ppm (see Margin).
const drift = 1100e-6

// host is one node: the agent's life and, beside it, the guard, which outlives
// the agent but not the host.
type host struct {
	name   string
	life   int // of the agent
	node   *Node
	length time.Duration

	rate    float64
	booted  int64 // real
	stalled int64 // real: the agent does nothing until then

	kept     Kept
	hasKept  bool
	record   int64 // newest term, when this host keeps such a record
	records  bool
	deadline boottime.Instant // the guard's
	promoted bool             // the server is out of recovery, perhaps frozen
	orphan   bool             // and nobody guards it: Patroni's agent has ended
	abstains int64            // real: promised in failsafe mode not to race before
}

type world struct {
	setting
	rnd    *rand.Rand
	now    int64 // real
	order  int64
	q      queue
	hosts  []*host
	store  *store
	cut    map[[2]string]int64 // until, real
	guard  int64               // latency, nanoseconds
	calm   bool                // faults have ended
	dry    bool                // faults are mostly between hosts and the store
	ttl    time.Duration       // of leases
	era    int                 // messages of an earlier era are lost
	length time.Duration       // as configured now
	longer time.Duration       // the longest ever

	drivers *drivers // nil: the hosts are Nodes, driven by lot

	takeovers, releases, adoptions, moves, promotions, changes, patronis, carried, alone int

	violation string
	story     []string
}

func newWorld(seed uint64, s setting) *world {
	w := &world{setting: s, rnd: rand.New(rand.NewPCG(seed, 1)), cut: map[[2]string]int64{}}
	if s.driven {
		w.drivers = &drivers{w: w, of: map[*host]*manned{}}
	}
	w.now = int64(time.Hour)
	w.length = []time.Duration{Shortest, Default, Default, 2 * time.Second}[w.rnd.IntN(4)]
	w.longer = w.length
	w.dry = w.rnd.IntN(2) == 0
	w.ttl = 500*time.Millisecond + w.upTo(3*time.Second)
	w.store = &store{w: w, values: map[string]dcs.Value{}, revision: 1, leases: map[string]int64{}}
	// Lengths change between the shortest and twice as long as this; the guard is
	// as slow as the margins of the shortest allow.
	w.latency(w.length)
	for i := range 2 + w.rnd.IntN(4) {
		h := &host{name: fmt.Sprintf("n%d", i+1), length: w.length, records: w.rnd.IntN(2) == 0}
		h.rate = 1 + drift*(2*w.rnd.Float64()-1)
		if w.rnd.IntN(2) == 0 { // the extremes matter
			h.rate = 1 + drift*float64(2*w.rnd.IntN(2)-1)
		}
		h.booted = w.now - int64(w.upTo(time.Hour))
		w.hosts = append(w.hosts, h)
	}
	if s.driven {
		w.ttl = 3*time.Second + w.upTo(3*time.Second)
	}
	for _, h := range w.hosts {
		w.start(h, false)
		w.after(time.Second+w.upTo(2*time.Second), func() { w.fault(h) })
	}
	w.after(w.upTo(8*time.Second), w.reconfigure)
	for _, h := range w.hosts {
		if s.patroni && w.rnd.IntN(2) == 0 {
			w.drivers.change(h)
		}
	}
	return w
}

// latency sets the guard's, for the shortest length there was: nothing but the
// clocks' drift is left of the margins at 1.
func (w *world) latency(length time.Duration) {
	allowed := 2*float64(Margin(length)) - 2*drift*float64(length) - float64(time.Millisecond)
	latency := int64(w.setting.guard * allowed)
	if w.guard == 0 || latency < w.guard {
		w.guard = latency
	}
}

func (w *world) upTo(d time.Duration) time.Duration { return time.Duration(w.rnd.Int64N(int64(d))) }

func (w *world) after(d time.Duration, do func()) {
	w.order++
	heap.Push(&w.q, event{at: w.now + int64(d), order: w.order, do: do})
}

func (w *world) run(until int64) {
	for len(w.q) > 0 && w.q[0].at <= until && w.violation == "" {
		e := heap.Pop(&w.q).(event)
		w.now = e.at
		e.do()
	}
	w.now = until
}

func (w *world) log(format string, args ...any) {
	if w.trace {
		w.story = append(w.story, fmt.Sprintf("%9.3f ", float64(w.now-int64(time.Hour))/1e9)+fmt.Sprintf(format, args...))
	}
}

// clock is the host's CLOCK_BOOTTIME.
func (w *world) clock(h *host) boottime.Instant {
	return boottime.Instant(float64(w.now-h.booted) * h.rate)
}

// real is when the host's clock shows an instant.
func (h *host) real(i boottime.Instant) int64 { return h.booted + int64(float64(i)/h.rate) }

// delay is the network's, by lot: mostly short, at times longer than a permit.
func (w *world) delay() time.Duration {
	if w.calm {
		return time.Millisecond + w.upTo(2*time.Millisecond)
	}
	switch w.rnd.IntN(6) {
	case 0, 1:
		return time.Millisecond
	case 2, 3:
		return time.Millisecond + w.upTo(20*time.Millisecond)
	case 4:
		return w.upTo(w.length / 3)
	}
	return w.upTo(3 * w.length / 2)
}

// send carries a message to a host's agent or the store, if it gets there. It
// waits while the agent stalls. life is the agent's that it is for; 0: any.
func (w *world) send(from, to string, life int, deliver func()) {
	if !w.calm && (w.now < w.cut[[2]string{from, to}] || w.rnd.IntN(20) == 0) {
		return
	}
	era := w.era
	w.after(w.delay(), func() {
		if era == w.era {
			w.arrive(to, life, deliver)
		}
	})
}

func (w *world) arrive(to string, life int, deliver func()) {
	h := w.host(to)
	switch {
	case h == nil:
		deliver()
	case life != 0 && life != h.life:
	case w.now < h.stalled:
		w.after(time.Duration(h.stalled-w.now)+w.upTo(20*time.Millisecond), func() { w.arrive(to, life, deliver) })
	default:
		deliver()
		w.settle(h)
	}
}

func (w *world) host(name string) *host {
	i := slices.IndexFunc(w.hosts, func(h *host) bool { return h.name == name })
	if i < 0 {
		return nil
	}
	return w.hosts[i]
}

// start begins a life of an agent.
func (w *world) start(h *host, adopt bool) {
	h.life++
	if w.drivers != nil {
		w.drivers.start(h, adopt)
		return
	}
	term := int64(0)
	if h.records {
		term = h.record
	}
	now := w.clock(h)
	h.node = newNode(h.name, h.length, term, now, omitted{w.omit})
	w.want(h)
	if adopt {
		kept := h.kept
		if w.rnd.IntN(2) == 0 && w.omit&adoptWhole == 0 {
			kept = Kept{Term: kept.Term}
		}
		w.adoptions++
		w.log("%s adopts %+v", h.name, kept)
		h.node.Adopt(kept, h.deadline, now)
		w.settle(h)
	}
	w.tick(h, h.life)
}

// tick is the agent's loop.
func (w *world) tick(h *host, life int) {
	if life != h.life {
		return
	}
	if w.now < h.stalled {
		w.after(time.Duration(h.stalled-w.now), func() { w.tick(h, life) })
		return
	}
	w.after(h.node.BeatEvery()*time.Duration(80+w.rnd.IntN(40))/100, func() { w.tick(h, life) })
	if w.rnd.IntN(40) == 0 {
		w.want(h)
	}
	if v := h.node.follower.view; v.Leader == h.name && !h.promoted && h.node.Released() && w.rnd.IntN(4) == 0 {
		if _, leads := h.node.Leading(); !leads { // however it came to the key (P4)
			h.node.Adopt(Kept{Term: v.Term}, 0, w.clock(h))
			w.adoptions++
		}
	}
	w.beat(h)
	w.write(h)
	if h.node.NeedRead() || w.rnd.IntN(10) == 0 {
		w.send(h.name, "store", 0, func() {
			v := w.store.view()
			w.send("store", h.name, life, func() { h.node.Learn(v, w.clock(h)) })
		})
	}
	if w.rnd.IntN(5) == 0 {
		w.send(h.name, "store", 0, func() { w.store.leases[h.name] = w.now + int64(w.ttl) })
	}
	w.settle(h)
}

// want says who should be in the electorate: mostly everyone.
func (w *world) want(h *host) {
	var wanted []string
	few := !w.calm && w.rnd.IntN(3) == 0
	for _, o := range w.hosts {
		if !few || w.rnd.IntN(2) == 0 {
			wanted = append(wanted, o.name)
		}
	}
	sole := w.lone && !w.calm && w.rnd.IntN(2) == 0
	if sole && w.rnd.IntN(4) > 0 {
		wanted = nil
	}
	if h.node != nil {
		h.node.Want(wanted, sole)
	}
}

func (w *world) beat(h *host) {
	hb, to := h.node.Beat(Position{Timeline: 1}, w.clock(h))
	for _, name := range to {
		if name == h.name {
			continue
		}
		o := w.host(name)
		w.send(h.name, name, 0, func() {
			ack := o.node.Heartbeat(hb, Position{}, w.clock(o))
			o.remember()
			w.send(name, h.name, 0, func() {
				h.node.Acked(ack, w.clock(h))
				if w.rnd.IntN(3) == 0 {
					w.write(h)
				}
			})
		})
	}
}

// remember writes the newest term down, before the acknowledgement goes out.
func (h *host) remember() { h.record, _ = h.node.Term() }

// write sends what the node wants of the store.
func (w *world) write(h *host) {
	now := w.clock(h)
	move := w.rnd.IntN(200) == 0
	txn, ok := h.node.Put(move, now)
	if !ok {
		if txn, ok = h.node.TakeOver(now); ok {
			w.log("%s sends a takeover %v", h.name, txn.Txn.If)
		}
	}
	if !ok {
		return
	}
	h.kept, h.hasKept = h.node.Keep()
	life := h.life
	w.send(h.name, "store", 0, func() {
		answer, revision := w.store.apply(h.name, txn.Txn)
		w.send("store", h.name, life, func() { h.node.Answered(txn.ID, answer, revision, w.clock(h)) })
	})
	if w.rnd.IntN(4) == 0 { // the driver's own deadline
		w.after(h.length/5, func() {
			w.arrive(h.name, life, func() { h.node.Answered(txn.ID, Unknown, 0, w.clock(h)) })
		})
	}
}

// settle carries the permit to the guard and promotes, as the agent does after
// every step, and checks S1.
func (w *world) settle(h *host) {
	if w.drivers != nil {
		w.drivers.settle(h)
		return
	}
	now := w.clock(h)
	h.remember()
	if _, leads := h.node.Leading(); !leads {
		if now >= h.deadline {
			h.promoted = false // killed while frozen
		}
		return
	}
	before, was := h.deadline, h.promoted
	h.deadline = max(h.deadline, h.node.Permit()) // not cut: the worst guard keeps to what it was told
	if !h.promoted && h.node.MayPromote(now) {
		h.promoted = true
		w.promotions++
		term, _ := h.node.Leading()
		w.log("%s is promoted in term %d", h.name, term)
	}
	if h.deadline != before || h.promoted != was {
		if h.node.holder.isSole() && h.promoted {
			w.alone++
		}
		w.check()
	}
}

// check is S1: when one server may write, no other may have gone on until now.
func (w *world) check() {
	for _, a := range w.hosts {
		if !a.promoted || w.now >= a.real(a.deadline) {
			continue
		}
		for _, b := range w.hosts {
			if a != b && b.promoted && w.now < b.real(b.deadline)+w.guard {
				w.violation = fmt.Sprintf("at %.3f s %s and %s may write, until %.3f and %.3f", float64(w.now-int64(time.Hour))/1e9,
					a.name, b.name, float64(a.real(a.deadline)-int64(time.Hour))/1e9, float64(b.real(b.deadline)+w.guard-int64(time.Hour))/1e9)
				w.log("S1: %s", w.violation)
				return
			}
		}
	}
}

// writer is who may write now.
func (w *world) writer() *host {
	for _, h := range w.hosts {
		if h.promoted && w.now < h.real(h.deadline) {
			return h
		}
	}
	return nil
}

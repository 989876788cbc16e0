package permit

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/dcs"
)

// Store is what a Runner needs of the store. dcs.Store has it.
type Store interface {
	Mirror() (dcs.Snapshot, bool)
	Lease() dcs.Lease
	Read(ctx context.Context) (dcs.Snapshot, error)
	Commit(ctx context.Context, txn dcs.Txn) (revision int64, err error)
}

// Sender carries heartbeats to members. It never waits. apiURL is the newest that
// the member has published; empty: never seen.
type Sender interface {
	Send(member, apiURL string, hb Heartbeat)
}

// Guard is the process that stops the server at the deadline.
type Guard interface {
	// Keep stores what a restarted agent must know, see Hands.
	Keep(ctx context.Context, k Kept, leading bool) error
	// Deadline is told at once whenever it changes, and again after an error.
	Deadline(ctx context.Context, until boottime.Instant) error
}

// RunnerOptions of a Runner.
type RunnerOptions struct {
	Me     string
	Length time.Duration // of the permit
	TTL    time.Duration // of the lease
	Term   int64         // see Options
	// SaveTerm is as in Options; nil: no record.
	SaveTerm func(ctx context.Context, term int64) error

	Store   Store
	Sender  Sender
	Guard   Guard
	Now     func() boottime.Instant
	Instant func(time.Time) boottime.Instant // of the clock that the store's lease is told by
	Log     *slog.Logger
}

// Runner is the loop around a Driver: it sends the heartbeats in time, carries the
// answers of store and members back, and tells the guard. All of its methods may be
// called from any goroutine, and none of them waits for the store or a member.
//
// The mutex is held over no I/O but the guard's record, which is on this host and
// given up after guardLimit.
type Runner struct {
	o       RunnerOptions
	ctx     context.Context
	cancel  context.CancelFunc
	work    sync.WaitGroup // commits, reads, calls of the guard
	sooner  chan struct{}  // there is something to do before the timer
	changed chan struct{}
	told    chan struct{} // the deadline has changed
	guard   timely

	mu       sync.Mutex
	d        *Driver
	armed    boottime.Instant
	deadline boottime.Instant
	ended    bool
	commits  int
	unsent   []int64 // transactions for which there was no room
	glance   Glance
	urls     map[string]string // where members listen, also of those that the store has forgotten
}

// NewRunner makes a runner. Run keeps it going; what is asked for before is done then.
func NewRunner(o RunnerOptions) *Runner {
	r := &Runner{o: o, sooner: make(chan struct{}, 1), changed: make(chan struct{}, 1), told: make(chan struct{}, 1),
		urls: map[string]string{}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.guard = timely{ctx: r.ctx, work: &r.work}
	options := Options{Me: o.Me, Length: o.Length, TTL: o.TTL, Term: o.Term, Hands: hands{r}}
	if o.SaveTerm != nil {
		options.SaveTerm = func(term int64) error {
			return r.guarded("save the term", func(ctx context.Context) error { return o.SaveTerm(ctx, term) })
		}
	}
	r.d = NewDriver(options, o.Now())
	return r
}

// Run keeps the heartbeats going until ctx ends, and waits for all that it started.
// The permit then runs out by itself.
func (r *Runner) Run(ctx context.Context) error {
	r.work.Go(r.tellGuard)
	defer r.end()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.sooner:
		case <-timer.C:
		}
		r.mu.Lock()
		r.settle()
		now := r.o.Now()
		r.armed = r.d.Tick(now)
		timer.Reset(r.armed.Sub(now))
		r.mu.Unlock()
	}
}

func (r *Runner) end() {
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.cancel()
	r.work.Wait()
}

// step tells the driver something, and wakes the loop if there is more to do than
// it has its timer set for.
func (r *Runner) step(tell func(d *Driver, now boottime.Instant)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.o.Now()
	tell(r.d, now)
	r.settle()
	if next := r.d.Tick(now); r.armed == 0 || next < r.armed {
		select {
		case r.sooner <- struct{}{}:
		default:
		}
	}
}

// settle answers the transactions for which there was no room. The mutex is held.
func (r *Runner) settle() {
	for len(r.unsent) > 0 {
		id := r.unsent[0]
		r.unsent = r.unsent[1:]
		r.d.Answered(id, Unknown, 0, r.o.Now())
	}
}

// State is what the agent decides by.
func (r *Runner) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.d.State(r.o.Now())
}

// Changed receives a value after something in State has changed by which the agent
// decides. It is coalesced.
func (r *Runner) Changed() <-chan struct{} { return r.changed }

// See looks at the mirror. It is called after the store's Changed.
func (r *Runner) See() { r.step(func(d *Driver, now boottime.Instant) { d.See(r.look(), now) }) }

// Heartbeat answers another leader's.
func (r *Runner) Heartbeat(hb Heartbeat) (ack Ack) {
	r.step(func(d *Driver, now boottime.Instant) { ack = d.Heartbeat(hb, now) })
	return ack
}

// Acked takes a member's answer to a heartbeat.
func (r *Runner) Acked(ack Ack) { r.step(func(d *Driver, now boottime.Instant) { d.Acked(ack, now) }) }

// Lost is evidence that a leader is gone.
func (r *Runner) Lost(leader string) {
	r.step(func(d *Driver, now boottime.Instant) { d.Lost(leader, now) })
}

// Adopt goes on where an earlier life of the agent has ended. It is called before Run.
func (r *Runner) Adopt(k Kept, deadline boottime.Instant) {
	r.step(func(d *Driver, now boottime.Instant) {
		for name, url := range k.URLs {
			if r.urls[name] == "" { // the store knows better
				r.urls[name] = url
			}
		}
		d.Adopt(k, deadline, now)
	})
}

// Stand takes over as soon as the rules allow, see Driver.
func (r *Runner) Stand(key int64) {
	r.step(func(d *Driver, now boottime.Instant) { d.Stand(key, now) })
}

// Promised takes the end of a failsafe round, see Driver.
func (r *Runner) Promised(until boottime.Instant) {
	r.step(func(d *Driver, now boottime.Instant) { d.Promised(until, now) })
}

// Abstain promises in failsafe mode not to take over before, see Driver.
func (r *Runner) Abstain(until boottime.Instant) (ok bool) {
	r.step(func(d *Driver, now boottime.Instant) { ok = d.Abstain(until, now) })
	return ok
}

// Passed says that the decision loop has finished a pass.
func (r *Runner) Passed() { r.step(func(d *Driver, now boottime.Instant) { d.Passed(now) }) }

// Release gives the leader key up, see Driver. State tells when the store has
// confirmed it; Run goes on until then.
func (r *Runner) Release(also []dcs.Op) (ok bool) {
	r.step(func(d *Driver, now boottime.Instant) { ok = d.Release(also, now) })
	return ok
}

// Want says who should be in the electorate, see Node.
func (r *Runner) Want(members []string, sole bool) {
	r.step(func(d *Driver, _ boottime.Instant) { d.Want(members, sole) })
}

// Unarmed says whether the electorate has to say so, see Node.
func (r *Runner) Unarmed(unarmed bool, key int64) {
	r.step(func(d *Driver, _ boottime.Instant) { d.Unarmed(unarmed, key) })
}

// Position is what heartbeats and acknowledgements say of this server.
func (r *Runner) Position(p Position) { r.step(func(d *Driver, _ boottime.Instant) { d.Position(p) }) }

// Promotion says which timeline a takeover would begin, see Node.
func (r *Runner) Promotion(timeline uint32) {
	r.step(func(d *Driver, _ boottime.Instant) { d.Promotion(timeline) })
}

// SetLength changes the permit's length on a running cluster.
func (r *Runner) SetLength(length time.Duration) {
	r.step(func(d *Driver, _ boottime.Instant) { d.SetLength(length) })
}

// SetTTL changes the lease's.
func (r *Runner) SetTTL(ttl time.Duration) {
	r.step(func(d *Driver, _ boottime.Instant) { d.SetTTL(ttl) })
}

package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"matriarch/internal/agent"
	rights "matriarch/internal/agent/right"
	"matriarch/internal/api/client"
	"matriarch/internal/boottime"
	"matriarch/internal/config"
	"matriarch/internal/dcs"
	"matriarch/internal/ha"
	"matriarch/internal/permit"
	"matriarch/internal/permit/wire"
	"matriarch/internal/store"
)

// right is this node's right to write: package permit's runner, joined to the store,
// to the guard, and to the other members over kept connections.
type right struct {
	runner   *permit.Runner
	links    *wire.Links
	pulse    *pulse
	receiver *wire.Receiver
	keeper   *keeper
	warden   *warden
	clock    boottime.Clock
	log      *slog.Logger
	goesOn   bool // with the lead of an earlier life, and needs no store for it

	mu     sync.Mutex
	mixed  bool          // as told last
	length time.Duration // of the permit
	words  rights.Words
}

// findTimeout bounds the first talk with the guard.
const findTimeout = 15 * time.Second

// newRight finds what an earlier life has left with the guard, and goes on there.
func newRight(ctx context.Context, local *config.Config, e config.Effective, length time.Duration, st dcs.Store, k *keeper, w *warden,
	clock boottime.Clock, log *slog.Logger) (*right, error) {
	r := &right{keeper: k, warden: w, clock: clock, log: log}
	options, err := wireOptions(local)
	if err != nil {
		return nil, err
	}
	r.links = wire.NewLinks(options, wire.Handlers{
		Acked: func(a permit.Ack) {
			r.runner.Acked(a)
			r.pulse.acked(a)
		},
		Closed: func(string) {}, // a member that is gone is silent, and that counts by itself
	}, log)
	r.pulse = newPulse(r.links, boottime.Now)
	r.runner = permit.NewRunner(permit.RunnerOptions{
		Me: local.Name, Length: length, TTL: e.TTL, Store: st, Sender: r.pulse, Guard: guardOf{k, w},
		Now: boottime.Now, Instant: clock.Instant, Log: log,
	})
	r.receiver = wire.NewReceiver(wire.ReceiverOptions{
		Cluster: options.Cluster, Member: local.Name, Answer: r.runner.Heartbeat, Lost: r.runner.Lost, Log: log,
	})
	find, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	left, err := k.Find(find)
	switch {
	case err != nil:
		k.without(err)
	case left.Leading && left.Server != 0 && left.Armed:
		log.Info("the guard has the server and the lead of an earlier life", "term", left.Kept.Term, "server", left.Server)
		r.runner.Adopt(left.Kept, left.Deadline)
		// A promotion that was cut off is not gone on with before the store has told
		// which timelines there are (S3).
		r.goesOn = !signalFile(e.Postgresql.DataDir, "standby.signal")
	}
	return r, nil
}

// wireOptions are how the other members are called, as for all else.
func wireOptions(c *config.Config) (wire.Options, error) {
	o := clientOptions(c)
	tls, err := client.TLS(o)
	if err != nil {
		return wire.Options{}, err
	}
	return wire.Options{Cluster: store.Prefix(c.Namespace, c.Scope), Username: o.Username, Password: o.Password, TLS: tls, UserAgent: o.UserAgent}, nil
}

// Run keeps the heartbeats going until ctx ends, and closes the connections.
func (r *right) Run(ctx context.Context) {
	_ = r.runner.Run(ctx) // its only error is that of ctx
	r.links.Close()
	r.receiver.Close()
}

// reload takes over how the members are called.
func (r *right) reload(c *config.Config) error {
	options, err := wireOptions(c)
	if err != nil {
		return fmt.Errorf("reload the heartbeat connections: %w", err)
	}
	r.links.SetOptions(options)
	return nil
}

// guardOf is the guard, as the runner calls it. Neither call waits for more than the
// guard's own short deadline.
type guardOf struct {
	*keeper
	*warden
}

func (g guardOf) Keep(_ context.Context, k permit.Kept, leading bool) error {
	return g.keeper.Keep(k, leading)
}

func (g guardOf) Deadline(_ context.Context, until boottime.Instant) error {
	g.keeper.Deadline(until)
	g.warden.confirmed(until)
	return nil
}

// What follows is agent.Right.

func (r *right) See()                     { r.runner.See() }
func (r *right) Release(also []dcs.Op)    { r.runner.Release(also) }
func (r *right) Passed()                  { r.runner.Passed() }
func (r *right) Changed() <-chan struct{} { return r.runner.Changed() }

// armTimeout bounds the word to the guard before a takeover.
const armTimeout = 200 * time.Millisecond

// Stand takes over, once nothing can be left unguarded by it.
func (r *right) Stand(key int64) {
	r.mu.Lock()
	length := r.length
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), armTimeout)
	defer cancel()
	if err := r.keeper.armAhead(ctx, length-permit.Margin(length)); err != nil {
		r.log.Warn("the lead is not taken yet", "err", err)
		return
	}
	r.runner.Stand(key)
}

// State tells how things stand, in durations from now.
func (r *right) State(time.Time) ha.Right {
	s, now := r.runner.State(), boottime.Now()
	r.mu.Lock()
	out := r.words.State(s, now)
	r.mu.Unlock()
	out.Guarded, out.Barred = r.keeper.guarded(), r.warden.barred()
	r.tellMixed(s)
	return out
}

// tellMixed says when a member of Patroni's has joined, for then an outage of the
// store ends the writes with the lease, and when the last one has left.
func (r *right) tellMixed(s permit.State) {
	r.mu.Lock()
	changed := r.mixed != s.Mixed
	r.mixed = s.Mixed
	r.mu.Unlock()
	switch {
	case changed && s.Mixed:
		r.log.Info("members of Patroni's are there: the right to write ends with the lease of the leader key as well", "leading", s.Leading)
	case changed:
		r.log.Info("no members of Patroni's are left: the right to write no longer ends with the lease of the leader key", "leading", s.Leading)
	}
}

// Know passes on what a pass knows.
func (r *right) Know(k agent.Knowledge) {
	r.warden.know(k.Permit)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.length = k.Permit
	r.words.Know(k, r.runner)
}

// until is the instant up to which this node is the leader by its own clock; zero if
// it is not.
func (r *right) until() time.Time {
	s := r.runner.State()
	if !s.Leading || s.Permit == 0 {
		return time.Time{}
	}
	return r.clock.Now().Add(s.Permit.Sub(boottime.Now()))
}

var _ agent.Right = (*right)(nil)

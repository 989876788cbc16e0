package permit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/cluster"
)

const (
	// storeLimit is how long a transaction or a read may take at most. The store
	// itself tries another endpoint within it.
	storeLimit = time.Second
	// guardLimit is how long the guard, a process on this host, may take.
	guardLimit = 100 * time.Millisecond
	// tellAgain is the pause before the guard is told a deadline again.
	tellAgain = 20 * time.Millisecond
	// commitsMost may be under way at once. A leader has some four, since it sends
	// one each quarter of a permit and each is given up after half a permit.
	commitsMost = 8
)

// hands are what a Runner's driver acts by. The Runner's mutex is held in each.
type hands struct{ r *Runner }

func (h hands) Send(member string, hb Heartbeat) { h.r.o.Sender.Send(member, h.r.urls[member], hb) }

func (h hands) Changed() {
	select {
	case h.r.changed <- struct{}{}:
	default:
	}
}

func (h hands) Deadline(until boottime.Instant) {
	h.r.deadline = until
	select {
	case h.r.told <- struct{}{}:
	default:
	}
}

func (h hands) Keep(k Kept, leading bool) error {
	if leading {
		k.URLs = maps.Clone(h.r.urls)
	}
	return h.r.guarded("keep the record", func(ctx context.Context) error { return h.r.o.Guard.Keep(ctx, k, leading) })
}

// Commit sends it in a goroutine of its own, for a late answer must not keep the next
// one waiting.
func (h hands) Commit(w Write) {
	r := h.r
	if r.ended {
		return
	}
	if r.commits >= commitsMost {
		r.unsent = append(r.unsent, w.ID)
		return
	}
	r.commits++
	limit := min(r.d.node.length/2, storeLimit)
	r.work.Go(func() {
		ctx, cancel := context.WithTimeout(r.ctx, limit)
		defer cancel()
		revision, err := r.o.Store.Commit(ctx, w.Txn)
		r.step(func(d *Driver, now boottime.Instant) {
			r.commits--
			d.Answered(w.ID, AnswerOf(err), revision, now)
			d.See(r.look(), now) // the answer is in the mirror already
		})
	})
}

func (h hands) Read() {
	r := h.r
	if r.ended {
		return
	}
	r.work.Go(func() {
		ctx, cancel := context.WithTimeout(r.ctx, storeLimit)
		defer cancel()
		_, err := r.o.Store.Read(ctx)
		r.step(func(d *Driver, now boottime.Instant) {
			if err != nil {
				d.ReadFailed(now)
				return
			}
			// The mirror is at what was read, or beyond: another look may have told
			// the driver of more already.
			sight := r.look()
			d.See(sight, now)
			d.Learned(sight.View, now)
		})
	})
}

// look reads the mirror. It does not block; the members' keys are read again only
// when something was written. The mutex is held, so that looks come in order.
func (r *Runner) look() Sight {
	s, current := r.o.Store.Mirror()
	sight, members, fresh := r.glance.At(r.o.Me, s)
	if fresh {
		r.learn(members)
	}
	sight.Current = current
	if lease := r.o.Store.Lease(); lease.ID != 0 {
		sight.Lease, sight.LeaseEnd = lease.ID, r.o.Instant(lease.Deadline())
	}
	return sight
}

// learn takes note of where the members listen. What is kept with the guard follows.
func (r *Runner) learn(members []cluster.Member) {
	for _, m := range members {
		if m.Name != r.o.Me && r.urls[m.Name] != m.APIURL {
			r.urls[m.Name] = m.APIURL
			r.d.KeepAgain()
		}
	}
}

// tellGuard carries the deadline to the guard: the newest, at once, until it is told.
func (r *Runner) tellGuard() {
	again := time.NewTimer(0)
	defer again.Stop()
	<-again.C
	failed := false
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-r.told:
		case <-again.C:
		}
		r.mu.Lock()
		until := r.deadline
		r.mu.Unlock()
		ctx, cancel := context.WithTimeout(r.ctx, guardLimit)
		err := r.o.Guard.Deadline(ctx, until)
		cancel()
		if err != nil {
			again.Reset(tellAgain)
			if !failed {
				r.o.Log.Warn("the guard could not be told the end of the permit", "err", err)
			}
		}
		failed = err != nil
	}
}

// guarded calls the guard and logs the first of its failures.
func (r *Runner) guarded(doing string, call func(context.Context) error) error {
	if r.ended {
		return errEnded
	}
	err := r.guard.do(call)
	if err != nil {
		err = fmt.Errorf("have the guard %s: %w", doing, err)
		if !r.guard.failed {
			r.o.Log.Warn("a leader's record could not be stored: nothing is written to the store without it", "err", err)
		}
	}
	r.guard.failed = err != nil
	return err
}

var (
	errEnded = errors.New("the runner has ended")
	errLate  = errors.New("no answer in time")
	errBusy  = errors.New("an earlier call has not returned")
)

// timely makes calls that are given up when they take too long. One that hangs keeps
// nobody waiting twice: the next ones fail at once until it has returned.
type timely struct {
	ctx    context.Context
	work   *sync.WaitGroup
	busy   atomic.Bool
	failed bool
}

func (t *timely) do(call func(context.Context) error) error {
	if !t.busy.CompareAndSwap(false, true) {
		return errBusy
	}
	ctx, cancel := context.WithTimeout(t.ctx, guardLimit)
	result := make(chan error, 1)
	t.work.Go(func() {
		defer cancel()
		err := call(ctx)
		t.busy.Store(false)
		result <- err
	})
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		// Done and answered at once is an answer.
		select {
		case err := <-result:
			return err
		default:
			return errLate
		}
	}
}

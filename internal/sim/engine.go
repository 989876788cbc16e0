package sim

import (
	"math/rand/v2"
	"time"
)

// instant is a moment of the world's own time, in nanoseconds since it began. No
// node sees it: each has a clock of its own.
type instant int64

func (t instant) add(d time.Duration) instant { return t + instant(d) }

func (t instant) sub(u instant) time.Duration { return time.Duration(t - u) }

func (t instant) seconds() float64 { return time.Duration(t).Seconds() }

// event is something that will happen. Events of one instant happen in the order
// in which they were planned.
type event struct {
	at    instant
	order int64
	do    func()
	of    *process // whose it is; nil: nobody's, it happens in any case
	life  int      // of the process
}

// engine is the queue of what will happen: a binary heap of values, so that
// planning costs no more than the closure.
type engine struct {
	now   instant
	order int64
	queue []event
	lot   *rand.Rand
	steps int64 // events that have happened
}

// reseed makes what is drawn from here on depend on the two numbers alone.
func (e *engine) reseed(seed, stream uint64) { e.lot = rand.New(rand.NewPCG(seed, stream)) }

// upTo draws a duration below d.
func (e *engine) upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(e.lot.Int64N(int64(d)))
}

// between draws a duration from least to most.
func (e *engine) between(least, most time.Duration) time.Duration { return least + e.upTo(most-least) }

// chance is true in one of n cases.
func (e *engine) chance(n int) bool { return e.lot.IntN(n) == 0 }

// after plans do.
func (e *engine) after(d time.Duration, do func()) { e.when(e.now.add(d), do) }

// when plans do for an instant; one that has passed is now.
func (e *engine) when(at instant, do func()) {
	e.order++
	e.push(event{at: max(at, e.now), order: e.order, do: do})
}

// whenOf plans what a process will do in its present life, if it lasts and is not stopped.
func (e *engine) whenOf(p *process, at instant, do func()) {
	e.order++
	e.push(event{at: max(at, e.now), order: e.order, do: do, of: p, life: p.life})
}

func (e *engine) afterOf(p *process, d time.Duration, do func()) { e.whenOf(p, e.now.add(d), do) }

// step lets the next event happen, if there is one before the limit.
func (e *engine) step(limit instant) bool {
	if len(e.queue) == 0 || e.queue[0].at > limit {
		return false
	}
	next := e.pop()
	e.now = next.at
	e.steps++
	if next.of != nil {
		next.of.do(next.life, next.do)
	} else {
		next.do()
	}
	return true
}

func (a *event) before(b *event) bool {
	return a.at < b.at || a.at == b.at && a.order < b.order
}

func (e *engine) push(x event) {
	e.queue = append(e.queue, x)
	q, i := e.queue, len(e.queue)-1
	for i > 0 {
		parent := (i - 1) / 2
		if !q[i].before(&q[parent]) {
			break
		}
		q[i], q[parent] = q[parent], q[i]
		i = parent
	}
}

func (e *engine) pop() event {
	q := e.queue
	top, last := q[0], len(q)-1
	q[0] = q[last]
	q[last] = event{} // lets go of the closure
	q = q[:last]
	e.queue = q
	for i := 0; ; {
		least := 2*i + 1
		if least >= last {
			break
		}
		if right := least + 1; right < last && q[right].before(&q[least]) {
			least = right
		}
		if !q[least].before(&q[i]) {
			break
		}
		q[i], q[least] = q[least], q[i]
		i = least
	}
	return top
}

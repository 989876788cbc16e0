package agent

import (
	"context"
	"errors"
	"time"

	"matriarch/internal/ha"
)

// order is what an operator asked for, from its arrival until its work is over.
type order struct {
	ha.Order
	came, taken time.Time
	answer      chan ha.Answer // takes one; nil: nobody waits
}

// Ordered is the error with which an order is refused since another one is under way.
type Ordered struct{ Task ha.Task }

func (o *Ordered) Error() string { return o.Task.String() + " already in progress" }

// Order has the passes carry out what an operator asks for, and waits for the answer.
// When ctx ends the order is withdrawn if it was not taken up yet; else it goes on,
// and only the waiting ends.
func (a *Agent) Order(ctx context.Context, what ha.Order) (ha.Answer, error) {
	mine := &order{Order: what, came: a.cfg.Now(), answer: make(chan ha.Answer, 1)}
	if err := a.give(mine); err != nil {
		return ha.Answer{}, err
	}
	select {
	case answer := <-mine.answer:
		return answer, nil
	case <-ctx.Done():
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.order == mine && !mine.TakenUp {
			a.order = nil
		}
		return ha.Answer{}, ctx.Err()
	}
}

// Give is Order for one who does not wait.
func (a *Agent) Give(what ha.Order) error { return a.give(&order{Order: what, came: a.cfg.Now()}) }

func (a *Agent) give(o *order) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if busy := a.order; busy != nil {
		return &Ordered{Task: busy.Task}
	}
	a.order = o
	a.Wake()
	return nil
}

// ErrScheduled refuses a second restart for later.
var ErrScheduled = errors.New("a restart is scheduled already")

// Schedule keeps a restart for later. It becomes an order of its own when it is due.
func (a *Agent) Schedule(s ha.Schedule, restart ha.Order) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.schedule.At.IsZero() {
		return ErrScheduled
	}
	a.schedule, a.later = s, restart
	a.Wake()
	return nil
}

// Unschedule forgets it, and reports whether there was one.
func (a *Agent) Unschedule() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	was := !a.schedule.At.IsZero()
	a.schedule = ha.Schedule{}
	a.Wake()
	return was
}

// Scheduled is the restart that is kept, as of now and not of the last pass: whoever was
// told that it is scheduled sees it.
func (a *Agent) Scheduled() ha.Schedule {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.schedule
}

// observeOrder adds what was asked for to an observation.
func (a *Agent) observeOrder(now time.Time, o *ha.Observation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	o.Schedule = a.schedule
	if a.order == nil {
		return
	}
	o.Order = a.order.Order
	o.Order.Age = now.Sub(a.order.came)
	if o.Order.TakenUp {
		o.Order.Since = now.Sub(a.order.taken)
	}
}

// doOrder carries out an action on the order or on the schedule.
func (a *Agent) doOrder(now time.Time, o ha.Observation, action ha.Action) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch act := action.(type) {
	case ha.TakeUp:
		if a.order != nil {
			a.order.TakenUp, a.order.taken, a.order.After = true, now, o.Last.Count
		}
	case ha.Answer:
		a.answer(act)
	case ha.DropSchedule:
		a.log.Info("the scheduled restart is dropped: the server was restarted meanwhile, or its time has passed", "at", a.schedule.At)
		a.schedule = ha.Schedule{}
	case ha.OrderScheduled:
		if a.order == nil && !a.schedule.At.IsZero() {
			a.log.Info("the scheduled restart is due", "at", a.schedule.At)
			a.order = &order{Order: a.later, came: now}
			a.schedule = ha.Schedule{}
		}
	default:
		return false
	}
	return true
}

// answer tells whoever gave the order, and ends it unless it goes on. The lock is
// ours.
func (a *Agent) answer(act ha.Answer) {
	if a.order == nil {
		return // it was withdrawn meanwhile
	}
	if act.Outcome != ha.Done && act.Outcome != ha.Begun {
		a.log.Warn("what an operator asked for is not done", "task", a.order.Task.String(), "outcome", act.Outcome.String())
	}
	if a.order.answer != nil && !a.order.Told {
		a.order.answer <- act
	}
	a.order.Told = true
	if act.Outcome != ha.Begun && act.Outcome != ha.StillStarting {
		a.order = nil
	}
}

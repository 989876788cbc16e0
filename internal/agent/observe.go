package agent

import (
	"context"
	"maps"
	"time"

	"matriarch/internal/ha"
)

// serverTimeout bounds one look at the server, and one small operation on it.
const serverTimeout = 2 * time.Second

// observe collects what is known at this moment.
func (a *Agent) observe(ctx context.Context, now time.Time) ha.Observation {
	a.mu.Lock()
	me, stopping := a.cfg.Me, a.end
	a.mu.Unlock()

	o := ha.Observation{Now: now, Wall: now, Me: me, Stopping: stopping}
	if a.cfg.Wall != nil {
		o.Wall = a.cfg.Wall()
	}
	look, cancel := a.limit(ctx, serverTimeout)
	defer cancel()
	// The work is read before the server: if it ends in between, the next pass
	// is woken by that. The other way round, work that has just ended would stand
	// beside a server as it was while the work was going on.
	o.Job, o.Last = a.cfg.Server.Work(now)
	o.Server = a.cfg.Server.Observe(look)
	// The right last: it may know more than the view that was read before it, never
	// less.
	o.Store = a.observeStore(now)
	o.Store.View, o.Failsafe = a.observeFailsafe(now, o.Store)
	a.cfg.Right.See()
	o.Right = a.cfg.Right.State(a.cfg.Now())
	if o.Right.Key > o.Store.View.Revision {
		o.Store = a.observeStore(now) // it came in between, and who may take over is decided by both
		o.Store.View, o.Failsafe = a.observeFailsafe(now, o.Store)
	}
	o.Store.Leaderless = a.memory.leaderless(now, o)
	a.memory.notice(now, &o)
	a.observeOrder(now, &o)
	return o
}

func (a *Agent) observeStore(now time.Time) ha.Store {
	snapshot, current := a.cfg.Store.Mirror()
	view := snapshot.View()
	a.memory.configure(view.Config, a.log)

	if current {
		a.memory.sure = view.Revision
	}
	lease := a.cfg.Store.Lease()
	s := ha.Store{
		Later:   !current && a.memory.sure > 0 && view.Leader.Modified > a.memory.sure,
		Current: current, Silent: !current || a.memory.silences > 0, View: view, Settings: a.memory.settings, Dynamic: a.memory.dynamic, Applied: a.memory.applied,
		LeaseID: lease.ID, LeaseAge: ha.Idle, RenewTry: since(now, a.memory.renewTried),
	}
	if lease.ID != 0 {
		s.LeaseAge = now.Sub(lease.Sent)
		if lease.TTL != s.Settings.TTL { // the ttl changed: a new lease is due now
			s.LeaseAge = ha.Idle
		}
	}
	if unread(s) {
		// Whether the cluster is paused is hearsay then, and no reason to disarm a guard.
		s.Settings.Pause = false
	}
	return s
}

// unread reports that this agent has not seen the store yet: it goes on with the lead
// of an earlier life.
func unread(s ha.Store) bool { return !s.Current && s.View.Revision == 0 }

// since is how long ago something was; very long if it never was.
func since(now, then time.Time) time.Duration {
	if then.IsZero() {
		return ha.Idle
	}
	return now.Sub(then)
}

// dynamicCopy is the configuration document for those who want to change it.
func dynamicCopy(doc map[string]any) map[string]any { return maps.Clone(doc) }

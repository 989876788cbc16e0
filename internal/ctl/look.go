package ctl

import (
	"context"
	"sync"
	"time"

	"matriarch/internal/api/client"
	"matriarch/internal/cluster"
	"matriarch/internal/top"
)

// lookTime is how long the store, or a member, has to answer a question of the live
// view.
const lookTime = 2 * time.Second

// look asks the store and the members for the live view, each at its own pace: whoever
// hangs is not asked again before it has answered or its time is over, and nobody
// waits for it.
type look struct {
	session *session
	rest    *client.Client
	every   time.Duration

	mu   sync.Mutex
	view cluster.View // for the members' addresses
	busy map[string]bool
}

// sampled says that a round is over.
type sampled time.Time

// redraw asks for nothing but a new picture: ages grow also when nobody answers.
type redraw struct{}

func newLook(s *session, rest *client.Client, every time.Duration) *look {
	return &look{session: s, rest: rest, every: every, busy: map[string]bool{}}
}

// run makes rounds until ctx ends, and returns when the last answer is in.
func (l *look) run(ctx context.Context, send func(any)) {
	var asking sync.WaitGroup
	defer asking.Wait()
	round := time.NewTicker(l.every)
	defer round.Stop()
	clock := time.NewTicker(time.Second)
	defer clock.Stop()
	for {
		l.ask(&asking, "", func() { l.store(ctx, send) })
		for _, member := range l.members() {
			l.ask(&asking, member.Name, func() { l.member(ctx, member, send) })
		}
	wait:
		for {
			select {
			case <-ctx.Done():
				return
			case <-clock.C:
				send(redraw{})
			case <-round.C:
				send(sampled(l.session.Now()))
				break wait
			}
		}
	}
}

// ask begins a question, unless the one before is still open.
func (l *look) ask(asking *sync.WaitGroup, name string, question func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy[name] {
		return
	}
	l.busy[name] = true
	asking.Go(func() {
		question()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.busy[name] = false
	})
}

func (l *look) members() []cluster.Member {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.view.Members
}

// store reads the cluster.
func (l *look) store(ctx context.Context, send func(any)) {
	limited, cancel := context.WithTimeout(ctx, min(lookTime, l.session.timeout))
	defer cancel()
	began := time.Now() // a length, so no clock of the environment's
	snapshot, err := l.session.store.Read(limited)
	s := top.Sight{At: l.session.Now(), Took: time.Since(began), Err: err}
	if err == nil {
		s.View = l.session.picture(snapshot).view
		l.mu.Lock()
		l.view = s.View
		l.mu.Unlock()
	}
	send(s)
}

// member asks one for its state and, if it is Matriarch's, its right to write.
func (l *look) member(ctx context.Context, m cluster.Member, send func(any)) {
	if m.APIURL == "" {
		return
	}
	limited, cancel := context.WithTimeout(ctx, min(lookTime, l.session.timeout))
	defer cancel()
	began := time.Now()
	st, err := l.rest.Status(limited, m.APIURL)
	w := top.Word{Name: m.Name, Took: time.Since(began), Err: err, State: st.State, Role: st.Role, Replication: st.ReplicationState,
		Timeline: st.Timeline, Location: st.Location, Received: st.Received, Replayed: st.Replayed}
	if err == nil {
		// A member that tells its state but no metrics is not silent.
		if gauges, err := l.rest.Gauges(limited, m.APIURL); err == nil {
			w.Failsafe = gauges["patroni_failsafe_mode_is_active"] != 0
			w.Right = rightOf(gauges)
		}
	}
	w.At = l.session.Now()
	send(w)
}

// rightOf reads Matriarch's own metrics; nil: the member is Patroni's.
func rightOf(gauges map[string]float64) *top.Right {
	length, own := gauges["matriarch_permit_seconds"]
	if !own {
		return nil
	}
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	return &top.Right{
		Leading: gauges["matriarch_leading"] != 0, Left: seconds(gauges["matriarch_permit_left_seconds"]), Length: seconds(length),
		Armed: gauges["matriarch_guard_armed"] != 0, Frozen: gauges["matriarch_server_frozen"] != 0, Freezes: int(gauges["matriarch_freezes_total"]),
	}
}

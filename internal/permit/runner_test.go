package permit

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/dcs"
	"matriarch/internal/dcs/memory"
)

// fakeGuard keeps what a guard does.
type fakeGuard struct {
	mu       sync.Mutex
	deadline boottime.Instant
	kept     *Kept
	tells    int

	deadlines error // what Deadline answers
}

func (g *fakeGuard) until() boottime.Instant {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.deadline
}

func (g *fakeGuard) holds() *Kept {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.kept
}

func (g *fakeGuard) Keep(_ context.Context, k Kept, leading bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kept = nil
	if leading {
		g.kept = &k
	}
	return nil
}

func (g *fakeGuard) Deadline(_ context.Context, until boottime.Instant) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.tells++; g.deadlines != nil {
		return g.deadlines
	}
	g.deadline = until
	return nil
}

// running is a member: a Runner, and a decision loop that takes over when it may.
type running struct {
	*Runner
	name  string
	store *memory.Node
	guard *fakeGuard
	cut   atomic.Bool // from the other members
	shy   atomic.Bool // never stands
}

type runners struct {
	t       *testing.T
	ctx     context.Context
	started time.Time
	dcs     *memory.Cluster
	members map[string]*running
	sends   atomic.Int64
	work    sync.WaitGroup
}

// runTogether starts members in a bubble of virtual time, and ends them after tell.
func runTogether(t *testing.T, names []string, tell func(c *runners)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := &runners{t: t, ctx: ctx, started: time.Now(), dcs: memory.New(time.Now), members: map[string]*running{}}
		for _, name := range names {
			c.members[name] = c.member(name)
		}
		for _, name := range names {
			m := c.members[name]
			c.work.Go(func() {
				if err := m.Run(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("%s: Run: %v", name, err)
				}
			})
			c.work.Go(func() { c.decide(m, names) })
		}
		tell(c)
		cancel()
		c.work.Wait()
	})
}

func (c *runners) now() boottime.Instant { return boottime.Instant(time.Hour + time.Since(c.started)) }

func (c *runners) member(name string) *running {
	m := &running{name: name, store: c.dcs.Node(name), guard: &fakeGuard{}}
	m.Runner = NewRunner(RunnerOptions{
		Me: name, Length: Default, TTL: 30 * time.Second, Store: m.store, Guard: m.guard, Now: c.now,
		Sender:  sender{c, m},
		Instant: func(t time.Time) boottime.Instant { return boottime.Instant(time.Hour + t.Sub(c.started)) },
		Log:     slog.New(slog.DiscardHandler),
	})
	return m
}

// sender carries heartbeats in goroutines, a millisecond each way.
type sender struct {
	c *runners
	m *running
}

func (s sender) Send(member, apiURL string, hb Heartbeat) {
	to := s.c.members[member]
	s.c.sends.Add(1)
	if apiURL != "http://"+member {
		s.c.t.Errorf("%s is sent to at %q", member, apiURL)
	}
	s.c.work.Go(func() {
		if !s.c.travels(s.m, to) {
			return
		}
		ack := to.Heartbeat(hb)
		if s.c.travels(to, s.m) {
			s.m.Acked(ack)
		}
	})
}

func (c *runners) travels(from, to *running) bool {
	select {
	case <-c.ctx.Done():
		return false
	case <-time.After(time.Millisecond):
		return !from.cut.Load() && !to.cut.Load()
	}
}

// decide is a decision loop: it renews the lease, and takes over when it may.
func (c *runners) decide(m *running, names []string) {
	renew := time.NewTicker(5 * time.Second)
	defer renew.Stop()
	m.Want(names, false)
	for first := true; ; first = false {
		if _, fresh, err := m.store.Renew(c.ctx, 30*time.Second); err == nil && (first || fresh) {
			key := dcs.Op{Key: dcs.KeyMembers + m.name, Data: []byte(`{"permit":true,"api_url":"http://` + m.name + `"}`), Leased: true}
			if _, err := m.store.Commit(c.ctx, dcs.Txn{Then: []dcs.Op{key}}); err != nil {
				c.t.Error(err)
			}
		}
		m.See()
		if m.State().Free && !m.shy.Load() {
			m.Stand(m.State().Key)
		}
		m.Passed()
		select {
		case <-c.ctx.Done():
			return
		case <-m.store.Changed():
		case <-m.Changed():
		case <-renew.C:
		}
	}
}

// eventually waits until something is so, a millisecond at a time.
func (c *runners) eventually(within time.Duration, what string, is func() bool) time.Duration {
	c.t.Helper()
	from := time.Now()
	for !is() {
		if time.Since(from) > within {
			c.t.Fatalf("not within %v: %s", within, what)
		}
		<-time.After(time.Millisecond)
		synctest.Wait()
	}
	return time.Since(from)
}

func (c *runners) writer() string {
	writer := ""
	for name, m := range c.members {
		if s := m.State(); s.MayPromote && s.Permit > c.now() {
			if writer != "" {
				c.t.Errorf("both %s and %s may write", writer, name)
			}
			writer = name
		}
	}
	return writer
}

// steady waits until one leads with all others in the electorate.
func (c *runners) steady() *running {
	c.t.Helper()
	c.eventually(5*time.Second, "a leader with all members", func() bool {
		w := c.writer()
		return w != "" && len(c.members[w].State().Electorate.Members) == len(c.members)-1
	})
	return c.members[c.writer()]
}

func TestRunnersCarryTheLeaderThroughAnOutageOfTheStore(t *testing.T) { // L3
	runTogether(t, []string{"n1", "n2", "n3"}, func(c *runners) {
		leader := c.steady()
		c.dcs.SetDown(true)
		for range 6000 {
			<-time.After(10 * time.Millisecond)
			if c.writer() != leader.name || leader.guard.until() <= c.now() {
				c.t.Fatalf("%v after the start %q may write", time.Since(c.started), c.writer())
			}
		}
	})
}

func TestRunnersSendNothingToTheStoreInTheQuietState(t *testing.T) {
	runTogether(t, []string{"n1", "n2", "n3"}, func(c *runners) {
		c.steady()
		<-time.After(time.Second)
		before, sends := c.dcs.Snapshot().Revision, c.sends.Load()
		<-time.After(60 * time.Second)
		if now := c.dcs.Snapshot().Revision; now != before {
			c.t.Errorf("%d transactions", now-before)
		}
		if n := c.sends.Load() - sends; n < 718 || n > 722 { // to two members, every 166.7 ms
			c.t.Errorf("%d heartbeats in a minute", n)
		}
	})
}

func TestTheNextLeaderIsThereWithinThePermitAndItsMargins(t *testing.T) {
	runTogether(t, []string{"n1", "n2", "n3"}, func(c *runners) {
		old := c.steady()
		old.cut.Store(true)
		old.store.SetFaults(memory.Faults{Down: true})
		var next string
		took := c.eventually(3*time.Second, "another leader", func() bool { next = c.writer(); return next != "" && next != old.name })
		if took > 1200*time.Millisecond {
			c.t.Errorf("%s leads after %v", next, took)
		}
		if old.guard.until() > c.now() {
			c.t.Error("the old leader's guard lets it write")
		}
		old.cut.Store(false)
		old.store.SetFaults(memory.Faults{})
		c.eventually(3*time.Second, "the old leader in the electorate", func() bool {
			return slices.Contains(c.members[next].State().Electorate.Members, old.name) && !old.State().Leading
		})
	})
}

func TestNobodyWaitsForOneWhoGivesUp(t *testing.T) {
	runTogether(t, []string{"n1", "n2", "n3"}, func(c *runners) {
		old := c.steady()
		old.shy.Store(true)
		if !old.Release([]dcs.Op{{Key: dcs.KeyStatus, Data: []byte(`{"optime":7}`)}}) {
			c.t.Fatal("nothing to release")
		}
		took := c.eventually(time.Second, "another leader", func() bool { return c.writer() != "" })
		if took > 20*time.Millisecond || string(c.dcs.Snapshot().Values[dcs.KeyStatus].Data) != `{"optime":7}` {
			c.t.Errorf("%s leads after %v", c.writer(), took)
		}
		if s := old.State(); s.Releasing || s.Leading || old.guard.holds() != nil {
			c.t.Errorf("the old leader: %+v", s)
		}
	})
}

// In the bubble nobody may wait for a mutex while its holder waits for the time, so
// the call is tried by itself.
func TestAGuardThatHangsKeepsNobodyWaitingTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var work sync.WaitGroup
		calls := timely{ctx: t.Context(), work: &work}
		wakes := make(chan struct{})
		hangs := func(context.Context) error { <-wakes; return nil }
		took := func(call func(context.Context) error, want error) time.Duration {
			t.Helper()
			from := time.Now()
			if err := calls.do(call); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
			return time.Since(from)
		}
		if d := took(hangs, errLate); d != guardLimit {
			t.Errorf("given up after %v", d)
		}
		if d := took(hangs, errBusy); d != 0 {
			t.Errorf("the next call waited %v", d)
		}
		close(wakes)
		work.Wait()
		failure := errors.New("no")
		took(func(context.Context) error { return failure }, failure)
		work.Wait()
		took(hangs, nil)
	})
}

func TestTheGuardIsToldUntilItHasHeard(t *testing.T) {
	runTogether(t, []string{"n1"}, func(c *runners) {
		leader := c.steady()
		leader.guard.mu.Lock()
		leader.guard.deadlines = errors.New("busy")
		leader.guard.mu.Unlock()
		leader.Release(nil)
		<-time.After(100 * time.Millisecond)
		leader.guard.mu.Lock()
		tells := leader.guard.tells
		leader.guard.deadlines = nil
		leader.guard.mu.Unlock()
		c.eventually(30*time.Millisecond, "the guard told", func() bool {
			leader.guard.mu.Lock()
			defer leader.guard.mu.Unlock()
			return leader.guard.tells > tells
		})
	})
}

// stuckStore never answers before the context ends.
type stuckStore struct {
	*memory.Node
	longest atomic.Int64
	calls   atomic.Int64
}

func (s *stuckStore) Commit(ctx context.Context, _ dcs.Txn) (int64, error) {
	s.calls.Add(1)
	from := time.Now()
	<-ctx.Done()
	s.longest.Store(max(s.longest.Load(), int64(time.Since(from))))
	return 0, ctx.Err()
}

func TestATransactionIsGivenUpAndRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		started := time.Now()
		c := memory.New(time.Now)
		store := &stuckStore{Node: c.Node("n1")}
		r := NewRunner(RunnerOptions{Me: "n1", Length: Default, TTL: 30 * time.Second, Store: store, Guard: &fakeGuard{},
			Sender: nil, Now: func() boottime.Instant { return boottime.Instant(1 + time.Since(started)) },
			Instant: func(t time.Time) boottime.Instant { return boottime.Instant(1 + t.Sub(started)) },
			Log:     slog.New(slog.DiscardHandler)})
		var run sync.WaitGroup
		run.Go(func() { _ = r.Run(ctx) })
		r.See()
		<-time.After(1100 * time.Millisecond)
		r.Stand(r.State().Key)
		<-time.After(3 * time.Second)
		if n := store.calls.Load(); n < 10 || n > 13 { // every quarter of a permit
			t.Errorf("%d takeovers in 3 s", n)
		}
		if longest := time.Duration(store.longest.Load()); longest != 500*time.Millisecond {
			t.Errorf("given up after %v", longest)
		}
		cancel()
		run.Wait() // a goroutine left behind fails the bubble
	})
}

func TestARunnerIsCalledFromEverywhereAtOnce(t *testing.T) {
	started := time.Now()
	c := memory.New(time.Now)
	store := c.Node("n1")
	now := func() boottime.Instant { return boottime.Instant(1 + time.Since(started)) }
	r := NewRunner(RunnerOptions{Me: "n1", Length: Shortest, TTL: time.Second, Store: store, Guard: &fakeGuard{}, Now: now,
		Sender:  discard{},
		Instant: func(t time.Time) boottime.Instant { return boottime.Instant(1 + t.Sub(started)) },
		Log:     slog.New(slog.DiscardHandler)})
	if _, _, err := store.Renew(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { _ = r.Run(ctx) })
	led := make(chan struct{})
	var once sync.Once
	calls := []func(){
		r.See, func() { r.Stand(0) }, r.Passed, func() { r.Want([]string{"n1", "n2"}, false) },
		func() { r.Heartbeat(Heartbeat{Leader: "n2", Permit: Shortest}) },
		func() { r.Acked(Ack{Member: "n2", Accepted: true}) },
		func() { r.Lost("n2"); r.Position(Position{Timeline: 1}) },
		func() { r.SetLength(Shortest); r.SetTTL(time.Second) },
		func() {
			if r.State().Leading {
				once.Do(func() { close(led) })
			}
		},
	}
	for _, call := range calls {
		work.Go(func() {
			for ctx.Err() == nil {
				call()
			}
		})
	}
	select {
	case <-led:
	case <-time.After(10 * time.Second):
		t.Errorf("never led: %+v", r.State())
	}
	if !r.Release(nil) && !r.State().Leading {
		t.Log("it was released or lost meanwhile") // the other calls go on
	}
	cancel()
	work.Wait()
}

type discard struct{}

func (discard) Send(string, string, Heartbeat) {}

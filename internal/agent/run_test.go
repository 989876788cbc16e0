package agent

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
	memstore "matriarch/internal/dcs/memory"
	"matriarch/internal/ha"
)

// live is a node on the virtual clock of the test's bubble.
func live(t *testing.T, change ...func(*Config)) *node {
	n := newNode(t)
	n.world = memstore.New(time.Now)
	n.store = n.world.Node("n1")
	cfg := n.cfg
	n.right = newFakeRight(n.store)
	cfg.Store, cfg.Right, cfg.Now = n.store, n.right, time.Now
	cfg.Logger = slog.New(slog.DiscardHandler)
	for _, c := range change {
		c(&cfg)
	}
	n.Agent = New(cfg)
	return n
}

// running starts Run and returns its end.
func running(ctx context.Context, n *node) <-chan error {
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	synctest.Wait()
	return done
}

func TestRunWakesOnEventsAndRestsOtherwise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := live(t)
		var passes atomic.Int32
		n.server.observed = func() { passes.Add(1) }
		done := running(t.Context(), n)

		if n.Latest().Plan.Why != ha.Leading {
			t.Fatalf("after the start: %v", n.Latest().Plan.Why)
		}
		passes.Store(0)
		time.Sleep(time.Minute) // virtual: nothing happens in it but what the agent does by itself
		synctest.Wait()
		if got := passes.Load(); got < 6 || got > 20 {
			t.Errorf("%d passes in a quiet minute: loop_wait is 10 s", got)
		}

		at := time.Now()
		passes.Store(0)
		n.server.set(func() {
			n.server.seen.Running, n.server.seen.Answering, n.server.seen.WasPrimary = false, false, true
		})
		n.server.changed <- struct{}{}
		synctest.Wait()
		if passes.Load() == 0 || n.Latest().Plan.Why != ha.CrashRestart || time.Since(at) != 0 {
			t.Errorf("the death of the server: %d passes, %v, after %v", passes.Load(), n.Latest().Plan.Why, time.Since(at))
		}
		n.server.set(func() { n.server.seen.Running, n.server.seen.Answering = true, true })
		n.server.changed <- struct{}{}
		synctest.Wait()

		news := n.Changed()
		n.put(dcs.KeyConfig, `{"ttl":44}`)
		synctest.Wait()
		if got := n.Latest().Observation.Store.Settings.TTL; got != 44*time.Second || time.Since(at) != 0 {
			t.Errorf("a change in the store: ttl %v after %v", got, time.Since(at))
		}
		select {
		case <-news:
		default:
			t.Error("nobody was told of the new pass")
		}

		passes.Store(0)
		n.Wake()
		synctest.Wait()
		if passes.Load() == 0 {
			t.Error("Wake did not wake")
		}

		n.server.set(func() { n.server.begun = n.server.stopsAtOnce })
		n.Stop()
		synctest.Wait()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run ended with %v", err)
			}
		default:
			t.Fatal("Run did not end")
		}
		if n.stored(dcs.KeyLeader) != "" || time.Since(at) != 0 {
			t.Errorf("leader %q after %v", n.stored(dcs.KeyLeader), time.Since(at))
		}
	})
}

// stopsAtOnce ends the server when the agent ends.
func (s *fakeServer) stopsAtOnce(a ha.Action) {
	if stop, ok := a.(ha.Stop); ok && stop.For == ha.ForAgentEnd {
		s.seen.Running, s.seen.Answering = false, false
		s.last = ha.Finished{Count: 1, Work: ha.StoppingServer, Purpose: ha.ForAgentEnd, Optime: 0x3000000}
		s.changed <- struct{}{}
	}
}

func TestRunEndsWithItsContextAndLeavesTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := live(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := running(ctx, n)
		n.server.set(func() { n.server.calls = nil })
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
		n.called()
	})
}

func TestRunEndsWhenTheNodeCannotGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := live(t)
		n.put(dcs.KeyInitialize, "7000000000000000009")
		var quit *Quit
		if err := <-running(t.Context(), n); !errors.As(err, &quit) {
			t.Errorf("Run ended with %v", err)
		}
	})
}

func TestPausesGrowWithFailures(t *testing.T) {
	var m memory
	failed := errors.New("no")
	for _, want := range []time.Duration{100, 200, 400, 800, 1600, 2000, 2000} {
		if got := m.pause(ha.Plan{}, failed); got != want*time.Millisecond {
			t.Errorf("pause %v, want %v", got, want*time.Millisecond)
		}
	}
	if got := m.pause(ha.Plan{LookAgain: 300 * time.Millisecond}, failed); got != 300*time.Millisecond {
		t.Errorf("S1: the plan wanted another look in 300 ms, not %v", got)
	}
	if got := m.pause(ha.Plan{LookAgain: time.Minute}, nil); got != time.Minute {
		t.Errorf("after a success: %v", got)
	}
	if got := m.pause(ha.Plan{}, failed); got != 100*time.Millisecond {
		t.Errorf("the pauses do not begin anew: %v", got)
	}
	for i := range 25 {
		want := time.Duration(0)
		if i >= immediatePasses {
			want = failPause
		}
		if got := m.pause(ha.Plan{}, nil); got != want {
			t.Errorf("immediate pass %d: pause %v, want %v", i, got, want)
		}
	}
}

// silent is a store whose every call takes until its context ends.
type silent struct {
	dcs.Store
	cut *atomic.Bool
}

func (s silent) Mirror() (dcs.Snapshot, bool) {
	snapshot, current := s.Store.Mirror()
	return snapshot, current && !s.cut.Load()
}

func (s silent) Renew(ctx context.Context, ttl time.Duration) (dcs.Lease, bool, error) {
	if s.cut.Load() {
		<-ctx.Done()
		return dcs.Lease{}, false, ctx.Err()
	}
	return s.Store.Renew(ctx, ttl)
}

func (s silent) Commit(ctx context.Context, txn dcs.Txn) (int64, error) {
	if s.cut.Load() {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return s.Store.Commit(ctx, txn)
}

// TestASilentStoreDoesNotHoldUpThePass: what clients wait for comes by other events,
// and a pass that waits for the store does not see them. Each silence is waited for
// longer, so that a slow store is not given up.
func TestASilentStoreDoesNotHoldUpThePass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cut atomic.Bool
		n := live(t, func(cfg *Config) { cfg.Store = silent{cfg.Store, &cut} })
		ctx, cancel := context.WithCancel(t.Context())
		done := running(ctx, n)
		n.right.set(func() { n.right.off = true }) // without a guard the pass looks in time
		cut.Store(true)
		n.Wake()
		synctest.Wait()
		for _, want := range []time.Duration{400, 800, 1600, 3000, 3000} {
			if got := n.memory.patience(); got != want*time.Millisecond {
				t.Errorf("patience %v, want %v", got, want*time.Millisecond)
			}
			n.memory.silences++
		}
		n.memory.silences = 0
		for range 100 {
			time.Sleep(700 * time.Millisecond)
			before := n.Latest().At
			n.Wake()
			time.Sleep(max(n.right.length, storeTimeoutLeast))
			synctest.Wait()
			if !n.Latest().At.After(before) {
				t.Fatalf("no pass in %v: the last one at %v, now %v", n.right.length, before, time.Now())
			}
		}
		cancel()
		<-done
	})
}

// TestAChangedRightBreaksOffACallOfTheStore: the permit, a takeover that is free, a lead
// that was lost are what clients wait for, and a silent store is not.
func TestAChangedRightBreaksOffACallOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cut atomic.Bool
		n := live(t, func(cfg *Config) { cfg.Store = silent{cfg.Store, &cut} })
		ctx, cancel := context.WithCancel(t.Context())
		done := running(ctx, n)
		time.Sleep(12 * time.Second) // a renewal is due in the next pass
		cut.Store(true)
		n.Wake()
		synctest.Wait()
		waiting := n.Latest().At
		n.right.set(func() { n.right.length = 700 * time.Millisecond })
		n.right.tell()
		synctest.Wait()
		if got := n.Latest(); !got.At.After(waiting) && got.Observation.Right.Left != 700*time.Millisecond {
			t.Errorf("the pass of %v goes on waiting for the store", waiting)
		}
		if n.memory.silences > 1 {
			t.Errorf("%d silences were counted", n.memory.silences)
		}
		cancel()
		<-done
	})
}

// TestASilentMemberDoesNotHoldUpTheRace is L1: a round of questions that takes its
// whole timeout is an answer, not a reason to ask again.
func TestASilentMemberDoesNotHoldUpTheRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rounds atomic.Int32
		n := live(t, func(cfg *Config) {
			cfg.Peers = fakePeers(func(ctx context.Context, members []cluster.Member) []ha.Peer {
				rounds.Add(1)
				<-ctx.Done()
				var out []ha.Peer
				for _, m := range members {
					out = append(out, ha.Peer{Name: m.Name, Silent: true})
				}
				return out
			})
		})
		n.server.seen.Role = ha.Standby
		n.put(dcs.KeyInitialize, systemID)
		n.put("members/n2", `{"conn_url":"postgres://n2:5432/postgres","api_url":"http://n2:8008/patroni","state":"running","role":"replica"}`)
		ctx, cancel := context.WithCancel(t.Context())
		done := running(ctx, n)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if n.stored(dcs.KeyLeader) != "n1" || rounds.Load() != 1 {
			t.Errorf("leader %q after %d rounds", n.stored(dcs.KeyLeader), rounds.Load())
		}
		cancel()
		<-done
	})
}

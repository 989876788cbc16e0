package agent

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"matriarch/internal/dcs"
	"matriarch/internal/ha"
)

// TestAWordOfTheStoreBreaksOffACallOfIt: a node that was cut off hears of its successor by
// one member of the store, and does not wait with what follows until all of them answer.
func TestAWordOfTheStoreBreaksOffACallOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cut atomic.Bool
		n := live(t, func(cfg *Config) { cfg.Store = silent{cfg.Store, &cut} })
		ctx, cancel := context.WithCancel(t.Context())
		done := running(ctx, n)
		cut.Store(true)
		n.untilItWaits()
		if o := n.Latest().Observation; o.Store.Current || o.Store.Later || !o.Right.Leading {
			t.Fatalf("nobody has told of anything yet: %+v, %+v", o.Store, o.Right)
		}
		n.put("members/n2", "{}") // not of a leader
		synctest.Wait()
		n.untilItWaits()
		if n.Latest().Observation.Store.Later {
			t.Error("a member's key was taken for that of a leader")
		}
		n.put(dcs.KeyLeader, "n2")
		synctest.Wait()
		if got := n.Latest(); !got.Observation.Store.Later || got.Plan.Why != ha.Overtaken {
			t.Errorf("the pass goes on waiting for the store: %v, later %v", got.Plan.Why, got.Observation.Store.Later)
		}
		n.server.set(func() {
			if !slices.Contains(n.server.calls, "kill") {
				t.Errorf("S1: the server goes on: %v", n.server.calls)
			}
		})
		cut.Store(false)
		n.Wake()
		synctest.Wait()
		if o := n.Latest().Observation; !o.Store.Current || o.Store.Later {
			t.Errorf("the store is back: %+v", o.Store)
		}
		cancel()
		<-done
	})
}

// untilItWaits returns when a pass waits for the store to answer.
func (n *node) untilItWaits() {
	n.t.Helper()
	for range 600 {
		synctest.Wait()
		n.mu.Lock()
		waits := n.cut != nil
		n.mu.Unlock()
		if waits {
			return
		}
		time.Sleep(100 * time.Millisecond) // virtual
	}
	n.t.Fatal("no pass has waited for the store in a minute")
}

// TestTheEndOfWorkBreaksOffACallOfTheStore: the next step of the way back does not wait for
// an election of the store's, which a renewal is held up by.
func TestTheEndOfWorkBreaksOffACallOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cut atomic.Bool
		n := live(t, func(cfg *Config) { cfg.Store = silent{cfg.Store, &cut} })
		ctx, cancel := context.WithCancel(t.Context())
		done := running(ctx, n)
		cut.Store(true)
		n.untilItWaits()
		n.server.set(func() {
			n.server.last = ha.Finished{Count: n.server.last.Count + 1, Work: ha.Copying}
		})
		n.server.changed <- struct{}{}
		synctest.Wait()
		if got := n.Latest().Observation.Last; got.Work != ha.Copying {
			t.Errorf("the pass goes on waiting for the store, and has not seen what ended: %+v", got)
		}
		cancel()
		<-done
	})
}

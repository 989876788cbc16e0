package agent

import (
	"testing"
	"time"

	memstore "matriarch/internal/dcs/memory"
	"matriarch/internal/ha"
)

// What the guard is told must never last longer than the lease (S1), and must not
// lag behind a renewal by a whole pass.
func TestTheGuardIsToldHowLongTheLeaseHolds(t *testing.T) {
	n := newNode(t)
	n.settle()
	told := func() (bool, time.Time) {
		n.server.mu.Lock()
		defer n.server.mu.Unlock()
		return n.server.heldWrite, n.server.heldUntil
	}
	if write, until := told(); !write || !until.Equal(n.store.Lease().Deadline()) {
		t.Errorf("a leader: write %v until %v, the lease ends at %v", write, until, n.store.Lease().Deadline())
	}

	n.now = n.now.Add(12 * time.Second)
	if _, err := n.step(); err != nil { // this pass renews
		t.Fatal(err)
	}
	if _, until := told(); !until.Equal(n.store.Lease().Deadline()) || until.Sub(n.now) != 30*time.Second {
		t.Errorf("after the renewal: until %v, %v from now", until, until.Sub(n.now))
	}

	n.store.SetFaults(memstore.Faults{Down: true})
	_, before := told()
	n.now = n.now.Add(15 * time.Second)
	_, _ = n.step()
	if write, until := told(); !write || until.After(before) {
		t.Errorf("without the store: write %v, until %v, was %v", write, until, before)
	}

	n.server.set(func() { n.server.seen.Role = ha.Standby })
	_, _ = n.step()
	if write, _ := told(); write {
		t.Error("a standby counts as one that may write")
	}
}

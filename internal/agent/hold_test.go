package agent

import (
	"testing"

	"matriarch/internal/ha"
)

// The guard must know in time that the server can become a primary (S1).
func TestTheGuardIsToldWhetherTheServerMayWrite(t *testing.T) {
	n := newNode(t)
	n.settle()
	held := func(want bool, what string) {
		t.Helper()
		if _, err := n.step(); err != nil {
			t.Fatal(err)
		}
		n.server.set(func() {
			if n.server.heldWrite != want {
				t.Errorf("%s: told %v", what, n.server.heldWrite)
			}
		})
	}
	held(true, "a primary")
	n.put("config", `{"ttl":30,"pause":true}`)
	held(false, "a primary while paused")
	n.server.set(func() { n.server.seen.Armed = true })
	held(true, "one that is armed, before the others know that it will not be")
	n.right.set(func() { n.right.unarmed = true })
	held(false, "one of which they know")
	n.server.set(func() { n.server.seen.Armed = false })
	n.right.set(func() { n.right.unarmed = false })
	n.server.set(func() { n.server.seen.Frozen, n.server.seen.Answering = true, false })
	held(false, "one that was frozen, and leads again")
	n.right.set(func() { n.right.leading, n.right.bound = false, true })
	held(true, "one that is frozen, and does not lead")
	n.right.set(func() { n.right.leading, n.right.bound = true, false })
	n.server.set(func() { n.server.seen.Frozen, n.server.seen.Answering = false, true })
	n.put("config", `{"ttl":30}`)
	n.server.set(func() { n.server.seen.Role, n.server.seen.Answering = ha.RoleUnknown, false })
	held(true, "a server whose role is not known")
	n.server.set(func() { n.server.seen.Role, n.server.seen.Answering = ha.Standby, true })
	n.server.set(func() { n.server.job = ha.Job{Work: ha.Promoting} })
	held(true, "a standby that is being promoted")
	n.server.set(func() { n.server.job = ha.Job{}; n.server.seen.Upstream = ha.Upstream{} })
	n.right.set(func() { n.right.length = 0 }) // it may not be promoted
	held(false, "a standby")
}

package agent

import (
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
	memstore "matriarch/internal/dcs/memory"
	"matriarch/internal/ha"
	"matriarch/internal/wal"
)

// fakeFailsafe writes down what it was asked for, and answers when it is told to.
type fakeFailsafe struct {
	mu       sync.Mutex
	refuses  bool // to abstain
	until    time.Time
	asked    []map[string]string
	call     cluster.FailsafeCall
	answered func([]cluster.FailsafeAnswer)
	promised []time.Time
}

func (f *fakeFailsafe) Ask(others map[string]string, call cluster.FailsafeCall, answered func([]cluster.FailsafeAnswer)) {
	f.asked, f.call, f.answered = append(f.asked, others), call, answered
}

func (f *fakeFailsafe) Abstain(until time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.refuses {
		f.until = until
	}
	return !f.refuses
}

func (f *fakeFailsafe) Promised(until time.Time) { f.promised = append(f.promised, until) }

func inFailsafeMode(t *testing.T) (*node, *fakeFailsafe) {
	t.Helper()
	f := &fakeFailsafe{}
	n := newNode(t, func(c *Config) { c.Failsafe = f })
	n.settle()
	n.put(dcs.KeyConfig, `{"ttl":30,"loop_wait":10,"retry_timeout":10,"failsafe_mode":true,"postgresql":{"use_slots":false}}`)
	n.settle()
	return n, f
}

var callOfN2 = cluster.FailsafeCall{Name: "n2", ConnURL: "postgres://n2:5432/postgres", APIURL: "http://n2:8008/patroni",
	Slots: map[string]wal.LSN{"n1": 0x3000000}}

// standby makes n a standby of n2, whose leader key is gone.
func (n *node) standby() {
	n.server.set(func() {
		n.server.seen.Role, n.server.seen.Received, n.server.seen.Replayed = ha.Standby, 0x3000100, 0x3000080
	})
	n.right.set(func() { n.right.leading = false })
	n.put(dcs.KeyLeader, "n2")
	if _, err := n.step(); err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.world.Node("operator").Commit(n.t.Context(), dcs.Txn{Then: []dcs.Op{{Key: dcs.KeyLeader, Delete: true}}}); err != nil {
		n.t.Fatal(err)
	}
}

func TestAStandbyAcceptsFailsafeMode(t *testing.T) {
	n, f := inFailsafeMode(t)
	n.standby()
	if n.FailsafeActive() {
		t.Fatal("active before anybody called")
	}
	position, accepted := n.AcceptFailsafe(callOfN2)
	if !accepted || position != 0x3000100 || !f.until.Equal(n.now.Add(30*time.Second)) {
		t.Fatalf("accepted %v, position %v, promised until %v", accepted, position, f.until)
	}
	select {
	case <-n.wake:
	default:
		t.Error("the agent was not woken")
	}
	n.right.calls = nil
	n.right.set(func() { n.right.bound = true }) // as the real one is now
	if _, err := n.step(); err != nil {
		t.Fatal(err)
	}
	o := n.Latest().Observation
	leader, _ := o.Store.View.LeaderMember()
	if o.Leadership() != ha.Theirs || leader.ConnURL != callOfN2.ConnURL || o.Store.View.Leader.Modified != 0 {
		t.Errorf("leadership %v, leader %+v", o.Leadership(), leader)
	}
	if !n.FailsafeActive() || len(n.right.calls) > 0 {
		t.Errorf("active %v, the right was asked to %v", n.FailsafeActive(), n.right.calls)
	}
	n.now = n.now.Add(30 * time.Second)
	n.right.set(func() { n.right.bound = false })
	for range 3 {
		_, _ = n.step()
	}
	if n.FailsafeActive() || !slices.Contains(n.right.calls, "stand") {
		t.Errorf("after ttl: active %v, the right was asked to %v", n.FailsafeActive(), n.right.calls)
	}
}

func TestWhoCanTakeWritesAcceptsNothing(t *testing.T) {
	for what, change := range map[string]func(*node, *fakeFailsafe){
		"a leader": func(n *node, _ *fakeFailsafe) {
			n.put(dcs.KeyLeader, "n1")
			n.right.set(func() { n.right.leading = true })
		},
		"a primary that does not lead": func(n *node, _ *fakeFailsafe) {
			n.server.set(func() { n.server.seen.Role = ha.Primary })
		},
		"a server whose role is not known": func(n *node, _ *fakeFailsafe) {
			n.server.set(func() { n.server.seen.Role, n.server.seen.Answering = ha.RoleUnknown, false })
		},
		"a creation":                    func(n *node, _ *fakeFailsafe) { n.server.set(func() { n.server.job.Work = ha.Bootstrapping }) },
		"who has a takeover under way":  func(_ *node, f *fakeFailsafe) { f.refuses = true },
		"who is not in failsafe mode":   func(n *node, _ *fakeFailsafe) { n.cfg.Failsafe = nil },
		"the caller itself, of our own": func(n *node, _ *fakeFailsafe) { n.cfg.Me.Name = "n2" },
	} {
		n, f := inFailsafeMode(t)
		n.standby()
		n.put(dcs.KeyLeader, "n3")
		change(n, f)
		_, _ = n.step()
		if _, accepted := n.AcceptFailsafe(callOfN2); accepted || n.FailsafeActive() {
			t.Errorf("%s accepts", what)
		}
	}
	n, _ := inFailsafeMode(t)
	n.standby()
	n.server.set(func() { n.server.job.Work = ha.Promoting }) // since the last pass
	if _, accepted := n.AcceptFailsafe(callOfN2); accepted {
		t.Error("accepted in a promotion")
	}
	if _, accepted := newNode(t).AcceptFailsafe(callOfN2); accepted {
		t.Error("accepted before the first pass")
	}
}

// silentStore is a leader beside Patroni's n3, with a store that does not answer.
func silentStore(t *testing.T) (*node, *fakeFailsafe) {
	n, f := inFailsafeMode(t)
	member := `{"conn_url":"postgres://x:5432/postgres","api_url":"http://x:8008/patroni","state":"running","role":"replica"`
	n.put("members/n2", member+`,"permit":true}`)
	n.put("members/n3", member+`}`)
	n.right.set(func() { n.right.mixed = true })
	n.settle()
	if got := n.stored(dcs.KeyFailsafe); got != `{"n1":"http://n1:8008/patroni","n2":"http://x:8008/patroni","n3":"http://x:8008/patroni"}` {
		t.Fatalf("the failsafe key: %s", got)
	}
	n.store.SetFaults(memstore.Faults{Down: true})
	return n, f
}

func TestALeaderGoesOnByThePromiseOfPatronisMembers(t *testing.T) {
	n, f := silentStore(t)
	_, _ = n.step()
	if len(f.asked) != 1 || len(f.asked[0]) != 2 || f.call.Name != "n1" || f.call.Slots["n1"] != 0x3000000 {
		t.Fatalf("asked %v with %+v", f.asked, f.call)
	}
	began := n.now
	n.now = n.now.Add(12 * time.Second)
	_, _ = n.step()
	if len(f.asked) != 1 {
		t.Fatal("a second round beside the first")
	}
	f.answered([]cluster.FailsafeAnswer{{Member: "n2"}, {Member: "n3", Accepted: true, Position: 5}}) // n2 has a permit
	if want := []time.Time{began.Add(30 * time.Second)}; !reflect.DeepEqual(f.promised, want) || !n.FailsafeActive() {
		t.Errorf("promised %v, want %v, active %v", f.promised, want, n.FailsafeActive())
	}
	_, _ = n.step()
	if len(f.asked) != 2 {
		t.Fatalf("%d rounds after more than loop_wait", len(f.asked))
	}
	f.answered([]cluster.FailsafeAnswer{{Member: "n2", Accepted: true}, {Member: "n3"}})
	if last := f.promised[len(f.promised)-1]; !last.IsZero() || n.FailsafeActive() {
		t.Errorf("denied: promised %v, active %v", last, n.FailsafeActive())
	}
}

func TestFailsafeModeEndsWithTheStoresReturn(t *testing.T) {
	n, f := silentStore(t)
	_, _ = n.step()
	f.answered([]cluster.FailsafeAnswer{{Member: "n3", Accepted: true}})
	if !n.FailsafeActive() {
		t.Fatal("not active")
	}
	n.store.SetFaults(memstore.Faults{})
	n.now = n.now.Add(2 * time.Second)
	n.settle()
	if n.FailsafeActive() || len(f.promised) != 1 {
		t.Errorf("active %v; the promises %v were not taken back", n.FailsafeActive(), f.promised)
	}
}

func TestTheEndOfARoundIsNothingToWhoLeadsNoMore(t *testing.T) {
	n, f := silentStore(t)
	_, _ = n.step()
	n.store.SetFaults(memstore.Faults{})
	n.standby()
	if _, accepted := n.AcceptFailsafe(callOfN2); !accepted {
		t.Fatal("refused")
	}
	f.answered([]cluster.FailsafeAnswer{{Member: "n3"}})
	if !n.FailsafeActive() {
		t.Error("the round's end has cleared what another leader was promised")
	}
}

func TestALeaderOfOursIsNotPromisedToBeSpared(t *testing.T) {
	n, f := inFailsafeMode(t)
	n.standby()
	call := callOfN2
	call.Permit = true
	if _, accepted := n.AcceptFailsafe(call); !accepted || !n.FailsafeActive() || !f.until.IsZero() {
		t.Errorf("accepted %v, active %v, promised until %v", accepted, n.FailsafeActive(), f.until)
	}
}

func TestWithoutPatronisMembersFailsafeModeIsActiveAsLongAsThePermit(t *testing.T) {
	n, f := inFailsafeMode(t)
	n.put("members/n2", `{"conn_url":"postgres://x:5432/postgres","api_url":"http://x:8008/patroni","state":"running","role":"replica","permit":true}`)
	n.settle()
	n.store.SetFaults(memstore.Faults{Down: true})
	_, _ = n.step()
	if len(f.asked) != 1 || len(f.asked[0]) != 1 || !f.call.Permit {
		t.Fatalf("asked %v with %+v", f.asked, f.call)
	}
	f.answered([]cluster.FailsafeAnswer{{Member: "n2"}})
	if !n.FailsafeActive() || len(f.promised) != 0 {
		t.Errorf("active %v, promised %v", n.FailsafeActive(), f.promised)
	}
	n.right.set(func() { n.right.length = 0 })
	_, _ = n.step()
	if n.FailsafeActive() {
		t.Error("active without a permit")
	}
}

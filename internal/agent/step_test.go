package agent

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"matriarch/internal/dcs"
	memstore "matriarch/internal/dcs/memory"
	"matriarch/internal/ha"
)

func TestARunningPrimaryIsAdoptedAndLeads(t *testing.T) {
	n := newNode(t)
	n.settle()
	if n.stored(dcs.KeyInitialize) != systemID || n.stored(dcs.KeyLeader) != "n1" || !strings.Contains(n.stored("members/n1"), `"role":"primary"`) {
		t.Errorf("initialize %q, leader %q, member %q", n.stored(dcs.KeyInitialize), n.stored(dcs.KeyLeader), n.stored("members/n1"))
	}
	if got := n.Latest(); got.Plan.Why != ha.Leading || !got.At.Equal(n.now) || !got.StoreSeen.Equal(n.now) {
		t.Errorf("latest: %v at %v, store seen %v", got.Plan.Why, got.At, got.StoreSeen)
	}
}

// elected makes n a standby that has the key and a request to fulfil.
func elected(n *node) {
	n.settle()
	n.put(dcs.KeyFailover, `{"leader":"n2","member":"n1"}`)
	n.server.seen.Role = ha.Standby
}

func TestActionsAreCarriedOutInOrder(t *testing.T) {
	n := newNode(t)
	elected(n)
	n.put(dcs.KeyConfig, `{"ttl":30}`)
	if _, err := n.step(); err != nil {
		t.Fatal(err)
	}
	n.called("configure 30", "begin Promote")
	if n.stored(dcs.KeyFailover) != "{}" || !strings.Contains(n.stored("members/n1"), `"role":"replica"`) {
		t.Errorf("failover %q, member %q", n.stored(dcs.KeyFailover), n.stored("members/n1"))
	}
}

func TestThePassStopsAtTheFirstFailure(t *testing.T) {
	n := newNode(t)
	elected(n)
	n.put(dcs.KeyConfig, `{"ttl":30}`)
	n.server.fail["begin Promote"] = errors.New("other work is under way")
	before := n.stored("members/n1")
	if _, err := n.step(); err == nil {
		t.Fatal("no error")
	}
	if n.stored("members/n1") != before {
		t.Error("what comes after the failure was done")
	}
	n.called("configure 30", "begin Promote")
}

func TestWithoutARenewalNothingElseIsDone(t *testing.T) {
	n := newNode(t)
	n.settle()
	n.now = n.now.Add(11 * time.Second)
	n.store.SetFaults(memstore.Faults{LateWatch: true})
	n.cfg.Store = refusing{n.store}
	plan, err := n.step()
	if err == nil || plan.Do[0] != (ha.Renew{}) {
		t.Fatalf("plan %v, error %v", plan, err)
	}
	n.called()
}

// refusing is a store that renews nothing.
type refusing struct{ dcs.Store }

func (refusing) Renew(context.Context, time.Duration) (dcs.Lease, bool, error) {
	return dcs.Lease{}, false, errors.New("no answer")
}

// counting is a store that counts the reads.
type counting struct {
	dcs.Store
	reads int
}

func (c *counting) Read(ctx context.Context) (dcs.Snapshot, error) {
	c.reads++
	return c.Store.Read(ctx)
}

func TestAConflictLeadsToALookAtTheStore(t *testing.T) {
	store := &counting{}
	n := newNode(t, func(c *Config) { store.Store = c.Store; c.Store = store })
	n.settle()
	n.put(dcs.KeyFailover, `{"leader":"n2","member":"n3"}`)
	n.store.SetFaults(memstore.Faults{LateWatch: true})
	n.put(dcs.KeyFailover, `{"leader":"n3","member":"n2"}`)
	if plan, err := n.step(); !errors.Is(err, dcs.ErrConflict) || plan.Why != ha.RequestMisaddressed {
		t.Fatalf("plan %v, error %v", plan.Why, err)
	}
	if store.reads != 1 {
		t.Errorf("%d reads", store.reads)
	}
	if plan, err := n.step(); err != nil || plan.Why != ha.RequestMisaddressed || n.stored(dcs.KeyFailover) != "{}" {
		t.Errorf("then: plan %v, error %v, failover %q", plan.Why, err, n.stored(dcs.KeyFailover))
	}
}

// TestWhatWasDoneIsNotLoggedAsRefused: a person looks at warnings.
func TestWhatWasDoneIsNotLoggedAsRefused(t *testing.T) {
	for request, want := range map[string]string{
		`{"leader":"n2","member":"n1"}`: `level=INFO msg="the switchover or failover that was asked for is done`,
		`{"leader":"n2","member":"n3"}`: `level=WARN msg="the requested switchover or failover is cleared: it names another leader`,
	} {
		n := newNode(t)
		n.settle()
		n.put(dcs.KeyFailover, request)
		n.settle()
		if got := n.stored(dcs.KeyFailover); got != "{}" {
			t.Errorf("%s: stays as %q", request, got)
		}
		if got := n.logged.String(); !strings.Contains(got, want) {
			t.Errorf("%s: %s is not in\n%s", request, want, got)
		}
	}
}

func TestARefusedConfigurationKeepsTheOldOne(t *testing.T) {
	n := newNode(t)
	n.settle()
	n.put(dcs.KeyConfig, `{"ttl":40,"loop_wait":5}`)
	n.settle()
	if got := n.Latest().Observation.Store.Settings; got.TTL != 40*time.Second || got.LoopWait != 5*time.Second {
		t.Errorf("settings %+v", got)
	}
	n.put(dcs.KeyConfig, `{"ttl":"forty","loop_wait":7,"pause":true}`)
	n.settle()
	o := n.Latest().Observation
	if o.Store.Settings.TTL != 40*time.Second || o.Store.Settings.LoopWait != 5*time.Second || !o.Store.Settings.Pause {
		t.Errorf("settings %+v", o.Store.Settings)
	}
	if ttl, _ := o.Store.Dynamic["loop_wait"].(interface{ String() string }); ttl == nil || ttl.String() != "5" {
		t.Errorf("document %v", o.Store.Dynamic)
	}
	n.put(dcs.KeyConfig, `not JSON`)
	n.settle()
	if got := n.Latest().Observation.Store.Settings.TTL; got != 40*time.Second {
		t.Errorf("ttl %v", got)
	}
	if got := strings.Count(n.logged.String(), "refused"); got != 1 {
		t.Errorf("refused %d times in the log:\n%s", got, n.logged)
	}
}

func TestAConfigurationThatTheServerRefusesIsTriedOnce(t *testing.T) {
	n := newNode(t)
	n.settle()
	n.put(dcs.KeyConfig, `{"ttl":33}`)
	n.server.fail["configure 33"] = errors.New("no space left on device")
	for range 3 {
		if _, err := n.step(); err != nil {
			t.Fatalf("the pass failed: %v", err)
		}
	}
	n.called("configure 33")
}

func TestAChangeOfTheTTLHurtsNobody(t *testing.T) {
	n := newNode(t)
	n.settle()
	before := n.store.Lease().ID
	n.put(dcs.KeyConfig, `{"ttl":60}`)
	n.now = n.now.Add(5 * time.Second)
	for range 10 {
		if _, err := n.step(); err != nil {
			t.Fatal(err)
		}
	}
	n.called("configure 60")
	lease := n.store.Lease()
	if lease.ID == before || lease.TTL != time.Minute || n.world.Snapshot().Values[dcs.KeyLeader].Lease != lease.ID {
		t.Errorf("lease %+v, leader key %+v", lease, n.world.Snapshot().Values[dcs.KeyLeader])
	}
	if n.world.Snapshot().Values["members/n1"].Lease != lease.ID {
		t.Error("the member key hangs on the old lease")
	}
}

func TestASlotThatCannotBeMadeKeepsNothingBack(t *testing.T) {
	n := newNode(t)
	n.settle()
	n.put("members/n2", `{"conn_url":"postgres://n2:5432/postgres","api_url":"http://n2:8008/patroni","state":"running","role":"replica"}`)
	n.server.fail["create slot n2"] = errors.New("all replication slots are in use")
	n.server.seen.PendingRestart = nil
	n.Reconfigure(func() ha.Me { me := n.cfg.Me; me.Version = "4.1.5"; return me }())
	for range 3 {
		if _, err := n.step(); err != nil {
			t.Fatal(err)
		}
	}
	n.called("create slot n2", "create slot n2", "create slot n2")
	if !strings.Contains(n.stored("members/n1"), "4.1.5") {
		t.Errorf("the member key was kept back: %s", n.stored("members/n1"))
	}
	if got := strings.Count(n.logged.String(), "slots are in use"); got != 1 {
		t.Errorf("said %d times", got)
	}
	n.server.fail["create slot n2"] = context.DeadlineExceeded
	if _, err := n.step(); err == nil {
		t.Error("a server that hangs must end the pass")
	}
}

func TestAForeignDirectoryEndsTheAgent(t *testing.T) {
	n := newNode(t)
	n.put(dcs.KeyInitialize, "7000000000000000009")
	_, err := n.step()
	var quit *Quit
	if !errors.As(err, &quit) || !Ended(err) || !strings.Contains(err.Error(), "7000000000000000009") {
		t.Errorf("error %v", err)
	}
	n.called()
}

func TestTheSameFailureIsToldOnce(t *testing.T) {
	n := newNode(t)
	elected(n)
	n.server.fail["begin Promote"] = errors.New("other work is under way")
	for range 3 {
		if _, err := n.step(); err == nil {
			t.Fatal("no error")
		}
	}
	if got := strings.Count(n.logged.String(), "other work is under way"); got != 1 {
		t.Errorf("told %d times:\n%s", got, n.logged)
	}
}

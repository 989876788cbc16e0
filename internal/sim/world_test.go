package sim

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
	"matriarch/internal/dcs/memory"
)

func newWorld(t *testing.T, names ...string) *World {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	if os.Getenv("SIM_LOG") != "" {
		logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	w := New(logger, names...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("the story:\n" + strings.Join(w.story, "\n"))
		}
		for _, fault := range w.faults {
			t.Error(fault)
		}
	})
	return w
}

// settledWorld is a cluster of three that n1 has created.
func settledWorld(t *testing.T) *World {
	t.Helper()
	w := newWorld(t, "n1", "n2", "n3")
	w.Start("n1")
	if !w.RunUntil(time.Minute, func() bool { return w.leader() == w.node("n1") }) {
		t.Fatal("n1 did not create the cluster")
	}
	w.Start("n2")
	w.Start("n3")
	if !w.RunUntil(time.Minute, w.settled) {
		t.Fatal("the cluster did not settle")
	}
	w.Run(15 * time.Second)
	return w
}

func TestThreeEmptyNodesMakeOneCluster(t *testing.T) {
	w := newWorld(t, "n1", "n2", "n3")
	for _, n := range w.nodes {
		w.Start(n.name)
	}
	if !w.RunUntil(time.Minute, w.settled) {
		t.Fatal("not settled")
	}
	if w.systems != 1 {
		t.Errorf("S5: initdb ran %d times", w.systems)
	}
	v := w.view()
	if v.Initialize.SystemID() != w.leader().server.disk.systemID {
		t.Errorf("initialize = %q", v.Initialize.Value)
	}
	if !v.Config.Valid {
		t.Error("no configuration in the store")
	}
	w.Run(30 * time.Second)
	for _, n := range w.nodes {
		if len(n.server.disk.slots) != 2 {
			t.Errorf("%s keeps %d slots, want one for each of the other two", n.name, len(n.server.disk.slots))
		}
	}
}

func TestTheRestartOfTheWholeSetKeepsTheCluster(t *testing.T) {
	w := settledWorld(t)
	id := w.view().Initialize.SystemID()
	for _, n := range w.nodes {
		w.Kill(n.name)
	}
	w.Run(time.Minute)
	for _, name := range []string{"n3", "n2", "n1"} {
		w.Start(name)
		w.Run(3 * time.Second)
	}
	if !w.RunUntil(2*time.Minute, w.settled) {
		t.Fatal("not settled")
	}
	if got := w.view().Initialize.SystemID(); got != id || w.systems != 1 {
		t.Errorf("system identifier %s became %s", id, got)
	}
}

func TestACleanStopHandsOver(t *testing.T) {
	w := settledWorld(t)
	at := w.now
	w.Stop("n1")
	if !w.RunUntil(time.Second, func() bool { return w.primary == "n2" || w.primary == "n3" }) {
		t.Fatal("no new primary within a second")
	}
	w.Run(5 * time.Second)
	if got := w.outage(at); got > 300*time.Millisecond {
		t.Errorf("writes stopped for %v", got)
	}
	if n := w.lost(); n != 0 {
		t.Errorf("%d acknowledged rows are lost", n)
	}
	if m, ok := w.view().Member("n1"); !ok || m.State != cluster.StateStopped {
		t.Errorf("n1 is shown as %q", m.State)
	}
	w.Start("n1")
	if !w.RunUntil(time.Minute, w.settled) || !w.identical() {
		t.Fatal("n1 did not come back")
	}
}

func TestACrashedPrimaryIsRestartedInPlace(t *testing.T) {
	w := settledWorld(t)
	at := w.now
	w.Crash("n1")
	w.Run(5 * time.Second)
	if w.leader() != w.node("n1") || w.primary != "n1" {
		t.Fatalf("primary is %q", w.primary)
	}
	if timeline := w.node("n1").server.disk.history.Timeline; timeline != 1 {
		t.Errorf("timeline %d: it must go on on its own", timeline)
	}
	if got := w.outage(at); got > recoveryTime+100*time.Millisecond {
		t.Errorf("writes stopped for %v", got)
	}
}

func TestALostNodeIsReplacedAndRewound(t *testing.T) {
	w := settledWorld(t)
	at := w.now
	w.Kill("n1")
	if !w.RunUntil(35*time.Second, func() bool { return w.primary != "" }) {
		t.Fatal("no new primary within the lease")
	}
	t.Logf("writes stopped for %v", w.outage(at))
	w.Start("n1")
	if !w.RunUntil(time.Minute, w.settled) || !w.identical() {
		t.Fatal("n1 did not come back")
	}
}

func TestARequestedSwitchoverGoesToItsCandidate(t *testing.T) {
	w := settledWorld(t)
	at := w.now
	request := cluster.Failover{Leader: "n1", Candidate: "n3"}
	put := dcs.Txn{Then: []dcs.Op{{Key: dcs.KeyFailover, Data: request.Encode()}}}
	if _, err := w.node("n1").store.Commit(t.Context(), put); err != nil {
		t.Fatal(err)
	}
	if !w.RunUntil(10*time.Second, func() bool { return w.primary == "n3" && w.settled() }) {
		t.Fatal("n3 is not the primary of a settled cluster")
	}
	if got := w.outage(at); got > 300*time.Millisecond {
		t.Errorf("writes stopped for %v", got)
	}
	if w.view().Failover.Requested() {
		t.Error("the request is still there")
	}
	if w.lost() != 0 || !w.identical() {
		t.Error("rows differ")
	}
}

func TestTheStoreAwayForShortHurtsNobody(t *testing.T) {
	w := settledWorld(t)
	at := w.now
	w.store.SetDown(true)
	w.Run(8 * time.Second)
	w.store.SetDown(false)
	w.Run(30 * time.Second)
	if got := w.outage(at); got > 50*time.Millisecond {
		t.Errorf("writes stopped for %v", got)
	}
}

func TestAPrimaryCutOffStopsBeforeItIsSucceeded(t *testing.T) {
	w := settledWorld(t)
	w.node("n1").store.SetFaults(memory.Faults{Down: true})
	if !w.RunUntil(time.Minute, func() bool { return w.primary == "n2" || w.primary == "n3" }) {
		t.Fatal("nobody took over")
	}
	w.node("n1").store.SetFaults(memory.Faults{})
	if !w.RunUntil(time.Minute, w.settled) || !w.identical() {
		t.Fatal("n1 did not come back")
	}
}

func TestNofailoverIsNeverPromoted(t *testing.T) {
	w := newWorld(t, "n1", "n2")
	w.node("n2").tags = cluster.Tags{"nofailover": true}
	w.Start("n1")
	w.Start("n2")
	if !w.RunUntil(time.Minute, w.settled) || w.leader() != w.node("n1") {
		t.Fatal("not settled under n1")
	}
	w.Kill("n1")
	w.Run(2 * time.Minute)
	if w.primary != "" {
		t.Fatalf("S6: %s was promoted", w.primary)
	}
	w.Start("n1")
	if !w.RunUntil(time.Minute, w.settled) {
		t.Fatal("n1 did not lead again")
	}
}

// TestFaultsByLot lets things go wrong at random, heals them, and wants one
// primary, everybody streaming and the same rows everywhere.
func TestFaultsByLot(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			w := settledWorld(t)
			lot := rand.New(rand.NewPCG(seed, 1))
			for range 12 {
				n := w.nodes[lot.IntN(len(w.nodes))]
				switch lot.IntN(7) {
				case 0:
					w.Kill(n.name)
				case 1:
					w.Crash(n.name)
				case 2:
					w.Stop(n.name)
				case 3:
					w.store.SetDown(true)
				case 4:
					w.store.SetDown(false)
				case 5:
					if n.alive {
						w.tell("%s: cut off from the store", n.name)
						n.store.SetFaults(memory.Faults{Down: true})
					}
				default:
					w.Start(n.name)
				}
				w.Run(time.Duration(lot.IntN(20_000)) * time.Millisecond)
			}
			w.tell("healing")
			w.store.SetDown(false)
			for _, n := range w.nodes {
				if n.alive {
					n.store.SetFaults(memory.Faults{})
				}
			}
			healed := w.RunUntil(3*time.Minute, func() bool {
				for _, n := range w.nodes {
					w.restart(n)
				}
				return w.settled() && w.identical()
			})
			if !healed {
				t.Errorf("L2: seed %d does not settle", seed)
			}
			if w.systems != 1 {
				t.Errorf("S5: initdb ran %d times", w.systems)
			}
		})
	}
}

package e2e

import (
	"os"
	"slices"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
	"matriarch/test/e2e/traffic"
)

// measures is how often each outage is measured.
const measures = 5

// TestMeasure prints what the closing note of a release quotes. It fails only
// where the cluster does.
func TestMeasure(t *testing.T) {
	if os.Getenv("E2E_MEASURE") == "" {
		t.Skip("E2E_MEASURE is not set")
	}
	t.Run("external etcd, ttl 30", func(t *testing.T) {
		c := lab.New(t, 3, lab.StartEtcd(t, 1), lab.Changed(func(_ *lab.Node, s lab.Settings) {
			s.Set("bootstrap.dcs.ttl", 30) // the guide's
			s.Set("bootstrap.dcs.loop_wait", 10)
			s.Set("bootstrap.dcs.retry_timeout", 10)
		}))
		measureOutages(t, c, true)
	})
	t.Run("embedded etcd, ttl 20", func(t *testing.T) { measureOutages(t, lab.New(t, 3, nil), false) })
}

func measureOutages(t *testing.T, c *lab.Cluster, crashes bool) {
	c.Start()
	c.WaitWhole(lab.Patience)
	w := write(t, c)
	measureMemory(t, c, w)
	outages(t, c, w, blow{"SIGTERM", true, terminate})
	if crashes {
		outages(t, c, w, blow{"postmaster killed, restarted in place", false, crash})
		c.Configure(func(s lab.Settings) { s.Set("primary_start_timeout", 0) })
		outages(t, c, w, blow{"postmaster killed, handed over", false, crash})
	}
	outages(t, c, w, blow{"node killed", false, powerCut})
	outages(t, c, w, blow{"switchover", true, switchOver})
	t.Log(verdict(t, c, w))
}

func outages(t *testing.T, c *lab.Cluster, w *traffic.Writer, b blow) {
	t.Helper()
	var all, back []time.Duration
	for range measures {
		old := c.WaitWhole(lab.Patience)
		began := time.Now()
		b.deal(t, c, old)
		w.WaitPast(t, lab.Patience, time.Now().Add(time.Second))
		all = append(all, milliseconds(w.Outage(began)))
		start := time.Now()
		if !old.Agent.Running() {
			old.Start()
		}
		c.WaitWhole(lab.Patience)
		back = append(back, milliseconds(time.Since(start)))
	}
	sorted := slices.Sorted(slices.Values(all))
	t.Logf("%s: outage median %v of %v; whole again after %v", b.name, sorted[len(sorted)/2], all, back)
}

// measureMemory reads the agents' memory once they have led and followed quietly
// for some passes.
func measureMemory(t *testing.T, c *lab.Cluster, w *traffic.Writer) {
	t.Helper()
	w.WaitPast(t, lab.Patience, time.Now().Add(30*time.Second))
	for _, n := range c.Nodes {
		t.Logf("%s: resident memory of the agent %d kB", n.Name, lab.ResidentKB(n.Agent.PID()))
	}
}

package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"matriarch/test/chaos/client"
	"matriarch/test/chaos/history"
	"matriarch/test/e2e/lab"
)

// interval is between two appends of one client.
const interval = 8 * time.Millisecond

// field is a cluster under observation.
type field struct {
	t       *testing.T
	sw      *lab.Switch
	etcd    *lab.Etcd
	c       *lab.Cluster
	rules   atomic.Int64 // of cutters
	h       *history.History
	s       *story
	clients []*client.Client

	judged int // how many appends have been judged
	lost   int // and found lost
	told   int // how many reigns were told
}

// limits are how long the cluster may take, in seconds: of the product in its
// present state, not of its promises.
var (
	takeoverLimit = seconds("CHAOS_TAKEOVER", 60) // until another node acknowledges
	wholeLimit    = seconds("CHAOS_WHOLE", 90)    // from the last heal until all is well
)

func seconds(variable string, otherwise int) time.Duration {
	if n, err := strconv.Atoi(os.Getenv(variable)); err == nil && n > 0 {
		otherwise = n
	}
	return time.Duration(otherwise) * time.Second
}

// newField builds three nodes on a switch, each with an etcd, and starts clients.
func newField(t *testing.T) *field {
	t.Helper()
	sw := lab.NewSwitch(t, "192.168.111.1/24")
	f := &field{t: t, sw: sw, h: history.New()}
	f.s = &story{h: f.h}
	hosts := []string{"192.168.111.31", "192.168.111.32", "192.168.111.164"}
	var nets []lab.Network
	for i, h := range hosts {
		nets = append(nets, sw.Plug(port(i), h+"/24"))
		f.cutter().prepare(nets[i])
	}
	f.etcd = lab.NewEtcd(t, nets, hosts)
	for i := range hosts {
		smallDisk(t, f.etcd.Data(i))
	}
	f.etcd.Begin(sw.Net)
	group := lab.Delegate(t, fmt.Sprintf("matriarch-chaos-%d", os.Getpid()))
	f.c = lab.NewAt(t, hosts, f.etcd, lab.Changed(func(_ *lab.Node, s lab.Settings) {
		s.Set("bootstrap.pg_hba", []any{"host replication replicator 192.168.111.0/24 md5", "host all all 0.0.0.0/0 md5"})
		choosePermit(s)
	}))
	f.c.Client = sw.Net
	for i, n := range f.c.Nodes {
		n.Net = nets[i]
		n.Uptime = uptimes[i]
	}
	f.c.Nodes[1].Cgroup = group // its guard has the freezer, the others' signals
	t.Cleanup(f.keep)
	f.c.Start()
	leader := f.c.WaitWhole(lab.Patience)
	leader.Run(client.Schema)
	f.c.WaitReplayed(leader)
	f.s.say("%s leads, the others stream; clients begin", leader.Name)
	f.startClients()
	spin(t)
	return f
}

// choosePermit sets the permit to CHAOS_PERMIT, in seconds; without, it is the
// product's default.
func choosePermit(s lab.Settings) {
	if permit, err := strconv.ParseFloat(os.Getenv("CHAOS_PERMIT"), 64); err == nil {
		s.Set("bootstrap.dcs.permit", permit)
	}
}

// uptimes are how far the nodes' boot clocks are ahead of the machine's.
var uptimes = []time.Duration{0, 3 * time.Hour, 400 * 24 * time.Hour}

// port is the name of a node's cable.
func port(i int) string { return fmt.Sprintf("n%d", i+1) }

// number is the node's place in the list.
func (f *field) number(n *lab.Node) int {
	for i, m := range f.c.Nodes {
		if m == n {
			return i
		}
	}
	return -1
}

// startClients starts one at each node, in the node's own network: a node that is
// cut off has clients all the same.
func (f *field) startClients() {
	f.t.Helper()
	for _, n := range f.c.Nodes {
		c, err := client.Start(context.Background(), client.Options{
			Node: n.Name, URL: lab.URL(n.Host+":5432") + "?sslmode=disable", Dial: n.Net.Dial, Interval: interval, History: f.h,
		})
		if err != nil {
			f.t.Fatal(err)
		}
		f.clients = append(f.clients, c)
		f.t.Cleanup(c.Stop)
	}
}

// pass lets time pass: the length of a fault is part of it.
func (f *field) pass(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.t.Context().Done():
		f.t.Fatal("the test ends")
	}
}

// awaitOther waits until a node other than the given one has acknowledged an append
// since an instant, and says whether it did in time.
func (f *field) awaitOther(than *lab.Node, since, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(f.t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, n := range f.c.Others(than) {
			if f.h.Heard(n.Name) > since {
				return true
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
}

// awaitWrites waits until anybody has acknowledged an append since an instant.
func (f *field) awaitWrites(since, limit time.Duration) {
	f.t.Helper()
	if !f.awaitOther(nil, since, limit) {
		for i, c := range f.clients {
			f.s.say("the client of %s was told last: %v", f.c.Nodes[i].Name, c.Last())
		}
		f.t.Fatalf("nobody has acknowledged anything for %v", limit)
	}
}

// keep tells the story when the test has failed, and writes it with the logs where
// the end of the run does not remove them.
func (f *field) keep() {
	for _, c := range f.clients {
		c.Stop()
	}
	if !f.t.Failed() {
		return
	}
	f.t.Logf("the story:\n%s", f.s)
	dir := os.Getenv("CHAOS_LOGS")
	if dir == "" {
		dir = filepath.Join(os.TempDir(), fmt.Sprintf("matriarch-chaos-%s-%d", strings.ToLower(f.t.Name()), os.Getpid()))
	}
	logs := []string{}
	for i, n := range f.c.Nodes {
		logs = append(logs, n.Log, f.etcd.Data(i)+".log")
	}
	if err := f.s.keep(dir, logs); err != nil {
		f.t.Error(err)
	}
	f.t.Logf("story and logs are kept in %s", dir)
}

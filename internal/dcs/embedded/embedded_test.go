package embedded

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"matriarch/internal/dcs"
	"matriarch/internal/dcs/dcstest"
	"matriarch/internal/dcs/etcd"
)

const patience = 30 * time.Second

// group is a set of members in this process.
type group struct {
	configs []Config
	servers []*Server
}

// prepare makes the configurations of n members on free loopback ports.
func prepare(t *testing.T, n int) *group {
	t.Helper()
	var members []Member
	for i := range n {
		members = append(members, Member{
			Name: fmt.Sprintf("node%d", i+1), Host: "127.0.0.1",
			ClientPort: freePort(t), PeerPort: freePort(t),
		})
	}
	g := &group{servers: make([]*Server, n)}
	for _, m := range members {
		g.configs = append(g.configs, Config{
			Name: m.Name, Members: members, ClusterToken: "/service/test/",
			DataDir:   filepath.Join(t.TempDir(), "etcd"),
			Heartbeat: 50 * time.Millisecond, Election: 500 * time.Millisecond,
		})
	}
	t.Cleanup(func() {
		for i := range g.servers {
			g.stop(t, i)
		}
	})
	return g
}

func (g *group) start(t *testing.T, i int) {
	t.Helper()
	s, err := Start(deadline(t), g.configs[i])
	if err != nil {
		t.Fatalf("start %s: %v", g.configs[i].Name, err)
	}
	g.servers[i] = s
}

func (g *group) stop(t *testing.T, i int) {
	t.Helper()
	if g.servers[i] == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := g.servers[i].Stop(ctx); err != nil {
		t.Error(err)
	}
	g.servers[i] = nil
}

func (g *group) ready(t *testing.T, i int) {
	t.Helper()
	select {
	case <-g.servers[i].Ready():
	case <-deadline(t).Done():
		t.Fatalf("%s is not ready", g.configs[i].Name)
	}
}

// running starts n members and waits for all.
func running(t *testing.T, n int) *group {
	g := prepare(t, n)
	for i := range n {
		g.start(t, i)
	}
	for i := range n {
		g.ready(t, i)
	}
	return g
}

// store opens the store as node i's agent does.
func (g *group) store(t *testing.T, i int) *etcd.Store {
	t.Helper()
	s, err := etcd.Open(deadline(t), etcd.Config{
		Endpoints: g.configs[i].Endpoints(), Scheme: g.configs[i].Scheme(), KeepOrder: true,
		Prefix: "/service/test/",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func put(key, value string) dcs.Txn {
	return dcs.Txn{Then: []dcs.Op{{Key: key, Data: []byte(value)}}}
}

// within applies put as often as needed, and fails when that takes longer than most.
func within(t *testing.T, s *etcd.Store, most time.Duration, txn dcs.Txn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	for begin := time.Now(); ; {
		_, err := s.Commit(ctx, txn)
		if err == nil {
			t.Logf("committed after %v", time.Since(begin))
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("not committed in %v: %v", most, err)
		}
	}
}

func awaitKey(t *testing.T, s *etcd.Store, key, want string) {
	t.Helper()
	end := deadline(t)
	for {
		snapshot, current := s.Mirror()
		if current && string(snapshot.Values[key].Data) == want {
			return
		}
		select {
		case <-s.Changed():
		case <-end.Done():
			t.Fatalf("%s is %q, current %v; want %q", key, snapshot.Values[key].Data, current, want)
		}
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	dcstest.Run(t, func(t *testing.T) dcstest.Harness {
		g := running(t, 1)
		return dcstest.Harness{
			Open:  func(string) dcs.Store { return g.store(t, 0) },
			Stop:  func() { g.stop(t, 0) },
			Start: func() { g.start(t, 0) },
			Now:   time.Now,
		}
	})
}

func TestLossOfOneOfThreeStopsNothing(t *testing.T) {
	t.Parallel()
	g := prepare(t, 3)
	g.start(t, 0) // returns though no majority is there
	select {
	case <-g.servers[0].Ready():
		t.Fatal("ready without a majority")
	default:
	}
	g.start(t, 1)
	g.ready(t, 0)
	s := g.store(t, 0)
	within(t, s, patience, put("a", "1"))
	g.start(t, 2) // comes late to the founding
	g.ready(t, 2)
	awaitKey(t, g.store(t, 2), "a", "1")

	if err := g.servers[2].Lead(deadline(t)); err != nil {
		t.Fatal(err)
	}
	if !g.servers[2].Leads() || g.servers[0].Leads() {
		t.Error("the leadership did not move")
	}
	g.stop(t, 2) // the leader
	within(t, s, 3*time.Second, put("a", "2"))
	g.stop(t, 0) // this leaves no majority
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := s.Commit(ctx, put("a", "3")); err == nil {
		t.Error("a write without a majority")
	}
	g.start(t, 0)
	g.start(t, 2)
	within(t, s, patience, put("a", "4"))
	awaitKey(t, s, "a", "4")
}

func TestOwnMemberGoneLeavesTheOthers(t *testing.T) {
	t.Parallel()
	g := running(t, 3)
	s := g.store(t, 0)
	if _, _, err := s.Renew(deadline(t), time.Minute); err != nil {
		t.Fatal(err)
	}
	g.stop(t, 0) // its agent would be gone too; here it must go on elsewhere
	within(t, s, 3*time.Second, put("a", "1"))
	awaitKey(t, s, "a", "1")
	if _, fresh, err := s.Renew(deadline(t), time.Minute); err != nil || fresh {
		t.Errorf("renewed: fresh %v, %v", fresh, err)
	}
}

func TestLostDataIsTakenInAnew(t *testing.T) {
	t.Parallel()
	g := running(t, 3)
	s := g.store(t, 0)
	within(t, s, patience, put("a", "1"))
	g.stop(t, 1)
	if err := os.RemoveAll(g.configs[1].DataDir); err != nil {
		t.Fatal(err)
	}
	g.start(t, 1)
	g.ready(t, 1)
	awaitKey(t, g.store(t, 1), "a", "1")
	// It counts for the majority again.
	g.stop(t, 2)
	within(t, s, 5*time.Second, put("a", "2"))
	// And its data is its own: it comes back by itself.
	g.stop(t, 1)
	g.start(t, 1)
	within(t, s, patience, put("a", "3"))
}

func TestLostDataWithoutAMajorityIsAnErrorThatSaysSo(t *testing.T) {
	t.Parallel()
	g := running(t, 2)
	g.stop(t, 1)
	if err := os.RemoveAll(g.configs[1].DataDir); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	s, err := Start(ctx, g.configs[1])
	if err == nil {
		_ = s.Stop(deadline(t))
		t.Fatal("started under an identity whose promises it has forgotten")
	}
	if !strings.Contains(err.Error(), "holds no data") {
		t.Errorf("got %v", err)
	}
}

func TestDataSurvivesRestart(t *testing.T) {
	t.Parallel()
	g := running(t, 1)
	s := g.store(t, 0)
	within(t, s, patience, put("a", "1"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	g.stop(t, 0)
	g.start(t, 0)
	awaitKey(t, g.store(t, 0), "a", "1")
	info, err := os.Stat(g.configs[0].DataDir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data directory: %v, %v", info, err)
	}
}

func TestStopIsQuick(t *testing.T) {
	t.Parallel()
	g := running(t, 1)
	s := g.store(t, 0)
	awaitKey(t, s, "none", "") // its watch stands
	begin := time.Now()
	g.stop(t, 0)
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("a watch held up the stop for %v", took)
	}
	lonely := prepare(t, 3)
	lonely.start(t, 0)
	begin = time.Now()
	done := lonely.servers[0].Done()
	lonely.stop(t, 0)
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("a member that never was ready took %v to stop", took)
	}
	select {
	case <-done:
	default:
		t.Error("not done after the stop")
	}
}

func TestEtcdctlCanTalkToIt(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("etcdctl"); err != nil {
		t.Skip("no etcdctl on this machine")
	}
	g := running(t, 1)
	within(t, g.store(t, 0), patience, put("leader", "node1"))
	endpoint := "127.0.0.1:" + strconv.Itoa(g.configs[0].Members[0].ClientPort)
	cmd := exec.CommandContext(deadline(t), "etcdctl", "--endpoints="+endpoint, "get", "--prefix", "/service/test/")
	cmd.Env = append(os.Environ(), "ETCDCTL_API=3")
	out, err := cmd.CombinedOutput()
	if got := string(out); err != nil || got != "/service/test/leader\nnode1\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestFaultsOfTheConfigurationAreToldAtOnce(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Config{Name: "n3", Members: []Member{
		{Name: "n1", Host: "10.0.0.1"}, {Name: "n2", Host: "10.0.0.1"}, {Name: "n2"},
	}})
	for _, want := range []string{"no data_dir", "no cluster token", `"n3" is not in the list`, "n1 and n2 have the same peer address 10.0.0.1:2380", "same name n2", "both name and host"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

package chaos

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
)

// TestNeedless saturates processors and disk for NEEDLESS_MINUTES: pgbench with 100
// clients, three servers, three agents and three etcds on one machine, all with
// fsync. Nobody may take over; how often and how long the guards froze is told.
func TestNeedless(t *testing.T) {
	minutes, err := strconv.ParseFloat(os.Getenv("NEEDLESS_MINUTES"), 64)
	if err != nil {
		t.Skip("NEEDLESS_MINUTES is not set")
	}
	c := loaded(t)
	c.Start()
	leader := c.WaitWhole(lab.Patience)
	b := bench{t: t, url: lab.URL(leader.Host + ":5432")}
	b.run("--initialize", "--scale=20", "--quiet")
	c.WaitReplayed(leader)
	timeline, marks := leader.Timeline(), map[*lab.Node]int64{}
	for _, n := range c.Nodes {
		marks[n] = n.Mark()
	}
	seen := observe(t, c)
	report := b.run("--client=100", "--jobs=2", "--progress=60", fmt.Sprintf("--time=%d", int(minutes*60)))
	changes := seen()
	t.Logf("pgbench:\n%s", report)
	t.Logf("busy: %s", load())
	for _, n := range c.Nodes {
		t.Logf("%s: %s", n.Name, freezesIn(n.LogSince(marks[n])))
	}
	if len(changes) != 1 || changes[0] != leader.Name {
		t.Errorf("the leader key named %q in turn, not %s all the time", changes, leader.Name)
	}
	if now := leader.Timeline(); now != timeline {
		t.Errorf("%s is on timeline %d, it was on %d", leader.Name, now, timeline)
	}
	if again := c.WaitWhole(wholeLimit); again != leader {
		t.Errorf("%s leads at the end, not %s", again.Name, leader.Name)
	}
}

// loaded is a cluster that waits for its disk, as one in use does.
func loaded(t *testing.T) *lab.Cluster {
	t.Helper()
	subnet := lab.Subnet(t)
	var hosts []string
	for i := range 3 {
		hosts = append(hosts, fmt.Sprintf("%s%d", subnet, 11+i))
	}
	etcd := lab.NewEtcd(t, make([]lab.Network, 3), hosts, "--heartbeat-interval=100") // the default; with fsync
	etcd.Begin("")
	return lab.New(t, 3, etcd, lab.Changed(func(_ *lab.Node, s lab.Settings) {
		s.Set("postgresql.parameters.fsync", "on")
		s.Set("bootstrap.dcs.postgresql.parameters.max_connections", 200)
		choosePermit(s)
	}))
}

// observe writes down whom the leader key names, until the returned function is
// called: each name once for as long as it stays, "" for nobody.
func observe(t *testing.T, c *lab.Cluster) (end func() []string) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan []string, 1)
	go func() {
		var names []string
		for waited(ctx, 200*time.Millisecond) {
			p, err := c.Picture(ctx)
			if err == nil && (len(names) == 0 || names[len(names)-1] != p.Leader) {
				names = append(names, p.Leader)
			}
		}
		done <- names
	}()
	return func() []string { cancel(); return <-done }
}

// bench runs pgbench against a server.
type bench struct {
	t   *testing.T
	url string
}

func (b bench) run(args ...string) string {
	b.t.Helper()
	u, err := url.Parse(b.url)
	if err != nil {
		b.t.Fatal(err)
	}
	password, _ := u.User.Password()
	args = append(args, "--host="+u.Hostname(), "--port="+u.Port(), "--username="+u.User.Username(), "postgres")
	cmd := exec.CommandContext(b.t.Context(), filepath.Join(lab.BinDir, "pgbench"), args...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		b.t.Fatalf("pgbench %s: %v: %s", strings.Join(args, " "), err, said.String())
	}
	return said.String()
}

// load is what the machine's processors and disk waited for, lately.
func load() string {
	var parts []string
	for _, what := range []string{"cpu", "io"} {
		text, err := os.ReadFile("/proc/pressure/" + what)
		if err != nil {
			text = []byte(err.Error())
		}
		first, _, _ := strings.Cut(string(text), "\n")
		parts = append(parts, what+" "+first)
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		parts = append(parts, "load "+strings.TrimSpace(string(text)))
	}
	return strings.Join(parts, "; ")
}

var pausedPattern = regexp.MustCompile(`the guard has thawed the server.*paused=(\S+)`)

// freezesIn sums up what the guard has said.
func freezesIn(log string) string {
	frozen := strings.Count(log, "the guard has frozen the server")
	var pauses []time.Duration
	for _, m := range pausedPattern.FindAllStringSubmatch(log, -1) {
		if d, err := time.ParseDuration(m[1]); err == nil {
			pauses = append(pauses, d)
		}
	}
	if len(pauses) == 0 {
		return fmt.Sprintf("frozen %d times, thawed never", frozen)
	}
	slices.Sort(pauses)
	total := time.Duration(0)
	for _, d := range pauses {
		total += d
	}
	return fmt.Sprintf("frozen %d times, thawed %d times, %v in all, median %v, worst %v",
		frozen, len(pauses), total, pauses[len(pauses)/2], pauses[len(pauses)-1])
}

func TestFreezesIn(t *testing.T) {
	log := `time=1 level=WARN msg="the guard has frozen the server" why="permit has ended" late=100µs took=3ms
time=2 level=WARN msg="the guard has thawed the server" paused=10ms
time=3 level=WARN msg="the guard has frozen the server" why="permit has ended" late=100µs took=3ms
time=4 level=WARN msg="the guard has thawed the server" paused=30ms
time=5 level=WARN msg="the guard has frozen the server" why="permit has ended" late=100µs took=3ms
`
	if got, want := freezesIn(log), "frozen 3 times, thawed 2 times, 40ms in all, median 30ms, worst 30ms"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
	if got, want := freezesIn(""), "frozen 0 times, thawed never"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
}

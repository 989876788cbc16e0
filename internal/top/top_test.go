package top

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.Local)

// keys are a healthy cluster's.
func keys() map[string]string {
	return map[string]string{
		"initialize": "7711295818603699884",
		"leader":     "pier1",
		"status":     `{"optime":67109360}`,
		"history":    `[[1,67109080,"no recovery target specified","` + noon.Add(-90*time.Second).Format(time.RFC3339Nano) + `","pier1"]]`,
		"members/pier1": `{"conn_url":"postgres://10.0.0.1:5432/postgres","api_url":"http://10.0.0.1:8008/patroni","state":"running","role":"primary",` +
			`"timeline":2,"permit":true,"guard":"freezer"}`,
		"members/pier2": `{"conn_url":"postgres://10.0.0.2:5432/postgres","api_url":"http://10.0.0.2:8008/patroni","state":"running","role":"replica",` +
			`"timeline":2,"replication_state":"streaming","receive_lsn":67109360,"replay_lsn":67109360,"permit":true,"guard":"freezer"}`,
	}
}

func viewOf(keys map[string]string) cluster.View {
	entries := map[string]cluster.Entry{}
	for key, value := range keys {
		e := cluster.Entry{Data: []byte(value), Modified: 7}
		if key == "leader" || strings.HasPrefix(key, "members/") {
			e.Lease = 3
		}
		entries[key] = e
	}
	return cluster.Parse(12, entries)
}

func sight(at time.Time, keys map[string]string) Sight {
	return Sight{At: at, Took: 1200 * time.Microsecond, View: viewOf(keys)}
}

func leaderWord(at time.Time) Word {
	return Word{Name: "pier1", At: at, Took: 900 * time.Microsecond, State: cluster.StateRunning, Role: cluster.RolePrimary, Timeline: 2, Location: 67109360,
		Right: &Right{Leading: true, Left: 850 * time.Millisecond, Length: time.Second, Armed: true}}
}

func standbyWord(at time.Time, behind int) Word {
	w := Word{Name: "pier2", At: at, Took: 25 * time.Millisecond, State: cluster.StateRunning, Role: cluster.RoleReplica, Timeline: 2,
		Replication: cluster.Streaming, Received: 67109360, Replayed: 67109360, Right: &Right{Length: time.Second}}
	w.Replayed -= wal.LSN(behind)
	return w
}

// healthy is a view that has looked at everybody once.
func healthy() *Model {
	m := New("harbor", 2*time.Second)
	m.See(sight(noon, keys()))
	m.Hear(leaderWord(noon))
	m.Hear(standbyWord(noon, 0))
	m.Sample(noon)
	return m
}

func plainScreen(width, height int, now time.Time) Screen {
	return Screen{Width: width, Height: height, Now: now}
}

func TestAHealthyCluster(t *testing.T) {
	m := healthy()
	for i := range 3 {
		at := noon.Add(time.Duration(2*i+2) * time.Second)
		m.Hear(leaderWord(at))
		m.Hear(standbyWord(at, i<<20))
		m.Sample(at)
	}
	got := m.Draw(plainScreen(118, 0, noon.Add(6*time.Second)))
	want := `harbor  (7711295818603699884)                                                           every 2s   2026-11-23 12:00:06
Leader  pier1  since 2026-11-23 11:58:30, for 1m36s, timeline 2
Writes  ████████░░ permit 0.85 of 1.00 s  guard freezer, armed
Store   answers in 1.2 ms, revision 12, 6s ago
Mode    asynchronous

   Member  Role     State      TL  Receive lag  Replay lag  Answers  lag over time, and its peak
>  pier1   leader   running     2                            0.9 ms                                    ·▁▁▁    0 B/s
   pier2   replica  streaming   2          0 B    2.0 MB !    25 ms                                    ▁▁▅█   2.0 MB
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	later := noon.Add(10 * time.Second)
	for name, c := range map[string]struct {
		happens func(m *Model)
		says    []string
	}{
		"a silent store": {func(m *Model) { m.See(Sight{At: later, Err: context.DeadlineExceeded}) },
			[]string{"NO ANSWER for 10s (no answer in time); what it told is 10s old", "the store does not answer", ">  pier1"}},
		"a store that answers again": {func(m *Model) {
			m.See(Sight{At: later, Err: context.DeadlineExceeded})
			m.See(sight(later.Add(time.Second), keys()))
		}, []string{"answers in 1.2 ms", "the store answers again, after 11s"}},
		"a silent standby": {func(m *Model) { m.Hear(Word{Name: "pier2", At: later, Err: errors.New("dial: connection refused")}) },
			[]string{"?  pier2", "streaming?", "unknown", "not for 10s", "pier2 does not answer: connection refused"}},
		"a silent leader": {func(m *Model) { m.Hear(Word{Name: "pier1", At: later, Err: context.DeadlineExceeded}) },
			[]string{"not known: the leader does not answer for 10s", "?  pier1"}},
		"a frozen leader": {func(m *Model) {
			w := leaderWord(later)
			w.Right.Left, w.Right.Frozen, w.Right.Freezes = 0, true, 1
			m.Hear(w)
		}, []string{"FROZEN: the permit has ended", "!  pier1", "pier1 was frozen at the end of its permit, 1 times"}},
		"a leader without a permit": {func(m *Model) { w := leaderWord(later); w.Right.Left = 0; m.Hear(w) }, []string{"NO PERMIT"}},
		"a leader of Patroni's":     {func(m *Model) { w := leaderWord(later); w.Right = nil; m.Hear(w) }, []string{"while its lease of 30s lives"}},
		"no leader":                 {func(m *Model) { k := keys(); delete(k, "leader"); m.See(sight(later, k)) }, []string{"NOBODY LEADS", "pier1 does not lead any more"}},
		"another leader": {func(m *Model) { k := keys(); k["leader"] = "pier2"; m.See(sight(later, k)) },
			[]string{"Leader  pier2  for 0s at least", "pier2 leads, in the place of pier1", ">  pier2"}},
		"a pause": {func(m *Model) { k := keys(); k["config"] = `{"pause":true}`; m.See(sight(later, k)) },
			[]string{"PAUSED", "the cluster is paused", "without a permit, since the cluster is paused"}},
		"failsafe mode": {func(m *Model) { w := standbyWord(later, 0); w.Failsafe = true; m.Hear(w) }, []string{"FAILSAFE: the members carry the leader"}},
		"a scheduled switchover": {func(m *Model) {
			k := keys()
			k["failover"] = `{"leader":"pier1","member":"pier2","scheduled_at":"2030-01-02T03:04:00+00:00"}`
			m.See(sight(later, k))
		}, []string{"Coming  switchover from pier1 to pier2 at 2030-01-02T03:04:00+00:00"}},
		"a scheduled restart": {func(m *Model) {
			k := keys()
			k["members/pier2"] = strings.TrimSuffix(k["members/pier2"], "}") + `,"scheduled_restart":{"schedule":"2030-01-02T03:04:00+00:00","postgres_version":"16.2"}}`
			m.See(sight(later, k))
		}, []string{"Coming  restart of pier2 at 2030-01-02T03:04:00+00:00 if version < 16.2"}},
		"quorum mode": {func(m *Model) {
			k := keys()
			k["config"], k["sync"] = `{"synchronous_mode":"quorum"}`, `{"leader":"pier1","sync_standby":"pier2","quorum":1}`
			m.See(sight(later, k))
		}, []string{"synchronous: quorum of pier2", "quorum standby"}},
		"a crash":            {func(m *Model) { w := leaderWord(later); w.State, w.Location = cluster.StateCrashed, 0; m.Hear(w) }, []string{"!  pier1", "crashed"}},
		"a member that left": {func(m *Model) { k := keys(); delete(k, "members/pier2"); m.See(sight(later, k)) }, []string{"pier2 has gone from the store"}},
		"another timeline": {func(m *Model) {
			k := keys()
			k["members/pier2"] = strings.Replace(k["members/pier2"], `"timeline":2`, `"timeline":1`, 1)
			m.See(sight(later, k))
		},
			[]string{"pier2 is on timeline 1, was on 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := healthy()
			c.happens(m)
			got := m.Draw(plainScreen(140, 0, later))
			for _, text := range c.says {
				if !strings.Contains(got, text) {
					t.Errorf("%q is missing in\n%s", text, got)
				}
			}
		})
	}
}

func TestAPictureFitsTheScreen(t *testing.T) {
	m := healthy()
	for i := range 200 {
		m.note(noon, fmt.Sprintf("event %d \x1b[2J\n", i))
		m.Sample(noon)
	}
	for _, width := range []int{1, 10, 40, 60, 80, 100, 140, 250} {
		for _, height := range []int{1, 5, 12, 24, 60} {
			s := Screen{Width: width, Height: height, Now: noon, Keys: "q quits"}
			lines := strings.Split(strings.TrimSuffix(m.Draw(s), "\n"), "\n")
			if len(lines) != height {
				t.Errorf("%d×%d: %d lines", width, height, len(lines))
			}
			for _, line := range lines {
				if n := len([]rune(line)); n > width || strings.Contains(line, "\x1b") {
					t.Errorf("%d×%d: %d wide, or with an escape: %q", width, height, n, line)
				}
			}
		}
	}
}

func TestPaintAddsNothingButPaint(t *testing.T) {
	m := healthy()
	m.Hear(Word{Name: "pier2", At: noon, Err: context.DeadlineExceeded})
	s := plainScreen(140, 0, noon)
	bare := m.Draw(s)
	s.Paint = true
	painted := m.Draw(s)
	for _, paint := range []string{strong, weak, attention, alarm, "\x1b[0m"} {
		painted = strings.ReplaceAll(painted, paint, "")
	}
	trim := func(text string) string {
		lines := strings.Split(text, "\n")
		for i := range lines {
			lines[i] = strings.TrimRight(lines[i], " ")
		}
		return strings.Join(lines, "\n")
	}
	if trim(painted) != bare {
		t.Errorf("without its paint the picture is\n%s\nnot\n%s", painted, bare)
	}
}

func TestCurves(t *testing.T) {
	for _, c := range []struct {
		points []float64
		width  int
		ascii  bool
		want   string
	}{
		{nil, 4, false, "    "},
		{[]float64{0, 1000}, 4, false, "  ▁▁"}, // a few records are no mountain
		{[]float64{0, 1 << 20, 4 << 20, gap, 8 << 20}, 5, false, "▁▂▅·█"},
		{[]float64{8 << 20, 0, 1 << 20}, 2, false, "▁█"}, // the peak is that of what is seen
		{[]float64{0, gap, 8 << 20}, 4, true, " _ @"},
	} {
		if got, _ := curve(c.points, c.width, c.ascii); got != c.want {
			t.Errorf("%v: got %q, want %q", c.points, got, c.want)
		}
	}
}

func TestSizesAndDurations(t *testing.T) {
	for bytes, want := range map[float64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 16 << 20: "16 MB", 3 << 29: "1.5 GB"} {
		if got := size(bytes); got != want {
			t.Errorf("%v bytes: got %q, want %q", bytes, got, want)
		}
	}
	for d, want := range map[time.Duration]string{-1: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m01s", 3700 * time.Second: "1h01m", 50 * time.Hour: "2d02h"} {
		if got := duration(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

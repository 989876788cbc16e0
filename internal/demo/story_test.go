package demo

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"matriarch/internal/cluster"
)

func TestTheOutageIsFromTheLastRowToTheNext(t *testing.T) {
	w := newWriter(nil)
	at := func(ms int) time.Time { return time.Unix(1000, 0).Add(time.Duration(ms) * time.Millisecond) }
	w.took(1, 15431, at(0))
	w.took(2, 15431, at(10))
	w.failed(t.Context(), at(30))
	w.failed(t.Context(), at(900)) // another try that failed begins no new outage
	if p, _ := w.look(); !p.broken.Equal(at(30)) || p.acked != 2 {
		t.Fatalf("%+v", p)
	}
	w.took(9, 15432, at(2010)) // the numbers between went to nobody
	p, _ := w.look()
	if p.gap != 2*time.Second || !p.broken.IsZero() || p.resumedPort != 15432 || !p.resumed.Equal(at(2010)) {
		t.Fatalf("%+v", p)
	}
	w.took(10, 15432, at(2020))
	if p, _ = w.look(); p.gap != 2*time.Second || p.acked != 4 || last(w.acknowledged()) != 10 {
		t.Fatalf("%+v", p)
	}
}

func TestTheEndOfTheDemonstrationIsNoOutage(t *testing.T) {
	w := newWriter(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.failed(ctx, time.Now())
	if p, _ := w.look(); !p.broken.IsZero() {
		t.Fatalf("%+v", p)
	}
}

func TestWaitingForTheWriterEndsWithItsCause(t *testing.T) {
	ctx, cancel := within(t.Context(), time.Millisecond, "no row")
	defer cancel()
	_, err := newWriter(nil).await(ctx, func(p progress) bool { return p.acked > 0 })
	if err == nil || !strings.Contains(err.Error(), "no row") {
		t.Fatalf("%v", err)
	}
}

func member(name string, change func(*cluster.Member)) cluster.Member {
	m := cluster.Member{Name: name, State: cluster.StateRunning, Role: cluster.RoleReplica, ReplicationState: cluster.Streaming,
		Timeline: 2, Modified: 50}
	if change != nil {
		change(&m)
	}
	return m
}

func TestOnlyAStandbyOfTheNewTimelineHasComeBack(t *testing.T) {
	primary := member("n2", func(m *cluster.Member) { m.Role, m.ReplicationState = cluster.RolePrimary, "" })
	for name, c := range map[string]struct {
		change func(*cluster.Member)
		want   bool
	}{
		"it streams":                        {nil, true},
		"the key of its earlier life":       {func(m *cluster.Member) { m.Modified = 40 }, false},
		"on the old timeline":               {func(m *cluster.Member) { m.Timeline = 1 }, false},
		"it reads from the archive":         {func(m *cluster.Member) { m.ReplicationState = cluster.InArchiveRecovery }, false},
		"it starts":                         {func(m *cluster.Member) { m.State = cluster.StateStarting }, false},
		"it runs and does not receive more": {func(m *cluster.Member) { m.ReplicationState = "" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			v := cluster.View{Leader: cluster.Leader{Name: "n2"}, Members: []cluster.Member{member("n1", c.change), primary}}
			if got := streams(v, "n1", 40); got != c.want {
				t.Fatalf("streams: %v", got)
			}
			if !leads(v) {
				t.Fatal("n2 does not lead")
			}
		})
	}
	v := cluster.View{Leader: cluster.Leader{Name: "n2"}, Members: []cluster.Member{member("n2", nil)}}
	if leads(v) {
		t.Fatal("a leader in recovery takes no writes")
	}
}

func TestTable(t *testing.T) {
	got := drawTable([]row{
		{"node1", "127.0.0.1:15431", "leader", "running", "2", "", "takes writes"},
		{"node2", "127.0.0.1:15432", "", "down", "", "", "killed"},
	})
	want := "" +
		"  member  address          role    state    TL  lag  what it is doing\n" +
		"  -------------------------------------------------------------------\n" +
		"  node1   127.0.0.1:15431  leader  running  2        takes writes    \n" +
		"  node2   127.0.0.1:15432          down              killed          \n"
	if got != want {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
}

func TestHowANodeCameBackIsItsOwnWord(t *testing.T) {
	for text, want := range map[string]string{
		`level=INFO msg="rewind is complete" took=1s`:                          "rewound",
		`msg="rewind begins"` + "\n" + `msg="base backup is complete" took=1s`: "copied anew",
		`msg="the leader's history contains ours: streaming from it"`:          "",
	} {
		if got := cameBack(text); got != want {
			t.Errorf("%s: %q", text, got)
		}
	}
	if got := tail("a\nb\nc\n", 2); got != "b\nc" {
		t.Errorf("tail: %q", got)
	}
}

func TestTheStoryStandsAboveTheTable(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "screen")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s := newScreen(file)
	s.Draw("never seen: this is no terminal")
	s.Say("one")
	s.live = true
	s.Draw("table\nrow")
	s.Say("two")
	s.Draw("table\nother row")
	s.Close()
	s.Draw("late")
	s.Say("three")
	text, err := io.ReadAll(io.NewSectionReader(file, 0, 1<<16))
	want := "one\ntable\nrow\n" + "\x1b[2A\r\x1b[J" + "two\ntable\nrow\n" + "\x1b[2A\r\x1b[J" + "table\nother row\nthree\n"
	if err != nil || string(text) != want {
		t.Fatalf("%q, want %q, %v", text, want, err)
	}
}

package traffic

import (
	"strings"
	"testing"
	"time"
)

func TestJudge(t *testing.T) {
	now := time.Now()
	w := &Writer{rows: []attempt{{Acknowledged, now, "a"}, {}, {Acknowledged, now, "a"}, {Acknowledged, now, "b"}, {}}}
	for _, c := range []struct {
		name string
		rows []Row
		lost int
		odd  int
	}{
		{"everything is there, and one without an answer", []Row{{0, "a"}, {1, "a"}, {2, "a"}, {3, "b"}}, 0, 0},
		{"an acknowledged row is missing", []Row{{0, "a"}, {3, "b"}}, 1, 0},
		{"a row was written by another server than the one that acknowledged it", []Row{{0, "a"}, {2, "b"}, {3, "b"}}, 0, 1},
		{"a row that was never sent", []Row{{0, "a"}, {2, "a"}, {3, "b"}, {5, "b"}}, 0, 1},
	} {
		v := w.Judge(c.rows, 5)
		if len(v.Lost) != c.lost || len(v.Strange) != c.odd || v.Acknowledged != 3 || v.Unknown != 2 {
			t.Errorf("%s: %s", c.name, v)
		}
	}
}

func TestDifference(t *testing.T) {
	same := []Row{{1, "a"}, {2, "b"}}
	if d := Difference(same, same); d != "" {
		t.Errorf("equal sets differ: %s", d)
	}
	d := Difference(same, []Row{{1, "a"}, {2, "c"}})
	for _, want := range []string{"only the first has 1 rows: 2 by b", "only the second has 1 rows: 2 by c"} {
		if !strings.Contains(d, want) {
			t.Errorf("%q lacks %q", d, want)
		}
	}
}

func TestOutage(t *testing.T) {
	t0 := time.Now().Add(-10 * time.Second)
	at := func(s float64) attempt {
		return attempt{Acknowledged, t0.Add(time.Duration(s * float64(time.Second))), "a"}
	}
	w := &Writer{rows: []attempt{at(0), at(3), {}, at(5), at(6), at(10)}}
	for since, want := range map[float64]time.Duration{0: 4 * time.Second, 3.5: 4 * time.Second, -1: 4 * time.Second} {
		if got := w.Outage(at(since).done); got.Round(time.Second) != want {
			t.Errorf("since %v: %v, not %v", since, got, want)
		}
	}
	w.rows = w.rows[:3]
	if got := w.Outage(t0); got.Round(time.Second) != 7*time.Second {
		t.Errorf("an outage that goes on: %v, not 7s", got)
	}
}

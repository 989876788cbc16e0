package wal

import "testing"

func TestARoundTripThroughTheHistoryFile(t *testing.T) {
	h, err := ParseHistory(3, "1\t0/3000000\tbefore 2000-01-01 00:00:00+00\n2\tA/BC\tno recovery target specified\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := (Point{Timeline: 3, LSN: 0xA000000BC}).String(); got != "3@A/BC" {
		t.Errorf("point %s", got)
	}
	if end, closed := h.End(2); !closed || end != 0xA000000BC {
		t.Errorf("timeline 2 ends at %s, %v", end, closed)
	}
	if _, closed := h.End(3); closed {
		t.Error("the last timeline is still open")
	}
}

func TestABrokenHistoryIsAnError(t *testing.T) {
	for name, text := range map[string]string{
		"no switch point":        "1\n",
		"no number":              "one\t0/1\tx\n",
		"no LSN":                 "1\t01\tx\n",
		"falling timelines":      "2\t0/1\tx\n1\t0/2\tx\n",
		"the same timeline":      "1\t0/1\tx\n1\t0/2\tx\n",
		"its own ancestor":       "4\t0/1\tx\n",
		"a timeline of 33 bits":  "8589934592\t0/1\tx\n",
		"a timeline below zero":  "-1\t0/1\tx\n",
		"an LSN of too much":     "1\t1FFFFFFFF/0\tx\n",
		"an LSN of three halves": "1\t0/0/0\tx\n",
	} {
		if h, err := ParseHistory(4, text); err == nil {
			t.Errorf("%s: accepted as %+v", name, h)
		}
	}
}

// FuzzAgreement holds what rejoining relies on: histories agree whichever is asked,
// each with itself, and one that contains a point contains all before it on that
// timeline.
func FuzzAgreement(f *testing.F) {
	f.Add("1\t0/3000000\tx\n", "1\t0/3000000\tx\n2\t0/4000000\tx\n", uint32(1), uint64(0x3000000))
	f.Add("1\t0/3000000\tx\n", "1\t0/2000000\tx\n", uint32(2), uint64(0))
	f.Fuzz(func(t *testing.T, first, second string, timeline uint32, lsn uint64) {
		a, errA := ParseHistory(9, first)
		b, errB := ParseHistory(9, second)
		if errA != nil || errB != nil {
			return
		}
		if a.Agrees(b) != b.Agrees(a) || !a.Agrees(a) {
			t.Fatalf("%+v and %+v", a, b)
		}
		p := Point{Timeline: Timeline(timeline), LSN: LSN(lsn)}
		if a.Contains(p) && (!a.Has(p.Timeline) || !a.Contains(Point{Timeline: p.Timeline, LSN: p.LSN / 2})) {
			t.Fatalf("%+v contains %s", a, p)
		}
		parsed, err := ParseLSN(p.LSN.String())
		if err != nil || parsed != p.LSN {
			t.Fatalf("%s is read as %s: %v", p.LSN, parsed, err)
		}
	})
}

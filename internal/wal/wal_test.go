package wal

import "testing"

func TestLSNText(t *testing.T) {
	for _, text := range []string{"0/0", "0/3000148", "16/B374D848", "FFFFFFFF/FFFFFFFF"} {
		lsn, err := ParseLSN(text)
		if err != nil {
			t.Fatal(err)
		}
		if lsn.String() != text {
			t.Errorf("ParseLSN(%q).String() = %q", text, lsn.String())
		}
	}
	for _, text := range []string{"", "0", "/", "0/", "g/0", "0/100000000", "1/2/3"} {
		if _, err := ParseLSN(text); err == nil {
			t.Errorf("ParseLSN(%q) is accepted", text)
		}
	}
}

func TestPointOrder(t *testing.T) {
	behind := Point{Timeline: 3, LSN: 0x5000000}
	ahead := Point{Timeline: 4, LSN: 0x3000000}
	if behind.Compare(ahead) >= 0 {
		t.Error("a later timeline must count for more than a higher LSN")
	}
	if behind.Compare(behind) != 0 {
		t.Error("a point equals itself")
	}
}

func TestHistoryContains(t *testing.T) {
	h, err := ParseHistory(4, "1\t0/3000000\tno recovery target specified\n\n# note\n3\t0/5000000\tbefore 2000\n")
	if err != nil {
		t.Fatal(err)
	}
	if h.Switches[0].Reason != "no recovery target specified" {
		t.Errorf("reason = %q", h.Switches[0].Reason)
	}
	cases := []struct {
		name string
		at   Point
		want bool
	}{
		{"an ancestor before its end", Point{1, 0x2000000}, true},
		{"an ancestor exactly at its end", Point{1, 0x3000000}, true},
		{"an ancestor beyond its end has forked off", Point{1, 0x3000001}, false},
		{"a timeline that is no ancestor has forked off", Point{2, 0x1}, false},
		{"the open timeline", Point{4, 0x9000000}, true},
		{"a later timeline", Point{5, 0x1}, false},
	}
	for _, c := range cases {
		if got := h.Contains(c.at); got != c.want {
			t.Errorf("%s: Contains(%s) = %v", c.name, c.at, got)
		}
	}
	if !h.Has(4) || !h.Has(3) || h.Has(2) {
		t.Error("Has must know the open timeline and the ancestors, and nothing else")
	}
}

func TestHistoryAgrees(t *testing.T) {
	ours := History{Timeline: 3, Switches: []Switch{{Timeline: 1, LSN: 100}, {Timeline: 2, LSN: 200}}}
	twin := History{Timeline: 3, Switches: []Switch{{Timeline: 1, LSN: 100}, {Timeline: 2, LSN: 300}}}
	parent := History{Timeline: 2, Switches: []Switch{{Timeline: 1, LSN: 100}}}
	if ours.Agrees(twin) {
		t.Error("timelines of one number that began at different places are not the same")
	}
	if !ours.Agrees(parent) || !parent.Agrees(ours) {
		t.Error("a timeline agrees with its parent")
	}
}

func FuzzParseHistory(f *testing.F) {
	f.Add("1\t0/3000000\treason\n")
	f.Add("2 0/0\n1 0/0\n")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ParseHistory(7, text)
		if err != nil {
			return
		}
		for _, s := range h.Switches {
			if s.Timeline >= 7 {
				t.Fatalf("ancestor %d of 7", s.Timeline)
			}
		}
	})
}

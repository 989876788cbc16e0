package cluster

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"matriarch/internal/wal"
)

var failsafeOn = func() Settings { s := DefaultSettings(); s.Failsafe = true; return s }()

func TestFailsafeKeyIsReadLeniently(t *testing.T) {
	for data, want := range map[string]map[string]string{
		`{"n1":"http://a/patroni","n2":"http://b/patroni"}`: {"n1": "http://a/patroni", "n2": "http://b/patroni"},
		`{}`:                         {},
		`{"n1":"http://a","n2":5}`:   {"n1": "http://a", "n2": ""},
		`{"n1":null}`:                {"n1": ""},
		``:                           nil,
		`["n1"]`:                     nil,
		`null`:                       nil,
		`"n1"`:                       nil,
		`{"n1":"http://a"} {"n2":""`: nil,
	} {
		v := Parse(1, map[string]Entry{"failsafe": {Data: []byte(data)}})
		if !reflect.DeepEqual(v.Failsafe, want) || (len(v.Faults) > 0) != (want == nil && data != "") {
			t.Errorf("%q: got %v, faults %q", data, v.Failsafe, v.Faults)
		}
	}
}

// TestFailsafeWrite is B-540 and B-541.
func TestFailsafeWrite(t *testing.T) {
	members := []Member{{Name: "n1", APIURL: "http://a"}, {Name: "n2", APIURL: "http://b"}, {Name: "n3"}}
	whole := map[string]string{"n1": "http://a", "n2": "http://b"}
	for name, c := range map[string]struct {
		s      Settings
		stored map[string]string
		want   string
	}{
		"the first time":                       {failsafeOn, nil, `{"n1":"http://a","n2":"http://b"}`},
		"a member came":                        {failsafeOn, map[string]string{"n1": "http://a"}, `{"n1":"http://a","n2":"http://b"}`},
		"a member went":                        {failsafeOn, map[string]string{"n1": "http://a", "n2": "http://b", "n4": "http://d"}, `{"n1":"http://a","n2":"http://b"}`},
		"nothing changed":                      {failsafeOn, whole, ""},
		"the mode is off, and the key remains": {DefaultSettings(), map[string]string{"n9": ""}, ""},
	} {
		data, due := View{Members: members, Failsafe: c.stored}.FailsafeWrite(c.s, "n1", "http://a")
		if string(data) != c.want || due != (c.want != "") {
			t.Errorf("%s: %q, %v", name, data, due)
		}
	}
	// The leader is in it even before its member key is.
	if m := FailsafeMap(nil, "n1", "http://a"); !maps.Equal(m, map[string]string{"n1": "http://a"}) {
		t.Errorf("got %v", m)
	}
}

// TestFailsafeApplies is B-540, B-090 and B-553.
func TestFailsafeApplies(t *testing.T) {
	paused := failsafeOn
	paused.Pause = true
	for name, c := range map[string]struct {
		s               Settings
		primary, silent bool
		want            bool
	}{
		"a primary without the store":             {failsafeOn, true, true, true},
		"B-540: the mode is off":                  {DefaultSettings(), true, true, false},
		"B-553: the store said that it lost":      {failsafeOn, true, false, false},
		"B-092: a standby":                        {failsafeOn, false, true, false},
		"B-093: paused, nothing at all":           {paused, true, true, false},
		"a standby of a cluster without the mode": {DefaultSettings(), false, true, false},
	} {
		if got := FailsafeApplies(c.s, c.primary, c.silent); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestFailsafeOthers is B-542 and B-543.
func TestFailsafeOthers(t *testing.T) {
	for name, c := range map[string]struct {
		stored string
		want   map[string]string
		ok     bool
	}{
		"B-542: no map":                    {``, nil, false},
		"B-542: not a map":                 {`["n1"]`, nil, false},
		"B-542: not in it":                 {`{"n2":"b"}`, nil, false},
		"B-542: an empty map":              {`{}`, nil, false},
		"B-543: alone":                     {`{"n1":"a"}`, map[string]string{}, true},
		"B-543: every other entry":         {`{"n1":"a","n2":"b","n3":""}`, map[string]string{"n2": "b", "n3": ""}, true},
		"without an address, it is listed": {`{"n1":7}`, map[string]string{}, true},
	} {
		v := Parse(1, map[string]Entry{"failsafe": {Data: []byte(c.stored)}})
		others, ok := FailsafeOthers(v.Failsafe, "n1")
		if ok != c.ok || !maps.Equal(others, c.want) {
			t.Errorf("%s: %v, %v", name, others, ok)
		}
		if _, still := v.Failsafe["n1"]; ok && !still {
			t.Errorf("%s: the view was changed", name)
		}
	}
}

// TestFailsafeGranted is B-543 and B-546.
func TestFailsafeGranted(t *testing.T) {
	others := map[string]string{"n2": "b", "n3": "c"}
	yes2, yes3 := FailsafeAnswer{Member: "n2", Accepted: true, Position: 7}, FailsafeAnswer{Member: "n3", Accepted: true}
	for name, c := range map[string]struct {
		others  map[string]string
		answers []FailsafeAnswer
		want    bool
	}{
		"B-546: all":                        {others, []FailsafeAnswer{yes2, yes3}, true},
		"B-543: alone":                      {map[string]string{}, nil, true},
		"B-546: one is silent":              {others, []FailsafeAnswer{yes2}, false},
		"B-546: one refuses, no majority":   {others, []FailsafeAnswer{yes2, {Member: "n3", Position: 8}}, false},
		"a stranger does not count for one": {others, []FailsafeAnswer{yes2, {Member: "n4", Accepted: true}}, false},
	} {
		positions, granted := FailsafeGranted(c.others, c.answers)
		if granted != c.want {
			t.Errorf("%s: %v", name, granted)
		}
		if want := map[string]wal.LSN{"n2": 7}; len(c.answers) == 2 && granted && !maps.Equal(positions, want) {
			t.Errorf("%s: positions %v, want %v", name, positions, want)
		}
	}
}

// TestFailsafeCall is B-544.
func TestFailsafeCall(t *testing.T) {
	c := FailsafeCall{Name: "node1", ConnURL: "postgres://127.0.0.1:5431/postgres", APIURL: "http://127.0.0.1:8001/patroni",
		Slots: map[string]wal.LSN{"node2": 67108960, "node1": 9007199254740993}}
	want := `{"name":"node1","conn_url":"postgres://127.0.0.1:5431/postgres","api_url":"http://127.0.0.1:8001/patroni",` +
		`"slots":{"node1":9007199254740993,"node2":67108960}}`
	if got := string(c.Encode()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, err := readCall(t, want); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("read back as %+v, %v", got, err)
	}
	c.Slots = nil // they could not be read
	if strings.Contains(string(c.Encode()), "slots") {
		t.Errorf("got %s", c.Encode())
	}
	for body, missing := range map[string]string{
		`{"conn_url":"c","api_url":"a"}`:             "name",
		`{"name":"","conn_url":"c","api_url":"a"}`:   "name",
		`{"name":"n","conn_url":null,"api_url":"a"}`: "conn_url",
		`{"name":"n","conn_url":"c","api_url":[1]}`:  "api_url",
	} {
		if _, err := readCall(t, body); err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("%s: %v", body, err)
		}
	}
	got, err := readCall(t, `{"name":5,"conn_url":"c","api_url":"a","slots":{"a":1,"b":"2","c":null,"d":-1,"e":{}}}`)
	if err != nil || got.Name != "5" || !maps.Equal(got.Slots, map[string]wal.LSN{"a": 1, "b": 2}) {
		t.Errorf("odd values: %+v, %v", got, err)
	}
	if got, err = readCall(t, `{"name":"n","conn_url":"c","api_url":"a","slots":"none"}`); err != nil || got.Slots != nil {
		t.Errorf("odd slots: %+v, %v", got, err)
	}
}

func readCall(t *testing.T, body string) (FailsafeCall, error) {
	t.Helper()
	var doc map[string]any
	d := json.NewDecoder(bytes.NewReader([]byte(body)))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	return ReadFailsafeCall(doc)
}

// TestFailsafePeers is B-550 with B-113.
func TestFailsafePeers(t *testing.T) {
	v := View{Members: []Member{{Name: "n2", APIURL: "http://new"}, {Name: "n4", APIURL: "http://d"}},
		Failsafe: map[string]string{"n1": "http://a", "n2": "http://old", "n3": "http://c"}}
	got := v.FailsafePeers(failsafeOn)
	want := []Member{{Name: "n1", APIURL: "http://a"}, {Name: "n2", APIURL: "http://new"}, {Name: "n3", APIURL: "http://c"}, {Name: "n4", APIURL: "http://d"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if got = v.FailsafePeers(DefaultSettings()); len(got) != 2 || len(v.Members) != 2 {
		t.Errorf("without the mode: %+v", got)
	}
}

var heard = FailsafeCall{Name: "n1", ConnURL: "postgres://1.1.1.1:5432/postgres", APIURL: "http://1.1.1.1:8008/patroni",
	Slots: map[string]wal.LSN{"n2": 500}}

// leaderless is what a standby n2 reads when n1's key has ended.
func leaderless() View {
	return View{Status: Status{Known: true, Optime: 400, Slots: map[string]wal.LSN{"n2": 300, "old": 1}},
		Members: []Member{{Name: "n2", APIURL: "http://b"}, {Name: "n3", APIURL: "http://c", Tags: Tags{"replicatefrom": "n2"}, Location: 100}}}
}

// TestAPrimaryThatCalledLives is B-549 and B-551 on a standby.
func TestAPrimaryThatCalledLives(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		s      Settings
		view   func(*View)
		age    time.Duration
		leader string
		slots  map[string]wal.LSN
	}{
		"B-549: a moment ago":       {failsafeOn, nil, 0, "n1", heard.Slots},
		"just within ttl":           {failsafeOn, nil, 30*time.Second - 1, "n1", heard.Slots},
		"B-549: ttl ago":            {failsafeOn, nil, 30 * time.Second, "", leaderless().Status.Slots},
		"B-540: the mode is off":    {DefaultSettings(), nil, 0, "", leaderless().Status.Slots},
		"its key is still there":    {failsafeOn, func(v *View) { v.Leader = Leader{Name: "n1", Modified: 7} }, 0, "n1", heard.Slots},
		"another one was promoted":  {failsafeOn, func(v *View) { v.Leader = Leader{Name: "n3", Modified: 7} }, 0, "n3", leaderless().Status.Slots},
		"its member key is still t": {failsafeOn, func(v *View) { v.Members = append([]Member{{Name: "n1", Timeline: 3}}, v.Members...) }, 0, "n1", heard.Slots},
	} {
		t.Run(name, func(t *testing.T) {
			v := leaderless()
			if c.view != nil {
				c.view(&v)
			}
			before := v
			before.Members = append([]Member(nil), v.Members...)
			var f FailsafeRecord
			f.Heard(heard, now.Add(-c.age))
			got := f.Over(v, c.s, "n2", now)
			if got.Leader.Name != c.leader || !maps.Equal(got.Status.Slots, c.slots) {
				t.Errorf("leader %+v, slots %v", got.Leader, got.Status.Slots)
			}
			if got.Leader.Modified != v.Leader.Modified {
				t.Errorf("a term was made up: %+v", got.Leader)
			}
			if m, ok := got.Member("n1"); v.Leader.Name == "" && c.leader == "n1" && (!ok || m.ConnURL != heard.ConnURL || m.APIURL != heard.APIURL) {
				t.Errorf("the leader is known as %+v", m)
			}
			if m, ok := v.Member("n1"); ok && c.leader == "n1" && v.Leader.Name == "" {
				if now, _ := got.Member("n1"); now.Timeline != m.Timeline {
					t.Errorf("what its member key says is lost: %+v", now)
				}
			}
			if !reflect.DeepEqual(v, before) {
				t.Errorf("the view that was read has changed: %+v", v)
			}
		})
	}
}

// TestPositionsOfAGrantedRound is B-551 on the primary.
func TestPositionsOfAGrantedRound(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	v := leaderless()
	v.Leader = Leader{Name: "n1", Modified: 7}
	var f FailsafeRecord
	f.Granted(map[string]wal.LSN{"n2": 800, "n3": 700}, now)
	got := f.Over(v, failsafeOn, "n1", now.Add(time.Second))
	if n2, _ := got.Member("n2"); n2.Location != 0 {
		t.Errorf("a slot of a direct standby is taken from its answer: %v", n2.Location)
	}
	if n3, _ := got.Member("n3"); n3.Location != 700 || v.Members[1].Location != 100 {
		t.Errorf("a cascading member: %v, in the view that was read %v", n3.Location, v.Members[1].Location)
	}
	if got.Leader != v.Leader || !maps.Equal(got.Status.Slots, v.Status.Slots) {
		t.Errorf("got %+v", got)
	}
}

// TestFailsafeIsActive is B-552, with B-547 and B-548: what a round changes.
func TestFailsafeIsActive(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var f FailsafeRecord
	if f.Active(failsafeOn, now) || !f.Until(failsafeOn).IsZero() {
		t.Error("active before anything happened")
	}
	f.Granted(nil, now)
	for after, want := range map[time.Duration]bool{0: true, 30*time.Second - 1: true, 30 * time.Second: false} {
		if got := f.Active(failsafeOn, now.Add(after)); got != want {
			t.Errorf("%v after a grant: %v", after, got)
		}
	}
	if f.Active(DefaultSettings(), now) || !f.Until(DefaultSettings()).IsZero() {
		t.Error("active with the mode off")
	}
	if got := f.Until(failsafeOn); !got.Equal(now.Add(30 * time.Second)) {
		t.Errorf("the others' promise ends %v", got)
	}
	f.Granted(nil, now.Add(10*time.Second)) // B-547: every pass again
	if got := f.Until(failsafeOn); !got.Equal(now.Add(40 * time.Second)) {
		t.Errorf("after the next round: %v", got)
	}
	f.Clear() // B-548, B-552
	if f.Active(failsafeOn, now.Add(10*time.Second)) || !f.Until(failsafeOn).IsZero() {
		t.Error("active after it was cleared")
	}
	f.Heard(heard, now)
	if !f.Active(failsafeOn, now.Add(29*time.Second)) || f.Active(failsafeOn, now.Add(30*time.Second)) {
		t.Error("a standby that was called is not active for ttl")
	}
	if !f.Until(failsafeOn).IsZero() {
		t.Error("a call from another gives this node a right")
	}
}

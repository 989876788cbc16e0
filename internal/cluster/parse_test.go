package cluster

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"matriarch/internal/wal"
)

// example is a whole prefix as Patroni 4.1.4 wrote it (compat/dcs.md).
var example = map[string]string{
	"initialize": "7711295878037623665",
	"config": `{"ttl":30,"loop_wait":5,"retry_timeout":5,"maximum_lag_on_failover":1048576,` +
		`"postgresql":{"use_pg_rewind":true,"use_slots":true,"parameters":{"max_connections":50}}}`,
	"leader":   "node1",
	"status":   `{"optime":67108960,"slots":{"node1":67108960,"node2":67108960,"node3":67108960},"retain_slots":["node1","node2","node3"]}`,
	"history":  `[[1,100663688,"no recovery target specified","2026-11-23T09:29:08.424314+00:00","node2"],[2,100664360,"no recovery target specified","2026-11-23T09:29:54.117697+00:00","node1"]]`,
	"failover": `{"leader":"node1","member":"node3","scheduled_at":"2030-01-01T02:00:00+02:00"}`,
	"sync":     `{"leader":"node1","quorum":2,"sync_standby":"node2,node3,node4"}`,
	"failsafe": `{"node1":"http://127.0.0.1:8001/patroni","node3":"http://127.0.0.1:8003/patroni"}`,
	"members/node1": `{"conn_url":"postgres://127.0.0.1:5431/postgres","api_url":"http://127.0.0.1:8001/patroni","state":"running",` +
		`"role":"primary","version":"4.1.4","tags":{"clonefrom":true},"xlog_location":67108960,"timeline":1}`,
	"members/node2": `{"conn_url":"postgres://127.0.0.1:5432/postgres","api_url":"http://127.0.0.1:8002/patroni","state":"running",` +
		`"role":"replica","version":"4.1.4","tags":{"clonefrom":true,"datacenter":"east","failover_priority":2,"nofailover":false},` +
		`"pending_restart":true,"pending_restart_reason":{"max_connections":{"old_value":"50","new_value":"60"}},` +
		`"xlog_location":67108960,"replay_lsn":67108960,"receive_lsn":67108960,"replication_state":"streaming","timeline":1,"pause":true}`,
	"members/node3": `{"conn_url":"postgres://127.0.0.1:5433/postgres","api_url":"http://127.0.0.1:8003/patroni","state":"creating replica",` +
		`"role":"uninitialized","version":"4.1.4","tags":{"clonefrom":true}}`,
}

func entries(values map[string]string) map[string]Entry {
	out := make(map[string]Entry, len(values))
	for key, value := range values {
		out[key] = Entry{Data: []byte(value), Modified: 7, Lease: 3}
	}
	return out
}

// with is the example with one key changed.
func with(key, value string) View {
	values := maps.Clone(example)
	values[key] = value
	return Parse(9, entries(values))
}

func TestExample(t *testing.T) {
	v := Parse(9, entries(example))
	if len(v.Faults) > 0 {
		t.Errorf("faults: %v", v.Faults)
	}
	if v.Revision != 9 || v.Initialize.SystemID() != "7711295878037623665" || v.Leader != (Leader{"node1", 3, 7}) || v.Timeline() != 3 {
		t.Errorf("got %+v", v)
	}
	if v.Status.Optime != 67108960 || len(v.Status.Slots) != 3 || v.Status.Slots["node2"] != 67108960 || !slices.Equal(v.Status.Retain, []string{"node1", "node2", "node3"}) {
		t.Errorf("status: %+v", v.Status)
	}
	if want := (HistoryLine{2, 100664360, "no recovery target specified", "2026-11-23T09:29:54.117697+00:00", "node1"}); len(v.History.Lines) != 2 || v.History.Lines[1] != want {
		t.Errorf("history: %+v", v.History)
	}
	if want := (Failover{"node1", "node3", "2030-01-01T02:00:00+02:00", 7}); v.Failover != want || !v.Failover.Requested() || !v.Failover.Switchover() {
		t.Errorf("failover: %+v", v.Failover)
	}
	if v.Sync.Leader != "node1" || v.Sync.Quorum != 2 || !slices.Equal(v.Sync.Standbys, []string{"node2", "node3", "node4"}) {
		t.Errorf("sync: %+v", v.Sync)
	}
	if v.Failsafe["node3"] != "http://127.0.0.1:8003/patroni" || len(v.Members) != 3 || v.Members[2].Name != "node3" {
		t.Errorf("got %+v", v)
	}
	if m, ok := v.LeaderMember(); !ok || m.State != StateRunning || m.Role != RolePrimary || m.Position() != 67108960 || m.Lease != 3 {
		t.Errorf("leader: %+v", m)
	}
	if m := v.Members[1]; !m.Pause || !m.PendingRestart || m.PendingReason["max_connections"] != (Change{"50", "60"}) ||
		m.ReplicationState != Streaming || m.Tags.FailoverPriority() != 2 || m.Timeline != 1 || m.CheckpointPending {
		t.Errorf("node2: %+v", m)
	}
}

func TestRoundTrips(t *testing.T) {
	v := Parse(9, entries(example))
	for key, got := range map[string][]byte{
		"status": v.Status.Encode(), "history": v.History.Encode(), "failover": v.Failover.Encode(), "config": EncodeJSON(v.Config.Document),
		"members/node1": v.Members[0].Encode(), "members/node2": v.Members[1].Encode(), "members/node3": v.Members[2].Encode(),
	} {
		want := example[key]
		if key == "config" { // a document has no order of its own
			want = `{"loop_wait":5,"maximum_lag_on_failover":1048576,"postgresql":{"parameters":{"max_connections":50},"use_pg_rewind":true,"use_slots":true},"retry_timeout":5,"ttl":30}`
		}
		if string(got) != want {
			t.Errorf("%s: got\n%s\nwant\n%s", key, got, want)
		}
	}
	if got := string((Failover{}).Encode()); got != "{}" {
		t.Errorf("no request: %s", got)
	}
	if got := string((History{}).Encode()); got != "[]" {
		t.Errorf("no history: %s", got)
	}
	if got := string((History{Lines: []HistoryLine{{Timeline: 1, LSN: 5, Reason: "x", NewLeader: "lost without a time"}}}).Encode()); got != `[[1,5,"x"]]` {
		t.Errorf("a line without a time: %s", got)
	}
}

// Large numbers keep their last digit.
func TestNumbersAreExact(t *testing.T) {
	v := with("status", `{"optime":9007199254740993,"slots":{"a":9223372036854775807}}`)
	if v.Status.Optime != 9007199254740993 || v.Status.Slots["a"] != 9223372036854775807 {
		t.Errorf("got %+v", v.Status)
	}
	m := with("members/node1", `{"xlog_location":9007199254740993,"tags":{"weight":1000000,"id":9007199254740993}}`).Members[0]
	if m.Location != 9007199254740993 || !strings.Contains(string(m.Encode()), `"tags":{"id":9007199254740993,"weight":1000000}`) {
		t.Errorf("got %s", m.Encode())
	}
}

func TestOldForms(t *testing.T) {
	m := with("members/node1", "postgres://u:p@10.0.0.1:5432/db?application_name=http://10.0.0.1:8008/patroni").Members[0]
	if host, port, ok := m.Address(); m.APIURL != "http://10.0.0.1:8008/patroni" || host != "10.0.0.1" || port != 5432 || !ok || m.Database() != "db" {
		t.Errorf("the oldest member: %+v", m)
	}
	if m := with("members/node1", `{"role":"master"}`).Members[0]; m.Role != RolePrimary {
		t.Errorf("master: %+v", m)
	}
	if v := with("status", "24470744"); v.Status.Optime != 24470744 || !v.Status.Known {
		t.Errorf("bare status: %+v", v.Status)
	}
	if v := with("status", `{"optime":"5","slots":"{\"a\": \"6\", \"b\": null}","retain_slots":"[\"a\"]"}`); v.Status.Optime != 5 || v.Status.Slots["a"] != 6 ||
		len(v.Status.Slots) != 2 || !slices.Equal(v.Status.Retain, []string{"a"}) {
		t.Errorf("status in quotes: %+v", v.Status)
	}
	v := Parse(1, entries(map[string]string{"optime/leader": "24470744\n"}))
	if v.Status.Optime != 24470744 {
		t.Errorf("optime/leader: %+v", v.Status)
	}
	if v := with("sync", `{"leader":"a","sync_standby":" b , ,c"}`); !slices.Equal(v.Sync.Standbys, []string{"b", "c"}) || v.Sync.Quorum != 0 {
		t.Errorf("sync without quorum: %+v", v.Sync)
	}
	if v := with("history", `[[1,5,"x"],[2,6,"y","when"]]`); v.Timeline() != 3 || v.History.Lines[1].When != "when" || v.History.Lines[1].NewLeader != "" {
		t.Errorf("short lines: %+v", v.History)
	}
}

func TestFailoverKey(t *testing.T) {
	for value, want := range map[string]Failover{
		"": {}, "{}": {}, "null": {}, `{"scheduled_at":"2030-01-01T00:00Z"}`: {At: "2030-01-01T00:00Z"}, `{"member":"b"}`: {Candidate: "b"},
		"a:b": {Leader: "a", Candidate: "b"}, "garbage": {Leader: "garbage"}, "[]": {}, "5": {}, `{"leader":5,"member":null}`: {},
	} {
		want.Modified = 7
		got := with("failover", value).Failover
		if got != want {
			t.Errorf("%q: got %+v, want %+v", value, got, want)
		}
		if got.Requested() != (want.Leader != "" || want.Candidate != "") {
			t.Errorf("%q: requested %v", value, got.Requested())
		}
	}
}

func TestInitialize(t *testing.T) {
	for value, want := range map[string]string{"": "", "7711295878037623665": "7711295878037623665", "123456789": "", "77112958780376236x5": "", " 7711295878037623665": ""} {
		if got := with("initialize", value).Initialize; got.SystemID() != want || got.Bootstrapping() != (value == "") {
			t.Errorf("%q: %q, bootstrapping %v", value, got.SystemID(), got.Bootstrapping())
		}
	}
	if v := Parse(1, nil); v.Initialize.Present || v.Initialize.Bootstrapping() {
		t.Errorf("an absent key: %+v", v.Initialize)
	}
}

// Garbage costs what it is in, is named, and nothing else.
func TestGarbage(t *testing.T) {
	for _, c := range []struct {
		key, value string
		fault      string // empty: it is treated as absent without a word
		holds      func(View) bool
	}{
		{"config", "nonsense", "config is not", func(v View) bool { return !v.Config.Valid && v.Config.Document == nil && v.Config.Modified == 7 }},
		{"config", "[]", "config is not", func(v View) bool { return !v.Config.Valid }},
		{"config", "null", "config is not", func(v View) bool { return !v.Config.Valid }},
		{"config", `{"ttl":30} {}`, "config is not", func(v View) bool { return !v.Config.Valid }},
		{"config", "{}", "", func(v View) bool { return !v.Config.Valid }},
		{"config", "", "", func(v View) bool { return !v.Config.Valid }},
		{"status", "nonsense", "status is not", func(v View) bool { return !v.Status.Known && v.Status.Optime == 0 }},
		{"status", `{"optime":-5,"slots":[],"retain_slots":{}}`, "", func(v View) bool { return v.Status.Optime == 0 && v.Status.Slots == nil && v.Status.Retain == nil }},
		{"status", `{"optime":1e400}`, "", func(v View) bool { return v.Status.Optime == 0 }},
		{"history", "nonsense", "history is not", func(v View) bool { return !v.History.Known && v.Timeline() == 0 }},
		{"history", "null", "history is not", func(v View) bool { return v.Timeline() == 0 }},
		{"history", `[[1,5,"x"]] x`, "history is not", func(v View) bool { return v.Timeline() == 0 }},
		{"history", `[["x",5,"y"]]`, "", func(v View) bool { return v.Timeline() == 0 }},
		{"history", `[[]]`, "", func(v View) bool { return v.Timeline() == 0 }},
		{"history", `[[4294967297,5,"y"]]`, "", func(v View) bool { return v.Timeline() == 0 }},
		{"history", `[[4294967295,5,"y"]]`, "", func(v View) bool { return v.Timeline() == 0 }},
		{"history", `[["3",5,"y"]]`, "", func(v View) bool { return v.Timeline() == 4 }},
		{"history", "[]", "", func(v View) bool { return v.Timeline() == 1 }},
		{"sync", "nonsense", "sync is not", func(v View) bool { return v.Sync.Leader == "" }},
		{"sync", `{"leader":null,"sync_standby":null,"quorum":"x"}`, "", func(v View) bool { return v.Sync.Leader == "" && len(v.Sync.Standbys) == 0 }},
		{"failsafe", "nonsense", "failsafe is not", func(v View) bool { return v.Failsafe == nil }},
		{"failsafe", "[]", "failsafe is not", func(v View) bool { return v.Failsafe == nil }},
		{"members/node2", "nonsense", "members/node2 is not", func(v View) bool {
			return reflect.DeepEqual(v.Members[1], Member{Name: "node2", Lease: 3, Modified: 7})
		}},
		{"members/node2", "[]", "members/node2 is not", func(v View) bool { return len(v.Members) == 3 }},
		{"members/node2", `{"state":5,"role":[],"timeline":-1,"tags":[],"xlog_location":"x","pending_restart_reason":5,"scheduled_restart":null,"pause":"no"}`, "members/node2 says nothing",
			func(v View) bool {
				return reflect.DeepEqual(v.Members[1], Member{Name: "node2", Lease: 3, Modified: 7})
			}},
		{"status", `{"optime":5,"x":"` + strings.Repeat("9", longestValue) + `"}`, `"status" is`, func(v View) bool { return v.Status.Optime == 0 }},
		{"members/a/b", "{}", "", func(v View) bool { return len(v.Members) == 3 }},
		{"members/", "{}", "", func(v View) bool { return len(v.Members) == 3 }},
		{"unknown", "x", "", func(v View) bool { return v.Leader.Name == "node1" }},
		{"leader", "", "", func(v View) bool { _, ok := v.LeaderMember(); return !ok }},
		{"leader", "gone", "", func(v View) bool { m, ok := v.LeaderMember(); return ok && reflect.DeepEqual(m, Member{Name: "gone"}) }},
	} {
		v := with(c.key, c.value)
		if !c.holds(v) {
			t.Errorf("%s = %s was read as %+v", c.key, c.value, v)
		}
		if len(v.Faults) != min(len(c.fault), 1) || c.fault != "" && !strings.HasPrefix(v.Faults[0], c.fault) {
			t.Errorf("%s = %s: faults %v, want one that begins with %q", c.key, c.value, v.Faults, c.fault)
		}
	}
}

func TestAddress(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://10.0.0.1:5433/postgres": "10.0.0.1 5433", "postgresql://h/db": "h 5432", "postgres://[::1]:5433/db": "::1 5433", "postgres://[::1]/db": "::1 5432",
		"postgres://h1:1,h2:2/db": "h1 1", "postgres://u:p@h:6/db": "h 6", "postgres://h:x/db": "", "postgres://:5432/": "", "postgres:///db": "", "": "", "http://h:1/": "",
	} {
		host, port, ok := Member{ConnURL: url}.Address()
		if got := strings.TrimSpace(host + " " + string(EncodeJSON(port))); ok != (want != "") || ok && got != want {
			t.Errorf("%q: got %q, %v, want %q", url, got, ok, want)
		}
	}
}

func TestPosition(t *testing.T) {
	if got := (Member{Location: 1, ReceiveLSN: 3, ReplayLSN: 2}).Position(); got != wal.LSN(3) {
		t.Errorf("got %s", got)
	}
}

// No bytes whatever under any key make reading fail, and what was read can be
// written, read again, and is the same.
func FuzzParse(f *testing.F) {
	for key, value := range example {
		f.Add(key, value)
		for cut := 0; cut < len(value); cut += 7 {
			f.Add(key, value[:cut])
		}
	}
	for _, value := range []string{"", "null", "[]", "{}", "5", `"x"`, "[[null]]", `{"slots":"null","tags":{"failover_priority":"x"}}`, "\xff", "a:b", "1e999"} {
		for key := range example {
			f.Add(key, value)
		}
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		v := with(key, value)
		v.Timeline()
		v.LeaderMember()
		if _, _, err := ReadSettings(v.Config.Document); err != nil && !v.Config.Valid {
			t.Errorf("no configuration is refused: %v", err)
		}
		values := map[string]string{
			"status": string(v.Status.Encode()), "history": string(v.History.Encode()), "failover": string(v.Failover.Encode()),
		}
		for _, m := range v.Members {
			m.Address()
			m.Tags.Nofailover()
			values["members/"+m.Name] = string(m.Encode())
		}
		again := Parse(9, entries(values))
		for i, m := range again.Members {
			m.Modified, m.Lease = v.Members[i].Modified, v.Members[i].Lease
			if string(m.Encode()) != string(v.Members[i].Encode()) {
				t.Errorf("%s became %s", v.Members[i].Encode(), m.Encode())
			}
		}
		if string(again.Status.Encode()) != values["status"] || string(again.Failover.Encode()) != values["failover"] || string(again.History.Encode()) != values["history"] {
			t.Errorf("%v became %s %s %s", values, again.Status.Encode(), again.Failover.Encode(), again.History.Encode())
		}
	})
}

// TestParseAfterIsParse: whatever was read before, the same content is read the same
// way.
func TestParseAfterIsParse(t *testing.T) {
	entries := map[string]Entry{
		"leader":     {Data: []byte("n1"), Modified: 5, Lease: 3},
		"config":     {Data: []byte(`{"ttl":30}`), Modified: 2},
		"members/n1": {Data: []byte(`{"state":"running","role":"primary","conn_url":"postgres://n1/x","timeline":2}`), Modified: 6, Lease: 3},
		"members/n2": {Data: []byte(`not JSON`), Modified: 7, Lease: 4},
		"status":     {Data: []byte(`{"optime":5}`), Modified: 4},
		"history":    {Data: []byte(`no JSON either`), Modified: 3},
		"failover":   {Data: []byte(`{"leader":"n1"}`), Modified: 4},
		"sync":       {Data: []byte(`{"leader":"n1"}`), Modified: 4},
		"failsafe":   {Data: []byte(`7`), Modified: 4},
		"electorate": {Data: []byte(`{}`), Modified: 4},
	}
	before := Parse(7, entries)
	later := map[string]Entry{
		"leader":     {Data: []byte("n2"), Modified: 9, Lease: 4},
		"config":     {Data: []byte(`{"ttl":20}`), Modified: 8},
		"members/n1": {Data: []byte(`{"state":"stopped","role":"replica","conn_url":"postgres://n1/x"}`), Modified: 10, Lease: 5},
		"members/n2": entries["members/n2"],
		"members/n3": {Data: []byte(`{"state":"running"}`), Modified: 11},
		"status":     {Data: []byte(`{"optime":6}`), Modified: 8},
		"history":    {Data: []byte(`[[1,100,"why"]]`), Modified: 8},
		"failover":   {Data: []byte(`{}`), Modified: 8},
		"sync":       {Data: []byte(`[]`), Modified: 8},
		"failsafe":   {Data: []byte(`{"n1":"http://n1"}`), Modified: 8},
		"electorate": {Data: []byte(`{"leader":"n1","unarmed":true}`), Modified: 8},
	}
	gone := map[string]Entry{"leader": entries["leader"]}
	for name, content := range map[string]map[string]Entry{"the same": entries, "another": later, "less": gone} {
		for what, before := range map[string]View{"first": before, "later": Parse(11, later), "twice": ParseAfter(before, 7, entries)} {
			if got, want := ParseAfter(before, 11, content), Parse(11, content); !reflect.DeepEqual(got, want) {
				t.Errorf("%s content after the %s: %+v, want %+v", name, what, got, want)
			}
		}
	}
}

func TestWhoseServerNothingStopsIsRead(t *testing.T) {
	for text, want := range map[string]string{
		`{"leader":"n1","members":["n2"],"unarmed":true}`: "n1",
		`{"leader":"n1","members":["n2"]}`:                "",
		`{"leader":"n1","unarmed":false}`:                 "",
		`{"leader":"n1","unarmed":true,"released":true}`:  "", // it was stopped before that was written
		`{"unarmed":true}`:                                "",
		`[]`:                                              "",
	} {
		if got := Parse(9, map[string]Entry{"electorate": {Data: []byte(text), Modified: 8}}).Unarmed; got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// TestMembersAreEqualWhenTheyAreWrittenAlike: no field that is published may be
// forgotten, for a change of it would not be.
func TestMembersAreEqualWhenTheyAreWrittenAlike(t *testing.T) {
	stored := Parse(9, entries(example)).Members[1]
	same := stored
	same.Lease, same.Modified = 77, 78
	if !same.Equal(stored) {
		t.Error("members that differ in lease and revision only are not equal")
	}
	none := Member{Tags: Tags{}}
	if !none.Equal(Member{}) {
		t.Error("no tags are not equal to an empty list of tags")
	}
	for i := range reflect.TypeFor[Member]().NumField() {
		other := stored
		field := reflect.ValueOf(&other).Elem().Field(i)
		switch field.Kind() {
		case reflect.Bool:
			field.SetBool(!field.Bool())
		case reflect.String:
			field.SetString(field.String() + "x")
		case reflect.Int64:
			field.SetInt(field.Int() + 1)
		case reflect.Uint32, reflect.Uint64:
			field.SetUint(field.Uint() + 1)
		case reflect.Map:
			field.SetZero()
		case reflect.Slice:
			field.SetBytes([]byte("{}"))
		default:
			t.Fatalf("%s is a %v: say here how it changes", reflect.TypeFor[Member]().Field(i).Name, field.Kind())
		}
		alike := string(other.Encode()) == string(stored.Encode())
		if other.Equal(stored) != alike {
			t.Errorf("%s was changed: equal %v, written alike %v", reflect.TypeFor[Member]().Field(i).Name, other.Equal(stored), alike)
		}
	}
}

// TestWhatIsKnownOfAMemberOutlivesGarbage: the member lives, and writes its key again.
func TestWhatIsKnownOfAMemberOutlivesGarbage(t *testing.T) {
	good := Entry{Data: []byte(`{"state":"running","role":"replica","conn_url":"postgres://n1/x","api_url":"http://n1:8008/patroni","permit":true}`), Modified: 6, Lease: 3}
	before := Parse(7, map[string]Entry{"members/n1": good})
	for _, text := range []string{"", "nonsense", "[]", "{}", `{"x":1}`} {
		v := ParseAfter(before, 8, map[string]Entry{"members/n1": {Data: []byte(text), Modified: 8}})
		want := before.Members[0]
		want.Modified, want.Lease = 8, 0
		if !reflect.DeepEqual(v.Members, []Member{want}) || len(v.Faults) != 1 {
			t.Errorf("%q: %+v, faults %v", text, v.Members, v.Faults)
		}
		if again := Parse(8, map[string]Entry{"members/n1": {Data: []byte(text), Modified: 8}}); again.Members[0].APIURL != "" {
			t.Errorf("%q: known from nowhere: %+v", text, again.Members[0])
		}
	}
}

// TestALeaderKeyWithoutALeaseIsNamed: no member has put it.
func TestALeaderKeyWithoutALeaseIsNamed(t *testing.T) {
	member := Entry{Data: []byte(`{"state":"running","conn_url":"postgres://n1/x"}`), Modified: 6, Lease: 3}
	for name, want := range map[string]string{"n1": "n1", "stranger": "", "\xff": ""} {
		v := Parse(9, map[string]Entry{"leader": {Data: []byte(name), Modified: 9}, "members/n1": member})
		if v.Leader.Name != want || len(v.Faults) != 1 || !strings.HasPrefix(v.Faults[0], "leader: ") {
			t.Errorf("%q: leader %+v, faults %v", name, v.Leader, v.Faults)
		}
	}
}

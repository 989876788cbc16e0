package cluster

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func document(t testing.TB, text string) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := decode([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestSettings(t *testing.T) {
	set := func(change func(*Settings)) Settings {
		s := DefaultSettings()
		change(&s)
		return s
	}
	for _, c := range []struct {
		name, doc string
		want      Settings
	}{
		{"nothing", `{}`, DefaultSettings()},
		{"timings", `{"ttl":40,"loop_wait":"5","retry_timeout":7.9}`, set(func(s *Settings) { s.TTL, s.LoopWait, s.RetryTimeout = 40*time.Second, 5*time.Second, 7*time.Second })},
		{"nulls are defaults", `{"ttl":null,"maximum_lag_on_failover":null}`, DefaultSettings()},
		{"text numbers", `{"maximum_lag_on_failover":"5","max_timelines_history":"3"}`, set(func(s *Settings) { s.MaximumLagOnFailover, s.MaxTimelinesHistory = 5, 3 })},
		{"a unit where none is known", `{"maximum_lag_on_failover":"1MB"}`, DefaultSettings()},
		{"a boolean is no number", `{"maximum_lag_on_failover":true}`, DefaultSettings()},
		{"start timeout", `{"primary_start_timeout":0}`, set(func(s *Settings) { s.PrimaryStartTimeout = 0 })},
		{"old name", `{"master_start_timeout":7}`, set(func(s *Settings) { s.PrimaryStartTimeout = 7 * time.Second })},
		{"the new name wins, even with garbage", `{"primary_start_timeout":"x","master_start_timeout":7}`, DefaultSettings()},
		{"slots ttl with unit", `{"member_slots_ttl":"30min"}`, DefaultSettings()},
		{"slots ttl of none", `{"member_slots_ttl":0}`, set(func(s *Settings) { s.MemberSlotsTTL = 0 })},
		{"slots ttl in ms", `{"member_slots_ttl":"2500 ms"}`, set(func(s *Settings) { s.MemberSlotsTTL = 3 * time.Second })},
		{"slots off", `{"postgresql":{"use_slots":false}}`, set(func(s *Settings) { s.UseSlots = false })},
		{"switches", `{"pause":"on","failsafe_mode":1,"check_timeline":"yes"}`, set(func(s *Settings) { s.Pause, s.Failsafe, s.CheckTimeline = true, true, true })},
		{"switches off", `{"pause":"off","failsafe_mode":0,"check_timeline":"maybe"}`, DefaultSettings()},
		{"synchronous", `{"synchronous_mode":"on"}`, set(func(s *Settings) { s.Synchronous = "on" })},
		{"quorum", `{"synchronous_mode":"Quorum"}`, set(func(s *Settings) { s.Synchronous = "quorum" })},
		{"standby cluster by port", `{"standby_cluster":{"port":5432}}`, set(func(s *Settings) { s.StandbyCluster = true })},
		{"standby cluster of nothing", `{"standby_cluster":{"host":"","port":0}}`, DefaultSettings()},
		{"a standby cluster is never synchronous", `{"synchronous_mode":"quorum","standby_cluster":{"host":"x"}}`, set(func(s *Settings) { s.StandbyCluster = true })},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, notes, err := ReadSettings(document(t, c.doc))
			if err != nil || !reflect.DeepEqual(got, c.want) || len(notes) > 0 {
				t.Errorf("got  %+v, %v, %v\nwant %+v", got, notes, err, c.want)
			}
		})
	}
}

func TestThePermitIsBroughtIntoRange(t *testing.T) {
	for _, c := range []struct {
		doc   string
		want  time.Duration
		notes int
	}{
		{`{}`, time.Second, 0}, {`{"permit":null}`, time.Second, 0}, {`{"permit":0.4}`, 400 * time.Millisecond, 0},
		{`{"permit":"600ms"}`, 600 * time.Millisecond, 0}, {`{"permit":2}`, 2 * time.Second, 0},
		{`{"permit":0.1}`, 300 * time.Millisecond, 1}, {`{"permit":11}`, 10 * time.Second, 1}, {`{"permit":11,"ttl":60}`, 11 * time.Second, 0},
		{`{"permit":"soon"}`, time.Second, 1}, {`{"permit":"nan"}`, time.Second, 1}, {`{"permit":-1}`, time.Second, 1},
	} {
		got, notes, err := ReadSettings(document(t, c.doc))
		if err != nil || got.Permit != c.want || len(notes) != c.notes {
			t.Errorf("%s: %v, %q, %v, want %v and %d notes", c.doc, got.Permit, notes, err, c.want, c.notes)
		}
	}
}

func TestSettingsThatAreRefusedWhole(t *testing.T) {
	for _, doc := range []string{`{"ttl":"x"}`, `{"ttl":"30s"}`, `{"loop_wait":[]}`, `{"retry_timeout":true}`, `{"ttl":1e300}`, `{"postgresql":{"parameters":[]}}`} {
		if s, _, err := ReadSettings(document(t, doc)); err == nil || !reflect.DeepEqual(s, Settings{}) {
			t.Errorf("%s was read as %+v", doc, s)
		}
	}
}

func TestTimingsAreBroughtIntoRange(t *testing.T) {
	for _, c := range []struct{ ttl, loop, retry, wantTTL, wantLoop, wantRetry, notes int }{
		{30, 10, 10, 30, 10, 10, 0}, {20, 10, 5, 20, 10, 5, 0}, {30, 11, 10, 30, 10, 10, 1}, {30, 10, 14, 30, 2, 14, 1},
		{30, 10, 15, 30, 1, 14, 1}, {20, 1, 10, 20, 1, 9, 1}, {5, 10, 10, 20, 1, 9, 2}, {30, 0, 0, 30, 1, 3, 2}, {-1, -1, -1, 20, 1, 3, 3},
		{21, 5, 10, 21, 1, 10, 1}, {1000000, 10, 10, 1000000, 10, 10, 0},
	} {
		ttl, loop, retry, notes := clampTimings(c.ttl, c.loop, c.retry)
		if ttl != c.wantTTL || loop != c.wantLoop || retry != c.wantRetry || len(notes) != c.notes {
			t.Errorf("clampTimings(%d, %d, %d) = %d, %d, %d, %q, want %d, %d, %d and %d notes",
				c.ttl, c.loop, c.retry, ttl, loop, retry, notes, c.wantTTL, c.wantLoop, c.wantRetry, c.notes)
		}
	}
}

func FuzzTimings(f *testing.F) {
	f.Add(30, 10, 10)
	f.Add(-5, 0, 1<<40)
	f.Fuzz(func(t *testing.T, ttl, loop, retry int) {
		const limit = 1 << 40 // more cannot be read: seconds refuses it
		if max(ttl, loop, retry) > limit || min(ttl, loop, retry) < -limit {
			t.Skip()
		}
		gotTTL, gotLoop, gotRetry, notes := clampTimings(ttl, loop, retry)
		if gotTTL < minTTL || gotLoop < minLoopWait || gotRetry < minRetryTimeout || gotLoop+2*gotRetry > gotTTL {
			t.Errorf("clampTimings(%d, %d, %d) = %d, %d, %d", ttl, loop, retry, gotTTL, gotLoop, gotRetry)
		}
		if changed := gotTTL != ttl || gotLoop != loop || gotRetry != retry; changed != (len(notes) > 0) {
			t.Errorf("clampTimings(%d, %d, %d) changed %v, notes %v", ttl, loop, retry, changed, notes)
		}
	})
}

func TestAdjusted(t *testing.T) {
	doc := map[string]any{"ttl": "5", "pause": true}
	s, _, err := ReadSettings(doc)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(EncodeJSON(Adjusted(doc, s))); got != `{"pause":true,"ttl":20}` {
		t.Errorf("got %s", got)
	}
	if doc["ttl"] != "5" {
		t.Error("the document itself was changed")
	}
	if got := string(EncodeJSON(Adjusted(nil, s))); got != "{}" {
		t.Errorf("got %s", got)
	}
}

func TestTags(t *testing.T) {
	for _, c := range []struct {
		tags       string
		nofailover bool
		priority   int
	}{
		{`{}`, false, 1}, {`{"nofailover":true}`, true, 0}, {`{"nofailover":false}`, false, 1}, {`{"nofailover":"false"}`, true, 0},
		{`{"failover_priority":0}`, true, 0}, {`{"failover_priority":-1}`, true, 0}, {`{"failover_priority":"3"}`, false, 3}, {`{"failover_priority":"x"}`, false, 1},
		{`{"nofailover":false,"failover_priority":0}`, false, 0}, {`{"nofailover":true,"failover_priority":5}`, true, 0}, {`{"nofailover":null,"failover_priority":0}`, true, 0},
		{`{"nofailover":0}`, false, 1}, {`{"nofailover":0.0}`, false, 1}, {`{"nofailover":2}`, true, 0}, {`{"nofailover":[]}`, false, 1}, {`{"nofailover":{"a":1}}`, true, 0},
	} {
		tags := Tags(document(t, c.tags))
		if tags.Nofailover() != c.nofailover || tags.FailoverPriority() != c.priority {
			t.Errorf("%s: nofailover %v, priority %d", c.tags, tags.Nofailover(), tags.FailoverPriority())
		}
	}
	tags := Tags(document(t, `{"noloadbalance":true,"clonefrom":1,"nostream":"on","replicatefrom":"n2"}`))
	if !tags.Noloadbalance() || !tags.Clonefrom() || !tags.Nostream() || tags.ReplicateFrom() != "n2" {
		t.Errorf("got %v", tags)
	}
	tags = Tags(document(t, `{"noloadbalance":false,"nostream":"off","replicatefrom":5}`))
	if tags.Noloadbalance() || tags.Nostream() || tags.ReplicateFrom() != "" {
		t.Errorf("got %v", tags)
	}
}

func TestSynchronousTags(t *testing.T) {
	for _, c := range []struct {
		tags     string
		nosync   bool
		priority int
	}{
		{`{}`, false, 1}, {`{"nosync":true}`, true, 1}, {`{"sync_priority":0}`, true, 0}, {`{"sync_priority":-1}`, true, -1}, {`{"sync_priority":"3"}`, false, 3},
		{`{"nosync":true,"sync_priority":2}`, true, 2}, {`{"nosync":false,"sync_priority":0}`, false, 0}, {`{"nosync":null,"sync_priority":0}`, true, 0},
	} {
		if tags := Tags(document(t, c.tags)); tags.Nosync() != c.nosync || tags.SyncPriority() != c.priority {
			t.Errorf("%s: nosync %v, priority %d", c.tags, tags.Nosync(), tags.SyncPriority())
		}
	}
}

func TestSynchronousSettings(t *testing.T) {
	for doc, want := range map[string]Settings{
		`{}`: {SynchronousNodes: 1, MaximumLagOnSyncnode: -1},
		`{"synchronous_mode":"on","synchronous_node_count":0}`:                                       {Synchronous: "on", MaximumLagOnSyncnode: -1},
		`{"synchronous_mode":"QUORUM","synchronous_mode_strict":"yes","synchronous_node_count":"0"}`: {Synchronous: "quorum", SynchronousStrict: true, SynchronousNodes: 1, MaximumLagOnSyncnode: -1},
		`{"synchronous_mode":true,"synchronous_node_count":"x","maximum_lag_on_syncnode":1000}`:      {Synchronous: "on", SynchronousNodes: 1, MaximumLagOnSyncnode: 1000},
		`{"synchronous_mode":true,"standby_cluster":{"host":"h"}}`:                                   {SynchronousNodes: 1, MaximumLagOnSyncnode: -1},
	} {
		s, _, err := ReadSettings(document(t, doc))
		if err != nil || s.Synchronous != want.Synchronous || s.SynchronousStrict != want.SynchronousStrict ||
			s.SynchronousNodes != want.SynchronousNodes || s.MaximumLagOnSyncnode != want.MaximumLagOnSyncnode {
			t.Errorf("%s: %+v, %v", doc, s, err)
		}
	}
}

func TestSyncKey(t *testing.T) {
	for text, want := range map[string]Sync{
		`{"leader":"n2","quorum":0,"sync_standby":null}`:    {Leader: "n2"},
		`{"leader":"n1","quorum":2,"sync_standby":"a,b,c"}`: {Leader: "n1", Quorum: 2, Standbys: []string{"c", "a", "b"}},
	} {
		if got := string(want.Encode()); got != text {
			t.Errorf("%+v is written as %s, want %s", want, got, text)
		}
	}
}

func TestPublishedTags(t *testing.T) {
	for in, want := range map[string]string{
		`{"clonefrom":false,"noloadbalance":false,"nofailover":false,"nosync":false,"nostream":false}`: `{}`,
		`{"clonefrom":true,"zone":"east","n":5,"off":false}`:                                           `{"clonefrom":true,"n":5,"off":false,"zone":"east"}`,
		`{"nofailover":false,"failover_priority":2}`:                                                   `{"failover_priority":2,"nofailover":false}`,
		`{"nosync":false,"sync_priority":2}`:                                                           `{"nosync":false,"sync_priority":2}`,
		`{"nosync":false,"failover_priority":2}`:                                                       `{"failover_priority":2}`,
	} {
		if got := string(EncodeJSON(Tags(document(t, in)).Published())); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestSlotName(t *testing.T) {
	for in, want := range map[string]string{
		"node1": "node1", "Node-1.example": "node_1_example", "my node": "myu0032node", "ä": "u0228", "名": "u21517", "a_b": "a_b",
		strings.Repeat("x", 70): strings.Repeat("x", 63), strings.Repeat("é", 20): strings.Repeat("u0233", 12) + "u02", "": "",
	} {
		if got := SlotName(in); got != want {
			t.Errorf("SlotName(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzSlotName(f *testing.F) {
	f.Add("Node-1.ä")
	f.Fuzz(func(t *testing.T, name string) {
		slot := SlotName(name)
		if len(slot) > 63 || strings.Trim(slot, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || name != "" && slot == "" {
			t.Errorf("SlotName(%q) = %q", name, slot)
		}
	})
}

func TestEncodeJSON(t *testing.T) {
	for _, c := range []struct {
		in   any
		want string
	}{
		{"<a&b>", `"<a&b>"`}, {"größe", `"gr\u00f6\u00dfe"`}, {"😀", `"\ud83d\ude00"`}, {"a\"\\\n", `"a\"\\\n"`}, {"\u2028", `"\u2028"`},
		{map[string]any{"b": 1, "a": []any{nil, true, 1.5}}, `{"a":[null,true,1.5],"b":1}`}, {json.Number("9007199254740993"), "9007199254740993"},
	} {
		if got := string(EncodeJSON(c.in)); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func FuzzEncodeJSON(f *testing.F) {
	f.Add("größe 😀 \x00")
	f.Fuzz(func(t *testing.T, s string) {
		out := EncodeJSON(s)
		for _, b := range out {
			if b >= 0x80 {
				t.Fatalf("%q became %q", s, out)
			}
		}
		var again string
		if err := json.Unmarshal(out, &again); err != nil || again != strings.ToValidUTF8(s, "\ufffd") && !strings.Contains(s, "\ufffd") && !strings.Contains(again, "\ufffd") {
			t.Errorf("%q became %q: %v", s, again, err)
		}
	})
}

func TestScheduled(t *testing.T) {
	for at, want := range map[string][2]bool{"": {false, false}, "2030-01-02T03:04Z": {true, false}, "2030-01-02T03:04": {false, true}} {
		if _, ok, err := (Failover{At: at}).Scheduled(); ok != want[0] || (err != nil) != want[1] {
			t.Errorf("%q: scheduled %v, %v", at, ok, err)
		}
	}
}

func TestSyncIncludes(t *testing.T) {
	s := Sync{Leader: "N1", Standbys: []string{"n2"}}
	for name, want := range map[string]bool{"n1": true, "N2": true, "n3": false} {
		if s.Includes(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

func TestVersion3(t *testing.T) {
	if v, ok := Version3("4.1.14"); !ok || v != [3]int{4, 1, 14} {
		t.Errorf("got %v, %v", v, ok)
	}
	for _, in := range []string{"", "4", "4.1", "4.1.x", "4.1.4.5", "4.1.4rc1"} {
		if _, ok := Version3(in); ok {
			t.Errorf("%q is a version", in)
		}
	}
}

func TestTruth(t *testing.T) {
	for _, v := range []any{true, "on", "TRUE", " yes ", "1", 1, 1.0, json.Number("1")} {
		if !Truth(v) {
			t.Errorf("%v is not true", v)
		}
	}
	for _, v := range []any{nil, false, "off", "", "2", 2, 0, "truth", []any{}, map[string]any{}} {
		if Truth(v) {
			t.Errorf("%v is true", v)
		}
	}
}

func TestSlotsOfOthers(t *testing.T) {
	s, _, err := ReadSettings(document(t, `{"permanent_slots":{},"slots":{"b":{"type":"physical"},"a":null},
		"ignore_slots":[{"name":"x","type":"physical"},{"type":"logical"},"junk",{"name":"y","database":"db"}]}`))
	if err != nil || !reflect.DeepEqual(s.Permanent, []PermanentSlot{{Name: "a"}, {Name: "b"}}) || len(s.Ignore) != 3 {
		t.Fatalf("got %v, %v, %v", s.Permanent, s.Ignore, err)
	}
	for i, want := range [][3]bool{{true, false, false}, {false, false, true}, {false, true, false}} {
		got := [3]bool{s.Ignore[i].Matches("x", "physical", "", ""), s.Ignore[i].Matches("y", "logical", "db", "p"), s.Ignore[i].Matches("z", "logical", "db", "p")}
		if i == 1 { // a type alone
			got[1] = false
		}
		if got != want {
			t.Errorf("%+v matches %v, want %v", s.Ignore[i], got, want)
		}
	}
}

func TestPermanentSlots(t *testing.T) {
	s, notes, err := ReadSettings(document(t, `{"slots":{
		"nothing":null, "zero":0, "empty":{}, "physical":{"type":"physical","database":"d","plugin":"p"}, "one_kind":{"cluster_type":"standby"},
		"logical":{"type":"logical","database":"d","plugin":"p"}, "by_its_fields":{"database":5,"plugin":"p"}, "half":{"database":"d"},
		"Upper":null, "":null, "with-dash":null, "`+strings.Repeat("x", 64)+`":null, "text":"physical", "other":{"type":"x"}, "no_plugin":{"type":"logical","database":"d"},
		"`+strings.Repeat("y", 63)+`":null}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []PermanentSlot{{Name: "by_its_fields", Database: "5", Plugin: "p"}, {Name: "empty"}, {Name: "half"}, {Name: "logical", Database: "d", Plugin: "p"},
		{Name: "nothing"}, {Name: "one_kind", ClusterType: "standby"}, {Name: "physical"}, {Name: strings.Repeat("y", 63)}, {Name: "zero"}}
	if !reflect.DeepEqual(s.Permanent, want) {
		t.Errorf("got %+v", s.Permanent)
	}
	passedOver := []string{"slots. is", "slots.Upper is", "slots.no_plugin is", "slots.other is", "slots.text is", "slots.with-dash is", "slots.xxx"}
	for i, note := range notes {
		if i >= len(passedOver) || !strings.HasPrefix(note, passedOver[i]) || !strings.Contains(note, "passed over: ") {
			t.Errorf("note %d: %s", i, note)
		}
	}
	if len(notes) != len(passedOver) {
		t.Errorf("%d notes", len(notes))
	}
	for _, c := range []struct {
		slot              PermanentSlot
		ordinary, standby bool
	}{
		{PermanentSlot{Name: "a"}, true, true}, {PermanentSlot{Name: "a", ClusterType: "primary"}, true, false},
		{PermanentSlot{Name: "a", ClusterType: "standby"}, false, true}, {PermanentSlot{Name: "a", Database: "d", Plugin: "p"}, true, false},
	} {
		if c.slot.In(false) != c.ordinary || c.slot.In(true) != c.standby {
			t.Errorf("%+v is in an ordinary cluster %v, in a standby cluster %v", c.slot, c.slot.In(false), c.slot.In(true))
		}
	}
}

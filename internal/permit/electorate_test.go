package permit

import (
	"reflect"
	"testing"
	"time"

	"matriarch/internal/dcs"
)

func TestTheKeyAsItIsWritten(t *testing.T) {
	for _, c := range []struct {
		e    Electorate
		want string
	}{
		{Electorate{Leader: "n1", Members: []string{"n2", "n3"}, Permit: time.Second},
			`{"leader":"n1","members":["n2","n3"],"permit_ms":1000}`},
		{Electorate{Leader: "n1", Permit: Shortest, Released: true},
			`{"leader":"n1","members":[],"permit_ms":300,"released":true}`},
	} {
		if got := string(c.e.Encode()); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		back, ok := ParseElectorate(c.e.Encode())
		if !ok || !back.Equal(c.e) {
			t.Errorf("%s is read as %+v, %v", c.want, back, ok)
		}
	}
}

func TestTheKeyIsReadLeniently(t *testing.T) {
	for _, c := range []struct {
		text string
		want Electorate
		ok   bool
	}{
		{`{"leader":"n1","members":["n3","n2","n2","n1","",7],"permit_ms":400.0,"colour":"red"}`,
			Electorate{Leader: "n1", Members: []string{"n2", "n3"}, Permit: 400 * time.Millisecond}, true},
		{`{"leader":"n1","members":"n2","permit_ms":"soon","released":1}`, Electorate{Leader: "n1", Permit: Default}, true},
		{`{"leader":"n1","permit_ms":-5}`, Electorate{Leader: "n1", Permit: Default}, true},
		{`{"leader":"n1","permit_ms":1e300}`, Electorate{Leader: "n1", Permit: longestPermit}, true},
		{`{"members":["n2"]}`, Electorate{Members: []string{"n2"}, Permit: Default}, false},
		{`[]`, Electorate{Permit: Default}, false},
		{``, Electorate{Permit: Default}, false},
		{`null`, Electorate{Permit: Default}, false},
	} {
		got, ok := ParseElectorate([]byte(c.text))
		if ok != c.ok || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s is read as %+v, %v", c.text, got, ok)
		}
	}
}

func FuzzParseElectorate(f *testing.F) {
	f.Add([]byte(`{"leader":"n1","members":["n2","n3"],"permit_ms":1000}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, ok := ParseElectorate(data)
		if e.Permit <= 0 {
			t.Fatalf("a permit of %v", e.Permit)
		}
		if back, again := ParseElectorate(e.Encode()); again != ok || !back.Equal(e) {
			t.Fatalf("%+v comes back as %+v", e, back)
		}
	})
}

func TestATakeoverPutsTheOldLeaderAmongTheMembers(t *testing.T) {
	old := Electorate{Leader: "n1", Members: []string{"n2", "n3"}, Permit: Default, Released: true}
	want := Electorate{Leader: "n2", Members: []string{"n1", "n3"}, Permit: Shortest}
	if got := old.after("n2", Shortest); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if got := old.after("n1", Default); got.Members[0] != "n2" || len(got.Members) != 2 {
		t.Errorf("the leader after itself: %+v", got)
	}
}

func TestLook(t *testing.T) {
	v := Look(dcs.Snapshot{Revision: 9, Values: map[string]dcs.Value{
		dcs.KeyLeader: {Data: []byte("n1"), Modified: 5, Lease: 3},
		Key:           {Data: []byte(`{"leader":"n1"}`), Modified: 7},
	}})
	if v.At != 9 || v.Leader != "n1" || v.Term != 5 || v.Revision != 7 || v.Electorate.Leader != "n1" || !v.governed() {
		t.Errorf("got %+v", v)
	}
	if v := Look(dcs.Snapshot{Revision: 3}); v.Leader != "" || v.Term != 0 || v.Revision != 0 {
		t.Errorf("of nothing: %+v", v)
	}
}

func TestTheMarginsLeaveRoomForClocksAndGuard(t *testing.T) {
	for _, c := range []struct{ permit, margin time.Duration }{
		{Shortest, 20 * time.Millisecond}, {Default, 50 * time.Millisecond}, {10 * time.Second, 500 * time.Millisecond},
	} {
		if got := Margin(c.permit); got != c.margin {
			t.Errorf("margin of %v: %v", c.permit, got)
		}
		// What is left for the guard when the clocks drift apart as far as they may.
		leader, candidate := float64(span(c.permit))*(1+drift), float64(quiet(c.permit))*(1-drift)
		if left := time.Duration(candidate - leader); left < 39*time.Millisecond {
			t.Errorf("a permit of %v leaves the guard %v", c.permit, left)
		}
	}
}

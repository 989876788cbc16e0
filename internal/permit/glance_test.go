package permit

import (
	"reflect"
	"testing"

	"matriarch/internal/dcs"
)

// TestAGlanceSeesWhatLookSees: what was seen before makes no difference, also not
// when the revision is the same and the content is not.
func TestAGlanceSeesWhatLookSees(t *testing.T) {
	electorate := func(modified int64, members ...string) dcs.Value {
		return dcs.Value{Data: Electorate{Leader: "A", Members: members, Permit: Default}.Encode(), Modified: modified}
	}
	leader := dcs.Value{Data: []byte("A"), Modified: 3, Lease: 7}
	contents := []dcs.Snapshot{
		{Revision: 5, Values: map[string]dcs.Value{dcs.KeyLeader: leader, Key: electorate(3, "B", "C")}},
		{Revision: 9, Values: map[string]dcs.Value{dcs.KeyLeader: leader, Key: electorate(3, "B", "C")}}, // an own write is shown first
		{Revision: 9, Values: map[string]dcs.Value{dcs.KeyLeader: leader, Key: electorate(8, "B")}},      // then what was written before
		{Revision: 10, Values: map[string]dcs.Value{Key: electorate(8, "B")}},
		{Revision: 11, Values: map[string]dcs.Value{}},
		{Revision: 12, Values: map[string]dcs.Value{Key: electorate(12)}},
	}
	var g Glance
	for i, s := range contents {
		sight, _, fresh := g.At("B", s)
		if want := Look(s); !fresh || !reflect.DeepEqual(sight.View, want) {
			t.Errorf("content %d: fresh %v, %+v, want %+v", i, fresh, sight.View, want)
		}
		again, _, fresh := g.At("B", s)
		if fresh || !reflect.DeepEqual(again, sight) {
			t.Errorf("content %d for the second time: fresh %v, %+v, want %+v", i, fresh, again, sight)
		}
	}
}

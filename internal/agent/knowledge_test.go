package agent

import (
	"slices"
	"testing"

	"matriarch/internal/cluster"
	"matriarch/internal/ha"
)

func TestWhoMaySucceedThisNode(t *testing.T) {
	member := func(name string, tags cluster.Tags) cluster.Member {
		return cluster.Member{Name: name, APIURL: "http://" + name, Permit: true, Tags: tags}
	}
	cases := []struct {
		name   string
		change func(*ha.Observation)
		want   []string
	}{
		{"all that could", func(*ha.Observation) {}, []string{"n2", "n3"}},
		{"not one that is tagged", func(o *ha.Observation) {
			o.Store.View.Members[2].Tags = cluster.Tags{"nofailover": true}
		}, []string{"n2"}},
		{"S3: not one that was left behind on an older timeline", func(o *ha.Observation) {
			o.Server.Role, o.Server.End.Timeline, o.Memory.Led = ha.Primary, 4, comingOver
			o.Store.View.Members[1].Timeline, o.Store.View.Members[2].Timeline = 4, 3
		}, []string{"n2"}},
		{"it has time to come over first", func(o *ha.Observation) {
			o.Server.Role, o.Server.End.Timeline, o.Memory.Led = ha.Primary, 4, comingOver-1
			o.Store.View.Members[1].Timeline, o.Store.View.Members[2].Timeline = 4, 3
		}, []string{"n2", "n3"}},
		{"a member of the electorate whose key is gone, until it is silent", func(o *ha.Observation) {
			o.Store.View.Members = o.Store.View.Members[:2]
		}, []string{"n2", "n3"}},
		{"not for one that does not lead", func(o *ha.Observation) {
			o.Store.View.Members, o.Right.Leading = o.Store.View.Members[:2], false
		}, []string{"n2"}},
		{"not known before the store was seen", func(o *ha.Observation) { o.Store = ha.Store{} }, nil},
		{"as seen last while the store is away", func(o *ha.Observation) { o.Store.Current = false }, []string{"n2", "n3"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := ha.Observation{Me: ha.Me{Name: "n1"}}
			o.Store.Current, o.Store.View.Revision = true, 10
			o.Store.View.Members = []cluster.Member{member("n1", nil), member("n2", nil), member("n3", nil)}
			o.Right.Leading, o.Right.Electorate = true, []string{"n2", "n3"}
			c.change(&o)
			if got := knowledge(o).Members; !slices.Equal(got, c.want) || (got == nil) != (c.want == nil) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestAloneInTheFailsafeKeyANodeIsItsOwnQuorum(t *testing.T) {
	for what, c := range map[string]struct {
		on   bool
		key  map[string]string
		want bool
	}{
		"B-543: alone":           {true, map[string]string{"n1": "http://n1"}, true},
		"with another":           {true, map[string]string{"n1": "http://n1", "n2": "http://n2"}, false},
		"B-542: not in it":       {true, map[string]string{"n2": "http://n2"}, false},
		"B-542: there is no map": {true, nil, false},
		"B-540: the mode is off": {false, map[string]string{"n1": "http://n1"}, false},
	} {
		o := ha.Observation{Me: ha.Me{Name: "n1"}}
		o.Store.Settings.Failsafe, o.Store.View.Failsafe = c.on, c.key
		if got := knowledge(o).Sole; got != c.want {
			t.Errorf("%s: %v", what, got)
		}
	}
}

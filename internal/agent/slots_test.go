package agent

import (
	"strings"
	"testing"

	"matriarch/internal/cluster"
	"matriarch/internal/ha"
)

// young are the names of the slots that the last look did not know.
func (l *life) young() string {
	var names []string
	for _, slot := range l.o.Server.Slots {
		if slot.Young {
			names = append(names, slot.Name)
		}
	}
	return strings.Join(names, " ")
}

func TestASlotThatSomebodyMakesIsNotOursUntilTheNextStart(t *testing.T) {
	l := newLife()
	slots := func(names ...string) func(*ha.Observation) {
		return func(o *ha.Observation) {
			o.Server.Slots = nil
			for _, name := range names {
				o.Server.Slots = append(o.Server.Slots, ha.Slot{Name: name})
			}
		}
	}
	expect := func(when, want string) {
		t.Helper()
		if got := l.young(); got != want {
			t.Errorf("B-345: %s: not known are %q, want %q", when, got, want)
		}
	}
	l.settings.UseSlots = true
	l.sees(func(o *ha.Observation) {
		o.Store.Settings.UseSlots, o.Server.Answering, o.Server.Role = true, true, ha.Primary
		slots("old")(o)
	})
	expect("at the start", "")
	l.sees(slots("mine", "new", "old"))
	expect("made by others", "mine new")
	l.slots.made("mine")
	l.sees(nil)
	expect("made by us", "new")
	l.sees(func(o *ha.Observation) { o.Store.Settings.Permanent = []cluster.PermanentSlot{{Name: "new"}} })
	expect("it is wanted", "")
	l.sees(func(o *ha.Observation) { o.Store.Settings.Permanent = nil })
	expect("and then no more", "")

	l.sees(slots("other"))
	l.sees(func(o *ha.Observation) { o.Server.Answering = false })
	l.sees(func(o *ha.Observation) { o.Server.Answering = true })
	expect("a server that was silent for a moment", "other")
	l.sees(func(o *ha.Observation) { o.Server.Role = ha.Standby })
	expect("another role", "")

	l.sees(slots("other", "third"))
	expect("there too", "third")
	l.sees(func(o *ha.Observation) { o.Store.Settings.Pause = true })
	expect("paused", "third")
	l.sees(func(o *ha.Observation) { o.Store.Settings.Pause = false })
	expect("after a pause", "")

	l.sees(slots("fourth"))
	l.sees(func(o *ha.Observation) { o.Server.Running, o.Server.Answering = false, false })
	l.sees(func(o *ha.Observation) { o.Server.Running, o.Server.Answering = true, true })
	expect("after a start", "")
}

func TestNamesThatTwoClaimAreToldOnce(t *testing.T) {
	n := newNode(t)
	n.settle()
	for _, name := range []string{"n-2", "n_2"} {
		n.put("members/"+name, `{"conn_url":"postgres://n2:5432/postgres","api_url":"http://n2:8008/patroni","state":"running","role":"replica"}`)
	}
	for range 3 {
		if _, err := n.step(); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Count(n.logged.String(), "the members n-2 and n_2 share the replication slot n_2"); got != 1 {
		t.Errorf("said %d times: %s", got, n.logged)
	}
}

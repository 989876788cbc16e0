package ha

import (
	"testing"

	"matriarch/internal/cluster"
)

func TestAMemberSaysHowItIsGuarded(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Observation)
		want   string
	}{
		{"as its guard says", func(*Observation) {}, "freezer"},
		{"in pause it is not", func(o *Observation) { o.Store.Settings.Pause = true }, "off"},
		{"a server that does not run needs none", func(o *Observation) { o.Server.Running = false }, ""},
	} {
		o := leader()
		o.Server.Guard = "freezer"
		c.change(&o)
		m := o.member()
		if m.Guard != c.want {
			t.Errorf("%s: %q, want %q", c.name, m.Guard, c.want)
		}
		read := cluster.Parse(1, map[string]cluster.Entry{"members/" + m.Name: {Data: m.Encode()}})
		if back, _ := read.Member(m.Name); back.Guard != c.want {
			t.Errorf("%s: read back %q from %s", c.name, back.Guard, m.Encode())
		}
	}
}

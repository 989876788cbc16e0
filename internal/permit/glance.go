package permit

import (
	"reflect"

	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
)

// Glance is a node's look at the mirror of the store, over and over: what has not been
// written since the last look is not read again. It is for those who drive a Driver.
type Glance struct {
	seen   bool
	sight  Sight // the part of it that follows from the content
	values map[string]dcs.Value
}

// At looks at a content of the mirror, as the node of that name. fresh: it is not the
// one that was looked at last, and members are those who are listed in it.
//
// The revision alone does not tell whether something was written: with an own write
// the mirror shows the write's revision at once, and what others wrote before it only
// when the watch brings it, at that same revision. A new snapshot has new values.
func (g *Glance) At(me string, s dcs.Snapshot) (sight Sight, members []cluster.Member, fresh bool) {
	same := reflect.ValueOf(s.Values).Pointer() == reflect.ValueOf(g.values).Pointer()
	if g.seen && same && s.Revision == g.sight.View.At {
		return g.sight, nil, false
	}
	view := s.View()
	g.sight, g.seen, g.values = sightOf(me, s, g.sight.View, view), true, s.Values
	return g.sight, view.Members, true
}

package etcd

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"matriarch/internal/dcs"
)

// at is a value written at a revision; the data is the revision's letter.
func at(revision int64, data string) dcs.Value {
	return dcs.Value{Data: []byte(data), Created: revision, Modified: revision}
}

func changed(key string, revision int64, data string) change {
	v := at(revision, data)
	return change{key: key, value: &v, modified: revision}
}

func gone(key string, revision int64) change { return change{key: key, modified: revision} }

func shown(m *mirror) string {
	s, _ := m.snapshot()
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(s.Values)) {
		parts = append(parts, key+"="+string(s.Values[key].Data))
	}
	return strings.Join(parts, " ")
}

func woken(m *mirror) bool {
	select {
	case <-m.changed:
		return true
	default:
		return false
	}
}

func TestMirror(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(m *mirror)
		want string
		wake bool
	}{
		{"starts as read", func(*mirror) {}, "a=1 b=1", false},
		{"follows events", func(m *mirror) {
			m.follow(1, 11, []change{changed("a", 11, "2"), gone("b", 11)})
		}, "a=2", true},
		{"skips events that the read had already", func(m *mirror) {
			m.follow(1, 10, []change{changed("a", 9, "old"), changed("a", 10, "1")})
		}, "a=1 b=1", false},
		{"shows an own write before the watch tells", func(m *mirror) {
			m.wrote(1, 12, []change{changed("a", 12, "own")})
		}, "a=own b=1", true},
		{"does not let an older event undo an own write", func(m *mirror) {
			m.wrote(1, 12, []change{changed("a", 12, "own"), gone("b", 12)})
			m.follow(1, 11, []change{changed("a", 11, "other"), changed("b", 11, "other"), changed("c", 11, "other")})
		}, "a=own c=other", true},
		{"lets a newer event replace an own write", func(m *mirror) {
			m.wrote(1, 12, []change{changed("a", 12, "own")})
			m.follow(1, 12, []change{changed("a", 12, "own")})
			m.follow(1, 13, []change{changed("a", 13, "newer")})
		}, "a=newer b=1", true},
		{"does not show an own write that a newer event has overtaken", func(m *mirror) {
			m.follow(1, 13, []change{changed("a", 12, "own"), gone("a", 13)})
			m.wrote(1, 12, []change{changed("a", 12, "own")})
		}, "b=1", true},
		{"orders own writes by revision, not by answer", func(m *mirror) {
			m.wrote(1, 13, []change{changed("a", 13, "second")})
			m.wrote(1, 12, []change{changed("a", 12, "first"), changed("b", 12, "first")})
		}, "a=second b=first", true},
		{"keeps an own write over an older read", func(m *mirror) {
			m.wrote(1, 12, []change{changed("a", 12, "own")})
			m.install(1, 11, map[string]dcs.Value{"a": at(5, "1")})
		}, "a=own", true},
		{"takes no read that is older than what it has", func(m *mirror) {
			m.install(1, 9, map[string]dcs.Value{"old": at(5, "1")})
		}, "a=1 b=1", false},
		{"begins anew with another store, own writes and all", func(m *mirror) {
			m.wrote(1, 12, []change{changed("a", 12, "own")})
			m.install(2, 3, map[string]dcs.Value{"new": at(2, "1")})
			m.follow(1, 14, []change{changed("late", 14, "from the first store")})
			m.wrote(1, 15, []change{changed("late", 15, "from the first store")})
		}, "new=1", true},
		{"wakes when the currency changes", func(m *mirror) { m.setCurrent(true) }, "a=1 b=1", true},
		{"does not wake for an event that it had as an own write", func(m *mirror) {
			m.wrote(1, 11, []change{changed("a", 11, "own")})
			woken(m)
			m.follow(1, 11, []change{changed("a", 11, "own")})
		}, "a=own b=1", false},
	} {
		m := newMirror()
		m.install(1, 10, map[string]dcs.Value{"a": at(5, "1"), "b": at(6, "1")})
		woken(m)
		c.do(m)
		if got := shown(m); got != c.want {
			t.Errorf("%s: shows %q, want %q", c.name, got, c.want)
		}
		if got := woken(m); got != c.wake {
			t.Errorf("%s: woken %v", c.name, got)
		}
	}
}

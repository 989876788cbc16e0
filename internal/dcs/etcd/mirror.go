package etcd

import (
	"bytes"
	"maps"
	"sync"

	"matriarch/internal/dcs"
)

// change is one key's new state: a value, or gone when value is nil.
type change struct {
	key      string
	value    *dcs.Value
	modified int64
}

// ownWrite is a transaction of ours that was answered before the watch told of it.
type ownWrite struct {
	revision int64
	changes  []change
}

// mirror is the prefix as last seen.
//
// It has two layers. The base is complete up to its revision: a range read, and
// the watch's events since. Over it lie our own writes of later revisions, until
// the base has passed them. So an own write is seen at once, an older event does
// not undo it, and a newer one is not undone by it.
type mirror struct {
	mu          sync.Mutex
	incarnation int // of the store, see guard
	base        map[string]dcs.Value
	revision    int64
	own         []ownWrite
	shown       dcs.Snapshot
	current     bool

	changed chan struct{}
}

func newMirror() *mirror {
	return &mirror{changed: make(chan struct{}, 1)}
}

func (m *mirror) snapshot() (dcs.Snapshot, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.shown, m.current
}

// install makes a range read the base, unless the base is newer. It reports whether the
// base is another one for that.
func (m *mirror) install(incarnation int, revision int64, values map[string]dcs.Value) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if incarnation < m.incarnation || incarnation == m.incarnation && revision < m.revision {
		return false
	}
	if incarnation > m.incarnation {
		m.own, m.shown = nil, dcs.Snapshot{} // revisions of another store
	}
	newer := incarnation > m.incarnation || revision > m.revision
	m.incarnation, m.base, m.revision = incarnation, values, revision
	m.show()
	return newer
}

// follow applies the watch's events up to a revision. Those that the base has
// already are skipped: the watch begins at the revision of the read, not after.
func (m *mirror) follow(incarnation int, revision int64, changes []change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if incarnation != m.incarnation || revision <= m.revision {
		return
	}
	base := maps.Clone(m.base)
	for _, c := range changes {
		if c.modified > m.revision {
			c.apply(base)
		}
	}
	m.base, m.revision = base, revision
	m.show()
}

// wrote lays an own write over the base.
func (m *mirror) wrote(incarnation int, revision int64, changes []change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if incarnation != m.incarnation || revision <= m.revision {
		return
	}
	// Answers to concurrent commits may come in any order.
	at := len(m.own)
	for at > 0 && m.own[at-1].revision > revision {
		at--
	}
	m.own = append(m.own[:at:at], append([]ownWrite{{revision, changes}}, m.own[at:]...)...)
	m.show()
}

// setCurrent tells whether a standing watch feeds the mirror.
func (m *mirror) setCurrent(current bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.current != current {
		m.current = current
		m.wake()
	}
}

// show computes what is shown, and wakes if a value differs. m.mu is held.
func (m *mirror) show() {
	values, revision := m.base, m.revision
	pending := m.own[:0:0]
	for _, w := range m.own {
		if w.revision <= m.revision {
			continue
		}
		if len(pending) == 0 {
			values = maps.Clone(values)
		}
		pending = append(pending, w)
		for _, c := range w.changes {
			c.apply(values)
		}
		revision = w.revision
	}
	m.own = pending
	differs := !maps.EqualFunc(values, m.shown.Values, same)
	m.shown = dcs.Snapshot{Revision: revision, Values: values}.Shared(m.shown)
	if differs {
		m.wake()
	}
}

func (m *mirror) wake() {
	select {
	case m.changed <- struct{}{}:
	default: // one is waiting to be received, and stands for this change too
	}
}

func (c change) apply(values map[string]dcs.Value) {
	if c.value == nil {
		delete(values, c.key)
	} else {
		values[c.key] = *c.value
	}
}

func same(a, b dcs.Value) bool {
	return a.Modified == b.Modified && a.Created == b.Created && a.Lease == b.Lease && bytes.Equal(a.Data, b.Data)
}

// Package top is the live view of a cluster: what it knows, and how that looks.
//
// It is pure: See, Hear and Sample take in what others have fetched, with the time
// at which they did, and Draw makes a screen of it. So a test of the view is a text,
// and neither a store nor a member that hangs can hold it up. What is old is drawn
// with its age, never as if it were now.
package top

import (
	"fmt"
	"slices"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// Sight is one reading of the store.
type Sight struct {
	At   time.Time // when the answer came
	Took time.Duration
	View cluster.View
	Err  error // there was no answer
}

// Word is what one member said of itself.
type Word struct {
	Name string
	At   time.Time
	Took time.Duration
	Err  error // it said nothing

	State       cluster.State
	Role        cluster.Role
	Replication string // streaming, in archive recovery or empty
	Timeline    wal.Timeline
	Location    wal.LSN // of a primary; 0: it is none
	Received    wal.LSN
	Replayed    wal.LSN
	Failsafe    bool // failsafe mode carries the leader
	Right       *Right
}

// Right is a member's right to write, as Matriarch's metrics tell it. A member of
// Patroni's has none.
type Right struct {
	Leading bool
	Left    time.Duration // until the server must have stopped taking writes; 0: no permit
	Length  time.Duration // of the permit
	Armed   bool          // the guard freezes the server when it ends
	Frozen  bool
	Freezes int // since the guard was started
}

// Model is what the view knows.
type Model struct {
	Cluster string
	Every   time.Duration // between two rounds of questions

	view     cluster.View
	settings cluster.Settings
	seen     time.Time // when view was read; zero: never
	took     time.Duration
	silent   time.Time // since when the store does not answer; zero: it does
	why      error

	first  time.Time // when the leader was first seen to lead
	tracks map[string]*track
	events []event // newest last
}

// track is what is known of one member beside its record in the store.
type track struct {
	word   Word      // the last one with an answer
	silent time.Time // since when it does not answer; zero: it does
	why    error
	asked  bool

	curve []float64 // lags in bytes, of the leader bytes of log in a second; gap: not known
	last  wal.LSN   // the position in the last sample, of a primary
	when  time.Time
}

type event struct {
	at   time.Time
	text string
}

// The model keeps no more than fits on a wide screen.
const (
	samplesMost = 400
	eventsMost  = 100
)

// New makes a view that has seen nothing yet.
func New(name string, every time.Duration) *Model {
	return &Model{Cluster: name, Every: every, settings: cluster.DefaultSettings(), tracks: map[string]*track{}}
}

// See takes in a reading of the store.
func (m *Model) See(s Sight) {
	if s.Err != nil {
		if m.silent.IsZero() {
			m.silent = lastWord(m.seen, s.At)
			m.note(s.At, "the store does not answer")
		}
		m.why = s.Err
		return
	}
	if !m.silent.IsZero() {
		m.note(s.At, fmt.Sprintf("the store answers again, after %s", duration(s.At.Sub(m.silent))))
	}
	before, known := m.view, !m.seen.IsZero()
	m.silent, m.why = time.Time{}, nil
	m.view, m.seen, m.took = s.View, s.At, s.Took
	old := m.settings
	m.settings = settings(s.View)
	if !known || before.Leader.Name != s.View.Leader.Name {
		m.first = s.At
	}
	if known {
		m.compare(s.At, before, old)
	}
}

// lastWord is since when somebody is silent who has just not answered.
func lastWord(answered, now time.Time) time.Time {
	if answered.IsZero() {
		return now
	}
	return answered
}

// settings of a document that the members refuse still say whether they pause.
func settings(v cluster.View) cluster.Settings {
	s, _, err := cluster.ReadSettings(v.Config.Document)
	if err != nil {
		s = cluster.DefaultSettings()
		s.Pause = cluster.Truth(v.Config.Document["pause"])
	}
	return s
}

// Hear takes in a member's answer, or that there is none.
func (m *Model) Hear(w Word) {
	t := m.track(w.Name)
	if w.Err != nil {
		if t.silent.IsZero() {
			t.silent = lastWord(t.word.At, w.At)
			m.note(w.At, w.Name+" does not answer: "+cause(w.Err))
		}
		t.why, t.asked = w.Err, true
		return
	}
	before, known := t.word, !t.word.At.IsZero()
	if !t.silent.IsZero() {
		m.note(w.At, fmt.Sprintf("%s answers again, after %s", w.Name, duration(w.At.Sub(t.silent))))
	}
	t.word, t.silent, t.why, t.asked = w, time.Time{}, nil, true
	if known {
		m.compareWords(before, w)
	}
}

func (m *Model) track(name string) *track {
	if m.tracks[name] == nil {
		m.tracks[name] = &track{}
	}
	return m.tracks[name]
}

// Sample adds a point to every curve. The answers of one round were asked for at the
// same time, so they are compared with each other.
func (m *Model) Sample(now time.Time) {
	for _, name := range m.names() {
		t := m.track(name)
		t.curve = append(t.curve, m.point(name, t))
		if len(t.curve) > samplesMost {
			t.curve = slices.Delete(t.curve, 0, len(t.curve)-samplesMost)
		}
	}
	for name := range m.tracks { // of members that have left
		if _, ok := m.view.Member(name); !ok && name != m.view.Leader.Name && !m.seen.IsZero() {
			delete(m.tracks, name)
		}
	}
}

// point is the lag of a standby, or how fast the leader writes.
func (m *Model) point(name string, t *track) float64 {
	if name == m.view.Leader.Name {
		at := m.end()
		before, when := t.last, t.when
		t.last, t.when = at, t.word.At
		if seconds := t.when.Sub(when).Seconds(); t.silent.IsZero() && before != 0 && at >= before && !when.IsZero() && seconds > 0 {
			return float64(at-before) / seconds
		}
		return gap
	}
	t.last = 0
	if _, lag, ok := m.lags(name); ok {
		return float64(lag)
	}
	return gap
}

// end is how far the cluster's log goes, as far as anybody has told.
func (m *Model) end() wal.LSN {
	if t := m.tracks[m.view.Leader.Name]; t != nil && t.silent.IsZero() && t.word.Location != 0 {
		return t.word.Location
	}
	return m.view.Status.Optime
}

// lags of a standby in bytes: its own word counts, and its record in the store only
// where there is none.
func (m *Model) lags(name string) (received, replayed uint64, ok bool) {
	record, _ := m.view.Member(name)
	r, p := record.ReceiveLSN, record.ReplayLSN
	end := m.view.Status.Optime // as old as the record
	if t := m.tracks[name]; t != nil && t.asked {
		if !t.silent.IsZero() {
			return 0, 0, false
		}
		r, p, end = t.word.Received, t.word.Replayed, m.end()
	}
	if r == 0 && p == 0 || end == 0 {
		return 0, 0, false
	}
	return uint64(max(end, r) - r), uint64(max(end, p) - p), true
}

// names are those of all members, and of a leader without a record.
func (m *Model) names() []string {
	var out []string
	for _, member := range m.view.Members {
		out = append(out, member.Name)
	}
	if leader := m.view.Leader.Name; leader != "" && !slices.Contains(out, leader) {
		out = append(out, leader)
		slices.Sort(out)
	}
	return out
}

// since is when the leader began to lead. The history tells, if it became leader by
// a promotion; else it led already when the view was opened.
func (m *Model) since() (at time.Time, certain bool) {
	lines := m.view.History.Lines
	if len(lines) > 0 {
		last := lines[len(lines)-1]
		if when, err := time.Parse(time.RFC3339Nano, last.When); err == nil && last.NewLeader == m.view.Leader.Name {
			return when, true
		}
	}
	return m.first, false
}

// failsafe reports that failsafe mode carries the leader, by the word of any member.
func (m *Model) failsafe() bool {
	for _, t := range m.tracks {
		if t.silent.IsZero() && t.word.Failsafe {
			return true
		}
	}
	return false
}

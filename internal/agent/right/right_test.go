package right

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"matriarch/internal/agent"
	"matriarch/internal/boottime"
	"matriarch/internal/ha"
	"matriarch/internal/permit"
	"matriarch/internal/wal"
)

const now = boottime.Instant(time.Hour)

func TestHowThingsStandInTheWordsOfTheDecisions(t *testing.T) {
	electorate := permit.Electorate{Leader: "n1", Members: []string{"n2", "n3"}, Timeline: 7}
	released := electorate
	released.Released = true
	in := func(d time.Duration) boottime.Instant { return now.Add(d) }
	for _, c := range []struct {
		name string
		told permit.State
		want ha.Right
	}{
		{"nothing is known", permit.State{}, ha.Right{FreeIn: ha.Idle}},
		{"a leader with a permit", permit.State{Leading: true, MayPromote: true, Permit: in(time.Second), Electorate: electorate, Mixed: true},
			ha.Right{Leading: true, MayPromote: true, Left: time.Second, FreeIn: ha.Idle, Electorate: []string{"n2", "n3"}, Claimed: 7, Mixed: true}},
		{"one whose permit is over in this instant", permit.State{Leading: true, Permit: now, Electorate: electorate},
			ha.Right{Leading: true, Over: 1, FreeIn: ha.Idle, Electorate: []string{"n2", "n3"}, Claimed: 7}},
		{"one that is giving up", permit.State{Releasing: true, Electorate: released, LedLast: true}, ha.Right{Releasing: true, FreeIn: ha.Idle, LedLast: true}},
		{"a member that has to wait", permit.State{Overdue: true, FreeAt: in(time.Second), Electorate: electorate},
			ha.Right{Overdue: true, FreeIn: time.Second, Electorate: []string{"n2", "n3"}}},
		{"one that may take over", permit.State{Free: true, FreeAt: in(-time.Second), Electorate: electorate},
			ha.Right{Free: true, FreeFor: time.Second, Electorate: []string{"n2", "n3"}}},
		{"one whose turn has come and who may not, for the store has to be read", permit.State{FreeAt: in(-time.Second), Electorate: electorate},
			ha.Right{FreeIn: ha.Idle, Electorate: []string{"n2", "n3"}}},
	} {
		if got := new(Words).State(c.told, now); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestAPermitThatIsOverIsNotForgotten(t *testing.T) {
	var w Words
	told := func(s permit.State, at time.Duration) [2]time.Duration {
		r := w.State(s, now.Add(at))
		return [2]time.Duration{r.Left, r.Over}
	}
	ends := permit.State{Leading: true, Permit: now.Add(time.Second)}
	for _, c := range []struct {
		at   time.Duration
		told permit.State
		want [2]time.Duration
	}{
		{0, permit.State{}, [2]time.Duration{0, 0}},
		{0, ends, [2]time.Duration{time.Second, 0}},
		{3 * time.Second, ends, [2]time.Duration{0, 2 * time.Second}},
		{4 * time.Second, permit.State{}, [2]time.Duration{0, 3 * time.Second}}, // it leads no more
		{4 * time.Second, permit.State{Leading: true, Permit: now.Add(5 * time.Second)}, [2]time.Duration{time.Second, 0}},
		{5 * time.Second, permit.State{}, [2]time.Duration{0, 0}}, // given back before its end
	} {
		if got := told(c.told, c.at); got != c.want {
			t.Errorf("at %v, %+v: left and over are %v, want %v", c.at, c.told, got, c.want)
		}
	}
}

// notes is a Keeper that writes down what it is told.
type notes []string

func (n *notes) SetLength(d time.Duration) { *n = append(*n, fmt.Sprint("length ", d)) }
func (n *notes) SetTTL(d time.Duration)    { *n = append(*n, fmt.Sprint("ttl ", d)) }
func (n *notes) Want(members []string, sole bool) {
	*n = append(*n, fmt.Sprint("want ", members, " sole ", sole))
}
func (n *notes) Position(p permit.Position) { *n = append(*n, fmt.Sprint("position ", p)) }
func (n *notes) Promotion(timeline uint32)  { *n = append(*n, fmt.Sprint("promotion ", timeline)) }
func (n *notes) Unarmed(unarmed bool, key int64) {
	*n = append(*n, fmt.Sprint("unarmed ", unarmed, " under ", key))
}
func (n *notes) Lost(leader string) { *n = append(*n, "lost "+leader) }

func TestWhatAPassKnowsIsPassedOn(t *testing.T) {
	var w Words
	var got notes
	k := agent.Knowledge{Permit: time.Second, TTL: time.Minute, Members: []string{"n2"}, Sole: true, Position: wal.Point{Timeline: 4, LSN: 9}, Promotion: 5, Unarmed: true, Key: 7, Upstream: "n1"}
	w.Know(k, &got)
	want := notes{"length 1s", "ttl 1m0s", "want [n2] sole true", "position {4 9}", "promotion 5", "unarmed true under 7"}
	if !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	for _, step := range []struct {
		upstream string
		lost     bool
	}{{"n1", false}, {"n3", false}, {"", true}, {"", false}} {
		got, k.Upstream = nil, step.upstream
		w.Know(k, &got)
		if lost := slices.Contains(got, "lost n3"); lost != step.lost {
			t.Errorf("upstream %q: told %q", step.upstream, got)
		}
	}
}

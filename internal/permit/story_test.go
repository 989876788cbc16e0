package permit

import (
	"math/rand/v2"
	"testing"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/dcs"
)

// A story is a cluster led by hand: nothing arrives that the story does not
// deliver. A leads; B, and C where named, are in the electorate. Times are in
// milliseconds, the permit is 1 s and the margin 50 ms unless the story says else.
type story struct {
	*world
	t *testing.T
}

func newStory(t *testing.T, omit rule) *story {
	w := &world{setting: setting{omit: omit}, rnd: rand.New(rand.NewPCG(1, 1)), calm: true, ttl: time.Hour}
	w.store = &store{w: w, values: map[string]dcs.Value{}, revision: 1, leases: map[string]int64{}}
	for _, name := range []string{"A", "B", "C"} {
		h := &host{name: name, rate: 1, booted: -int64(time.Hour), length: Default}
		w.hosts = append(w.hosts, h)
	}
	s := &story{world: w, t: t}
	for _, h := range s.hosts {
		s.restart(h.name)
	}
	return s
}

func (s *story) at(ms int64) {
	if ms*1e6 < s.now {
		s.t.Fatalf("the story goes back to %d ms", ms)
	}
	s.now = ms * 1e6
}

func (s *story) clockOf(name string) boottime.Instant { return s.clock(s.host(name)) }

// restart begins a new life of an agent, without a record; it reads the store.
func (s *story) restart(name string) {
	s.forget(name)
	s.host(name).node.Learn(s.store.view(), s.clockOf(name))
}

// forget begins a new life that has not read the store yet.
func (s *story) forget(name string) {
	h := s.host(name)
	h.node = newNode(name, h.length, 0, s.clockOf(name), omitted{s.omit})
}

func (s *story) watch(names ...string) {
	for _, name := range names {
		s.host(name).node.See(s.store.view(), s.clockOf(name))
		s.settle(s.host(name))
	}
}

// sends asks for a transaction, which stays on its way.
func (s *story) puts(name string) (Write, bool)  { return s.host(name).node.Put(false, s.clockOf(name)) }
func (s *story) takes(name string) (Write, bool) { return s.host(name).node.TakeOver(s.clockOf(name)) }

// applies lets it arrive; answers lets the answer arrive too.
func (s *story) applies(name string, w Write, ok bool) (Answer, int64) {
	if !ok {
		return Unknown, 0
	}
	return s.store.apply(name, w.Txn)
}

func (s *story) answers(name string, w Write, ok bool) {
	if answer, revision := s.applies(name, w, ok); ok {
		s.told(name, w, answer, revision)
	}
}

func (s *story) told(name string, w Write, answer Answer, revision int64) {
	s.host(name).node.Answered(w.ID, answer, revision, s.clockOf(name))
	s.settle(s.host(name))
}

func (s *story) takesOver(name string) { w, ok := s.takes(name); s.answers(name, w, ok) }
func (s *story) renews(name string)    { w, ok := s.puts(name); s.answers(name, w, ok) }

// beats sends a heartbeat to some, whose answers arrive at once.
func (s *story) beats(leader string, to ...string) {
	for _, ack := range s.heard(leader, to...) {
		s.host(leader).node.Acked(ack, s.clockOf(leader))
	}
	s.settle(s.host(leader))
}

func (s *story) heard(leader string, to ...string) (acks []Ack) {
	hb, _ := s.host(leader).node.Beat(Position{}, s.clockOf(leader))
	for _, name := range to {
		acks = append(acks, s.host(name).node.Heartbeat(hb, Position{}, s.clockOf(name)))
		s.settle(s.host(name))
	}
	return acks
}

// begin: at 1,200 ms A leads, and has just had an acknowledgement from all of the
// electorate.
func (s *story) begin(electorate ...string) {
	s.at(1100)
	s.takesOver("A")
	s.host("A").node.Want(electorate, false)
	s.beats("A", electorate...)
	s.renews("A")
	s.watch("A", "B", "C")
	s.at(1200)
	s.beats("A", electorate...)
	if term, ok := s.host("A").node.Leading(); !ok || !s.host("A").promoted || len(s.store.view().Electorate.Members) != len(electorate) {
		s.t.Fatalf("A does not lead %v: term %d, %+v", electorate, term, s.store.view())
	}
}

func (s *story) lengthen(d time.Duration) { s.host("A").node.SetLength(d) }

// stories say for each rule what happens without it. None may break S1 with the
// rules as they are, each must without its own.
var stories = []struct {
	name string
	omit rule
	tell func(s *story)
}{
	{"P1: an acknowledgement that comes late", countFromSend, func(s *story) {
		s.begin("B")
		acks := s.heard("A", "B")
		s.at(1900)
		s.host("A").node.Acked(acks[0], s.clockOf("A"))
		s.settle(s.host("A"))
		s.at(2300)
		s.takesOver("B")
	}},
	{"P2: the candidate's agent restarts after it has acknowledged", startIsQuiet, func(s *story) {
		s.begin("B")
		s.at(1300)
		s.restart("B")
		s.at(1400)
		s.takesOver("B")
	}},
	{"P2: the candidate acknowledges when it has waited almost long enough", ackIsQuiet | promiseHolds, func(s *story) {
		s.begin("B")
		s.at(2100)
		s.beats("A", "B")
		s.at(2300)
		s.takesOver("B")
	}},
	{"P2: the leader's store heartbeat is seen", changeIsQuiet, func(s *story) {
		s.begin("B")
		s.at(2100)
		s.renews("A")
		s.at(2200)
		s.watch("B")
		s.at(2300)
		s.takesOver("B")
	}},
	{"P3: a put without an answer is applied", mayStillApply, func(s *story) {
		s.begin("B")
		s.host("A").node.Want([]string{"B", "C"}, false)
		s.beats("A", "B", "C")
		w, ok := s.puts("A")
		s.told("A", w, Unknown, 0)
		s.applies("A", w, ok)
		s.hearsOnlyB()
	}},
	{"P4: a candidate acknowledges after it has sent its takeover", noAckWhileTaking | promiseHolds, func(s *story) {
		s.begin("B")
		s.at(2300)
		w, ok := s.takes("B")
		s.at(2400)
		s.beats("A", "B")
		s.at(2450)
		s.answers("B", w, ok)
	}},
	{"P5: a takeover arrives after the leader's store heartbeat", compareRevision, func(s *story) {
		s.begin("B")
		s.at(2300)
		w, ok := s.takes("B")
		s.renews("A")
		s.at(2320)
		s.answers("B", w, ok)
	}},
	{"P5: a member is added, and the answer is lost", demandThenPut, func(s *story) {
		s.begin("B")
		s.host("A").node.Want([]string{"B", "C"}, false)
		s.beats("A", "B", "C")
		w, ok := s.puts("A")
		s.applies("A", w, ok)
		s.hearsOnlyB()
	}},
	{"P5: a member is removed, and the put is lost", putThenRelease, func(s *story) {
		s.begin("B", "C")
		s.host("A").node.Want([]string{"B"}, false)
		s.puts("A")
		s.hearsOnlyB()
	}},
	{"P5: the leader's agent restarts while a put that adds a member is on its way", adoptWhole, func(s *story) {
		s.begin("B")
		s.host("A").node.Want([]string{"B", "C"}, false)
		s.beats("A", "B", "C")
		w, ok := s.puts("A")
		kept, _ := s.host("A").node.Keep()
		s.forget("A")
		s.host("A").node.Adopt(kept, s.host("A").deadline, s.clockOf("A"))
		s.applies("A", w, ok)
		s.hearsOnlyB()
	}},
	{"P6: one who is not in the electorate", onlyElectorate, func(s *story) {
		s.begin("B")
		s.hearsOnlyB()
	}},
	{"P6: the electorate is emptied, and the answer is lost", aloneByStore, func(s *story) {
		s.begin("B")
		s.host("A").node.Want(nil, false)
		w, ok := s.puts("A")
		s.applies("A", w, ok)
		s.hearsOnlyB()
	}},
	{"P7: an old leader that knows of nothing", newestTermOnly, func(s *story) {
		s.begin("B")
		s.at(2300)
		s.takesOver("B")
		s.at(2400)
		s.beats("A", "B")
	}},
	{"P7: the new leader's agent restarts, and hears the old leader before it has read the store", termsOutlive, func(s *story) {
		s.begin("B")
		s.at(2300)
		s.takesOver("B")
		s.at(2400)
		s.forget("B")
		s.beats("A", "B")
	}},
	{"P7: the new leader's agent restarts when its leader key has just gone", pastByKey, func(s *story) {
		s.begin("B")
		s.at(2300)
		s.takesOver("B")
		s.at(2400)
		s.store.remove(dcs.KeyLeader)
		s.restart("B")
		s.beats("A", "B")
	}},
	{"P8: a new leader whom the old one does not hear", demandWhole, func(s *story) {
		s.begin("B", "C")
		s.at(2300)
		s.takesOver("B")
		s.watch("A", "C")
		for ms := int64(2400); ms <= 3400; ms += 200 {
			s.at(ms)
			s.beats("B", "C")
		}
		s.takesOver("A")
	}},
	{"P9: a longer permit that not all have heard of", longerWhenAcked | longerWhenPut, func(s *story) {
		s.begin("B", "C")
		s.lengthen(2 * time.Second)
		s.at(1300)
		s.beats("A", "C")
		s.at(2300)
		s.takesOver("B")
	}},
	{"P9: a longer permit that all have acknowledged, one of whom restarts", longerWhenPut, func(s *story) {
		s.begin("B")
		s.lengthen(2 * time.Second)
		s.at(1300)
		s.beats("A", "B")
		s.restart("B")
		s.at(2400)
		s.takesOver("B")
	}},
	{"P9: a shorter permit, and a candidate that never saw the longer one", shorterAfterEnd, func(s *story) {
		s.host("A").length = 2 * time.Second
		s.restart("A")
		s.begin("B")
		s.lengthen(Shortest)
		s.at(1300)
		s.renews("A")
		s.restart("B")
		s.at(2400)
		s.takesOver("B")
	}},
	{"P9: a candidate hears of a shorter permit", waitLongest | promiseHolds, func(s *story) {
		s.host("A").length = 2 * time.Second
		s.restart("A")
		s.begin("B")
		s.lengthen(Shortest)
		s.at(1300)
		s.beats("A", "B")
		s.at(2400)
		s.takesOver("B")
	}},
}

// hearsOnlyB: A is cut off from the store and from C, and B acknowledges all the
// time. C, which has seen the key last at 1,300 ms, tries to take over.
func (s *story) hearsOnlyB() {
	s.at(1300)
	s.watch("C")
	for ms := int64(1400); ms <= 2400; ms += 200 {
		s.at(ms)
		s.beats("A", "B")
	}
	s.takesOver("C")
}

func TestWhatEachRuleIsFor(t *testing.T) {
	for _, c := range stories {
		t.Run(c.name, func(t *testing.T) {
			s := newStory(t, 0)
			c.tell(s)
			if s.violation != "" {
				t.Errorf("S1 is broken: %s", s.violation)
			}
			s = newStory(t, c.omit)
			c.tell(s)
			if s.violation == "" {
				t.Error("without the rule nothing happens: the story shows nothing")
			}
		})
	}
}

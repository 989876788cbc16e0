package permit

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/dcs"
)

// driven is a Driver whose hands write down what they are asked for.
type driven struct {
	*Driver
	t   *testing.T
	now boottime.Instant

	did      []string // in order: keep, deadline, commit, read, send, term
	sent     map[string]Heartbeat
	writes   []Write
	kept     *Kept // nil: removed
	deadline boottime.Instant
	woken    int
	revision int64

	keepFails, termFails error
}

func (h *driven) Send(member string, hb Heartbeat) {
	h.sent[member] = hb
	h.note("send " + member)
}

func (h *driven) Commit(w Write) {
	h.writes = append(h.writes, w)
	h.note("commit")
}

func (h *driven) Read() { h.note("read") }

func (h *driven) Keep(k Kept, leading bool) error {
	h.note(fmt.Sprintf("keep %v", leading))
	if h.keepFails != nil {
		return h.keepFails
	}
	h.kept = nil
	if leading {
		h.kept = &k
	}
	return nil
}

func (h *driven) Deadline(until boottime.Instant) {
	h.deadline = until
	h.note(fmt.Sprintf("deadline %v", until != 0))
}

func (h *driven) Changed() { h.woken++ }

func (h *driven) note(what string) { h.did = append(h.did, what) }

// drive starts member B of a cluster at one second after its boot, with a permit of
// 1 s and a ttl of 30 s.
func drive(t *testing.T, change func(*Options)) *driven {
	h := &driven{t: t, now: boottime.Instant(time.Second), sent: map[string]Heartbeat{}, revision: 10}
	o := Options{Me: "B", Length: Default, TTL: 30 * time.Second, Hands: h}
	if change != nil {
		change(&o)
	}
	h.Driver = NewDriver(o, h.now)
	return h
}

// until ticks as the driver asks for, up to a time.
func (h *driven) until(end boottime.Instant) {
	h.t.Helper()
	for ticks := 0; ; ticks++ {
		at := h.Tick(h.now)
		if at <= h.now || ticks > 10_000 {
			h.t.Fatalf("at %v the next tick is to be at %v", time.Duration(h.now), time.Duration(at))
		}
		if at > end {
			break
		}
		h.now = at
	}
	h.now = end
	h.Tick(h.now)
}

func (h *driven) after(d time.Duration) { h.t.Helper(); h.until(h.now.Add(d)) }

// cluster is the store as A leads it, with some members.
func (h *driven) cluster(leader string, term int64, e Electorate, revision int64) Sight {
	h.revision = max(h.revision, term, revision) + 1
	return Sight{Current: true, Lease: 7, LeaseEnd: h.now.Add(30 * time.Second), LeaderLease: 5,
		View: View{At: h.revision, Leader: leader, Term: term, Electorate: e, Revision: revision}}
}

func (h *driven) underA() *driven {
	s := h.cluster("A", 5, Electorate{Leader: "A", Members: []string{"B", "C"}, Permit: Default}, 5)
	h.See(s, h.now)
	h.Learned(s.View, h.now)
	return h
}

func (h *driven) beatOfA(sequence int64) Ack {
	return h.Heartbeat(Heartbeat{Leader: "A", Term: 5, Sequence: sequence, Permit: Default, Electorate: 5}, h.now)
}

// wins lets the newest write be applied, and its mirror be seen.
func (h *driven) wins() {
	h.t.Helper()
	if len(h.writes) == 0 {
		h.t.Fatal("nothing was written")
	}
	w := h.writes[len(h.writes)-1]
	h.revision++
	h.Answered(w.ID, Yes, h.revision, h.now)
	v := h.node.follower.view
	v.At, v.Leader = h.revision, h.sight.View.Leader
	v.Term = h.sight.View.Term
	lease := h.sight.LeaderLease
	for _, op := range w.Txn.Then {
		switch {
		case op.Key == dcs.KeyLeader && op.Delete:
			v.Leader, v.Term = "", 0
		case op.Key == dcs.KeyLeader:
			v.Leader, v.Term, lease = string(op.Data), h.revision, h.sight.Lease
		case op.Key == Key:
			v.Electorate, _ = ParseElectorate(op.Data)
			v.Revision = h.revision
		}
	}
	s := h.sight
	s.View, s.LeaderLease = v, lease
	h.See(s, h.now)
}

// leads brings B to the lead of C, and A.
func (h *driven) leads() *driven {
	h.t.Helper()
	h.underA()
	h.after(1100 * time.Millisecond)
	h.Stand(h.State(h.now).Key, h.now)
	h.wins()
	if !h.State(h.now).Leading {
		h.t.Fatalf("B does not lead: %+v", h.State(h.now))
	}
	return h
}

func (h *driven) acked(members ...string) {
	for _, m := range members {
		hb := h.sent[m]
		h.Acked(Ack{Member: m, Of: hb.Term, Sequence: hb.Sequence, Accepted: true, Term: hb.Term, Leader: "B",
			Position: Position{Timeline: 1, LSN: 9}}, h.now)
	}
}

func (h *driven) count(what string) (n int) {
	for _, d := range h.did {
		if strings.HasPrefix(d, what) {
			n++
		}
	}
	return n
}

func TestTheStoreIsReadAtTheStartUntilItAnswers(t *testing.T) {
	h := drive(t, nil)
	h.Tick(h.now)
	h.after(time.Second)
	if h.count("read") != 1 {
		t.Errorf("before an answer %d reads", h.count("read"))
	}
	h.ReadFailed(h.now)
	h.after(200 * time.Millisecond)
	if h.count("read") != 1 {
		t.Error("no pause after a failed read")
	}
	h.after(50 * time.Millisecond)
	if h.count("read") != 2 {
		t.Errorf("after a quarter of a permit %d reads", h.count("read"))
	}
	if ack := h.beatOfA(1); ack.Accepted {
		t.Error("acknowledged before the store was read")
	}
	h.underA()
	if ack := h.beatOfA(2); !ack.Accepted {
		t.Error("not acknowledged after it")
	}
	h.after(time.Minute)
	if h.count("read") != 2 {
		t.Errorf("read for nothing: %d", h.count("read"))
	}
}

func TestBeforeALeadersWriteIsSentTheGuardKeepsIt(t *testing.T) {
	h := drive(t, nil).leads()
	h.keepFails = errors.New("no guard")
	before := len(h.writes)
	h.after(900 * time.Millisecond) // nobody acknowledges: the store is wanted
	if len(h.writes) != before {
		t.Fatal("written though the guard did not keep it")
	}
	h.keepFails = nil
	h.did = nil
	h.after(100 * time.Millisecond)
	if len(h.writes) != before+1 {
		t.Fatalf("%d writes after the guard keeps again", len(h.writes)-before)
	}
	if i := slices.Index(h.did, "commit"); !slices.Contains(h.did[:i], "keep true") {
		t.Errorf("done: %v", h.did)
	}
	if h.kept == nil || len(h.kept.Puts) != 1 {
		t.Errorf("kept: %+v, and not the put alone that was sent", h.kept)
	}
}

func TestBeforeAReleaseIsSentNothingIsKept(t *testing.T) {
	h := drive(t, nil).leads()
	status := dcs.Op{Key: dcs.KeyStatus, Data: []byte("{}")}
	before := len(h.writes)
	h.did, h.keepFails = nil, errors.New("no guard")
	if !h.Release([]dcs.Op{status}, h.now) || len(h.writes) != before || h.deadline != 0 || !h.State(h.now).Releasing {
		t.Fatalf("released with the record in place: %v", h.did)
	}
	h.keepFails = nil
	h.after(100 * time.Millisecond)
	if len(h.writes) != before+1 || h.kept != nil {
		t.Fatalf("%d writes, kept %v", len(h.writes)-before, h.kept)
	}
	h.Answered(h.writes[before].ID, Unknown, 0, h.now)
	h.after(100 * time.Millisecond)
	if len(h.writes) != before+2 {
		t.Fatal("a release without an answer is not repeated")
	}
	for _, w := range h.writes[before:] {
		if last := w.Txn.Then[len(w.Txn.Then)-1]; last.Key != dcs.KeyStatus {
			t.Errorf("released without the status: %+v", w.Txn)
		}
	}
	h.wins()
	if s := h.State(h.now); s.Releasing || s.Leading || !s.Free {
		t.Errorf("after the answer: %+v", s)
	}
	h.after(time.Minute)
	if len(h.writes) != before+2 {
		t.Error("released again")
	}
}

func TestTheServerIsPromotedWhenARestartWouldKnowOfTheTerm(t *testing.T) {
	h := drive(t, nil)
	h.o.SaveTerm = func(term int64) error { h.note(fmt.Sprint("term ", term)); return h.termFails }
	h.underA()
	h.after(1100 * time.Millisecond)
	h.Stand(h.State(h.now).Key, h.now)
	h.keepFails, h.termFails = errors.New("no guard"), errors.New("no guard")
	h.wins()
	if s := h.State(h.now); !s.Leading || s.MayPromote || s.Permit <= h.now {
		t.Errorf("without a record: %+v", s)
	}
	h.keepFails = nil
	h.after(100 * time.Millisecond)
	if h.State(h.now).MayPromote {
		t.Error("without a record of the term")
	}
	h.termFails = nil
	woken := h.woken
	h.after(100 * time.Millisecond)
	if s := h.State(h.now); !s.MayPromote || h.woken == woken {
		t.Errorf("with both: %+v, woken %d times", s, h.woken-woken)
	}
}

func TestATermIsStoredBeforeItIsAcknowledged(t *testing.T) {
	h := drive(t, nil).underA()
	var saved int64
	h.o.SaveTerm = func(term int64) error { saved = term; return h.termFails }
	h.termFails = errors.New("no guard")
	if ack := h.beatOfA(1); ack.Accepted {
		t.Error("acknowledged though the term was not stored")
	}
	h.termFails = nil
	if ack := h.beatOfA(2); !ack.Accepted || saved != 5 {
		t.Errorf("%+v, stored %d", ack, saved)
	}
	again := drive(t, func(o *Options) { o.Term = 5 })
	if ack := again.beatOfA(3); !ack.Accepted {
		t.Error("a restarted agent that knows the term does not acknowledge without the store")
	}
	if ack := again.Heartbeat(Heartbeat{Leader: "D", Term: 4, Permit: Default}, again.now); ack.Accepted {
		t.Error("it acknowledges an older one")
	}
}

func TestHeartbeatsGoOutPunctuallyAndAtOnceWhenWon(t *testing.T) {
	h := drive(t, nil).leads()
	if h.count("send") != 2 {
		t.Fatalf("won, and sent %v", h.did)
	}
	h.did = nil
	for range 60 {
		h.after(50 * time.Millisecond)
		h.acked("A", "C")
	}
	if n := h.count("send"); n < 34 || n > 36 {
		t.Errorf("%d heartbeats to two members in 3 s", n)
	}
	if puts := h.count("commit"); puts > 0 {
		t.Errorf("%d transactions in the quiet state", puts)
	}
	s := h.State(h.now)
	if s.Permit < h.now.Add(700*time.Millisecond) || h.deadline != s.Permit || s.Positions["C"].LSN != 9 || !s.MayPromote {
		t.Errorf("state %+v, the guard's deadline %v", s, h.deadline)
	}
}

// TestALeaderThatHearsNothingLetsOthersTakeOver: its heartbeats arrive, the answers do
// not, and the store is out of reach too.
func TestALeaderThatHearsNothingLetsOthersTakeOver(t *testing.T) {
	h := drive(t, nil).leads()
	for range 20 {
		h.after(50 * time.Millisecond)
		h.acked("A", "C")
		h.Passed(h.now)
	}
	last, longest := h.now, time.Duration(0)
	for range 200 {
		h.did = nil
		h.after(50 * time.Millisecond)
		h.Passed(h.now)
		if h.count("send") > 0 {
			last = h.now
		}
		longest = max(longest, h.now.Sub(last))
	}
	if longest < quiet(Default)+500*time.Millisecond {
		t.Errorf("in 10 s without an answer the longest pause between heartbeats was %v, and a candidate waits %v", longest, quiet(Default))
	}
	h.wins() // the store answers again
	h.did = nil
	for range 80 {
		h.after(50 * time.Millisecond)
		h.acked("A", "C")
		h.Passed(h.now)
	}
	if n := h.count("send"); n < 8 {
		t.Errorf("answers are back, and %d heartbeats were sent to two members in 4 s", n)
	}
}

func TestAHungAgentDoesNotStayLeader(t *testing.T) {
	h := drive(t, func(o *Options) { o.TTL = 5 * time.Second }).leads()
	for range 60 {
		h.after(100 * time.Millisecond)
		h.acked("A", "C")
	}
	h.did = nil
	h.after(10 * time.Second)
	if h.count("send")+h.count("commit") > 0 || h.State(h.now).Permit > h.now {
		t.Errorf("no pass for 16 s: %v, %+v", h.did, h.State(h.now))
	}
	h.Passed(h.now)
	if h.count("send") != 2 {
		t.Errorf("a pass was finished: %v", h.did)
	}
}

func TestTheDeadlineIsToldWheneverThePermitChanges(t *testing.T) {
	h := drive(t, nil).leads()
	for range 20 {
		h.after(100 * time.Millisecond)
		h.acked("A", "C")
		if h.deadline != h.State(h.now).Permit {
			t.Fatalf("deadline %d, permit %d", h.deadline, h.State(h.now).Permit)
		}
	}
	s := h.cluster("C", h.revision+5, Electorate{Leader: "C", Members: []string{"A", "B"}, Permit: Default}, h.revision+5)
	h.See(s, h.now)
	if h.deadline != 0 || h.State(h.now).Leading || h.kept != nil {
		t.Errorf("overtaken: deadline %d, kept %v", h.deadline, h.kept)
	}
}

func TestTheAgentIsWokenForWhatItDecidesBy(t *testing.T) {
	h := drive(t, nil).underA()
	h.Tick(h.now)
	h.beatOfA(1)
	from, woken := h.now, h.woken
	at := func(d time.Duration, what string, is func(State) bool) {
		t.Helper()
		h.until(from.Add(d - time.Millisecond))
		if is(h.State(h.now)) || h.woken != woken {
			t.Errorf("%s before %v", what, d)
		}
		h.until(from.Add(d))
		if !is(h.State(h.now)) || h.woken != woken+1 {
			t.Errorf("%s at %v: %+v, woken %d times", what, d, h.State(h.now), h.woken-woken)
		}
		woken = h.woken
	}
	at(500*time.Millisecond, "overdue", func(s State) bool { return s.Overdue })
	at(1050*time.Millisecond, "free", func(s State) bool { return s.Free })
	h.after(time.Minute)
	if h.woken != woken {
		t.Error("woken for nothing")
	}
}

func TestEvidenceWakesTheCandidatesAtOnce(t *testing.T) {
	h := drive(t, nil).underA()
	h.beatOfA(1)
	h.Lost("C", h.now)
	if h.State(h.now).Suspect {
		t.Error("C does not lead")
	}
	woken := h.woken
	h.Lost("A", h.now)
	if s := h.State(h.now); !s.Suspect || !s.Overdue || s.Free || h.woken != woken+1 {
		t.Errorf("%+v, woken %d times", s, h.woken-woken)
	}
	h.beatOfA(2)
	if s := h.State(h.now); s.Suspect || s.Overdue || s.Heard != h.now {
		t.Errorf("heard since: %+v", s)
	}
}

// TestALeaderThatPutsTheElectorateIsNotSuspect: a member outside the electorate hears
// no heartbeats, and would suspect the leader of once for ever.
func TestALeaderThatPutsTheElectorateIsNotSuspect(t *testing.T) {
	h := drive(t, nil)
	alone := Electorate{Leader: "A", Permit: Default}
	s := h.cluster("A", 5, alone, 5)
	h.See(s, h.now)
	h.Learned(s.View, h.now)
	h.Lost("A", h.now)
	if !h.State(h.now).Suspect {
		t.Fatal("the evidence is not taken")
	}
	h.revision++
	h.See(h.cluster("A", 5, alone, h.revision), h.now)
	if s := h.State(h.now); s.Suspect || s.Overdue {
		t.Errorf("the leader has put the key since: %+v", s)
	}
}

func TestATakeoverIsRepeatedForAsLongAsTheAgentStands(t *testing.T) {
	h := drive(t, nil).underA()
	h.Stand(h.State(h.now).Key, h.now)
	h.after(1000 * time.Millisecond)
	if len(h.writes) > 0 {
		t.Fatal("within the quiet period")
	}
	h.after(50 * time.Millisecond)
	if len(h.writes) != 1 {
		t.Fatalf("%d takeovers when it has ended", len(h.writes))
	}
	h.after(500 * time.Millisecond)
	if len(h.writes) != 3 {
		t.Errorf("%d takeovers after two quarters of a permit", len(h.writes))
	}
	h.Passed(h.now)
	h.Passed(h.now)
	h.after(time.Second)
	if len(h.writes) != 3 {
		t.Errorf("%d takeovers, the last ones unasked", len(h.writes))
	}
	if h.beatOfA(9).Accepted {
		t.Error("acknowledged while a takeover may be applied")
	}
}

// TestATakeoverIsForTheElectorateThatTheAgentSaw: B wants to succeed A. Before it may, C has,
// and is lost as well. C can have a log that B lacks, so B's agent has to think again.
func TestATakeoverIsForTheElectorateThatTheAgentSaw(t *testing.T) {
	ofC := Electorate{Leader: "C", Members: []string{"A", "B"}, Permit: Default}
	for name, c := range map[string]Electorate{"C is silent": ofC, "C has given up": {Leader: "C", Members: ofC.Members, Permit: Default, Released: true}} {
		t.Run(name, func(t *testing.T) {
			h := drive(t, nil).underA()
			ofA := h.State(h.now).Key
			h.Stand(ofA, h.now)
			h.after(500 * time.Millisecond)
			s := h.cluster("", 0, c, 9)
			s.LeaderLease = 0
			h.See(s, h.now)
			h.after(1100 * time.Millisecond)
			if !h.State(h.now).Free || len(h.writes) > 0 {
				t.Fatalf("%d takeovers by what was decided under A, %+v", len(h.writes), h.State(h.now))
			}
			if h.Stand(ofA, h.now); len(h.writes) > 0 {
				t.Fatal("a takeover by a pass that had begun under A")
			}
			if h.Stand(h.State(h.now).Key, h.now); len(h.writes) != 1 {
				t.Errorf("%d takeovers that were decided on since", len(h.writes))
			}
		})
	}
}

func TestAnAnswerOfNoIsForTheAgentToThinkAbout(t *testing.T) {
	h := drive(t, nil).underA()
	h.after(1100 * time.Millisecond)
	h.Stand(h.State(h.now).Key, h.now)
	h.did = nil
	h.Answered(h.writes[0].ID, No, 0, h.now)
	if h.count("read") != 1 || h.State(h.now).Free {
		t.Errorf("after a No: %v", h.did)
	}
	h.Learned(h.sight.View, h.now)
	if !h.State(h.now).Free || len(h.writes) != 1 {
		t.Errorf("%+v, %d writes", h.State(h.now), len(h.writes))
	}
	for range 50 { // a lease that is missing is a No each time
		h.Stand(h.State(h.now).Key, h.now)
		h.Answered(h.writes[len(h.writes)-1].ID, No, 0, h.now)
		h.Learned(h.sight.View, h.now)
		h.after(2 * time.Millisecond)
	}
	if n := len(h.writes); n > 4 {
		t.Errorf("%d takeovers in 100 ms", n)
	}
}

func TestTheLeaderKeyIsMovedToTheLeaseOfNow(t *testing.T) {
	h := drive(t, nil).leads()
	before := len(h.writes)
	h.after(100 * time.Millisecond)
	h.acked("A", "C")
	s := h.sight
	s.Lease = 8
	h.See(s, h.now)
	if len(h.writes) != before+1 || h.writes[before].Txn.Then[1].Key != dcs.KeyLeader {
		t.Fatalf("writes %+v", h.writes[before:])
	}
	h.wins()
	term := h.State(h.now).Term
	if h.after(time.Millisecond); term != h.revision || len(h.writes) != before+1 || h.kept.Term != term {
		t.Errorf("term %d, revision %d, %d writes, kept %+v", term, h.revision, len(h.writes)-before, h.kept)
	}
}

func TestBeforeATakeoverIsSentWhatIsKeptOfAnEarlierTermIsRemoved(t *testing.T) {
	h := drive(t, nil).underA()
	h.kept = &Kept{Term: 3} // of an earlier life that was not adopted
	h.keepFails = errors.New("no guard")
	h.after(1100 * time.Millisecond)
	h.Stand(h.State(h.now).Key, h.now)
	if len(h.writes) > 0 {
		t.Fatal("sent with the record in place")
	}
	h.keepFails = nil
	h.after(100 * time.Millisecond)
	if len(h.writes) != 1 || h.kept != nil {
		t.Errorf("%d takeovers, kept %+v", len(h.writes), h.kept)
	}
}

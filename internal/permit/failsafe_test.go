package permit

import (
	"testing"
	"time"

	"matriarch/internal/boottime"
)

// withoutStore leads beside a member of Patroni's, whose lease ends in a while.
func withoutStore(t *testing.T, left time.Duration) *driven {
	h := drive(t, nil).leads()
	s := h.sight
	s.Mixed, s.Current, s.LeaseEnd = true, false, h.now.Add(left)
	h.See(s, h.now)
	return h
}

// goesOn lets time pass in which all members acknowledge, and the store says nothing.
func (h *driven) goesOn(d time.Duration) {
	h.t.Helper()
	for end := h.now.Add(d); h.now < end; {
		h.after(100 * time.Millisecond)
		h.acked("A", "C")
	}
}

func TestWhatPatronisMembersPromiseIsAsGoodAsTheLease(t *testing.T) {
	h := withoutStore(t, 3*time.Second)
	began := h.now
	h.goesOn(time.Second)
	if p := h.State(h.now).Permit; p <= h.now || p > began.Add(2500*time.Millisecond) {
		t.Fatalf("the lease runs: permit in %v", p.Sub(h.now))
	}
	h.Promised(began.Add(30*time.Second), h.now)
	h.goesOn(20 * time.Second)
	if p := h.State(h.now).Permit; p <= h.now || h.deadline != p {
		t.Errorf("promised: permit in %v", p.Sub(h.now))
	}
	h.goesOn(9 * time.Second) // to 30 s after the round began
	if p, end := h.State(h.now).Permit, began.Add(30*time.Second-leaseMargin); p > end || h.deadline > end {
		t.Errorf("the promise has ended: permit to %v, the promise's end %v", p, end)
	}
}

func TestAPromiseThatIsTakenBackEndsThePermitWithTheLease(t *testing.T) {
	h := withoutStore(t, 3*time.Second)
	end := h.now.Add(3*time.Second - leaseMargin)
	h.Promised(h.now.Add(30*time.Second), h.now)
	h.goesOn(5 * time.Second)
	if p := h.State(h.now).Permit; p <= h.now {
		t.Fatalf("promised: permit in %v", p.Sub(h.now))
	}
	h.Promised(0, h.now)
	if p := h.State(h.now).Permit; p != end || h.deadline != end {
		t.Errorf("permit %v, the guard's deadline %v, want the lease's end %v", p, h.deadline, end)
	}
	h.Promised(h.now.Add(30*time.Second), h.now)
	h.goesOn(time.Second)
	if p := h.State(h.now).Permit; p > h.now {
		t.Error("B-934: a promise after the end is believed, though the key can have been taken before it")
	}
}

func TestAPromiseIsOfOneLeadership(t *testing.T) {
	h := withoutStore(t, 3*time.Second)
	h.Promised(h.now.Add(30*time.Second), h.now)
	h.Release(nil, h.now)
	h.wins()
	if h.mix.promised != 0 {
		t.Error("the promise outlives the lead")
	}
	h.Promised(h.now.Add(30*time.Second), h.now)
	if h.mix.promised != 0 {
		t.Error("who does not lead is promised something")
	}
}

// retiredUnderP is the electorate under Patroni's leader P, whose key is gone.
func retiredUnderP(t *testing.T) *driven {
	h := drive(t, nil)
	s := h.cluster("", 0, Electorate{Leader: "P", Permit: Default, Released: true}, 21)
	s.LeaderLease = 0
	h.See(s, h.now)
	h.Learned(s.View, h.now)
	h.after(1100 * time.Millisecond)
	if !h.State(h.now).Free {
		t.Fatalf("%+v", h.State(h.now))
	}
	return h
}

func TestWhoHasAcceptedFailsafeModeDoesNotTakeOver(t *testing.T) {
	h := retiredUnderP(t)
	if !h.Abstain(h.now.Add(30*time.Second), h.now) {
		t.Fatal("refused")
	}
	abstains := func(when string) {
		t.Helper()
		if s := h.State(h.now); s.Free || s.FreeAt != 0 {
			t.Errorf("%s: %+v", when, s)
		}
		h.Stand(h.State(h.now).Key, h.now)
		if len(h.writes) > 0 {
			t.Fatalf("%s: a takeover was sent", when)
		}
		h.Passed(h.now)
	}
	abstains("at once")
	h.after(29 * time.Second)
	abstains("just before the end")
	if !h.Abstain(h.now.Add(10*time.Second), h.now) || !h.Abstain(h.now.Add(time.Second), h.now) {
		t.Fatal("refused")
	}
	h.after(9 * time.Second)
	abstains("a shorter promise does not end a longer one")
	woken := h.woken
	h.after(1001 * time.Millisecond)
	if !h.State(h.now).Free || h.woken == woken {
		t.Errorf("the promise has ended: %+v, woken %v", h.State(h.now), h.woken > woken)
	}
	h.Stand(h.State(h.now).Key, h.now)
	if len(h.writes) != 1 {
		t.Error("no takeover after the end of the promise")
	}
}

func TestWhoMayLeadInAMomentAcceptsNothing(t *testing.T) {
	until := boottime.Instant(time.Hour)
	if h := drive(t, nil).leads(); h.Abstain(until, h.now) {
		t.Error("a leader promises not to take over")
	}
	h := retiredUnderP(t)
	h.Stand(h.State(h.now).Key, h.now)
	if len(h.writes) != 1 {
		t.Fatal("no takeover was sent")
	}
	if h.Abstain(until, h.now) {
		t.Error("a takeover is under way")
	}
	h.Answered(h.writes[0].ID, Unknown, 0, h.now)
	h.Passed(h.now)
	h.after(10 * time.Second)
	if h.Abstain(until, h.now) {
		t.Error("P3: a takeover without an answer may still be applied")
	}
}

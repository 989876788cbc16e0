package permit

import (
	"testing"
	"time"
)

// gone is what a member sees when the leader's lease has ended.
func gone(h *driven, mixed bool) Sight {
	s := h.sight
	s.View.At++
	s.View.Leader, s.View.Term, s.LeaderLease, s.Mixed = "", 0, 0, mixed
	return s
}

func TestALeaderWhoseLeaseHasEndedBesidePatroniHoldsNobody(t *testing.T) {
	h := drive(t, nil).underA()
	h.after(1100 * time.Millisecond)
	if ack := h.beatOfA(1); !ack.Accepted {
		t.Fatal("its key is there")
	}
	h.See(gone(h, true), h.now)
	h.after(800 * time.Millisecond)
	if ack := h.beatOfA(2); ack.Accepted || ack.Term != 5 || ack.Leader != "A" || ack.Of != 5 || ack.Sequence != 2 || !ack.Mixed {
		t.Fatalf("%+v", ack)
	}
	h.after(200 * time.Millisecond)
	if h.State(h.now).Free {
		t.Fatal("A may have a permit by the heartbeat that was acknowledged")
	}
	h.after(100 * time.Millisecond)
	if !h.State(h.now).Free {
		t.Error("nobody may take over while A sends heartbeats")
	}
}

func TestALeaderWithoutItsKeyIsHeard(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(h *driven)
	}{
		{"without Patroni's members the permit does not hang on the lease", func(h *driven) { h.See(gone(h, false), h.now) }},
		{"the mirror is not current", func(h *driven) {
			s := gone(h, true)
			s.Current = false
			h.See(s, h.now)
		}},
		{"the mirror has not got to the leader's term", func(h *driven) {
			s := gone(h, true)
			s.View.At = 4
			h.sight.View.At = 0
			h.See(s, h.now)
		}},
		{"it was promised something in failsafe mode", func(h *driven) {
			h.Abstain(h.now.Add(time.Minute), h.now)
			h.See(gone(h, true), h.now)
		}},
	} {
		h := drive(t, nil).underA()
		h.after(1100 * time.Millisecond)
		c.do(h)
		if ack := h.beatOfA(1); !ack.Accepted {
			t.Errorf("%s: %+v", c.name, ack)
		}
	}
}

func TestALeaderThatHasStoodStillForTTLSendsNoHeartbeats(t *testing.T) {
	h := drive(t, nil).leads()
	s := h.sight
	s.Mixed, s.LeaseEnd = true, h.now.Add(2*time.Second)
	h.See(s, h.now)
	s.Current = false
	h.See(s, h.now)
	beats := func(d time.Duration) int {
		before := h.count("send")
		for range int(d / (100 * time.Millisecond)) {
			h.after(100 * time.Millisecond)
			h.Passed(h.now)
			h.acked("A", "C")
		}
		return h.count("send") - before
	}
	if beats(30*time.Second) < 100 {
		t.Error("it stops before its guard has ended the server")
	}
	beats(2 * time.Second) // the margin and the end of the lease
	if n := beats(10 * time.Second); n > 0 {
		t.Errorf("%d heartbeats hold the others though nothing can come of it", n)
	}
	before := h.count("send")
	s.Current, s.LeaseEnd = true, h.now.Add(30*time.Second)
	h.See(s, h.now)
	if h.count("send") == before {
		t.Error("the store is back, and no heartbeat is sent")
	}
}

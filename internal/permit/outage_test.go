package permit

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"matriarch/internal/boottime"
)

// lonely is a leader whose only member is lost while the store is away: it asks the
// store for its permit over and over, and no answer ever comes.
func lonely(outage time.Duration) (*Node, boottime.Instant, Write) {
	now := boottime.Instant(time.Hour)
	n := New("n1", time.Second, 5, now)
	n.Adopt(Kept{Term: 5, Revision: 5, Electorate: Electorate{Leader: "n1", Members: []string{"n2"}, Permit: time.Second}}, now.Add(time.Second), now)
	n.Want([]string{"n2"}, false)
	var last Write
	for end := now.Add(outage); now < end; now = now.Add(50 * time.Millisecond) {
		n.Beat(Position{}, now)
		if w, ok := n.Put(false, now); ok {
			last = w
			n.Answered(w.ID, Unknown, 0, now)
		}
	}
	return n, now, last
}

// TestALongOutageOfTheStoreLeavesAShortRecord: the guard refuses a record of more than
// 64 KiB, and a leader that cannot leave one sends nothing any more.
func TestALongOutageOfTheStoreLeavesAShortRecord(t *testing.T) {
	n, now, _ := lonely(10 * time.Minute)
	k, leading := n.Keep()
	text, err := json.Marshal(k)
	if err != nil || !leading || len(k.Puts) == 0 || len(text) > 8<<10 {
		t.Errorf("%d puts in %d bytes are kept, leading %v, %v", len(k.Puts), len(text), leading, err)
	}
	if w, ok := n.Put(false, now.Add(time.Second)); !ok || len(w.Txn.Then) != 1 {
		t.Errorf("nothing is put any more: %+v", w)
	}
}

// TestARefusedPutDoesNotStandForThoseBeforeIt: the store says No to the newest because
// an earlier one like it has been applied, and until that is seen whoever it lets race
// has to acknowledge (P3).
func TestARefusedPutDoesNotStandForThoseBeforeIt(t *testing.T) {
	n, now, last := lonely(time.Minute)
	n.Want([]string{"n2", "n3"}, false)
	n.holder.peers["n3"] = &peer{sent: now}
	var with Write
	for end := now.Add(10 * time.Second); now < end; now = now.Add(50 * time.Millisecond) {
		n.holder.peers["n3"].sent = now
		if w, ok := n.Put(false, now); ok {
			with = w
			n.Answered(w.ID, Unknown, 0, now)
		}
	}
	if with.ID == last.ID || !slices.Contains(n.holder.demanded(), "n3") {
		t.Fatal("n3 was not to be taken in")
	}
	for range 2 {
		n.Answered(with.ID, No, 0, now)
		if got := n.holder.demanded(); !slices.Contains(got, "n3") {
			t.Fatalf("only %v have to acknowledge after a No", got)
		}
	}
	n.See(View{At: 9, Leader: "n1", Term: 5, Electorate: Electorate{Leader: "n1", Members: []string{"n2"}, Permit: time.Second}, Revision: 9}, now)
	if got := n.holder.demanded(); !slices.Equal(got, []string{"n2"}) {
		t.Errorf("%v have to acknowledge, though the key has been seen beyond all puts", got)
	}
}

// TestALongTryToTakeOverIsRememberedInShort: a candidate repeats its takeover as long as
// the store is away, and acknowledges nothing for it.
func TestALongTryToTakeOverIsRememberedInShort(t *testing.T) {
	now := boottime.Instant(time.Hour)
	n := New("n2", time.Second, 5, now)
	v := View{At: 6, Leader: "n1", Term: 5, Electorate: Electorate{Leader: "n1", Members: []string{"n2"}, Permit: time.Second}, Revision: 6}
	n.Learn(v, now)
	now = now.Add(3 * time.Second)
	var last Write
	for end := now.Add(10 * time.Minute); now < end; now = now.Add(50 * time.Millisecond) {
		if w, ok := n.TakeOver(now); ok {
			last = w
			n.Answered(w.ID, Unknown, 0, now)
		}
	}
	if f := n.follower; len(f.sent) == 0 || len(f.sent) > 20 {
		t.Errorf("%d takeovers are remembered", len(f.sent))
	}
	n.Answered(last.ID, No, 0, now)
	if ack := n.Heartbeat(Heartbeat{Leader: "n1", Term: 5, Sequence: 1, Permit: time.Second, Electorate: 6}, Position{}, now); ack.Accepted {
		t.Error("a heartbeat is acknowledged while earlier takeovers may still be applied (P4)")
	}
}

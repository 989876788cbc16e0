package fence

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"matriarch/internal/boottime"
)

// keep stores a record. The call has a deadline of its own, which a machine that
// is busy with others' work can miss.
func (n *node) keep(record []byte) {
	n.t.Helper()
	n.await("the record to be kept", func() (bool, string) {
		if err := n.Keep(limited(n.t), record); err != nil {
			return false, err.Error()
		}
		return true, ""
	})
}

func (n *node) mustHave(record []byte) {
	n.t.Helper()
	if got := n.status().Kept; !bytes.Equal(got, record) || (got == nil) != (record == nil) {
		n.t.Errorf("the guard has %d bytes %.40q, want %d bytes %.40q", len(got), got, len(record), record)
	}
}

func TestARecordOutlivesTheAgentAndTheServer(t *testing.T) {
	n := newNode(t, time.Minute)
	first := []byte(`{"term":7,"electorate":{"members":["n2","größer"]}}`)
	n.keep(first)
	n.mustHave(first)
	n.shell("exec sleep 1000", true, time.Minute)
	n.mustHave(first)
	second := []byte("\x00\xff \n\"")
	n.keep(second)
	n.Close()
	n.connect() // the next agent
	if got := n.Found().Kept; !bytes.Equal(got, second) {
		t.Errorf("found %q, kept %q", got, second)
	}
	if err := n.Disarm(limited(t)); err != nil {
		t.Fatal(err)
	}
	if err := n.Kill(limited(t)); err != nil {
		t.Fatal(err)
	}
	n.mustHave(second) // the agent decides
	n.shell("exec sleep 1000", true, time.Minute)
	n.mustHave(second) // a leader that has started its server again
	n.keep(nil)
	n.mustHave(nil)
	n.keep([]byte{})
	n.mustHave(nil) // an empty field tells no more than none
}

func TestARecordDoesNotReachAServerThatIsNoPrimary(t *testing.T) {
	n := newNode(t, time.Minute)
	n.shell("exec sleep 1000", true, time.Minute)
	n.keep([]byte("leader of term 7"))
	if err := n.Kill(limited(t)); err != nil {
		t.Fatal(err)
	}
	n.shell("exec sleep 1000", false, 0)
	n.mustHave(nil)
	n.keep([]byte("leader of term 9")) // a standby that has won the key, before its promotion
	if err := n.Arm(limited(t), boottime.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	n.mustHave([]byte("leader of term 9"))
}

// TestARecordForAServerThatIsAdopted is of a leader that was moved over from
// Patroni: it leads before the guard has its server.
func TestARecordForAServerThatIsAdopted(t *testing.T) {
	n := newNode(t, time.Minute)
	n.keep([]byte("leader of term 7"))
	adopt := func() {
		t.Helper()
		other := exec.Command("/bin/sleep", "1000")
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { _ = other.Wait() }()
		if err := n.Adopt(limited(t), other.Process.Pid, false, 0); err != nil {
			t.Fatal(err)
		}
	}
	adopt()
	n.mustHave([]byte("leader of term 7"))
	n.keep([]byte("leader of term 7, revision 8"))
	if err := n.Kill(limited(t)); err != nil {
		t.Fatal(err)
	}
	adopt() // another one that somebody has started
	n.mustHave(nil)
}

func TestTheLongestRecordIsKept(t *testing.T) {
	n := newNode(t, time.Minute)
	longest := bytes.Repeat([]byte{0}, RecordMax) // four bytes each, when quoted
	n.shell("exec sleep 1000", true, time.Minute) // alone, the guard would end with its agent
	n.keep(longest)
	n.Close()
	n.connect()
	if !bytes.Equal(n.Found().Kept, longest) {
		t.Errorf("found %d bytes, kept %d", len(n.Found().Kept), len(longest))
	}
	if err := n.Keep(limited(t), append(longest, 0)); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("a longer one: %v", err)
	}
	n.mustHave(longest)
}

func TestAGuardThatIsStoppedHoldsNobodyUpForLong(t *testing.T) {
	n := newNode(t, time.Minute)
	n.shell("exec sleep 1000", true, time.Minute)
	n.keep([]byte("one"))
	if err := syscall.Kill(n.Found().GuardPID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := n.Keep(context.Background(), []byte("two")); err == nil {
		t.Error("a stopped guard has kept it")
	}
	if took := time.Since(began); took < keepTimeout || took > 20*keepTimeout {
		t.Errorf("it took %v to give up, the limit is %v", took, keepTimeout)
	}
	if err := n.Continue(); err != nil {
		t.Fatal(err)
	}
	n.mustHave([]byte("two")) // not known to the caller: done all the same
}

func TestADeadlineThatIsCutFreezesAtOnce(t *testing.T) {
	n := newNode(t, time.Minute)
	n.shell(busy(2), true, time.Hour)
	if err := n.Cut(boottime.Now().Add(2 * time.Hour)); err != nil {
		t.Fatal(err)
	}
	if s := n.status(); s.Deadline > boottime.Now().Add(time.Hour) || s.Standing != Running {
		t.Errorf("cut to later than it was: %+v", s)
	}
	now := boottime.Now()
	if err := n.Cut(now); err != nil {
		t.Fatal(err)
	}
	n.event(WasFrozen)
	if s := n.status(); s.Deadline != now {
		t.Errorf("deadline %d, cut to %d", s.Deadline, now)
	}
	if err := n.Extend(boottime.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	n.event(WasThawed)
}

func BenchmarkKeep(b *testing.B) {
	n := newNode(b, time.Minute)
	n.shell("exec sleep 1000", true, time.Hour)
	record := []byte(`{"term":7,"revision":1234,"electorate":{"leader":"n1","members":["n2","n3"],"permit_ms":1000}}`)
	for b.Loop() {
		if err := n.Keep(context.Background(), record); err != nil {
			b.Fatal(err)
		}
	}
}

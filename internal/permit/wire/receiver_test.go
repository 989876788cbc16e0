package wire

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"matriarch/internal/permit"
)

// raw is a leader without Links.
type raw struct {
	net.Conn
	lines *bufio.Reader
}

const request = "GET /heartbeat?cluster=%2Fservice%2Fdemo&member=n2 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: matriarch-heartbeat/1\r\n\r\n"

const beat = `{"leader":"n1","term":7,"sequence":1,"permit":300000000}` + "\n"

// upgraded has a connection upgraded, and sends early along with the request.
func upgraded(t *testing.T, m *member, early string) raw {
	t.Helper()
	c, err := net.Dial("tcp", m.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, request+early); err != nil {
		t.Fatal(err)
	}
	r := raw{c, bufio.NewReader(c)}
	answer, err := http.ReadResponse(r.lines, nil)
	if err != nil || answer.StatusCode != 101 || answer.Header.Get("Upgrade") != Protocol {
		t.Fatalf("got %v, %v", answer, err)
	}
	return r
}

// ack reads one.
func (r raw) ack(t *testing.T) permit.Ack {
	t.Helper()
	line, err := r.lines.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	ack, err := parseAck(line)
	if err != nil {
		t.Fatal(err)
	}
	return ack
}

func (r raw) say(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(r, text); err != nil {
		t.Fatal(err)
	}
}

// ended waits until the member has closed the connection.
func (r raw) ended(t *testing.T) {
	t.Helper()
	if _, err := io.Copy(io.Discard, r.lines); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Fatal("the connection stays")
	}
}

func TestWhatCameWithTheRequestIsAnswered(t *testing.T) {
	m := run(t, "n2")
	r := upgraded(t, m, beat)
	if ack := r.ack(t); ack.Member != "n2" || ack.Sequence != 1 {
		t.Errorf("got %+v", ack)
	}
}

func TestAClosedConnectionIsEvidence(t *testing.T) {
	m := run(t, "n2")
	r := upgraded(t, m, beat)
	r.ack(t)
	r.Close()
	until(t, "word of the loss", func() bool { return m.count("lost n1") == 1 })

	reset := upgraded(t, m, beat)
	reset.ack(t)
	_ = reset.Conn.(*net.TCPConn).SetLinger(0)
	reset.Close()
	until(t, "word of the reset", func() bool { return m.count("lost n1") == 2 })
}

func TestWhatIsNoEvidence(t *testing.T) {
	m := run(t, "n2")
	silent := upgraded(t, m, "") // nothing was heard on it
	silent.Close()

	older := upgraded(t, m, beat)
	older.ack(t)
	newer := upgraded(t, m, beat)
	newer.ack(t)
	older.Close()

	spare := upgraded(t, m, beat)
	spare.ack(t)
	spare.say(t, goodbye)
	spare.ended(t)

	// Whatever was told of those was told before this one is answered and gone.
	until(t, "only one is open", func() bool { return m.open() == 1 })
	newer.Close()
	until(t, "word of the newest", func() bool { return m.count("lost n1") > 0 })
	m.receiver.Close()
	if n := m.count("lost n1"); n != 1 {
		t.Errorf("told %d times, want once", n)
	}
}

func TestOurOwnEndIsNoEvidence(t *testing.T) {
	m := run(t, "n2")
	r := upgraded(t, m, beat)
	r.ack(t)
	start := time.Now()
	m.receiver.Close()
	within(t, "Close", start, 3*time.Second)
	r.ended(t)
	if m.count("lost n1") != 0 {
		t.Error("the member's end was taken for the leader's")
	}
	late, err := net.Dial("tcp", m.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	_, _ = io.WriteString(late, request+beat)
	raw{late, bufio.NewReader(late)}.ended(t)
	if len(m.heard()) != 1 {
		t.Error("a connection was served after the end")
	}
}

func TestGarbageEndsTheConnectionAndNothingElse(t *testing.T) {
	m := run(t, "n2")
	good := upgraded(t, m, beat)
	good.ack(t)
	for name, line := range map[string]string{
		"no JSON":         "hello\n",
		"another type":    "[1]\n",
		"nothing":         "\n",
		"binary":          "\x00\xff\xfe\n",
		"no leader":       `{"term":7,"permit":1}` + "\n",
		"no term":         `{"leader":"n1","permit":1}` + "\n",
		"a wrong permit":  `{"leader":"n1","term":7,"permit":-1}` + "\n",
		"a huge number":   `{"leader":"n1","term":99999999999999999999,"permit":1}` + "\n",
		"too long":        strings.Repeat("x", lineBytes+1),
		"long JSON":       `{"leader":"` + strings.Repeat("x", lineBytes) + `","term":7,"permit":1}` + "\n",
		"two in one line": `{"leader":"n1","term":7,"permit":1}{}` + "\n",
		"another leader":  beat + strings.ReplaceAll(beat, "n1", "n3"),
	} {
		t.Run(name, func(t *testing.T) {
			r := upgraded(t, m, line)
			r.ended(t)
		})
	}
	good.say(t, beat)
	good.ack(t)
	m.receiver.Close()
	if n := m.count("lost n1") + m.count("lost n3"); n != 0 {
		t.Errorf("garbage was taken for a loss %d times", n)
	}
}

func TestOnlyTheUpgradeIsServed(t *testing.T) {
	m := run(t, "n2")
	for change, want := range map[string]int{
		"matriarch-heartbeat/1|matriarch-heartbeat/2": 426,
		"Upgrade: matriarch-heartbeat/1\r\n|":         426,
		"GET|POST":                                    426,
		"HTTP/1.1|HTTP/1.0":                           426,
		"member=n2|member=x":                          421,
		"%2Fdemo|%2Fother":                            421,
	} {
		from, to, _ := strings.Cut(change, "|")
		c, err := net.Dial("tcp", m.server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.WriteString(c, strings.Replace(request, from, to, 1))
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || answer.StatusCode != want {
			t.Errorf("%q: got %v, %v, want %d", change, answer, err, want)
		}
		c.Close()
	}
}

func TestALeaderThatDoesNotReadHoldsUpNobody(t *testing.T) {
	m := run(t, "n2")
	slow := upgraded(t, m, "")
	_ = slow.Conn.(*net.TCPConn).SetReadBuffer(4096)
	good := upgraded(t, m, strings.ReplaceAll(beat, "n1", "n3"))
	good.ack(t)
	// Without reading, until the member cannot write any more, and gives up.
	long := strings.Replace(beat, "300000000", "60000000", 1)
	many := strings.Repeat(strings.Replace(long, "n1", strings.Repeat("n", 3000), 1), 100)
	var err error
	for err == nil {
		_, err = io.WriteString(slow, many)
		good.say(t, strings.ReplaceAll(beat, "n1", "n3"))
		start := time.Now()
		good.ack(t)
		within(t, "an answer beside a slow reader", start, 3*time.Second)
	}
	if strings.Contains(err.Error(), "timeout") {
		t.Error("the member never gave up")
	}
}

func TestThereAreSoManyConnectionsAndNoMore(t *testing.T) {
	m := run(t, "n2")
	for range connectionsMax {
		upgraded(t, m, beat).ack(t)
	}
	c, err := net.Dial("tcp", m.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, request)
	if answer, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || answer.StatusCode != 503 {
		t.Errorf("got %v, %v", answer, err)
	}
}

func FuzzHeartbeatLine(f *testing.F) {
	for _, line := range []string{beat, goodbye, "", "{}", "null", `{"leader":"n1","term":1e3,"permit":1}`,
		`{"leader":"é\n","term":1,"sequence":-5,"permit":1,"electorate":3,"position":{"timeline":1,"lsn":18446744073709551615}}`} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		hb, bye, err := parseHeartbeat(line)
		if ack, err := parseAck(line); err == nil && ack.Member == "" {
			t.Fatalf("%q is an acknowledgement of nobody", line)
		}
		if err != nil || bye {
			if hb != (permit.Heartbeat{}) && err == nil {
				t.Fatalf("%q is a goodbye and a heartbeat", line)
			}
			return
		}
		if hb.Leader == "" || hb.Term <= 0 || hb.Permit <= 0 {
			t.Fatalf("%q gave %+v", line, hb)
		}
		text, err := newLineWriter().line(hb)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := parseHeartbeat(text)
		if err != nil || again != hb {
			t.Fatalf("%q gave %+v, and %q again %+v, %v", line, hb, text, again, err)
		}
		if strings.Count(string(text), "\n") != 1 {
			t.Fatalf("%q is not one line", text)
		}
	})
}

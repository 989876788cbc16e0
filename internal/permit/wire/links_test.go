package wire

import (
	"net"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"matriarch/internal/permit"
)

func TestHeartbeatsAreAnsweredOnOneKeptConnection(t *testing.T) {
	for _, secure := range []bool{false, true} {
		m := newMember("n2")
		if secure {
			m.server.StartTLS()
		} else {
			m.server.Start()
		}
		t.Cleanup(m.stop)
		l := lead(t, func(o *Options) {
			if secure {
				o.TLS = trust(m.server)
			}
		})
		start := time.Now()
		l.beat(t, "n2", m.server.URL+"/patroni", "many acknowledgements", func() bool {
			// Longer than all timeouts of the HTTP server.
			return time.Since(start) > 400*time.Millisecond && l.count("acked n2") >= 5
		})
		if n := m.count("hijacked"); n != 1 {
			t.Errorf("TLS %v: %d connections, want 1", secure, n)
		}
		ack, hb := l.acks[0], m.heard()[0]
		if !ack.Accepted || ack.Of != 7 || ack.Leader != "n1" || hb.Permit != length || ack.Sequence != hb.Sequence {
			t.Errorf("TLS %v: sent %+v, got %+v", secure, hb, ack)
		}
		if n := l.count("closed n2") + m.count("lost n1"); n != 0 {
			t.Errorf("TLS %v: told %d times of an end that was none", secure, n)
		}
	}
}

func TestOnlyTheNewestHeartbeatIsSent(t *testing.T) {
	m := newMember("n2")
	t.Cleanup(m.stop)
	l := lead(t)
	// The listener is open, and nobody serves it yet.
	url := "http://" + m.server.Listener.Addr().String()
	start := time.Now()
	for range 1000 {
		l.Send("n2", url, l.next())
	}
	within(t, "sending to nobody", start, 2*time.Second)
	m.server.Start()
	l.beat(t, "n2", url, "a heartbeat at the member", func() bool { return len(m.heard()) > 0 })
	if first := m.heard()[0].Sequence; first < 1000 {
		t.Errorf("the first heartbeat is number %d of more than 1000", first)
	}
}

func TestAnOldHeartbeatIsNotSent(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	now := time.Now()
	l := lead(t)
	m := newLink("n2", l.Links)
	m.main = &outbound{conn: near, target: m.wanted()}
	m.newest = letter{hb: l.next(), at: now.Add(-length/3 - time.Millisecond)}
	m.beat(now, m.main) // a pipe has no buffer: this would run into its deadline
	if m.main == nil || !m.main.asked.IsZero() {
		t.Error("a heartbeat of a leader that stopped sending was sent")
	}
}

func TestASilentConnectionGetsARival(t *testing.T) {
	m := run(t, "n2")
	p := newProxy(t, m.server.Listener.Addr().String())
	l := lead(t)
	l.acked(t, "n2", p.url(), 3)
	start := time.Now()
	p.stall(false)
	l.acked(t, "n2", p.url(), 2)
	within(t, "going round a connection that went silent", start, 2*time.Second)
	if n := p.dials(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
	if l.count("closed n2") != 0 || m.count("lost n1") != 0 {
		t.Error("a silent connection was taken for a lost one")
	}
}

func TestOfTwoConnectionsOneStays(t *testing.T) {
	m := newMember("n2")
	slow := make(chan struct{})
	answer := m.receiver.Answer
	m.receiver.Answer = func(hb permit.Heartbeat) permit.Ack {
		if hb.Sequence > 1 {
			<-slow
		}
		return answer(hb)
	}
	m.server.Start()
	t.Cleanup(m.stop)
	goOn := sync.OnceFunc(func() { close(slow) })
	t.Cleanup(goOn)
	l := lead(t)
	l.acked(t, "n2", m.server.URL, 1)
	l.beat(t, "n2", m.server.URL, "a rival", func() bool { return m.count("hijacked") == 2 })
	goOn()
	l.beat(t, "n2", m.server.URL, "one of the two to be given up", func() bool { return m.open() == 1 })
	l.acked(t, "n2", m.server.URL, 3)
	if n := m.count("lost n1") + l.count("closed n2"); n != 0 {
		t.Errorf("told %d times of an end that was none", n)
	}
	l.Close()
	until(t, "the leader's end is seen", func() bool { return m.count("lost n1") == 1 })
}

func TestAfterABlackHoleHeartbeatsAreBackAtOnce(t *testing.T) {
	m := run(t, "n2")
	p := newProxy(t, m.server.Listener.Addr().String())
	l := lead(t)
	l.acked(t, "n2", p.url(), 2)
	p.stall(true)
	dials := p.dials() + 3
	l.beat(t, "n2", p.url(), "dials into the hole", func() bool { return p.dials() >= dials })
	healed := time.Now()
	p.heal()
	l.acked(t, "n2", p.url(), 2)
	within(t, "coming back", healed, 2500*time.Millisecond)
	if n := l.count("heartbeats do not reach the member"); n != 1 {
		t.Errorf("told %d times of one trouble", n)
	}
	until(t, "the good news", func() bool { return l.count("heartbeats reach the member again") == 1 })
}

// L1: a leader that hears nothing cannot go on, and its heartbeats must not bind the
// members for longer than it takes to see that.
func TestALeaderThatHearsNothingFallsSilent(t *testing.T) {
	m := run(t, "n2")
	p := newProxy(t, m.server.Listener.Addr().String())
	l := lead(t)
	l.acked(t, "n2", p.url(), 3)
	p.deafen()
	cut := l.sequence
	l.beat(t, "n2", p.url(), "two permits in the dark", func() bool { return l.sequence >= cut+12 })
	// Half a permit's are three, and two may have been under way.
	if heard := m.heard(); heard[len(heard)-1].Sequence > cut+5 {
		t.Errorf("cut off after heartbeat %d, and the %d-th came through", cut, heard[len(heard)-1].Sequence)
	}
	p.heal()
	l.acked(t, "n2", p.url(), 3)
}

func TestAMemberThatRestartsIsFound(t *testing.T) {
	m := newMember("n2")
	m.server.Start()
	at := m.server.Listener.Addr().String()
	url := m.server.URL
	l := lead(t)
	l.acked(t, "n2", url, 2)
	m.stop()
	l.beat(t, "n2", url, "word of the loss", func() bool { return l.count("closed n2") == 1 })
	if m.count("lost n1") != 0 {
		t.Error("the member's own end was taken for the leader's")
	}
	again := newMember("n2")
	again.server.Listener.Close()
	var err error
	if again.server.Listener, err = net.Listen("tcp", at); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	again.server.Start()
	t.Cleanup(again.stop)
	l.acked(t, "n2", url, 2)
	within(t, "finding the restarted member", start, 2*time.Second)
	if n := l.count("closed n2"); n != 1 {
		t.Errorf("told %d times of one loss", n)
	}
}

func TestAMemberThatMovesIsFollowed(t *testing.T) {
	old, other := run(t, "n2"), run(t, "n2")
	l := lead(t)
	l.acked(t, "n2", old.server.URL, 2)
	l.beat(t, "n2", other.server.URL, "a heartbeat at the new address", func() bool { return len(other.heard()) > 2 })
	if n := old.count("lost n1") + l.count("closed n2"); n != 0 {
		t.Errorf("told %d times of an end that was none", n)
	}
}

func TestNewOptionsTakeOverWithoutAGap(t *testing.T) {
	m := newMember("n2")
	m.server.StartTLS()
	t.Cleanup(m.stop)
	l := lead(t, func(o *Options) { o.TLS = trust(m.server) })
	l.acked(t, "n2", m.server.URL, 2)
	l.SetOptions(options()) // which do not trust the member
	l.beat(t, "n2", m.server.URL, "a failure", func() bool { return l.count("heartbeats do not reach the member") > 0 })
	l.acked(t, "n2", m.server.URL, 2) // by the connection that there was
	if n := m.count("hijacked"); n != 1 {
		t.Errorf("%d connections, want the first alone", n)
	}
	l.SetOptions(options(func(o *Options) { o.TLS = trust(m.server) }))
	l.beat(t, "n2", m.server.URL, "the change", func() bool { return m.count("hijacked") == 2 })
	l.acked(t, "n2", m.server.URL, 3)
	if n := m.count("lost n1") + l.count("closed n2"); n != 0 {
		t.Errorf("told %d times of an end that was none", n)
	}
	l.Close()
	until(t, "the leader's end is seen", func() bool { return m.count("lost n1") == 1 })
}

func TestWhoWasNotMeantIsNotHeard(t *testing.T) {
	m := run(t, "n2")
	l := lead(t)
	l.beat(t, "n3", m.server.URL, "a refusal", func() bool { return l.count("heartbeats do not reach the member") > 0 })
	other := lead(t, func(o *Options) { o.Cluster = "/service/other" })
	other.beat(t, "n2", m.server.URL, "a refusal", func() bool { return other.count("heartbeats do not reach the member") > 0 })
	if len(m.heard()) != 0 {
		t.Errorf("heard %+v", m.heard())
	}
}

func TestAnAnswerInAnothersNameIsNone(t *testing.T) {
	m := newMember("n2")
	m.receiver.Answer = func(hb permit.Heartbeat) permit.Ack {
		m.note("answered")
		return permit.Ack{Member: "n3", Of: hb.Term, Sequence: hb.Sequence, Accepted: true}
	}
	m.server.Start()
	t.Cleanup(m.stop)
	l := lead(t)
	l.beat(t, "n2", m.server.URL, "answers", func() bool { return m.count("answered") >= 2 })
	if l.count("acked n2")+l.count("acked n3") != 0 {
		t.Error("an acknowledgement of another member was taken")
	}
}

func TestNothingToSendEndsTheConnection(t *testing.T) {
	m := run(t, "n2")
	l := lead(t)
	l.idle = 150 * time.Millisecond
	l.acked(t, "n2", m.server.URL, 1)
	gone := func() bool {
		l.Links.mu.Lock()
		defer l.Links.mu.Unlock()
		return len(l.links) == 0
	}
	until(t, "the link is gone", gone)
	until(t, "the member let the connection go", func() bool { return m.open() == 0 })
	if n := m.count("lost n1") + l.count("closed n2"); n != 0 {
		t.Errorf("told %d times of a loss", n)
	}
	l.acked(t, "n2", m.server.URL, 1)
}

func TestCloseWaitsForAllAndForNobody(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("with members of all kinds", func(t *testing.T) {
		m := run(t, "n2")
		hole := newProxy(t, m.server.Listener.Addr().String())
		hole.stall(true)
		secure := httptest.NewTLSServer(m.receiver)
		defer secure.Close()
		l := lead(t)
		for _, url := range []string{"http://127.0.0.1:1", hole.url(), secure.URL, "ftp://x", ":"} {
			l.Send(url, url, l.next())
		}
		l.acked(t, "n2", m.server.URL, 2)
		start := time.Now()
		l.Close()
		within(t, "Close", start, 3*time.Second)
		if l.count("closed n2") != 0 {
			t.Error("our own end was told as a loss")
		}
		l.Send("n2", m.server.URL, l.next()) // nothing happens any more
		if len(l.links) != 5+1 {
			t.Errorf("%d links", len(l.links))
		}
	})
	until(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
}

func TestANameThatCannotBeResolvedIsFoundWhereItWas(t *testing.T) {
	m := run(t, "n2")
	o := options()
	to := target{member: "n2", apiURL: "http://nowhere.invalid:80", options: &o}
	c, err := dial(t.Context(), to, m.server.Listener.Addr().String(), patience{connect: 3 * time.Second, whole: 5 * time.Second, user: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	cut(c.conn)
}

func TestRedialing(t *testing.T) {
	start := time.Now()
	pause := func(r redial) time.Duration { r.last = start; return r.may(time.Second).Sub(start) }
	for _, c := range []struct {
		name string
		r    redial
		want time.Duration
	}{
		{"at first", redial{}, time.Second / 12},
		{"after a few failures", redial{failures: 12}, time.Second / 12},
		{"after many", redial{failures: 36}, time.Second / 4},
		{"after very many", redial{failures: 1e6}, time.Second / 2},
		{"after a no", redial{failures: 1, refused: true}, time.Second},
	} {
		if got := pause(c.r); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	short, long := (&redial{failures: 6}).patience(time.Second), (&redial{failures: 7}).patience(length)
	if short.connect != 250*time.Millisecond || short.whole != 500*time.Millisecond || long.connect != time.Second || long.whole != 2*time.Second {
		t.Errorf("patience %+v and %+v", short, long)
	}
}

package wire

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"matriarch/internal/permit"
)

// length is the permit of the tests: 50 ms between heartbeats.
const length = 300 * time.Millisecond

// until waits for a condition, and for no longer than a slow machine needs.
func until(t testing.TB, what string, met func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !met() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// log counts things by name.
type log struct {
	mu    sync.Mutex
	seen  map[string]int
	order []permit.Heartbeat
	acks  []permit.Ack
}

func (l *log) note(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		l.seen = map[string]int{}
	}
	l.seen[what]++
}

func (l *log) count(what string) int { l.mu.Lock(); defer l.mu.Unlock(); return l.seen[what] }

// member is a Receiver behind an HTTP server that is impatient with requests.
type member struct {
	log
	name     string
	receiver *Receiver
	server   *httptest.Server
}

func (m *member) answer(hb permit.Heartbeat) permit.Ack {
	m.mu.Lock()
	m.order = append(m.order, hb)
	m.mu.Unlock()
	return permit.Ack{Member: m.name, Of: hb.Term, Sequence: hb.Sequence, Accepted: true, Term: hb.Term, Leader: hb.Leader}
}

func (m *member) heard() []permit.Heartbeat { m.mu.Lock(); defer m.mu.Unlock(); return m.order }

// open is how many connections there are.
func (m *member) open() int {
	m.receiver.present.mu.Lock()
	defer m.receiver.present.mu.Unlock()
	return len(m.receiver.present.open)
}

func newMember(name string) *member {
	m := &member{name: name}
	m.receiver = NewReceiver(ReceiverOptions{Cluster: "/service/demo", Member: name, Answer: m.answer,
		Lost: func(leader string) { m.note("lost " + leader) }})
	m.server = httptest.NewUnstartedServer(m.receiver)
	m.server.Config.ReadTimeout, m.server.Config.WriteTimeout, m.server.Config.IdleTimeout = 100*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond
	m.server.Config.ErrorLog = stdlog.New(io.Discard, "", 0)
	m.server.Config.ConnState = func(_ net.Conn, s http.ConnState) { m.note(s.String()) }
	return m
}

// stop ends the member as its host's loss would not: its connections are closed.
func (m *member) stop() {
	m.receiver.Close()
	m.server.Close()
}

// run starts a member for the length of the test.
func run(t testing.TB, name string) *member {
	t.Helper()
	m := newMember(name)
	m.server.Start()
	t.Cleanup(m.stop)
	return m
}

// leader is Links with what came of them.
type leader struct {
	log
	*Links
	sequence int64
}

func lead(t testing.TB, change ...func(*Options)) *leader {
	t.Helper()
	l := &leader{}
	l.Links = NewLinks(options(change...), Handlers{
		Acked: func(a permit.Ack) {
			l.note("acked " + a.Member)
			l.log.mu.Lock()
			l.acks = append(l.acks, a)
			l.log.mu.Unlock()
		},
		Closed: func(member string) { l.note("closed " + member) },
	}, slog.New(slog.NewTextHandler(&l.log, nil)))
	t.Cleanup(l.Close)
	return l
}

func options(change ...func(*Options)) Options {
	o := Options{Cluster: "/service/demo", UserAgent: "Patroni/4.1.4"}
	for _, f := range change {
		f(&o)
	}
	return o
}

// Write takes a line of the log, by its message.
func (l *log) Write(line []byte) (int, error) {
	_, message, _ := strings.Cut(string(line), `msg="`)
	message, _, _ = strings.Cut(message, `"`)
	l.note(message)
	return len(line), nil
}

func (l *leader) next() permit.Heartbeat {
	l.sequence++
	return permit.Heartbeat{Leader: "n1", Term: 7, Sequence: l.sequence, Permit: length}
}

// beat sends heartbeats at their usual pace until the condition is met.
func (l *leader) beat(t testing.TB, name, url, what string, met func() bool) {
	t.Helper()
	tick := time.NewTicker(length / 6)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !met() {
		l.Send(name, url, l.next())
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// acked beats until n more acknowledgements have come.
func (l *leader) acked(t testing.TB, name, url string, n int) {
	t.Helper()
	want := l.count("acked "+name) + n
	l.beat(t, name, url, "acknowledgements of "+name, func() bool { return l.count("acked "+name) >= want })
}

// trust is the client's side of an httptest server's certificate.
func trust(s *httptest.Server) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

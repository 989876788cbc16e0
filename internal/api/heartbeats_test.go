package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"matriarch/internal/permit"
	"matriarch/internal/permit/wire"
)

// receiver answers heartbeats as n1, behind the rules of the API.
func receiver(t *testing.T) (*wire.Receiver, chan string) {
	t.Helper()
	lost := make(chan string, 8)
	r := wire.NewReceiver(wire.ReceiverOptions{Cluster: "demo", Member: "n1", Lost: func(leader string) { lost <- leader },
		Answer: func(hb permit.Heartbeat) permit.Ack {
			return permit.Ack{Member: "n1", Of: hb.Term, Sequence: hb.Sequence, Accepted: true}
		}})
	t.Cleanup(r.Close)
	return r, lost
}

// acknowledged sends heartbeats to the address until one is acknowledged or the
// member says no.
func acknowledged(t *testing.T, o wire.Options, url string) bool {
	t.Helper()
	o.Cluster = "demo"
	acks, failures := make(chan permit.Ack, 8), &refusals{told: make(chan struct{}, 8)}
	l := wire.NewLinks(o, wire.Handlers{Acked: func(a permit.Ack) { acks <- a }, Closed: func(string) {}}, failures.logger())
	defer l.Close()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for n := int64(1); ; n++ {
		l.Send("n1", url, permit.Heartbeat{Leader: "n2", Term: 5, Sequence: n, Permit: time.Second})
		select {
		case <-acks:
			return true
		case <-failures.told:
			return false
		case <-tick.C:
		case <-deadline:
			t.Fatal("neither acknowledged nor refused")
		}
	}
}

func TestHeartbeatsComeUnderTheRulesOfWhatChangesSomething(t *testing.T) {
	file := filepath.Join(t.TempDir(), "node.pem")
	pool := x509.NewCertPool()
	pool.AddCert(issue(t, file, 1))
	own, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		t.Fatal(err)
	}
	authenticated := Access{Username: "admin", Password: "s:cret"}
	user := wire.Options{Username: "admin", Password: "s:cret"}
	secure := TLSFiles{CertFile: file, CAFile: file}
	optional, required := secure, secure
	optional.Verify, required.Verify = "optional", "required"
	blind := &tls.Config{InsecureSkipVerify: true}
	known := &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{own}}
	for _, c := range []struct {
		name   string
		access Access
		files  TLSFiles
		with   wire.Options
		want   bool
	}{
		{"open", Access{}, TLSFiles{}, wire.Options{}, true},
		{"the right password", authenticated, TLSFiles{}, user, true},
		{"no password", authenticated, TLSFiles{}, wire.Options{}, false},
		{"a wrong one", authenticated, TLSFiles{}, wire.Options{Username: "admin", Password: "secret"}, false},
		{"in the list", Access{Allowlist: []string{"127.0.0.0/8"}}, TLSFiles{}, wire.Options{}, true},
		{"not in the list", Access{Allowlist: []string{"10.0.0.0/8"}}, TLSFiles{}, wire.Options{}, false},
		{"a member", Access{IncludeMembers: true}, TLSFiles{}, wire.Options{}, true},
		{"TLS", authenticated, secure, wire.Options{Username: "admin", Password: "s:cret", TLS: blind}, true},
		{"an unknown authority", Access{}, secure, wire.Options{}, false},
		{"optional, without a certificate", Access{}, optional, wire.Options{TLS: blind}, false},
		{"optional, with one", Access{}, optional, wire.Options{TLS: known}, true},
		{"required, without a certificate", Access{}, required, wire.Options{TLS: blind}, false},
		{"required, with one", Access{}, required, wire.Options{TLS: known}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, _ := receiver(t)
			at := run(t, newServer(t, primary(), local, func(o *Options) { o.Access, o.TLS, o.Heartbeats = c.access, c.files, r }))
			scheme := "http"
			if c.files.CertFile != "" {
				scheme = "https"
			}
			if got := acknowledged(t, c.with, scheme+"://"+at+"/patroni"); got != c.want {
				t.Errorf("acknowledged: %v, want %v", got, c.want)
			}
		})
	}
}

func TestMembersMaySendHeartbeatsWhileTheStoreIsAway(t *testing.T) {
	n := primary()
	r, _ := receiver(t)
	at := run(t, newServer(t, n, local, func(o *Options) { o.Access.IncludeMembers, o.Heartbeats = true, r }))
	url := "http://" + at
	n.mu.Lock()
	view := n.picture.View
	n.picture.View = nil
	n.mu.Unlock()
	if acknowledged(t, wire.Options{}, url) {
		t.Error("whose members were never known, nobody is one")
	}
	n.show(*view)
	if !acknowledged(t, wire.Options{}, url) {
		t.Error("a member was refused")
	}
	n.mu.Lock()
	n.picture.View = nil
	n.mu.Unlock()
	if !acknowledged(t, wire.Options{}, url) {
		t.Error("a member was refused that was one when the store went away")
	}
}

func TestTheEndOfTheAPIEndsHeartbeatsWithoutALoss(t *testing.T) {
	r, lost := receiver(t)
	s := newServer(t, primary(), local, func(o *Options) { o.Heartbeats = r })
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- s.Run(ctx) }()
	closed, acks := make(chan string, 1), make(chan permit.Ack, 8)
	l := wire.NewLinks(wire.Options{Cluster: "demo"}, wire.Handlers{Acked: func(a permit.Ack) { acks <- a }, Closed: func(m string) { closed <- m }}, nil)
	defer l.Close()
	l.Send("n1", "http://"+s.Address().String(), permit.Heartbeat{Leader: "n2", Term: 5, Sequence: 1, Permit: time.Minute})
	await(t, acks)
	cancel()
	if err := await(t, stopped); err != nil {
		t.Error(err)
	}
	if m := await(t, closed); m != "n1" {
		t.Errorf("%s was lost", m)
	}
	r.Close()
	if len(lost) != 0 {
		t.Error("the node's own end was taken for the leader's")
	}
}

func TestWithoutAnUpgradeHeartbeatsAreAHealthCheck(t *testing.T) {
	r, _ := receiver(t)
	s := newServer(t, primary(), func(o *Options) { o.Heartbeats, o.Access = r, Access{Username: "a", Password: "b"} })
	unknown, _ := call(s, "GET", "/nonsense", "")
	if code, text := call(s, "GET", "/heartbeat", ""); code != unknown || !strings.HasPrefix(text, "{") {
		t.Errorf("got %d %s, want the answer to an unknown path, %d", code, text, unknown)
	}
	asking := func(r *http.Request) { r.Header.Set("Upgrade", wire.Protocol) }
	if code, text := call(s, "GET", "/heartbeat", "", asking); code != 401 || text != "no auth header received" {
		t.Errorf("an upgrade got %d %s", code, text)
	}
	if code, _ := call(s, "POST", "/heartbeat", "", asking); code != 501 {
		t.Errorf("another method got %d", code)
	}
	without := newServer(t, standby())
	if code, _ := call(without, "GET", "/heartbeat", "", asking); code != 503 {
		t.Errorf("without a receiver a standby answers %d", code)
	}
}

// refusals tells of each warning.
type refusals struct{ told chan struct{} }

func (r *refusals) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func (r *refusals) Write(line []byte) (int, error) {
	select {
	case r.told <- struct{}{}:
	default:
	}
	return len(line), nil
}

func await[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatal("waited in vain")
	}
	return v
}

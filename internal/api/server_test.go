package api

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"matriarch/internal/cluster"
)

// run starts the server on a port of the kernel's choice and ends it with the
// test.
func run(t *testing.T, s *Server) string {
	t.Helper()
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s.Address().String()
}

func local(o *Options) { o.Listen = "127.0.0.1:0" }

func TestHeaders(t *testing.T) {
	for tokens, want := range map[string]string{"": "Matriarch", "Minimal": "Patroni/4.1.4", "PRODUCTONLY": "Patroni", "junk": "Matriarch"} {
		at := run(t, newServer(t, primary(), local, func(o *Options) {
			o.ServerTokens, o.Headers, o.HTTPSHeaders = tokens, map[string]string{"X-Own": "1"}, map[string]string{"X-Own": "2"}
		}))
		response, err := http.Get("http://" + at + "/patroni")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if h := response.Header; h.Get("Server") != want || h.Get("X-Own") != "1" || h.Get("Content-Type") != "application/json" || response.ContentLength <= 0 {
			t.Errorf("%q: got %v", tokens, h)
		}
	}
}

func TestMissingLengthOnTheWire(t *testing.T) {
	at := run(t, newServer(t, primary(), local))
	for request, want := range map[string]string{
		"POST /switchover HTTP/1.0\r\n\r\n":                               "411",
		"POST /switchover HTTP/1.0\r\nContent-Length: 0\r\n\r\n":          "400",
		"POST /switchover HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}":        "400",
		"OPTIONS / HTTP/1.0\r\n\r\n":                                      "200",
		"OPTIONS * HTTP/1.0\r\n\r\n":                                      "503",
		"HEAD /replica HTTP/1.0\r\n\r\n":                                  "503",
		"nonsense\r\n\r\n":                                                "400",
		"GET /cluster HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":   "200",
		"GET /primary?lag=% HTTP/1.0\r\n\r\n":                             "200",
		"POST /reload HTTP/1.0\r\nAuthorization: Basic !!!!\r\n\r\n":      "202",
		"DELETE /switchover HTTP/1.0\r\nAuthorization: Basic !!!\r\n\r\n": "404",
	} {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = c.Write([]byte(request))
		line := make([]byte, 12)
		_, _ = c.Read(line)
		c.Close()
		if got := string(line[9:]); got != want {
			t.Errorf("%q: got %q, want %s", request, line, want)
		}
	}
}

func TestAccess(t *testing.T) {
	from := func(address string) func(*http.Request) {
		return func(r *http.Request) { r.RemoteAddr = address + ":40000" }
	}
	as := func(user, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, password) }
	}
	header := func(v string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", v) }
	}
	authenticated := Access{Username: "admin", Password: "s:cret"}
	for _, c := range []struct {
		name   string
		access Access
		with   func(*http.Request)
		code   int
		text   string
	}{
		{"open to all", Access{}, from("8.8.8.8"), 202, "reload scheduled"},
		{"in the network", Access{Allowlist: []string{"10.0.0.0/8"}}, from("10.1.2.3"), 202, "reload scheduled"},
		{"outside of it", Access{Allowlist: []string{"10.0.0.0/8"}}, from("11.1.2.3"), 403, "Access is denied"},
		{"an address as IPv6 has it", Access{Allowlist: []string{"10.1.2.3"}}, func(r *http.Request) { r.RemoteAddr = "[::ffff:10.1.2.3]:1" }, 202, "reload scheduled"},
		{"IPv6", Access{Allowlist: []string{"fd00::/8"}}, func(r *http.Request) { r.RemoteAddr = "[fd00::1]:1" }, 202, "reload scheduled"},
		{"a list of nothing usable", Access{Allowlist: []string{"no such host.invalid"}}, from("10.1.2.3"), 403, "Access is denied"},
		{"a member", Access{IncludeMembers: true}, from("127.0.0.2"), 202, "reload scheduled"},
		{"no member", Access{IncludeMembers: true}, from("127.0.0.9"), 403, "Access is denied"},
		{"no password", authenticated, from("8.8.8.8"), 401, "no auth header received"},
		{"the right one", authenticated, as("admin", "s:cret"), 202, "reload scheduled"},
		{"a wrong one", authenticated, as("admin", "s:creT"), 401, "not authenticated"},
		{"the scheme in lower case", authenticated, header("basic YWRtaW46czpjcmV0"), 401, "not authenticated"},
		{"no scheme", authenticated, header("YWRtaW46czpjcmV0"), 401, "not authenticated"},
		{"no base64", authenticated, header("Basic ???"), 401, "not authenticated"},
		{"the address comes first", Access{Username: "a", Password: "b", Allowlist: []string{"10.0.0.0/8"}}, from("11.1.2.3"), 403, "Access is denied"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := primary()
			s := newServer(t, n, func(o *Options) { o.Access = c.access })
			code, text := call(s, "POST", "/reload", "", c.with)
			if code != c.code || text != c.text || (n.reloads == 1) != (code == 202) {
				t.Errorf("got %d %s after %d reloads", code, text, n.reloads)
			}
			if code, _ := call(s, "GET", "/primary", "", c.with); code != 200 {
				t.Errorf("reading got %d, want 200", code)
			}
			if code, _ := call(s, "POST", "/unknown", "", c.with); code != 501 {
				t.Errorf("an unknown path got %d, want 501", code)
			}
		})
	}
}

func TestMembersAreNotKnownWhileTheViewIsAway(t *testing.T) {
	n := primary()
	n.picture.View = nil
	s := newServer(t, n, func(o *Options) { o.Access.IncludeMembers = true })
	if code, _ := call(s, "POST", "/reload", "", func(r *http.Request) { r.RemoteAddr = "127.0.0.2:1" }); code != 403 {
		t.Errorf("got %d, want 403", code)
	}
}

// issue writes a certificate for 127.0.0.1 with the serial number, signed by
// itself, that can serve and identify clients.
func issue(t *testing.T, file string, serial int64) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret})...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// dial makes one HTTPS request and tells the code and the server's serial number.
func dial(at, method, path string, own *tls.Certificate) (code int, serial int64, err error) {
	config := &tls.Config{InsecureSkipVerify: true}
	if own != nil {
		config.Certificates = []tls.Certificate{*own}
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}, Timeout: 5 * time.Second}
	r, err := http.NewRequest(method, "https://"+at+path, nil)
	if err != nil {
		return 0, 0, err
	}
	response, err := client.Do(r)
	if err != nil {
		return 0, 0, err
	}
	response.Body.Close()
	return response.StatusCode, response.TLS.PeerCertificates[0].SerialNumber.Int64(), nil
}

func TestTLS(t *testing.T) {
	file := filepath.Join(t.TempDir(), "node.pem")
	issue(t, file, 1)
	own, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		t.Fatal(err)
	}
	strange := filepath.Join(t.TempDir(), "strange.pem")
	issue(t, strange, 9)
	stranger, err := tls.LoadX509KeyPair(strange, strange)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		verify, method, path string
		own                  *tls.Certificate
		want                 int // 0: no connection
	}{
		{"none", "POST", "/reload", nil, 202},
		{"optional", "GET", "/primary", nil, 200},
		{"optional", "POST", "/reload", nil, 403},
		{"optional", "POST", "/reload", &own, 202},
		{"optional", "GET", "/primary", &stranger, 0},
		{"required", "GET", "/primary", nil, 0},
		{"Required", "GET", "/primary", &own, 200},
	} {
		at := run(t, newServer(t, primary(), local, func(o *Options) { o.TLS = TLSFiles{CertFile: file, CAFile: file, Verify: c.verify} }))
		code, _, err := dial(at, c.method, c.path, c.own)
		if code != c.want || (err == nil) != (c.want != 0) {
			t.Errorf("%s %s %s: got %d, %v, want %d", c.verify, c.method, c.path, code, err, c.want)
		}
	}
}

func TestReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "node.pem")
	issue(t, file, 1)
	s := newServer(t, primary(), local, func(o *Options) { o.TLS.CertFile = file })
	at := run(t, s)
	if _, serial, err := dial(at, "GET", "/", nil); serial != 1 {
		t.Fatalf("got certificate %d, %v", serial, err)
	}
	issue(t, file, 2)
	o := s.set.Load().Options
	if err := s.Reload(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if _, serial, err := dial(at, "GET", "/", nil); serial != 2 || s.Address().String() != at {
		t.Errorf("after the reload: certificate %d at %s, %v", serial, s.Address(), err)
	}
	bad := o
	bad.TLS.CertFile = file + ".missing"
	if err := s.Reload(t.Context(), bad); err == nil {
		t.Error("a certificate that is not there was loaded")
	}
	if _, serial, err := dial(at, "GET", "/", nil); serial != 2 {
		t.Errorf("after a bad reload: certificate %d, %v", serial, err)
	}
	plain := o
	plain.TLS = TLSFiles{}
	plain.Listen = "127.0.0.2:0"
	if err := s.Reload(t.Context(), plain); err != nil {
		t.Fatal(err)
	}
	response, err := http.Get("http://" + s.Address().String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if _, err := net.Dial("tcp", at); err == nil {
		t.Error("the old address still answers")
	}
}

func TestReloadToAnAddressInUseKeepsTheOldOne(t *testing.T) {
	s := newServer(t, primary(), local)
	at := run(t, s)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	o := s.set.Load().Options
	o.Listen = taken.Addr().String()
	if err := s.Reload(t.Context(), o); err == nil {
		t.Error("an address in use was taken")
	}
	response, err := http.Get(fmt.Sprintf("http://%s/", s.Address()))
	if err != nil {
		t.Fatalf("nobody answers any more (it was %s): %v", at, err)
	}
	response.Body.Close()
}

func TestListenSaysWhatIsInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := newServer(t, primary(), func(o *Options) { o.Listen = taken.Addr().String() })
	if err := s.Listen(t.Context()); err == nil {
		t.Error("an address in use was taken")
	}
	if err := s.Run(t.Context()); err == nil {
		t.Error("a server without a listener runs")
	}
}

func TestStopEndsWaitingRequestsAtOnce(t *testing.T) {
	n := primary()
	written := make(chan struct{})
	n.request = func(cluster.Failover) (int64, error) { close(written); return 1 << 60, nil }
	s := newServer(t, n, local)
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- s.Run(ctx) }()
	answered := make(chan int, 1)
	go func() {
		c, err := net.Dial("tcp", s.Address().String())
		if err != nil {
			answered <- 0
			return
		}
		defer c.Close()
		_, _ = c.Write([]byte("POST /switchover HTTP/1.0\r\nContent-Length: 15\r\n\r\n{\"leader\":\"n1\"}"))
		n, _ := c.Read(make([]byte, 100))
		answered <- n
	}()
	<-written
	start := time.Now()
	cancel()
	if n := <-answered; n == 0 {
		t.Error("the waiting request got no answer")
	}
	if err := <-stopped; err != nil || time.Since(start) > time.Second {
		t.Errorf("stopped after %v: %v", time.Since(start), err)
	}
	if _, err := net.Dial("tcp", s.Address().String()); err == nil {
		t.Error("the stopped server still accepts connections")
	}
}

package api

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// scripted is a connection that reads what it was given.
type scripted struct {
	net.Conn
	r io.Reader
}

func (c scripted) Read(p []byte) (int, error) { return c.r.Read(p) }

func TestOnlyRequestsWithoutHostAreChanged(t *testing.T) {
	long := "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", headerBytes) + "\r\n\r\n"
	for name, c := range map[string]struct{ given, want string }{
		"no host":                    {"GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"},
		"no host, other fields":      {"GET / HTTP/1.1\r\nX-Host: a\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\nX-Host: a\r\nConnection: close\r\n\r\n"},
		"bare line feeds":            {"GET / HTTP/1.1\n\n", "GET / HTTP/1.0\n\n"},
		"a host":                     {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		"a host in small letters":    {"GET / HTTP/1.1\r\nA: b\r\nhost:a\r\n\r\n", "GET / HTTP/1.1\r\nA: b\r\nhost:a\r\n\r\n"},
		"an empty host":              {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
		"a host in the body":         {"POST / HTTP/1.1\r\nContent-Length: 7\r\n\r\nHost: a", "POST / HTTP/1.0\r\nContent-Length: 7\r\n\r\nHost: a"},
		"an older version":           {"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"},
		"no HTTP":                    {"nonsense\r\n\r\n", "nonsense\r\n\r\n"},
		"nothing":                    {"", ""},
		"broken off in the line":     {"GET / HTTP/1", "GET / HTTP/1"},
		"broken off in the fields":   {"GET / HTTP/1.1\r\nHo", "GET / HTTP/1.0\r\nHo"},
		"the second one stays":       {"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n"},
		"longer than we would allow": {long, strings.Replace(long, "1.1", "1.0", 1)},
	} {
		for _, reader := range []io.Reader{strings.NewReader(c.given), iotest.OneByteReader(strings.NewReader(c.given)), iotest.DataErrReader(strings.NewReader(c.given))} {
			got, err := io.ReadAll(iotest.HalfReader(&hostlessConn{Conn: scripted{r: reader}}))
			if err != nil || string(got) != c.want {
				t.Errorf("%s: got %.80q, %v, want %.80q", name, got, err, c.want)
			}
		}
	}
}

func TestRequestsWithoutHostAreAnswered(t *testing.T) {
	at := run(t, newServer(t, primary(), local))
	for request, want := range map[string]string{
		"GET /primary HTTP/1.1\r\nConnection: close\r\n\r\n":                  "200",
		"OPTIONS /replica HTTP/1.1\r\n\r\n":                                   "503",
		"POST /reload HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}":                "202",
		"GET /primary HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n":                 "400",
		"GET /primary HTTP/1.1\r\nHost: x\r\nUser-Agent: monitor\r\n\r\n":     "200",
		"POST /switchover HTTP/1.1\r\nTransfer-Encoding: x\r\nA: b\r\n\r\nxx": "411",
	} {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		for i := range len(request) { // as slow as can be
			_, _ = c.Write([]byte{request[i]})
		}
		line, err := bufio.NewReader(c).ReadString('\n')
		c.Close()
		if err != nil || len(line) < 12 || line[9:12] != want {
			t.Errorf("%q: got %q, %v, want %s", request, line, err, want)
		}
	}
}

// TestHeartbeatsGetTheConnectionItself: they tune it, and see through TLS alone.
func TestHeartbeatsGetTheConnectionItself(t *testing.T) {
	kind := make(chan bool, 1)
	taker := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			kind <- false
			return
		}
		defer conn.Close()
		_, tcp := conn.(*net.TCPConn)
		kind <- tcp
	})
	at := run(t, newServer(t, primary(), local, func(o *Options) { o.Heartbeats = taker }))
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Write([]byte("GET /heartbeat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"))
	if !<-kind {
		t.Error("what was handed over is no *net.TCPConn")
	}
}

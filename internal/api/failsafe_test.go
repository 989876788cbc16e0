package api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// failsafeNode is a standby that takes part in failsafe mode.
type failsafeNode struct {
	*fakeNode
	position wal.LSN
	refuses  bool
	calls    []cluster.FailsafeCall
}

func (n *failsafeNode) AcceptFailsafe(call cluster.FailsafeCall) (wal.LSN, bool) {
	n.calls = append(n.calls, call)
	return n.position, !n.refuses
}

func newFailsafe(t *testing.T, change func(*failsafeNode), access Access) (*Server, *failsafeNode) {
	t.Helper()
	n := &failsafeNode{fakeNode: standby(), position: 67108960}
	n.picture.Settings.Failsafe = true
	if change != nil {
		change(n)
	}
	s, err := New(t.Context(), Options{Version: "4.1.4", Product: "Matriarch", Access: access, Now: func() time.Time { return noon }}, n, peers{})
	if err != nil {
		t.Fatal(err)
	}
	return s, n
}

const failsafeBody = `{"name": "node1", "conn_url": "postgres://127.0.0.1:5431/postgres", "api_url": "http://127.0.0.1:8001/patroni", "slots": {"node1": 67108960, "node2": 67108960}}`

// TestFailsafePost is B-545.
// lowerLSN is the header as Patroni writes it, which is not how Go writes one.
var lowerLSN = strings.ToLower("LSN")

func TestFailsafePost(t *testing.T) {
	heard := cluster.FailsafeCall{Name: "node1", ConnURL: "postgres://127.0.0.1:5431/postgres", APIURL: "http://127.0.0.1:8001/patroni",
		Slots: map[string]wal.LSN{"node1": 67108960, "node2": 67108960}}
	for name, c := range map[string]struct {
		change func(*failsafeNode)
		body   string
		code   int
		text   string // empty: an error page
		lsn    []string
		heard  bool
	}{
		"a standby accepts":                {nil, failsafeBody, 200, "Accepted", []string{"67108960"}, true},
		"its position is not known":        {func(n *failsafeNode) { n.position = 0 }, failsafeBody, 200, "Accepted", nil, true},
		"it has not seen the cluster yet":  {func(n *failsafeNode) { n.picture.View = nil }, failsafeBody, 200, "Accepted", []string{"67108960"}, true},
		"a primary refuses":                {func(n *failsafeNode) { n.refuses = true }, failsafeBody, 500, "Running as a leader", nil, true},
		"the mode is off":                  {func(n *failsafeNode) { n.picture.Settings.Failsafe = false }, failsafeBody, 502, "", nil, false},
		"the mode is off, whatever it is":  {func(n *failsafeNode) { n.picture.Settings.Failsafe = false }, "nonsense", 502, "", nil, false},
		"nobody knows who calls":           {nil, `{"conn_url":"c","api_url":"a"}`, 400, "", nil, false},
		"it is no JSON":                    {nil, "nonsense", 400, "", nil, false},
		"an empty object says nothing":     {nil, "{}", 400, "", nil, false},
		"without a body":                   {nil, "", 411, "", nil, false},
		"a path with more behind the name": {nil, failsafeBody, 200, "Accepted", []string{"67108960"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, n := newFailsafe(t, c.change, Access{})
			r := httptest.NewRequest("POST", "/failsafe/x", strings.NewReader(c.body))
			if c.body != "" {
				r.Header.Set("Content-Length", "1")
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			body, _ := io.ReadAll(w.Body)
			if w.Code != c.code || c.text != "" && string(body) != c.text || c.text == "" && !strings.HasPrefix(string(body), "<!DOCTYPE") {
				t.Errorf("got %d %q, want %d %q", w.Code, body, c.code, c.text)
			}
			if got := w.Header()[lowerLSN]; !reflect.DeepEqual(got, c.lsn) {
				t.Errorf("lsn %q, want %q", got, c.lsn)
			}
			if want := map[bool][]cluster.FailsafeCall{true: {heard}}[c.heard]; !reflect.DeepEqual(n.calls, want) {
				t.Errorf("the node heard %+v", n.calls)
			}
		})
	}
}

func TestFailsafeOfANodeWithoutIt(t *testing.T) {
	n := standby()
	n.picture.Settings.Failsafe = true
	if code, _ := call(newServer(t, n), "POST", "/failsafe", failsafeBody); code != 502 {
		t.Errorf("got %d", code)
	}
}

// TestFailsafeAccess is the second half of B-545. The requests come from
// 192.0.2.1, which is no member's.
func TestFailsafeAccess(t *testing.T) {
	from := func(address string) func(*http.Request) {
		return func(r *http.Request) { r.RemoteAddr = address + ":1" }
	}
	for name, c := range map[string]struct {
		access Access
		change func(*http.Request)
		code   int
	}{
		"no rules":                          {Access{}, from("192.0.2.1"), 200},
		"members alone are not asked for":   {Access{IncludeMembers: true}, from("192.0.2.1"), 200},
		"an allowlist counts":               {Access{Allowlist: []string{"10.0.0.0/8"}}, from("192.0.2.1"), 403},
		"and lets in":                       {Access{Allowlist: []string{"192.0.2.0/24"}}, from("192.0.2.1"), 200},
		"being a member is no way round it": {Access{Allowlist: []string{"10.0.0.0/8"}, IncludeMembers: true}, from("127.0.0.2"), 403},
		"without a password":                {Access{Username: "u", Password: "p"}, from("192.0.2.1"), 401},
		"a wrong password":                  {Access{Username: "u", Password: "p"}, func(r *http.Request) { r.SetBasicAuth("u", "q") }, 401},
		"the password":                      {Access{Username: "u", Password: "p"}, func(r *http.Request) { r.SetBasicAuth("u", "p") }, 200},
	} {
		s, n := newFailsafe(t, nil, c.access)
		code, _ := call(s, "POST", "/failsafe", failsafeBody, c.change)
		if code != c.code || (len(n.calls) > 0) != (code == 200) {
			t.Errorf("%s: %d, want %d; heard %d", name, code, c.code, len(n.calls))
		}
		if c.access.IncludeMembers { // the exception is for this request alone
			if code, _ = call(s, "POST", "/reload", "", from("192.0.2.1")); code != 403 {
				t.Errorf("%s: a reload = %d", name, code)
			}
		}
	}
}

func TestFailsafeGet(t *testing.T) {
	const key = `{"node1":"http://127.0.0.1:8001/patroni"}`
	for name, c := range map[string]struct {
		change func(*fakeNode)
		code   int
		body   string
	}{
		"the key":                 {func(n *fakeNode) { n.picture.Failsafe = []byte(key) }, 200, key},
		"while the store is away": {func(n *fakeNode) { n.picture.Failsafe, n.picture.View = []byte(key), nil }, 200, key},
		"an empty one":            {func(n *fakeNode) { n.picture.Failsafe = []byte("{}") }, 200, "{}"},
		"none":                    {func(*fakeNode) {}, 502, ""},
		"something else":          {func(n *fakeNode) { n.picture.Failsafe = []byte("[1]") }, 502, ""},
		"null":                    {func(n *fakeNode) { n.picture.Failsafe = []byte("null") }, 502, ""},
		"before the first look":   {func(n *fakeNode) { n.picture.DCSLastSeen = time.Time{} }, 200, "{}"},
	} {
		n := standby()
		c.change(n)
		code, body := call(newServer(t, n), "GET", "/failsafe", "")
		if code != c.code || c.body != "" && body != c.body {
			t.Errorf("%s: %d %q, want %d %q", name, code, body, c.code, c.body)
		}
	}
}

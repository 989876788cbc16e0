package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"matriarch/internal/cluster"
)

// wholeNode does all that a node may do, at once.
type wholeNode struct {
	*busyNode
	changes int
}

func (n *wholeNode) SwapConfig(context.Context, int64, map[string]any) error {
	n.changes++
	return nil
}

func (n *wholeNode) PutConfig(context.Context, map[string]any) error {
	n.changes++
	return nil
}

func (n *wholeNode) RequestFailover(context.Context, cluster.Failover) (int64, error) {
	n.changes++
	return 0, nil
}

func (n *wholeNode) Reload() { n.changes++ }

// FuzzRequests: whatever comes is answered with a code that is meant for it or by a
// closed connection, and nobody changes anything without the password.
func FuzzRequests(f *testing.F) {
	for _, seed := range []struct{ method, path, query, body string }{
		{"GET", "/", "", ""}, {"OPTIONS", "/replica", "lag=10MB&tag_x=1", ""}, {"GET", "/readiness", "lag=1e999&mode=write", ""},
		{"PATCH", "/config", "", `{"ttl":20,"x":{"y":null}}`}, {"PUT", "/config", "", `{"ttl":[]}`},
		{"POST", "/restart", "", `{"schedule":"2030-01-01T00:00Z","timeout":"1min","postgres_version":"15.2"}`},
		{"POST", "/reinitialize", "", `{"force":true}`}, {"DELETE", "/restart", "", ""}, {"DELETE", "/switchover", "", ""},
		{"POST", "/switchover", "", `{"leader":"n1","candidate":"n2","scheduled_at":"2030-01-01T00:00Z"}`},
		{"POST", "/failsafe", "", `{"name":"n1","conn_url":"x","api_url":"y","slots":{"a":1}}`}, {"POST", "/mpp", "", `{"a":1}`},
		{"GET", "//metrics", "", ""}, {"GET", "/%2e%2e/config", "", ""}, {"POST", "/reload", "", "\x00"},
	} {
		f.Add(seed.method, seed.path, seed.query, seed.body, true)
		f.Add(seed.method, seed.path, seed.query, seed.body, false)
	}
	f.Fuzz(func(t *testing.T, method, path, query, body string, allowed bool) {
		r := httptest.NewRequest(http.MethodGet, "/", iotest.OneByteReader(strings.NewReader(body)))
		r.Method, r.URL.Path, r.URL.RawPath, r.URL.RawQuery = method, path, path, query
		r.Header.Set("Content-Length", "1")
		if allowed {
			r.SetBasicAuth("a", "b")
		}
		n := &wholeNode{busyNode: &busyNode{fakeNode: primary()}}
		n.clear = func(int64) error { n.changes++; return nil }
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // nobody waits for the outcome of a switchover
		s := newServer(t, n, func(o *Options) { o.Access = Access{Username: "a", Password: "b"} })
		w := httptest.NewRecorder()
		if hungUp(func() { s.ServeHTTP(w, r.WithContext(ctx)) }) {
			return
		}
		switch w.Code {
		case 200, 202, 400, 401, 404, 411, 412, 413, 422, 501, 502, 503:
		default:
			t.Errorf("%s %q?%q with %q: got %d %s", method, path, query, body, w.Code, w.Body)
		}
		if touched := n.changes + len(n.asked); touched > 0 && !allowed {
			t.Errorf("%s %q with %q changed something without a password", method, path, body)
		}
	})
}

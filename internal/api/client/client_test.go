package client

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"matriarch/internal/cluster"
)

func member(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL + "/patroni"
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func newClient(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestStatus(t *testing.T) {
	url := member(t, says(`{"state": "running", "role": "replica", "server_version": 150020,
		"xlog": {"received_location": 100664064, "replayed_location": 100664000, "replayed_timestamp": null, "paused": false},
		"timeline": 2, "tags": {"nofailover": false, "failover_priority": 2}, "database_system_identifier": "7711295878037623665",
		"patroni": {"version": "4.1.4", "scope": "demo", "name": "node1"}}`))
	s, err := newClient(t, Options{}).Status(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if s.Primary() || s.Position() != 100664064 || s.Timeline != 2 || !s.HasPositions || s.Name != "node1" || s.ServerVersion != 150020 ||
		s.Tags.FailoverPriority() != 2 || s.State != cluster.StateRunning {
		t.Errorf("got %+v", s)
	}
}

func TestStatusOfOldAndOddMembers(t *testing.T) {
	for name, c := range map[string]struct {
		document  string
		primary   bool
		positions bool
		eligible  bool
	}{
		"an old primary":              {`{"role":"master","state":"running","xlog":{"location":5}}`, true, true, true},
		"the newer name wal":          {`{"role":"replica","wal":{"received_location":7}}`, false, true, true},
		"no server":                   {`{"role":"replica","state":"starting"}`, false, false, false},
		"a primary that has demoted":  {`{"role":"demoted","xlog":{"location":5}}`, true, true, true},
		"a timeline that is not":      {`{"role":"replica","timeline":null,"xlog":{}}`, false, true, true},
		"nofailover":                  {`{"role":"replica","xlog":{},"tags":{"nofailover":true}}`, false, true, false},
		"priority zero":               {`{"role":"replica","xlog":{},"tags":{"failover_priority":0}}`, false, true, false},
		"a watchdog that failed":      {`{"role":"replica","xlog":{},"watchdog_failed":true}`, false, true, false},
		"a priority that overrules":   {`{"role":"replica","xlog":{},"tags":{"nofailover":false,"failover_priority":1}}`, false, true, true},
		"a health check code is fine": {`{"role":"replica","xlog":{}}`, false, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			client, url := newClient(t, Options{}), member(t, says(c.document))
			s, err := client.Status(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			if s.Primary() != c.primary || s.HasPositions != c.positions || client.Eligible(t.Context(), url) != c.eligible {
				t.Errorf("got %+v", s)
			}
		})
	}
}

func TestStatusThatIsNone(t *testing.T) {
	c := newClient(t, Options{})
	for _, text := range []string{"", "nonsense", "[]", `{"role": 5}`} {
		url := member(t, says(text))
		if s, err := c.Status(t.Context(), url); err == nil {
			t.Errorf("%q was read as %+v", text, s)
		}
		if c.Eligible(t.Context(), url) {
			t.Errorf("%q may be promoted", text)
		}
	}
	for _, url := range []string{"", "postgres://x/", "http://", "%", "127.0.0.1:8008"} {
		if _, err := c.Status(t.Context(), url); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("api_url %q: %v", url, err)
		}
	}
}

func TestRequests(t *testing.T) {
	var got string
	url := member(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		got = strings.Join([]string{r.Method, r.URL.Path, user, password, r.UserAgent(), string(body)}, " ")
		if r.URL.Path == "/switchover" && strings.Contains(string(body), "old") {
			http.Error(w, "<p>Message: Server does not support this operation.", http.StatusNotImplemented)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "Switchover failed")
	})
	c := newClient(t, Options{Username: "admin", Password: "s3cret", UserAgent: "Patroni/4.1.4"})
	a, err := c.Switchover(t.Context(), url, Move{Leader: "n1", Candidate: "n2"})
	if err != nil || a.Code != 503 || a.Text != "Switchover failed" {
		t.Errorf("got %+v, %v", a, err)
	}
	if want := `POST /switchover admin s3cret Patroni/4.1.4 {"leader":"n1","candidate":"n2"}`; got != want {
		t.Errorf("sent %s\nwant %s", got, want)
	}
	if _, err = c.Switchover(t.Context(), url, Move{Leader: "old"}); err != nil || !strings.HasPrefix(got, "POST /failover ") {
		t.Errorf("an old member got %s, %v", got, err)
	}
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://user:s3cret@" + l.Addr().String() + "/patroni"
	_ = l.Close()
	_, err = newClient(t, Options{Username: "u", Password: "s3cret"}).Failover(t.Context(), url, Move{Candidate: "n2"})
	if err == nil || !NotSent(err) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
}

func TestFrozenMember(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // it accepts in the kernel and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = newClient(t, Options{}).Switchover(ctx, "http://"+l.Addr().String(), Move{Leader: "n1"})
	if err == nil || NotSent(err) {
		t.Errorf("got %v, want an unknown outcome", err)
	}
}

func TestMoveLeavesOutWhatIsNotSaid(t *testing.T) {
	data, _ := json.Marshal(Move{Candidate: "n2"})
	if string(data) != `{"candidate":"n2"}` {
		t.Errorf("got %s", data)
	}
}

// A password or certificate that was renewed counts without a restart of the agent.
func TestRenew(t *testing.T) {
	url := member(t, func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		_, _ = io.WriteString(w, password)
	})
	c := newClient(t, Options{Username: "u", Password: "old"})
	for _, o := range []struct {
		options Options
		fails   bool
		want    string
	}{
		{Options{Username: "u", Password: "new"}, false, "new"},
		{Options{Username: "u", Password: "newer", CACert: "/no/such/file"}, true, "new"},
	} {
		if err := c.Renew(o.options); err != nil != o.fails {
			t.Errorf("renew: %v", err)
		}
		if a, err := c.Do(t.Context(), "GET", url, "x", nil); err != nil || a.Text != o.want {
			t.Errorf("got %q, %v, want %q", a.Text, err, o.want)
		}
	}
}

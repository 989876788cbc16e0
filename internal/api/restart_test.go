package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"matriarch/internal/cluster"
)

// busyNode is one that can be restarted and reinitialized.
type busyNode struct {
	*fakeNode
	asked     []string
	err       error
	scheduled bool
	running   chan struct{} // if it is there: what to wait for
}

func (n *busyNode) Restart(ctx context.Context, r Restart) error {
	n.asked = append(n.asked, fmt.Sprintf("restart %+v", r))
	if n.running != nil {
		select {
		case <-n.running:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return n.err
}

func (n *busyNode) ScheduleRestart(_ context.Context, r Restart) error {
	n.asked = append(n.asked, "schedule "+string(r.Published(time.Time{})))
	return n.err
}

func (n *busyNode) UnscheduleRestart(context.Context) bool { return n.scheduled }

func (n *busyNode) Reinitialize(_ context.Context, r Reinitialize) error {
	n.asked = append(n.asked, fmt.Sprintf("reinitialize %+v", r))
	return n.err
}

func noLength(r *http.Request) { r.Header.Del("Content-Length") }

func TestRestartAnswers(t *testing.T) {
	for text, c := range map[string]struct {
		err  error
		code int
	}{
		"restarted successfully":                {nil, 200},
		"restart conditions are not satisfied":  {fmt.Errorf("restart: %w", ErrConditions), 503},
		"reinitialize already in progress":      {fmt.Errorf("restart: %w", &Busy{"reinitialize"}), 503},
		"postgres is still starting":            {ErrStillStarting, 503},
		"restart failed":                        {ErrRestart, 503},
		"restart failed ":                       {errors.New("out of the blue"), 400},
		"restart conditions are not satisfied ": {ErrConditions, 503},
	} {
		n := &busyNode{fakeNode: primary(), err: c.err}
		code, body := call(newServer(t, n), "POST", "/restart", "", noLength)
		if code != c.code || body != strings.TrimSpace(text) || len(n.asked) != 1 {
			t.Errorf("%v: got %d %s, asked %q, want %d %s", c.err, code, body, n.asked, c.code, text)
		}
	}
}

func TestRestartIsRead(t *testing.T) {
	for given, want := range map[string]string{
		"":   "restart {At: Role: Below:0 Pending:false Version: Timeout:0s}",
		"{}": "restart {At: Role: Below:0 Pending:false Version: Timeout:0s}",
		`{"role":"replica","postgres_version":"15.20","timeout":"1min","restart_pending":false}`: "restart {At: Role:replica Below:150020 Pending:true Version:15.20 Timeout:1m0s}",
		`{"postgres_version":"9.6.24","timeout":30}`:                                             "restart {At: Role: Below:90624 Pending:false Version:9.6.24 Timeout:30s}",
		`{"postgres_version":"10.1"}`:                                                            "restart {At: Role: Below:100001 Pending:false Version:10.1 Timeout:0s}",
		`{"role":"standby_leader","timeout":1.4}`:                                                "restart {At: Role:standby_leader Below:0 Pending:false Version: Timeout:1s}",
		`{"schedule":"2030-01-01T00:00:00+02:00"}`:                                               `schedule {"schedule":"2030-01-01T00:00:00+02:00","postmaster_start_time":null}`,
		`{"schedule":"2030-01-01T00:00Z","role":"primary","timeout":60,"postgres_version":"16.0","restart_pending":true}`: `schedule {"schedule":"2030-01-01T00:00:00+00:00","role":"primary",` +
			`"postgres_version":"16.0","timeout":60,"restart_pending":true,"postmaster_start_time":null}`,
	} {
		n := &busyNode{fakeNode: primary()}
		code, body := call(newServer(t, n), "POST", "/restart", given)
		if len(n.asked) != 1 || n.asked[0] != want {
			t.Errorf("%s: got %d %s, asked %q\nwant %q", given, code, body, n.asked, want)
		}
		if wantCode := map[bool]int{false: 200, true: 202}[strings.Contains(given, "schedule")]; code != wantCode {
			t.Errorf("%s: got %d %s, want %d", given, code, body, wantCode)
		}
	}
}

func TestRestartIsRefused(t *testing.T) {
	const role = "PostgreSQL role should be either primary, standby_leader, or replica"
	const timeout = "Timeout should be a positive number of seconds"
	const unparsable = "Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601"
	for _, c := range []struct {
		body string
		code int
		text string
	}{
		{`{"role":"master"}`, 400, role}, {`{"role":null}`, 400, role}, {`{"role":5}`, 400, role}, {`{"role":["replica"]}`, 400, role},
		{`{"postgres_version":"x"}`, 400, "Invalid PostgreSQL version: x"},
		{`{"postgres_version":"15.x"}`, 400, "Invalid PostgreSQL version: 15.x"},
		{`{"postgres_version":"-15.2"}`, 400, "Invalid PostgreSQL version: -15.2"},
		{`{"postgres_version":""}`, 400, "Invalid PostgreSQL version: "},
		{`{"postgres_version":"15"}`, 400, "Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 15"},
		{`{"postgres_version":"9.6"}`, 400, "Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 9.6"},
		{`{"postgres_version":"1.2.3.4"}`, 400, "Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 1.2.3.4"},
		{`{"timeout":0}`, 400, timeout}, {`{"timeout":"-1"}`, 400, timeout}, {`{"timeout":"soon"}`, 400, timeout}, {`{"timeout":0.4}`, 400, timeout},
		{`{"timeout":null}`, 400, timeout}, {`{"timeout":"1 MB"}`, 400, timeout}, {`{"timeout":1e30}`, 400, timeout},
		{`{"foo":1}`, 400, "Unknown filter for the scheduled restart: foo"},
		{`{"schedule":"junk"}`, 422, unparsable}, {`{"schedule":null}`, 422, unparsable}, {`{"schedule":""}`, 422, unparsable},
		{`{"schedule":"2030-01-01T00:00"}`, 400, "Timezone information is mandatory for the scheduled restart"},
		{`{"schedule":"2020-01-01T00:00Z"}`, 422, "Cannot schedule restart in the past"},
		{`{"zeta":1,"alpha":1}`, 400, "Unknown filter for the scheduled restart: zeta"},
		{`{"timeout":0,"role":"x","schedule":"junk"}`, 400, timeout}, {`{"role":"x","timeout":0,"schedule":"junk"}`, 400, role},
	} {
		n := &busyNode{fakeNode: primary()}
		if code, body := call(newServer(t, n), "POST", "/restart", c.body); code != c.code || body != c.text || len(n.asked) != 0 {
			t.Errorf("%s: got %d %s, asked %q\nwant %d %s", c.body, code, body, n.asked, c.code, c.text)
		}
	}
}

func TestRestartBodies(t *testing.T) {
	for body, want := range map[string]int{"[]": 400, "{": 400, "null": 400, "\"x\"": 400, "{\"role\":\"\xff\"}": 400} {
		n := &busyNode{fakeNode: standby()}
		for _, path := range []string{"/restart", "/reinitialize"} {
			if code, _ := call(newServer(t, n), "POST", path, body); code != want || len(n.asked) != 0 {
				t.Errorf("%s %q: got %d, asked %q, want %d and nothing done", path, body, code, n.asked, want)
			}
		}
	}
	n := &busyNode{fakeNode: standby()}
	empty := func(r *http.Request) { r.Header.Set("Content-Length", "0") }
	for _, path := range []string{"/restart", "/reinitialize"} {
		if code, body := call(newServer(t, n), "POST", path, "", empty); code != 200 {
			t.Errorf("%s with an empty body: got %d %s", path, code, body)
		}
	}
}

// TestRestartInPause is B-512 and B-511: at once is allowed, a schedule is not, and
// that is said before anything is looked at.
func TestRestartInPause(t *testing.T) {
	n := &busyNode{fakeNode: primary()}
	n.store.Config.Document = map[string]any{"pause": true}
	s := newServer(t, n)
	if code, body := call(s, "POST", "/restart", `{"foo":1,"schedule":"junk"}`); code != 500 || body != "Can't schedule restart in the paused state" {
		t.Errorf("scheduled: got %d %s", code, body)
	}
	if code, body := call(s, "POST", "/restart", `{"role":"primary"}`); code != 200 {
		t.Errorf("at once: got %d %s", code, body)
	}
	n.store.Config.Document = map[string]any{"pause": true, "ttl": "no number"} // refused as a whole, but for the pause
	if code, _ := call(s, "POST", "/restart", `{"schedule":"2030-01-01T00:00Z"}`); code != 500 {
		t.Errorf("paused by a document that is refused: got %d, want 500", code)
	}
}

func TestScheduledRestart(t *testing.T) {
	n := &busyNode{fakeNode: primary(), err: ErrScheduled}
	s := newServer(t, n)
	if code, body := call(s, "POST", "/restart", `{"schedule":"2030-01-01T00:00Z"}`); code != 409 || body != "Another restart is already scheduled" {
		t.Errorf("a second one: got %d %s", code, body)
	}
	n.err = errors.New("out of the blue")
	if code, body := call(s, "POST", "/restart", `{"schedule":"2030-01-01T00:00Z"}`); code != 500 || strings.Contains(body, "blue") {
		t.Errorf("a fault: got %d %s", code, body)
	}
	if code, body := call(s, "DELETE", "/restart", ""); code != 404 || body != "no restarts are scheduled" {
		t.Errorf("none to delete: got %d %s", code, body)
	}
	n.scheduled, n.readErr = true, errors.New("down") // the store is not needed for it
	if code, body := call(s, "DELETE", "/restart", ""); code != 200 || body != "scheduled restart deleted" {
		t.Errorf("deleted: got %d %s", code, body)
	}
	if !hungUp(func() { call(s, "POST", "/restart", "") }) || !hungUp(func() { call(s, "POST", "/reinitialize", "") }) {
		t.Error("without the store: want a closed connection")
	}
}

func TestScheduledRestartIsShown(t *testing.T) {
	n := primary()
	n.picture.ScheduledRestart = Restart{At: "2030-01-01T00:00:00+02:00", Role: cluster.RolePrimary, Timeout: time.Minute}.Published(noon)
	if want := `{"schedule":"2030-01-01T00:00:00+02:00","role":"primary","timeout":60,"postmaster_start_time":"2026-11-23 12:00:00+00:00"}`; string(n.picture.ScheduledRestart) != want {
		t.Errorf("published %s\nwant      %s", n.picture.ScheduledRestart, want)
	}
	_, body := call(newServer(t, n), "GET", "/patroni", "")
	if want := `"scheduled_restart":{"role":"primary","schedule":"2030-01-01T00:00:00+02:00","timeout":60}`; !strings.Contains(body, want) {
		t.Errorf("%s is not in %s", want, body)
	}
}

func TestReinitialize(t *testing.T) {
	leaderless := func(n *busyNode) { n.store.Leader = cluster.Leader{} }
	leads := func(n *busyNode) { n.store.Leader.Name = "n2" }
	refuse := func(err error) func(*busyNode) { return func(n *busyNode) { n.err = err } }
	for name, c := range map[string]struct {
		body  string
		with  func(*busyNode)
		asked string
		code  int
		text  string
	}{
		"begun":                     {"", nil, "{Force:false FromLeader:false}", 200, "reinitialize started"},
		"with all":                  {`{"force":true,"from_leader":"yes"}`, nil, "{Force:true FromLeader:true}", 200, "reinitialize started"},
		"with other words":          {`{"force":1,"from_leader":"off","x":1}`, nil, "{Force:true FromLeader:false}", 200, "reinitialize started"},
		"no leader":                 {"", leaderless, "", 503, "Cluster has no leader, can not reinitialize"},
		"the leader itself":         {`{"force":true}`, leads, "", 503, "I am the leader, can not reinitialize"},
		"busy":                      {"", refuse(&Busy{"restart"}), "{Force:false FromLeader:false}", 503, "restart already in progress"},
		"no leader any more":        {"", refuse(fmt.Errorf("look again: %w", ErrNoLeader)), "{Force:false FromLeader:false}", 503, "Cluster has no leader, can not reinitialize"},
		"leader meanwhile":          {"", refuse(ErrLeader), "{Force:false FromLeader:false}", 503, "I am the leader, can not reinitialize"},
		"a fault is not for people": {"", refuse(errors.New("/data: s3cret")), "{Force:false FromLeader:false}", 503, "reinitialize failed"},
	} {
		t.Run(name, func(t *testing.T) {
			n := &busyNode{fakeNode: standby()}
			if c.with != nil {
				c.with(n)
			}
			code, body := call(newServer(t, n), "POST", "/reinitialize", c.body)
			if code != c.code || body != c.text {
				t.Errorf("got %d %s, want %d %s", code, body, c.code, c.text)
			}
			if asked := strings.TrimPrefix(strings.Join(n.asked, ";"), "reinitialize "); asked != c.asked {
				t.Errorf("asked %q, want %q", asked, c.asked)
			}
		})
	}
}

func TestANodeThatCannotSaysSo(t *testing.T) {
	for _, c := range [][2]string{{"POST", "/restart"}, {"DELETE", "/restart"}, {"POST", "/reinitialize"}} {
		code, body := call(newServer(t, primary()), c[0], c[1], "{}")
		if code != 501 || !strings.Contains(body, "Server does not support this operation") {
			t.Errorf("%s %s: got %d %s", c[0], c[1], code, body)
		}
	}
}

// deadlines notes how long a client has to take its answer.
type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetWriteDeadline(at time.Time) error { d.set = append(d.set, at); return nil }

// TestALongRestartIsAnswered: while it goes on there is no deadline for the answer,
// for one that has passed cannot be moved (http.ResponseController), and once it is
// over the client has the usual time.
func TestALongRestartIsAnswered(t *testing.T) {
	n := &busyNode{fakeNode: primary(), running: make(chan struct{})}
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	close(n.running)
	newServer(t, n).ServeHTTP(w, httptest.NewRequest("POST", "/restart", strings.NewReader("")))
	if w.Body.String() != "restarted successfully" {
		t.Errorf("got %s", w.Body)
	}
	if len(w.set) != 2 || !w.set[0].IsZero() || time.Until(w.set[1]) < writeTimeout/2 {
		t.Errorf("deadlines %v, want none and then the usual one", w.set)
	}
}

// TestARestartIsNotWaitedForWithoutEnd: when the node stops, requests end.
func TestARestartIsNotWaitedForWithoutEnd(t *testing.T) {
	n := &busyNode{fakeNode: primary(), running: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code, body := call(newServer(t, n), "POST", "/restart", "", func(r *http.Request) { *r = *r.WithContext(ctx) })
	if code != 400 || body != "restart failed" {
		t.Errorf("got %d %s", code, body)
	}
}

func TestOddEndpoints(t *testing.T) {
	protected := func(o *Options) { o.Access = Access{Username: "a", Password: "b"} }
	for _, c := range []struct {
		method, path, body string
		code               int
		text               string
	}{
		{"POST", "/mpp", `{"type":"before_demote","group":1}`, 200, "OK"},
		{"POST", "/citus", `{"x":1}`, 200, "OK"},
		{"POST", "/sigterm", "", 202, "shutdown scheduled"},
	} {
		if code, body := call(newServer(t, primary()), c.method, c.path, c.body); code != c.code || body != c.text {
			t.Errorf("%s %s: got %d %s", c.method, c.path, code, body)
		}
		if code, _ := call(newServer(t, primary(), protected), c.method, c.path, c.body); code != 401 {
			t.Errorf("%s %s without a password: got %d, want 401", c.method, c.path, code)
		}
	}
	for body, want := range map[string]int{"": 411, "{}": 400, "x": 400} {
		if code, _ := call(newServer(t, primary()), "POST", "/mpp", body); code != want {
			t.Errorf("/mpp with %q: got %d, want %d", body, code, want)
		}
	}
}

func TestTimesAreReadLeniently(t *testing.T) {
	want := time.Date(2030, 1, 2, 3, 4, 0, 0, time.UTC)
	for _, given := range []string{
		"2030-01-02T03:04:00Z", "2030-01-02T03:04Z", "2030-01-02 03:04:00+00:00", "2030-01-02 05:04+02:00", "2030-01-02T05:04:00 +02:00",
		"2030-01-02 05:04:00.000 +0200", "2030-01-02T03:04:00+0000", "2030-01-02 03:04 UTC", " 2030-01-02 03:04:00 GMT ", "20300102T030400Z", "20300102T0504+0200",
		"2030-01-02T03:04-00", "2030-01-02 05:04:00+02", "Wed, 02 Jan 2030 05:04:00 +0200", "02 Jan 30 05:04 +0200", "2030-01-02 05:04 +0200",
	} {
		stored, refused := schedule(given, "restart", noon)
		if at, err := time.Parse("2006-01-02T15:04:05-07:00", stored); refused != nil || err != nil || !at.Equal(want) {
			t.Errorf("%q: got %q, %v", given, stored, refused)
		}
	}
	for _, given := range []string{"", "UTC", "tomorrow", "02/03/2030 10:00 Z", "2030-13-01T00:00Z", "2030-01-02T03:04:00 CET"} {
		if stored, refused := schedule(given, "restart", noon); refused == nil || refused.code != 422 {
			t.Errorf("%q was read as %q, %v", given, stored, refused)
		}
	}
	for _, given := range []string{"2030-01-02T03:04", "2030-01-02 03:04:00", "20300102T030400", "2030-01-02"} {
		if stored, refused := schedule(given, "restart", noon); refused == nil || refused.code != 400 {
			t.Errorf("%q: %q, %v; want that a zone is missing", given, stored, refused)
		}
	}
}

func TestSecondsAreReadAsPostgreSQLDoes(t *testing.T) {
	for text, want := range map[string]int64{"30": 30, " 1min ": 60, "1.5 h": 5400, "2d": 172800, "1500ms": 2, "0": 0, "2500000us": 2, "+5s": 5, ".6": 1} {
		if got, ok := parseSeconds(text); !ok || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "-1", "1m", "1 MIN", "s", "1e3", "99999999999999999999", "1h 5min", "0x10", "."} {
		if got, ok := parseSeconds(text); ok {
			t.Errorf("%q was read as %d", text, got)
		}
	}
}

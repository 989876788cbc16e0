package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"matriarch/internal/cluster"
)

func TestSwitchoverIsRefused(t *testing.T) {
	pause := func(n *fakeNode) { n.store.Config.Document = map[string]any{"pause": true} }
	syncMode := func(n *fakeNode) {
		n.store.Config.Document = map[string]any{"synchronous_mode": true}
		n.store.Sync = cluster.Sync{Leader: "n1", Standbys: []string{"n3"}}
	}
	noSync := func(n *fakeNode) { syncMode(n); n.store.Sync.Standbys = nil }
	alone := func(n *fakeNode) { n.store.Members = n.store.Members[:1] }
	headless := func(n *fakeNode) { n.store.Leader = cluster.Leader{} }
	for _, c := range []struct {
		path, body string
		with       func(*fakeNode)
		code       int
		text       string
	}{
		{"/failover", `{"leader":"n1"}`, nil, 400, "Failover could be performed only to a specific candidate"},
		{"/switchover", `{"candidate":"n2"}`, nil, 400, "Switchover could be performed only from a specific leader"},
		{"/failover", `{"candidate":"n2","scheduled_at":"2030-01-01T00:00Z"}`, nil, 400, "Failover can't be scheduled"},
		{"/switchover", `{"leader":"n1","scheduled_at":"junk"}`, pause, 400, "Can't schedule switchover in the paused state"},
		{"/switchover", `{"leader":"n1","scheduled_at":"junk"}`, nil, 422, "Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601"},
		{"/switchover", `{"leader":"n1","scheduled_at":7}`, nil, 422, "Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601"},
		{"/switchover", `{"leader":"n1","scheduled_at":"2030-01-01T00:00"}`, nil, 400, "Timezone information is mandatory for the scheduled switchover"},
		{"/switchover", `{"leader":"n1","scheduled_at":"2020-01-01T00:00Z"}`, nil, 422, "Cannot schedule switchover in the past"},
		{"/switchover", `{"leader":"n1"}`, pause, 400, "Switchover is possible only to a specific candidate in a paused state"},
		{"/switchover", `{"leader":"n1","candidate":"n1"}`, nil, 400, "Switchover target and source are the same"},
		{"/switchover", `{"leader":"n1","candidate":"n1","scheduled_at":"2030-01-01T00:00Z"}`, nil, 400, "Switchover target and source are the same"},
		{"/switchover", `{"leader":"n2"}`, nil, 412, "leader name does not match"},
		{"/switchover", `{"leader":"n1"}`, headless, 412, "leader name does not match"},
		{"/switchover", `{"leader":"n1","candidate":"n9"}`, nil, 412, "candidate does not exists"},
		{"/switchover", `{"leader":"n1","candidate":"n2"}`, syncMode, 412, "candidate name does not match with sync_standby"},
		{"/failover", `{"leader":"n1","candidate":"n2"}`, syncMode, 412, "candidate name does not match with sync_standby"},
		{"/switchover", `{"leader":"n1"}`, noSync, 412, "switchover is not possible: can not find sync_standby"},
		{"/switchover", `{"leader":"n1"}`, alone, 412, "switchover is not possible: cluster does not have members except leader"},
		{"/switchover", `{"leader":"n1","candidate":"n3"}`, nil, 412, "switchover is not possible: no good candidates have been found"},
		{"/failover", `{"candidate":"n3"}`, nil, 412, "failover is not possible: no good candidates have been found"},
		{"/failover", `{"member":"n9"}`, nil, 412, "candidate does not exists"},
	} {
		t.Run(c.path+c.body+c.text, func(t *testing.T) {
			n := primary()
			n.request = func(f cluster.Failover) (int64, error) { t.Errorf("the key was written: %+v", f); return 0, nil }
			if c.with != nil {
				c.with(n)
			}
			if code, body := call(newServer(t, n), "POST", c.path, c.body); code != c.code || body != c.text {
				t.Errorf("got %d %s\nwant %d %s", code, body, c.code, c.text)
			}
		})
	}
}

// after is the cluster at a later revision.
func after(leader string, f cluster.Failover) cluster.View {
	v := view()
	v.Revision, v.Leader.Name, v.Failover = 102, leader, f
	return v
}

func TestSwitchoverWaitsForItsOutcome(t *testing.T) {
	pending := cluster.Failover{Leader: "n1", Candidate: "n2"}
	for _, c := range []struct {
		name, path, body string
		want             cluster.Failover
		views            []cluster.View
		code             int
		text             string
	}{
		{"as asked", "/switchover", `{"leader":"n1","candidate":"n2"}`, pending,
			[]cluster.View{after("n1", pending), after("", pending), after("n2", pending)}, 200, `Successfully switched over to "n2"`},
		{"the leader counts before the empty key", "/switchover", `{"leader":"n1","candidate":"n2"}`, pending,
			[]cluster.View{after("n2", cluster.Failover{})}, 200, `Successfully switched over to "n2"`},
		{"to another one", "/switchover", `{"leader":"n1","candidate":"n2"}`, pending,
			[]cluster.View{after("n3", pending)}, 200, `Switched over to "n3" instead of "n2"`},
		{"at no time, as patronictl 3.0 says now", "/switchover", `{"leader":"n1","candidate":null,"scheduled_at":null}`, cluster.Failover{Leader: "n1"},
			[]cluster.View{after("n3", cluster.Failover{})}, 200, `Successfully switched over to "n3"`},
		{"to anybody", "/switchover", `{"leader":"n1","scheduled_at":""}`, cluster.Failover{Leader: "n1"},
			[]cluster.View{after("n3", cluster.Failover{})}, 200, `Successfully switched over to "n3"`},
		{"refused by the leader", "/switchover", `{"leader":"n1","candidate":"n2"}`, pending,
			[]cluster.View{after("n1", pending), after("n1", cluster.Failover{})}, 503, "Switchover failed"},
		{"no answer", "/switchover", `{"leader":"n1","candidate":"n2"}`, pending,
			[]cluster.View{after("n1", pending)}, 503, "Switchover status unknown"},
		{"failover", "/failover", `{"candidate":"n2"}`, cluster.Failover{Candidate: "n2"},
			[]cluster.View{after("n2", pending)}, 200, `Successfully failed over to "n2"`},
		{"failover to another", "/failover", `{"member":"n2"}`, cluster.Failover{Candidate: "n2"},
			[]cluster.View{after("n3", pending)}, 200, `Failed over to "n3" instead of "n2"`},
		{"failover refused", "/failover", `{"candidate":"n2"}`, cluster.Failover{Candidate: "n2"},
			[]cluster.View{after("n1", cluster.Failover{})}, 503, "Failover failed"},
		{"failover that names the leader", "/failover", `{"leader":"n1","candidate":"n2"}`, pending,
			[]cluster.View{after("n2", pending)}, 200, `Successfully switched over to "n2"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := primary()
				n.request = func(f cluster.Failover) (int64, error) {
					if f != c.want {
						t.Errorf("wrote %+v, want %+v", f, c.want)
					}
					return 101, nil // the view at hand is from before and has no request in it
				}
				done := make(chan string)
				start := time.Now()
				go func() {
					code, text := call(newServer(t, n), "POST", c.path, c.body)
					done <- fmt.Sprint(code, " ", text)
				}()
				for _, v := range c.views {
					synctest.Wait()
					n.show(v)
				}
				if got, want := <-done, fmt.Sprint(c.code, " ", c.text); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				if waited := time.Since(start); waited != 0 && c.text != "Switchover status unknown" || waited > 20*time.Second {
					t.Errorf("it took %v", waited)
				}
			})
		})
	}
}

func TestSwitchoverIsScheduled(t *testing.T) {
	for given, stored := range map[string]string{
		"2030-01-01T02:00:00+02:00": "2030-01-01T02:00:00+02:00", "2030-01-01T00:00Z": "2030-01-01T00:00:00+00:00",
		"2030-01-01 00:00:00.5-05:00": "2030-01-01T00:00:00.500000-05:00",
	} {
		n := primary()
		n.request = func(f cluster.Failover) (int64, error) {
			if want := (cluster.Failover{Leader: "n9", Candidate: "n3", At: stored}); f != want {
				t.Errorf("wrote %+v, want %+v", f, want)
			}
			return 101, nil
		}
		body, _ := json.Marshal(map[string]string{"leader": "n9", "candidate": "n3", "scheduled_at": given})
		if code, text := call(newServer(t, n), "POST", "/switchover", string(body)); code != 202 || text != "Switchover scheduled" {
			t.Errorf("got %d %s", code, text)
		}
	}
}

func TestSwitchoverThatCannotBeWritten(t *testing.T) {
	n := primary()
	n.request = func(cluster.Failover) (int64, error) { return 0, errors.New("down") }
	if code, text := call(newServer(t, n), "POST", "/switchover", `{"leader":"n1"}`); code != 503 || text != "failed to write failover key into DCS" {
		t.Errorf("got %d %s", code, text)
	}
}

func TestUnschedule(t *testing.T) {
	n := primary()
	s := newServer(t, n)
	if code, text := call(s, http.MethodDelete, "/switchover", ""); code != 404 || text != "no switchover is scheduled" {
		t.Errorf("nothing: got %d %s", code, text)
	}
	n.store.Failover = cluster.Failover{Leader: "n1", Modified: 7}
	if code, _ := call(s, http.MethodDelete, "/switchover", ""); code != 404 {
		t.Errorf("one under way: got %d, want 404", code)
	}
	n.store.Failover.At = "2030-01-01T00:00Z"
	n.clear = func(modified int64) error {
		if modified != 7 {
			t.Errorf("cleared at %d, want 7", modified)
		}
		return nil
	}
	if code, text := call(s, http.MethodDelete, "/switchover", ""); code != 200 || text != "scheduled switchover deleted" {
		t.Errorf("scheduled: got %d %s", code, text)
	}
	n.clear = func(int64) error { return ErrConflict }
	if code, _ := call(s, http.MethodDelete, "/switchover", ""); code != 409 {
		t.Errorf("conflict: got %d, want 409", code)
	}
	n.clear = func(int64) error { return errors.New("down") }
	if !hungUp(func() { call(s, http.MethodDelete, "/switchover", "") }) {
		t.Error("without the store: want a closed connection")
	}
}

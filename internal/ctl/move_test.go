package ctl

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"matriarch/internal/dcs"
)

// member is a leader's REST API that a test scripts. It starts a healthy harbor
// whose leader it is.
func (w *world) member(answer func(path string, body map[string]any) (int, string)) *[]string {
	var seen []string
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/patroni" {
			_, _ = io.WriteString(rw, `{"role":"primary","xlog":{"location":1}}`)
			return
		}
		data, _ := io.ReadAll(r.Body)
		seen = append(seen, r.Method+" "+r.URL.Path+" "+string(data))
		var body map[string]any
		_ = json.Unmarshal(data, &body)
		code, text := answer(r.URL.Path, body)
		if code == 0 {
			panic(http.ErrAbortHandler)
		}
		rw.WriteHeader(code)
		_, _ = io.WriteString(rw, text)
	}))
	w.t.Cleanup(s.Close)
	w.put("members/pier1", `{"conn_url":"postgres://127.0.0.1:5432/postgres","api_url":"`+s.URL+`/patroni","state":"running","role":"primary","timeline":2}`)
	return &seen
}

// promote makes pier3 leader, as the members would.
func (w *world) promote() {
	w.put("leader", "pier3")
	w.put("members/pier1", `{"conn_url":"postgres://127.0.0.1:5432/postgres","state":"stopped","role":"demoted"}`)
	w.put("members/pier3", `{"conn_url":"postgres://127.0.0.3:5432/postgres","state":"running","role":"primary","timeline":2}`)
	w.put("failover", "{}")
}

const promotedTable = `+ Cluster: harbor (7711295818603699884) ---+----+-------------+-----+------------+-----+
| Member | Host      | Role    | State     | TL | Receive LSN | Lag | Replay LSN | Lag |
+--------+-----------+---------+-----------+----+-------------+-----+------------+-----+
| pier1  | 127.0.0.1 | Replica | stopped   |    |     unknown |     |    unknown |     |
| pier2  | 127.0.0.2 | Replica | streaming |  2 |   0/40001F0 |   0 |  0/40001F0 |   0 |
| pier3  | 127.0.0.3 | Leader  | running   |  2 |             |     |            |     |
+--------+-----------+---------+-----------+----+-------------+-----+------------+-----+
`

func TestSwitchoverWithAnswersFromAPipe(t *testing.T) {
	w := newWorld(t, harbor)
	seen := w.member(func(string, map[string]any) (int, string) {
		w.promote()
		return 200, `Successfully switched over to "pier3"`
	})
	w.input = "\n\n\ny\n"
	out, _, code := w.run("switchover")
	want(t, out, "Current cluster topology\n"+harborTable+"Primary [pier1]: Candidate ['pier2', 'pier3'] []: "+
		"When should the switchover take place (e.g. 2026-11-23T10:30 )  [now]: "+
		"Are you sure you want to switchover cluster harbor, demoting current leader pier1? [y/N]: "+
		`2026-11-23 09:30:40.59823 Successfully switched over to "pier3"`+"\n"+promotedTable)
	if code != 0 || len(*seen) != 1 || (*seen)[0] != `POST /switchover {"leader":"pier1"}` {
		t.Errorf("exit %d, asked %v", code, *seen)
	}
}

func TestSwitchoverScheduled(t *testing.T) {
	w := newWorld(t, harbor)
	seen := w.member(func(string, map[string]any) (int, string) {
		w.put("failover", `{"leader":"pier1","member":"pier3","scheduled_at":"2030-06-07T08:09:00+02:00"}`)
		return 202, "Switchover scheduled"
	})
	out, _, code := w.run("switchover", "--candidate", "pier3", "--scheduled", "2030-06-07T08:09+02:00", "--force")
	if !strings.Contains(out, "09:30:40.59823 Switchover scheduled\n+ Cluster") || !strings.Contains(out, "Switchover scheduled at: 2030-06-07T08:09:00+02:00") || code != 0 {
		t.Errorf("exit %d\n%s", code, out)
	}
	if len(*seen) != 1 || (*seen)[0] != `POST /switchover {"leader":"pier1","candidate":"pier3","scheduled_at":"2030-06-07T08:09:00+02:00"}` {
		t.Errorf("asked %v", *seen)
	}
}

func TestSwitchoverRefusedByTheServer(t *testing.T) {
	for _, c := range []struct {
		code         int
		text, line   string
		normal, hard int
	}{
		{412, "candidate name does not match with sync_standby", "Switchover failed, details: 412, candidate name does not match with sync_standby\n", 0, 3},
		{503, "Switchover status unknown", "Switchover result unknown, details: 503, Switchover status unknown\n", 0, 5},
		{401, "not authenticated", "Switchover failed, details: 401, not authenticated\n", 0, 3},
	} {
		for _, strict := range []bool{false, true} {
			w := newWorld(t, harbor)
			w.strict = strict
			w.member(func(string, map[string]any) (int, string) { return c.code, c.text })
			out, errs, code := w.run("switchover", "--force", "--candidate", "pier3")
			exit := map[bool]int{false: c.normal, true: c.hard}[strict]
			want(t, out, "Current cluster topology\n"+harborTable+c.line)
			if code != exit || strings.Contains(errs, "Error") {
				t.Errorf("strict %v: exit %d, want %d: %s", strict, code, exit, errs)
			}
		}
	}
}

func TestSwitchoverOnAnOldMember(t *testing.T) {
	w := newWorld(t, harbor)
	seen := w.member(func(path string, _ map[string]any) (int, string) {
		if path == "/switchover" {
			return 501, "<p>Message: Server does not support this operation.</p>"
		}
		w.promote()
		return 200, "done"
	})
	if _, _, code := w.run("switchover", "--force"); code != 0 || len(*seen) != 2 || !strings.HasPrefix((*seen)[1], "POST /failover") {
		t.Errorf("exit %d, asked %v", code, *seen)
	}
}

func TestMoveIsRefusedBeforeAnybodyIsAsked(t *testing.T) {
	headless := func(w *world) { w.remove("leader") }
	alone := func(w *world) { w.remove("members/pier2"); w.put("members/pier3", `{"tags":{"nofailover":false}}`) }
	paused := func(w *world) { w.put("config", `{"pause":true}`) }
	syncMode := func(w *world) {
		w.put("config", `{"synchronous_mode":true}`)
		w.put("sync", `{"leader":"pier1","sync_standby":"pier2"}`)
	}
	for _, c := range []struct {
		args  string
		input string
		with  func(*world)
		want  string
	}{
		{"switchover --force", "", headless, "Error: This cluster has no leader\n"},
		{"switchover --force nosuch", "", nil, "Error: This cluster has no leader\n"},
		{"switchover --leader pier2", "", nil, "Error: Member pier2 is not the leader of cluster harbor\n"},
		{"switchover", "pier9\n", nil, "Error: Member pier9 is not the leader of cluster harbor\n"},
		{"switchover --force", "", alone, "Error: No candidates found to switchover to\n"},
		{"failover --force --candidate pier3", "", alone, "Error: No candidates found to failover to\n"},
		{"switchover --force --candidate pier1", "", nil, "Error: Member pier1 is already the leader of cluster harbor\n"},
		{"switchover --force --candidate pier9", "", nil, "Error: Member pier9 does not exist in cluster harbor or is tagged as nofailover\n"},
		{"failover --force", "", nil, "Error: Failover could be performed only to a specific candidate\n"},
		{"failover", "\n", nil, "Error: Failover could be performed only to a specific candidate\n"},
		{"switchover --force --scheduled junk", "", nil, "Error: Unable to parse scheduled timestamp (junk). It should be in an unambiguous format (e.g. ISO 8601)\n"},
		{"switchover --force --scheduled 2030-01-01T00:00", "", paused, "Error: Can't schedule switchover in the paused state\n"},
		{"switchover --candidate pier2 --scheduled now", "\nmaybe\nn\n", nil, "Error: Aborting switchover\n"},
		{"switchover --scheduled 2030-01-01T00:00Z", "\n\n\n", nil, "Error: Aborting scheduled switchover\n"},
		{"failover --candidate pier3", "n\n", syncMode, "Error: Aborting failover\n"},
		{"failover --candidate pier2", "n\n", syncMode, "Error: Aborting failover\n"},
		{"switchover", "", nil, "Aborted!\n"},
		{"switchover", "pier1\npier2\n", nil, "Aborted!\n"},
	} {
		w := newWorld(t, harbor)
		seen := w.member(func(string, map[string]any) (int, string) { return 200, "" })
		if c.with != nil {
			c.with(w)
		}
		w.input = c.input
		out, errs, code := w.run(strings.Fields(c.args)...)
		if errs != c.want || code != 1 || !strings.HasPrefix(out, "Current cluster topology\n+") {
			t.Errorf("%s: exit %d\n%s\nwant\n%s", c.args, code, errs, c.want)
		}
		if len(*seen) > 0 || w.get("failover") != "" {
			t.Errorf("%s: asked %v, wrote %q", c.args, *seen, w.get("failover"))
		}
		if strings.Contains(c.input, "maybe") && !strings.Contains(out, "Error: invalid input\nAre you sure") {
			t.Errorf("%s: an answer that is none was taken: %s", c.args, out)
		}
	}
}

func TestFailoverToAnAsynchronousNodeIsAskedAbout(t *testing.T) {
	for candidate, asked := range map[string]bool{"pier2": false, "pier3": true} {
		w := newWorld(t, harbor)
		w.put("config", `{"synchronous_mode":true}`)
		w.put("sync", `{"leader":"pier1","sync_standby":"pier2"}`)
		w.input = "n\n"
		out, _, _ := w.run("failover", "--candidate", candidate)
		if got := strings.Contains(out, "Are you sure you want to failover to the asynchronous node pier3? [y/N]: "); got != asked {
			t.Errorf("%s: asked %v, want %v\n%s", candidate, got, asked, out)
		}
	}
}

func (w *world) remove(key string) {
	if _, err := w.writer.Commit(w.t.Context(), dcs.Txn{Then: []dcs.Op{{Key: key, Delete: true}}}); err != nil {
		w.t.Fatal(err)
	}
}

func TestFailoverWithoutALeaderAsksTheCandidate(t *testing.T) {
	w := newWorld(t, harbor)
	seen := w.member(func(string, map[string]any) (int, string) {
		w.put("leader", "pier1")
		return 200, `Successfully failed over to "pier1"`
	})
	w.remove("leader")
	w.input = "y\n"
	out, _, code := w.run("failover", "--candidate", "pier1")
	if !strings.Contains(out, "Are you sure you want to failover cluster harbor? [y/N]: 2026-11-23 09:30:40.59823 Successfully failed over") || code != 0 {
		t.Errorf("exit %d\n%s", code, out)
	}
	if len(*seen) != 1 || (*seen)[0] != `POST /failover {"candidate":"pier1"}` {
		t.Errorf("asked %v", *seen)
	}
}

// watchers lets a test act the members' part when the failover key is written.
func (w *world) watchers(t *testing.T, act func(request string)) {
	node := w.store.Node("watcher")
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			snapshot, _ := node.Mirror()
			if v, ok := snapshot.Values["failover"]; ok {
				act(string(v.Data))
				return
			}
			select {
			case <-node.Changed():
			case <-done:
				return
			}
		}
	}()
	t.Cleanup(func() { close(done); <-ended })
}

func TestLeaderThatDoesNotAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		act  func(w *world)
		want string
		code int
	}{
		"the members act all the same": {func(w *world) { w.promote() },
			"2026-11-23 09:30:40.59823 Successfully switched over to \"pier3\"\n" + promotedTable, 0},
		"the leader takes it back": {func(w *world) { w.put("failover", "{}") },
			"Switchover failed, details: the request was taken back by the leader\n", 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, harbor) // whose members have no api_url at all
			w.watchers(t, func(request string) {
				if request != `{"leader":"pier1","member":"pier3"}` {
					t.Errorf("wrote %s", request)
				}
				c.act(w)
			})
			out, errs, code := w.run("switchover", "--force", "--candidate", "pier3")
			want(t, out, "Current cluster topology\n"+harborTable+
				"2026-11-23 09:30:40.59823 Could not switchover using Patroni api, falling back to DCS\n"+c.want)
			if code != c.code || !strings.Contains(errs, "pier1 did not answer") {
				t.Errorf("exit %d, %s", code, errs)
			}
		})
	}
}

func TestRequestThatArrivedThoughNobodyAnsweredIsNotWrittenTwice(t *testing.T) {
	w := newWorld(t, harbor)
	w.member(func(string, map[string]any) (int, string) {
		w.promote() // it is done, and then the connection breaks
		return 0, ""
	})
	out, _, code := w.run("switchover", "--force", "--candidate", "pier3")
	if !strings.Contains(out, `Successfully switched over to "pier3"`) || code != 0 || w.get("failover") != "{}" {
		t.Errorf("exit %d, failover key %s\n%s", code, w.get("failover"), out)
	}
}

func TestClusterThatChangedMeanwhileIsLeftAlone(t *testing.T) {
	w := newWorld(t, harbor)
	w.member(func(string, map[string]any) (int, string) {
		w.put("failover", `{"member":"pier2"}`) // somebody else's
		return 0, ""
	})
	_, errs, code := w.run("switchover", "--force", "--candidate", "pier3")
	if !strings.Contains(errs, "Error: the cluster was changed meanwhile") || code != 1 || w.get("failover") != `{"member":"pier2"}` {
		t.Errorf("exit %d, failover key %s\n%s", code, w.get("failover"), errs)
	}
}

func TestProgressIsShownToAPersonWhoWantsIt(t *testing.T) {
	for _, c := range []struct{ person, quiet, shown bool }{
		{person: true, shown: true}, {person: true, quiet: true}, {person: false},
	} {
		w := newWorld(t, harbor)
		w.person = c.person
		w.member(func(string, map[string]any) (int, string) {
			w.promote()
			return 200, "ok"
		})
		_, errs, code := w.run("switchover", "--force", "--candidate", "pier3", fmt.Sprintf("--quiet=%t", c.quiet))
		shown := strings.Contains(errs, "leader: pier3, pier1 stopped as demoted, pier3 running as primary\n")
		if code != 0 || shown != c.shown || !shown && errs != "" {
			t.Errorf("%+v: exit %d, %q", c, code, errs)
		}
	}
}

func TestWaitForTheFormerLeader(t *testing.T) {
	w := newWorld(t, harbor)
	w.member(func(string, map[string]any) (int, string) {
		w.promote()
		w.put("members/pier1", `{"state":"running","role":"replica","replication_state":"streaming","timeline":2}`)
		return 200, "ok"
	})
	out, errs, code := w.run("switchover", "--force", "--wait")
	if code != 0 || strings.Contains(errs, "WARNING") || !strings.Contains(out, "| pier1  |           | Replica | streaming |") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

// Patroni before 3.3 does not tell whether a member streams.
func TestWaitForTheFormerLeaderOfOldMembers(t *testing.T) {
	w := newWorld(t, harbor)
	for _, name := range []string{"pier2", "pier3"} {
		w.set(name, "replication_state", "")
	}
	w.member(func(string, map[string]any) (int, string) {
		w.promote()
		w.put("members/pier1", `{"state":"running","role":"replica","timeline":2}`)
		return 200, "ok"
	})
	if out, errs, code := w.run("switchover", "--force", "--wait"); code != 0 || strings.Contains(errs, "WARNING") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

func TestParseWhen(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 30, 0, 0, time.Local)
	local := time.Date(2030, 1, 2, 3, 4, 0, 0, time.Local)
	for in, want := range map[string]time.Time{
		"2030-01-02T03:04": local, "2030-01-02 03:04": local, "20300102T0304": local, "Jan 2 2030 3:04am": local,
		"2030-01-02 03:04Z": time.Date(2030, 1, 2, 3, 4, 0, 0, time.UTC), "2030-01-02T03:05+02:00": time.Date(2030, 1, 2, 1, 5, 0, 0, time.UTC),
		"2030-01-02T03:04:31-3": time.Date(2030, 1, 2, 6, 4, 31, 0, time.UTC), "20300102T0304Z": time.Date(2030, 1, 2, 3, 4, 0, 0, time.UTC),
		"12:30": time.Date(2026, 11, 23, 12, 30, 0, 0, time.Local), "3pm": time.Date(2026, 11, 23, 15, 0, 0, 0, time.Local),
		"2 Jan 2030 03:04": local, "2030/01/02 03:04": local, "2030.01.02 3:04": local, "Jan 2, 2030 3:04 AM": local, "January 2 2030 03:04": local,
		"Wed Jan 2 03:04:00 2030": local, "Wednesday, 2 January 2030 03:04": local, "20300102T030400": local,
		"Feb 2 2030 3:04am": local.AddDate(0, 1, 0), "2-DEC-2030 03:04": local.AddDate(0, 11, 0), "2 november 2030 03:04": local.AddDate(0, 10, 0),
		"20300102": time.Date(2030, 1, 2, 0, 0, 0, 0, time.Local), "2030-01-02 10:00 UTC": time.Date(2030, 1, 2, 10, 0, 0, 0, time.UTC),
		"2030-01-02T03:04:05.5Z": time.Date(2030, 1, 2, 3, 4, 5, 500000000, time.UTC), "2030-01-02T03:04:05+0200": time.Date(2030, 1, 2, 1, 4, 5, 0, time.UTC),
	} {
		if got, ok := parseWhen(in, now); !ok || !got.Equal(want) {
			t.Errorf("parseWhen(%q) = %v, %v, want %v", in, got, ok, want)
		}
	}
	for _, in := range []string{"", "junk", "25:00", "2030-13-01T00:00Z", "yesterday", "01/02/2030 10:00", "1504", "2030-02-30 10:00", "10:00 CET"} {
		if got, ok := parseWhen(in, now); ok {
			t.Errorf("parseWhen(%q) = %v", in, got)
		}
	}
}

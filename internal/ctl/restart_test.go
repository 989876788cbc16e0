package ctl

import (
	"context"
	"strings"
	"testing"
)

func TestRestartWithAnswersFromAPipe(t *testing.T) {
	w := newWorld(t, harbor)
	m := w.serve("pier3", always(200, "restarted successfully"))
	w.input = "\ny\n\n"
	w.expect(t, "restart harbor pier3", harborTable+"When should the restart take place (e.g. 2026-11-23T10:30)  [now]: "+
		"Are you sure you want to restart members pier3? [y/N]: Restart if the PostgreSQL version is less than provided (e.g. 9.5.2)  []: "+
		"Success: restart on member pier3\n", "", 0)
	if m.requests() != "POST /restart {}" {
		t.Errorf("asked %q", m.requests())
	}
}

func TestRestartWithConditions(t *testing.T) {
	w := newWorld(t, harbor)
	m := w.serve("pier2", always(503, "restart conditions are not satisfied"))
	w.expect(t, "restart harbor --force pier2 nosuch --pg-version 15.1 --timeout 60 --pending --scheduled now", harborTable, w.warning("nosuch: not a member of cluster harbor"), 0)
	w.set("pier2", "pending_restart", true)
	out, _, code := w.run("restart", "harbor", "--force", "pier2", "--pg-version", "15.1", "--timeout", "60", "--pending")
	if !strings.HasSuffix(out, "\nFailed: restart for member pier2, status code=503, (restart conditions are not satisfied)\n") || code != 0 {
		t.Errorf("exit %d\n%s", code, out)
	}
	if want := `POST /restart {"postgres_version":"15.1","timeout":"60","restart_pending":true}`; m.requests() != want {
		t.Errorf("asked %q, want %q", m.requests(), want)
	}
}

func (w *world) warning(text string) string {
	return w.now.Local().Format("2006-01-02 15:04:05,000") + " - WARNING - " + text + "\n"
}

func TestRestartIsScheduled(t *testing.T) {
	w := newWorld(t, harbor)
	w.set("pier3", "scheduled_restart", map[string]any{"schedule": "2030-01-01T00:00:00+00:00"})
	two := w.serve("pier2", always(202, "Restart scheduled"))
	three := w.serve("pier3", func(request string) (int, string) {
		if strings.HasPrefix(request, "DELETE") {
			return 200, "scheduled restart deleted"
		}
		return 409, "Another restart is already scheduled"
	})
	out, errs, code := w.run("restart", "harbor", "pier2", "pier3", "--force", "--scheduled", "2030-01-02T03:04+00:00")
	if !strings.HasSuffix(out, "+\nSuccess: restart scheduled on member pier2\nFailed: another restart is already scheduled on member pier3\n") || errs != "" || code != 0 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	want(t, two.requests(), `POST /restart {"schedule":"2030-01-02T03:04:00+00:00"}`)
	want(t, three.requests(), "DELETE /restart\n"+`POST /restart {"schedule":"2030-01-02T03:04:00+00:00"}`)
	w.input = "n\n"
	out, errs, code = w.run("restart", "harbor", "pier2", "--scheduled", "2030-01-02T03:06+00:00")
	if !strings.HasSuffix(out, "Are you sure you want to schedule restart of members pier2 at 2030-01-02 03:06:00+00:00? [y/N]: ") || errs != "Error: Aborted scheduled restart\n" || code != 1 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	out, _, _ = w.run("restart", "harbor", "pier2", "--pending", "--scheduled", "2030-01-02T03:06+00:00")
	if !strings.Contains(out, "The nodes needing a restart will be identified at the scheduled time, and might be different from the ones showing pending restart right now. Is this fine? [y/N]: ") {
		t.Error(out)
	}
}

func TestRestartIsRefusedBeforeAnybodyIsAsked(t *testing.T) {
	for _, c := range []struct{ args, input, pause, errs string }{
		{"--force --scheduled junk", "", "", "Error: Unable to parse scheduled timestamp (junk). It should be in an unambiguous format (e.g. ISO 8601)\n"},
		{"--force --pg-version abc", "", "", "Error: Invalid PostgreSQL version: abc\n"},
		{"--force --pg-version 9.5", "", "", "Error: Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 9.5\n"},
		{"--force --pg-version 16", "", "", "Error: Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 16\n"},
		{"--force --scheduled 2030-01-01T00:00Z", "", "true", "Error: Can't schedule restart in the paused state\n"},
		{"", "now\nn\n", "", "Error: Aborted restart\n"},
		{"", "\ny\n", "", "Aborted!\n"},
		{"", "\ny\nx\n", "", "Error: Invalid PostgreSQL version: x\n"},
	} {
		w := newWorld(t, harbor)
		if c.pause != "" {
			w.put("config", `{"pause":true}`)
		}
		m := w.serve("pier2", always(200, ""))
		w.input = c.input
		_, errs, code := w.run(append([]string{"restart", "harbor", "pier2"}, strings.Fields(c.args)...)...)
		if errs != c.errs || code != 1 || m.requests() != "" {
			t.Errorf("%s: exit %d, asked %q\n%s", c.args, code, m.requests(), errs)
		}
	}
}

const restartedStatus = `{"state":"running","role":"replica","postmaster_start_time":"second"}`

// A restart that goes on is never called failed.
func TestRestartIsFollowedToItsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		code       int
		text, then string
		line       string
		exit       int
	}{
		"the answer is lost":                  {0, "", restartedStatus, "Success: restart on member pier2\n", 0},
		"the member gave up waiting":          {503, "postgres is still starting", restartedStatus, "Success: restart on member pier2\n", 0},
		"the start has failed":                {503, "postgres is still starting", `{"state":"start failed"}`, "Failed: restart for member pier2, (start failed)\n", ExitRefused},
		"the member says nothing any more":    {503, "postgres is still starting", "", "Result unknown: restart for member pier2, status code=503, (postgres is still starting)\n", ExitUnknown},
		"another start is what was asked for": {503, "restart failed", restartedStatus, "Failed: restart for member pier2, status code=503, (restart failed)\n", ExitRefused},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, harbor)
			w.strict = true
			var m *fakeMember
			m = w.serve("pier2", func(string) (int, string) {
				w.set("pier2", "state", "restarting")
				m.is(c.then)
				return c.code, c.text
			})
			out, errs, code := w.run("restart", "harbor", "pier2", "--force")
			if !strings.HasSuffix(out, "+\n"+c.line) || code != c.exit {
				t.Errorf("exit %d\n%s%s", code, out, errs)
			}
		})
	}
}

func TestRestartShowsWhatTheServerDoes(t *testing.T) {
	w := newWorld(t, harbor)
	w.person = true
	seen := make(chan struct{})
	w.stderr = func(text string) {
		if strings.Contains(text, "pier2: restarting\n") {
			close(seen)
		}
	}
	w.serve("pier2", func(string) (int, string) {
		w.set("pier2", "state", "restarting")
		w.set("pier2", "replication_state", "")
		select {
		case <-seen:
			return 200, "restarted successfully"
		case <-w.t.Context().Done():
			return 0, ""
		}
	})
	if out, errs, code := w.run("restart", "harbor", "pier2", "--force"); code != 0 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

func TestRestartThatIsInterruptedGoesOn(t *testing.T) {
	w := newWorld(t, harbor)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	w.ctx = ctx
	w.serve("pier2", func(string) (int, string) {
		interrupt()
		return 0, ""
	})
	out, errs, code := w.run("restart", "harbor", "pier2", "pier3", "--force")
	if out != harborTable || errs != w.warning("member pier2 has got the request; the restart goes on")+"Aborted!\n" || code != 1 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

func TestRollingRestartTakesTheLeaderLastAndStopsAtTheFirstFailure(t *testing.T) {
	order := func(third func(*world) (int, string)) (string, string, int) {
		w := newWorld(t, harbor)
		var order []string
		for _, name := range []string{"pier1", "pier2", "pier3"} {
			w.serve(name, func(string) (int, string) {
				order = append(order, name)
				if name == "pier3" {
					return third(w)
				}
				return 200, ""
			})
		}
		out, _, code := w.run("restart", "harbor", "--force", "--rolling")
		return strings.Join(order, " "), out, code
	}
	if got, out, code := order(func(*world) (int, string) { return 200, "" }); got != "pier2 pier3 pier1" || code != 0 {
		t.Errorf("order %s, exit %d\n%s", got, code, out)
	}
	got, out, code := order(func(*world) (int, string) { return 503, "restart failed" })
	if got != "pier2 pier3" || code != 1 || !strings.HasSuffix(out, "Stopped: 1 of 3 members are left as they are\n") {
		t.Errorf("order %s, exit %d\n%s", got, code, out)
	}
}

// Patroni before 3.3 does not tell whether a standby streams.
func TestRollingRestartOfOldMembers(t *testing.T) {
	w := newWorld(t, harbor)
	for _, name := range []string{"pier1", "pier2", "pier3"} {
		w.set(name, "replication_state", "")
		w.serve(name, always(200, "")).is(`{"state":"running","role":"replica"}`)
	}
	if out, _, code := w.run("restart", "harbor", "--force", "--rolling"); code != 0 || strings.Count(out, "Success") != 3 {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestRestartOfAny(t *testing.T) {
	w := newWorld(t, harbor)
	asked := 0
	for _, name := range []string{"pier1", "pier2", "pier3"} {
		w.serve(name, func(string) (int, string) { asked++; return 200, "" })
	}
	if _, _, code := w.run("restart", "harbor", "--force", "--any"); asked != 1 || code != 0 {
		t.Errorf("%d were asked, exit %d", asked, code)
	}
}

func TestRestartOfAMemberThatIsDown(t *testing.T) {
	w := newWorld(t, harbor)
	w.set("pier2", "api_url", "http://127.0.0.1:1/patroni")
	m := w.serve("pier3", always(200, ""))
	out, _, code := w.run("restart", "harbor", "pier2", "pier3", "--force")
	if !strings.Contains(out, "Failed: restart for member pier2, (GET http://127.0.0.1:1/patroni: ") || !strings.HasSuffix(out, "Success: restart on member pier3\n") || code != 1 || m.requests() == "" {
		t.Errorf("exit %d\n%s", code, out)
	}
}

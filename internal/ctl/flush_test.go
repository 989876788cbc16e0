package ctl

import (
	"strings"
	"testing"
)

func TestFlushUsage(t *testing.T) {
	for args, text := range map[string]string{
		"flush":          "Error: Missing argument 'CLUSTER_NAME'.\n",
		"flush harbor":   "Error: Missing argument '{restart|switchover}'. Choose from:\n\trestart,\n\tswitchover\n",
		"flush harbor x": "Error: Invalid value for '{restart|switchover}': 'x' is not one of 'restart', 'switchover'.\n",
	} {
		w := newWorld(t, harbor)
		_, errs, code := w.run(strings.Fields(args)...)
		if !strings.HasPrefix(errs, "Usage: patronictl flush [OPTIONS] CLUSTER_NAME [MEMBER_NAMES]...\n                        {restart|switchover}\n") || !strings.HasSuffix(errs, "\n\n"+text) || code != 2 {
			t.Errorf("%s: exit %d\n%s", args, code, errs)
		}
	}
}

func TestFlushRestart(t *testing.T) {
	w := newWorld(t, harbor)
	for _, name := range []string{"pier2", "pier3"} {
		w.set(name, "scheduled_restart", map[string]any{"schedule": "2030-01-01T00:00:00+00:00"})
	}
	m := w.serve("pier2", always(200, "scheduled restart deleted"))
	w.serve("pier3", always(404, "no restarts are scheduled"))
	out, errs, code := w.run("flush", "harbor", "restart", "--force")
	if !strings.HasSuffix(out, "+\nNo scheduled restart for member pier1\nSuccess: flush scheduled restart for member pier2\n"+
		"Failed: flush scheduled restart for member pier3, status code=404, (no restarts are scheduled)\n") || errs != "" || code != 0 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	want(t, m.requests(), "DELETE /restart")
	w.input = "\n"
	out, errs, code = w.run("flush", "harbor", "pier2", "restart")
	if !strings.HasSuffix(out, "Are you sure you want to flush members pier2? [y/N]: ") || errs != "Error: Aborted flush\n" || code != 1 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

func TestFlushSwitchover(t *testing.T) {
	w := newWorld(t, harbor)
	w.expect(t, "flush harbor switchover", "No pending scheduled switchover\n", "", 0)
	w.put("failover", `{"leader":"pier1","member":"pier3","scheduled_at":"2030-06-07T08:09:00+00:00"}`)
	m := w.serve("pier1", always(200, "scheduled switchover deleted"))
	w.expect(t, "flush harbor switchover", "Success: scheduled switchover deleted\n", "", 0)
	want(t, m.requests(), "DELETE /switchover")
	m.answer = always(404, "no switchover is scheduled")
	w.expect(t, "flush harbor switchover", "Failed: no switchover is scheduled\n", "", 0)
	m.answer = always(401, "not authenticated")
	w.serve("pier3", always(200, "scheduled switchover deleted"))
	out, errs, code := w.run("flush", "harbor", "switchover")
	want(t, out, "Failed: member=pier1, status_code=401, (not authenticated)\nSuccess: scheduled switchover deleted\n")
	if !strings.Contains(errs, "Member pier2 is not accessible") || code != 0 {
		t.Errorf("exit %d\n%s", code, errs)
	}
}

func TestFlushSwitchoverWithNobodyToAsk(t *testing.T) {
	w := newWorld(t, harbor)
	w.put("failover", `{"leader":"pier1","scheduled_at":"2030-06-07T08:09:00+00:00"}`)
	out, _, code := w.run("flush", "harbor", "switchover")
	want(t, out, "2026-11-23 09:30:40.59823 Could not find any accessible member of cluster harbor\n")
	if code != 0 || w.get("failover") != "{}" {
		t.Errorf("exit %d, failover key %s", code, w.get("failover"))
	}
	w.put("failover", `{"leader":"pier1","scheduled_at":"2030-06-07T08:09:00+00:00"}`)
	w.serve("pier1", func(string) (int, string) { w.put("failover", `{"member":"pier2"}`); return 0, "" }) // somebody else's meanwhile
	if _, errs, code := w.run("flush", "harbor", "switchover"); code != 1 || w.get("failover") != `{"member":"pier2"}` || !strings.Contains(errs, "Error: the failover key was changed meanwhile") {
		t.Errorf("exit %d, failover key %s\n%s", code, w.get("failover"), errs)
	}
}

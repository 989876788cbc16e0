package ctl

import (
	"strings"
	"testing"
)

func TestDemoteCluster(t *testing.T) {
	w := newWorld(t, harbor)
	lines := make(chan string, 10)
	w.stdout = func(text string) {
		if strings.Contains(text, "is unlocked") {
			lines <- text
		}
	}
	m := w.serve("pier1", func(string) (int, string) {
		go func() { // the members' part, one step for every line that was printed
			<-lines
			w.set("pier1", "state", "stopping")
			<-lines
			w.put("leader", "pier3")
			w.set("pier3", "role", "standby_leader")
			w.set("pier1", "state", "stopped")
			w.set("pier1", "role", "replica")
			for text := range lines {
				if strings.Contains(text, "'stopped'") {
					break
				}
			}
			w.set("pier1", "state", "running")
		}()
		return 200, "{}"
	})
	out, errs, code := w.run("demote-cluster", "--restore-command", "cp x", "--port", "5433", "--force")
	for _, part := range []string{
		"Current cluster topology\n" + harborTable + "2026-11-23 09:30:40 cluster is unlocked: False, leader role: primary, leader state: running\n",
		"2026-11-23 09:30:40 cluster is unlocked: False, leader role: primary, leader state: stopping\n",
		"cluster is unlocked: False, leader role: standby_leader, leader state: running, previous leader state: 'stopped'\n",
		"2026-11-23 09:30:40 cluster is successfully demoted\n+ Cluster: harbor",
	} {
		if !strings.Contains(out, part) {
			t.Errorf("%s\nis not in\n%s", part, out)
		}
	}
	if errs != "" || code != 0 {
		t.Errorf("exit %d\n%s", code, errs)
	}
	want(t, m.requests(), `PATCH /config {"standby_cluster":{"port":5433,"restore_command":"cp x"}}`)
}

func TestPromoteCluster(t *testing.T) {
	w := newWorld(t, harbor)
	w.set("pier1", "role", "standby_leader")
	m := w.serve("pier1", func(string) (int, string) { w.set("pier1", "role", "primary"); return 200, "{}" })
	w.input = "y\n"
	out, _, code := w.run("promote-cluster", "harbor")
	if !strings.Contains(out, "Are you sure you want to promote harbor cluster? [y/N]: 2026-11-23 09:30:40 cluster is successfully promoted\n+ Cluster") || code != 0 {
		t.Errorf("exit %d\n%s", code, out)
	}
	want(t, m.requests(), `PATCH /config {"standby_cluster":null}`)
}

func TestTurningIsRefused(t *testing.T) {
	headless := func(w *world) { w.remove("leader") }
	for _, c := range []struct {
		args, input string
		with        func(*world)
		errs        string
	}{
		{"demote-cluster --force", "", nil, "Error: At least --host, --port or --restore-command should be specified\n"},
		{"demote-cluster --force --primary-slot-name x", "", nil, "Error: At least --host, --port or --restore-command should be specified\n"},
		{"demote-cluster --force --host x", "", headless, "Error: Cluster has no leader, demotion is not possible\n"},
		{"promote-cluster --force", "", headless, "Error: Cluster has no leader, promotion is not possible\n"},
		{"promote-cluster --force", "", nil, "Error: Cluster is already in the required state\n"},
		{"demote-cluster --host x", "n\n", nil, "Error: Aborted cluster demotion\n"},
		{"demote-cluster --host x --force", "", nil, "Error: Failed to demote harbor cluster: Failed to demote harbor cluster: /config PATCH status code=403, (Access is denied)\n"},
	} {
		w := newWorld(t, harbor)
		w.serve("pier1", always(403, "Access is denied"))
		if c.with != nil {
			c.with(w)
		}
		w.input = c.input
		if _, errs, code := w.run(strings.Fields(c.args)...); errs != c.errs || code != 1 {
			t.Errorf("%s: exit %d\n%s", c.args, code, errs)
		}
	}
}

// What nobody acts on is not waited for without end.
func TestTurningThatNeverComes(t *testing.T) {
	w := newWorld(t, harbor)
	w.strict, w.tick = true, 100_000_000 // ns at every look at the clock
	w.serve("pier1", always(200, "{}"))
	_, errs, code := w.run("demote-cluster", "--host", "x", "--force", "--wait-limit", "2s")
	if !strings.HasPrefix(errs, "Error: nothing new was seen of the demotion for 2s; ") || code != ExitUnknown {
		t.Errorf("exit %d\n%s", code, errs)
	}
}

package ctl

import (
	"strings"
	"testing"
)

func TestPauseAndResume(t *testing.T) {
	w := newWorld(t, harbor)
	m := w.serve("pier1", always(200, "{}"))
	w.expect(t, "pause", "Success: cluster management is paused\n", "", 0)
	w.expect(t, "resume", "", "Error: Cluster is not paused\n", 1)
	w.expect(t, "pause nosuch", "", "Error: Can not find accessible cluster member\n", 1)
	w.expect(t, "resume nosuch", "", "Error: Cluster is not paused\n", 1)
	w.put("config", `{"pause":true}`)
	w.expect(t, "resume", "Success: cluster management is resumed\n", "", 0)
	w.expect(t, "pause", "", "Error: Cluster is already paused\n", 1)
	want(t, m.requests(), "PATCH /config {\"pause\":true}\nPATCH /config {\"pause\":null}")
}

func TestPauseAsksUntilSomebodyAnswers(t *testing.T) {
	w := newWorld(t, harbor)
	w.set("pier1", "api_url", "http://127.0.0.1:1/patroni")
	two := w.serve("pier2", always(401, "no auth header received"))
	three := w.serve("pier3", always(200, ""))
	out, errs, code := w.run("pause")
	want(t, out, "Failed: pause cluster management status code=401, (no auth header received)\n")
	if !strings.Contains(errs, "WARNING - Member pier1 is not accessible: ") || strings.Count(errs, "\n") != 1 || code != 0 || two.requests() == "" || three.requests() != "" {
		t.Errorf("exit %d\n%s", code, errs)
	}
	w.strict = true
	if _, _, code := w.run("pause"); code != ExitRefused {
		t.Errorf("exit %d", code)
	}
}

func TestPauseWaitsForAll(t *testing.T) {
	w := newWorld(t, harbor)
	w.put("config", `{"loop_wait":1}`)
	w.set("pier3", "api_url", "http://127.0.0.1:1/patroni")
	m := w.serve("pier1", func(string) (int, string) {
		for _, name := range []string{"pier1", "pier3"} { // pier2 has no API and is not waited for
			w.set(name, "pause", true)
		}
		return 200, ""
	})
	w.expect(t, "pause --wait", "'pause' request sent, waiting until it is recognized by all nodes\nSuccess: cluster management is paused\n", "", 0)
	m.answer = always(200, "")
	w.set("pier3", "pause", false)
	w.expect(t, "pause --wait", "'pause' request sent, waiting until it is recognized by all nodes\npier3 members didn't recognized pause state after 1 seconds\n", "", 1)
	w.strict = true
	w.expect(t, "pause --wait -f tsv", "Action\tCluster\tMember\tResult\tCode\tText\npause\tharbor\tpier3\tunknown\t\tno sign of the pause after 1s\n",
		"'pause' request sent, waiting until it is recognized by all nodes\npier3 members didn't recognized pause state after 1 seconds\n", ExitUnknown)
}

// TestALeaderThatWasLostInAPauseIsNamed: nobody takes over from it, and only a person knows
// whether its server is down.
func TestALeaderThatWasLostInAPauseIsNamed(t *testing.T) {
	const text = "Nobody takes over from pier1: its agent ended in a pause, and nothing stops its PostgreSQL. " +
		"Start its agent; or, when that PostgreSQL is surely down: failover --candidate NAME\n"
	w := newWorld(t, harbor)
	m := w.serve("pier2", always(200, "{}"))
	w.put("config", `{"pause":true}`)
	w.put("electorate", `{"leader":"pier1","members":["pier2"],"unarmed":true}`)
	if out, _, _ := w.run("list"); strings.Contains(out, "Nobody takes over") {
		t.Errorf("its lease has not ended, and list says\n%s", out)
	}
	w.remove("leader")
	if out, _, _ := w.run("list"); !strings.HasSuffix(out, "+\n Maintenance mode: on\n "+text) {
		t.Errorf("list says\n%s", out)
	}
	w.set("pier1", "api_url", "")
	out, errs, code := w.run("resume")
	if want(t, out, "Success: cluster management is resumed\n"); !strings.HasSuffix(errs, " - WARNING - "+text) || code != 0 {
		t.Errorf("exit %d\n%s", code, errs)
	}
	w.put("config", `{}`)
	if _, errs, _ := w.run("pause"); strings.Contains(errs, "Nobody takes over") {
		t.Errorf("pause says\n%s", errs)
	}
	want(t, m.requests(), "PATCH /config {\"pause\":null}\nPATCH /config {\"pause\":true}")
}

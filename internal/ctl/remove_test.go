package ctl

import (
	"fmt"
	"strings"
	"testing"
)

const removeQuestions = `Please confirm the cluster name to remove: You are about to remove all information in DCS for harbor, please type: "Yes I am aware": ` +
	"This cluster currently is healthy. Please specify the leader name to continue: "

func TestRemove(t *testing.T) {
	w := newWorld(t, harbor)
	w.input = "harbor\nYes I am aware\npier1\n"
	for i := range 250 { // more than one transaction may delete
		w.put(fmt.Sprintf("members/x%d", i), "{}")
	}
	out, errs, code := w.run("remove", "harbor")
	if !strings.HasSuffix(out, "+\n"+removeQuestions) || errs != "" || code != 0 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if left := w.store.Snapshot().Values; len(left) > 0 {
		t.Errorf("%d keys are left", len(left))
	}
}

func TestRemoveIsRefused(t *testing.T) {
	for _, c := range []struct{ args, input, asked, errs string }{
		{"remove harbor", "harbour\n", "to remove: ", "Error: Cluster names specified do not match\n"},
		{"remove harbor", "harbor\nyes I am aware\n", "aware\": ", "Error: You did not exactly type \"Yes I am aware\"\n"},
		{"remove harbor", "harbor\nYes I am aware\npier2\n", removeQuestions, "Error: You did not specify the current leader of the cluster\n"},
		{"remove harbor", "\n\nharbor\n", "aware\": ", "Aborted!\n"},
		{"remove harbor --yes-i-am-aware=harbour", "", "", "Error: Cluster names specified do not match\n"},
		{"remove harbor --yes-i-am-aware=harbor", "", "", "Error: members still have their keys in the store: pier1, pier2, pier3; stop their agents and wait for the keys to go, or remove the cluster by answering the questions\n"},
		{"remove harbor --group 1", "x\n", "remove: ", "Error: Cluster names specified do not match\n"},
	} {
		w := newWorld(t, harbor)
		w.input = c.input
		out, errs, code := w.run(strings.Fields(c.args)...)
		if !strings.HasSuffix(out, c.asked) || errs != c.errs || code != 1 || w.get("leader") != "pier1" {
			t.Errorf("%s: exit %d\n%s%s", c.args, code, out, errs)
		}
	}
	w := newWorld(t)
	if _, errs, code := w.run("remove"); code != 2 || !strings.Contains(errs, "Missing argument 'CLUSTER_NAME'.") {
		t.Errorf("exit %d\n%s", code, errs)
	}
}

func TestRemoveWithoutQuestions(t *testing.T) {
	w := newWorld(t, map[string]string{"initialize": "1", "history": "[]"})
	w.strict = true
	w.expect(t, "remove --yes-i-am-aware=harbor -f json", "[]\n", "Removed cluster harbor: 2 keys\n", 0)
	if left := w.store.Snapshot().Values; len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

package ctl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const loopDiff = `--- 
+++ 
@@ -1,4 +1,4 @@
-loop_wait: 3
+loop_wait: 4
 maximum_lag_on_failover: 1048576
 postgresql:
   parameters:
`

func TestEditConfigByOptions(t *testing.T) {
	w := newWorld(t, harbor)
	w.input = "y\n"
	w.expect(t, "edit-config -s loop_wait=4", loopDiff+"Apply these changes? [y/N]: Configuration changed\n", "", 0)
	want(t, w.get("config"), `{"loop_wait":4,"maximum_lag_on_failover":1048576,"postgresql":{"parameters":{"max_connections":60},"use_pg_rewind":true},"retry_timeout":5,"ttl":20}`)

	w = newWorld(t, harbor)
	w.expect(t, "edit-config -p pg_stat_statements.max=500 -p log_min_messages=debug1 -p archive_mode=on --force", `--- 
+++ 
@@ -2,7 +2,10 @@
 maximum_lag_on_failover: 1048576
 postgresql:
   parameters:
+    archive_mode: true
+    log_min_messages: debug1
     max_connections: 60
+    pg_stat_statements.max: 500
   use_pg_rewind: true
 retry_timeout: 5
 ttl: 20
Configuration changed
`, "", 0)
	w.expect(t, "edit-config -q --force -s postgresql.parameters.pg_stat_statements.max= -p log_min_messages=null --set-string postgresql.parameters.archive_mode=on", "Configuration changed\n", "", 0)
	if got := w.get("config"); !strings.Contains(got, `"parameters":{"archive_mode":"on","max_connections":60}`) {
		t.Error(got)
	}
	w.expect(t, "edit-config --force -s postgresql.parameters.max_connections= -p archive_mode= -q", "Configuration changed\n", "", 0)
	if got := w.get("config"); strings.Contains(got, "parameters") {
		t.Errorf("an empty map is left: %s", got)
	}
}

func TestEditConfigThatWritesNothing(t *testing.T) {
	for _, c := range []struct {
		args, input, out, errs string
		exit, strict           int
	}{
		{"edit-config -s loop_wait=4", "", loopDiff + "Apply these changes? [y/N]: ", "Aborted!\n", 1, 1},
		{"edit-config -s loop_wait=4", "n\n", loopDiff + "Apply these changes? [y/N]: ", "", 0, 1},
		{"edit-config -s loop_wait=3", "", "Not changed\n", "", 0, 0},
		{"edit-config -s loop_wait=3 -q", "", "", "", 0, 0},
		{"edit-config -s foo", "", "", "Error: Invalid parameter setting foo\n", 1, 1},
		{"edit-config -s loop_wait=4 nosuch", "", "", "Error: The config key does not exist in the cluster nosuch\n", 1, 1},
		{"edit-config --apply -", "loop_wait: 4\n", loopDiff + "Use --force option to apply changes\n", "", 0, 1},
		{"edit-config --apply - --force", "", "", "Error: standard input does not hold a map of keys\n", 1, 1},
		{"edit-config --replace - --force", "- 1\n", "", "Error: standard input does not hold a map of keys\n", 1, 1},
		{"edit-config --apply - --force", "loop_wait: '3'\nx-gone:\n", "Not changed\n", "", 0, 0},
		{"edit-config --apply /no/such", "", "", "Error: read /no/such: open /no/such: no such file or directory\n", 1, 1},
		{"edit-config -s loop_wait=4 --dry-run", "", loopDiff + "Nothing was written\n", "", 0, 0},
	} {
		for _, strict := range []bool{false, true} {
			w := newWorld(t, harbor)
			w.strict, w.input = strict, c.input
			w.expect(t, c.args, c.out, c.errs, map[bool]int{false: c.exit, true: c.strict}[strict])
			want(t, w.get("config"), harbor["config"])
		}
	}
}

func TestEditConfigReplacesTheWhole(t *testing.T) {
	w := newWorld(t, harbor)
	w.input = "ttl: 30\n"
	w.expect(t, "edit-config --replace - --force -s loop_wait=5", `--- 
+++ 
@@ -1,8 +1,2 @@
-loop_wait: 3
-maximum_lag_on_failover: 1048576
-postgresql:
-  parameters:
-    max_connections: 60
-  use_pg_rewind: true
-retry_timeout: 5
-ttl: 20
+loop_wait: 5
+ttl: 30
Configuration changed
`, "", 0)
}

// What no member could use is not written, what is only odd is told of.
func TestEditConfigIsChecked(t *testing.T) {
	w := newWorld(t, harbor)
	out, errs, code := w.run("edit-config", "-s", "ttl=abc", "--force")
	if !strings.Contains(errs, "nothing was written") || !strings.Contains(errs, "ttl") || out != "" || code != 1 || w.get("config") != harbor["config"] {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if _, errs, code = w.run("edit-config", "-s", "ttl=abc", "--force", "--unchecked"); code != 0 || !strings.Contains(w.get("config"), `"ttl":"abc"`) {
		t.Errorf("exit %d\n%s", code, errs)
	}
	// What was wrong before must not keep anybody from mending the rest.
	if _, errs, code = w.run("edit-config", "-s", "loop_wait=4", "--force"); code != 0 {
		t.Errorf("exit %d\n%s", code, errs)
	}
	if _, errs, code = w.run("edit-config", "-s", "maximum_lag_on_failovr=5", "--force"); code != 0 || !strings.Contains(errs, "maximum_lag_on_failover?") {
		t.Errorf("exit %d\n%s", code, errs)
	}
}

func TestEditConfigLosesNothingToSomebodyElse(t *testing.T) {
	w := newWorld(t, harbor)
	w.stdout = func(text string) {
		if strings.Contains(text, "Apply these") {
			w.put("config", `{"ttl":25}`)
		}
	}
	w.input = "y\n"
	_, errs, code := w.run("edit-config", "-s", "loop_wait=4")
	if !strings.HasSuffix(errs, "Error: Config modification aborted due to concurrent changes\n") || !strings.Contains(errs, "\n+ttl: 25\n") || code != 1 || w.get("config") != `{"ttl":25}` {
		t.Errorf("exit %d, %s\n%s", code, w.get("config"), errs)
	}
}

// script is an editor.
func script(t *testing.T, lines string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "editor.sh")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+lines+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestEditConfigInTheEditor(t *testing.T) {
	w := newWorld(t, harbor)
	w.env = []string{"PATH=/usr/bin:/bin", "TMPDIR=" + t.TempDir(), "EDITOR=" + script(t, `test "$1" = -x && sed -i 's/loop_wait: 3/loop_wait: 4/' "$2"`) + " -x"}
	w.input = "y\n"
	w.expect(t, "edit-config", loopDiff+"Apply these changes? [y/N]: Configuration changed\n", "", 0)
	w.env[2] = "EDITOR=" + script(t, "exit 7")
	w.expect(t, "edit-config", "", "Error: Editor exited with return code 7\n", 1)
	w.env[2] = "EDITOR=" + script(t, "true")
	w.expect(t, "edit-config", "Not changed\n", "", 0)
	w.env = []string{"PATH=/nonexistent"}
	w.expect(t, "edit-config", "", "Error: EDITOR environment variable is not set. editor or vi are not available\n", 1)
}

func TestWhatWasTypedIsNotLost(t *testing.T) {
	for _, broken := range []string{"ttl: [", "", "- 1", "ttl: abc"} {
		w := newWorld(t, harbor)
		// The first time it leaves something broken, the second time something right.
		mark := filepath.Join(t.TempDir(), "mark")
		w.env = []string{"PATH=/usr/bin:/bin", "EDITOR=" + script(t, `if [ -e `+mark+` ]; then echo "loop_wait: 7" >"$1"; else echo '`+broken+`' >"$1"; touch `+mark+`; fi`)}
		w.input = "y\ny\n"
		if out, errs, code := w.run("edit-config"); code != 0 || !strings.Contains(out, "Edit it again? [y/N]: --- \n") || w.get("config") != `{"loop_wait":7}` {
			t.Errorf("%q: exit %d\n%s%s", broken, code, out, errs)
		}
		if err := os.Remove(mark); err != nil {
			t.Fatal(err)
		}
		w.input = "n\n"
		_, errs, code := w.run("edit-config")
		prefix := "Error: nothing was written; what was edited stands in "
		text, err := os.ReadFile(strings.TrimSpace(strings.TrimPrefix(errs, prefix)))
		if code != 1 || err != nil || strings.TrimSpace(string(text)) != broken {
			t.Errorf("%q: exit %d, %v\n%s", broken, code, err, errs)
		}
		_ = os.Remove(strings.TrimSpace(strings.TrimPrefix(errs, prefix)))
	}
}

func TestPatchDocument(t *testing.T) {
	for _, c := range []struct{ document, change, want string }{
		{"a: 1\nb: {c: 1, d: 2}", "b: {c: null, e: 3}", `{"a":1,"b":{"d":2,"e":3}}`},
		{"a: 5", "a: '5'", `{"a":5}`},
		{"a: true", "a: 'True'", `{"a":true}`},
		{"a: {b: 1}", "a: 5", `{"a":5}`},
		{"a: 5", "a: {b: 1}", `{"a":{"b":1}}`},
		{"a: 1", "b: {c: null}", `{"a":1,"b":{"c":null}}`},
		{"a: [1, 2]", "a: [1, 3]", `{"a":[1,3]}`},
		{"a: 1", "a: null\nz: null", `{}`},
	} {
		document, err := readDocument([]byte(c.document), "a")
		if err != nil {
			t.Fatal(err)
		}
		change, err := readDocument([]byte(c.change), "b")
		if err != nil {
			t.Fatal(err)
		}
		patchDocument(document, change)
		want(t, strings.ReplaceAll(jsonText(document), " ", ""), c.want)
	}
	if _, err := readDocument([]byte("a: 1\na: 2\n"), "twice"); err == nil {
		t.Error("a key given twice was taken")
	}
}

// TestSettingsOfTheServerAreReadAsTheServerReadsThem, and not as YAML 1.1 does.
func TestSettingsOfTheServerAreReadAsTheServerReadsThem(t *testing.T) {
	for text, want := range map[string]string{
		"a=1:30": `"1:30"`, "a=0644": `"0644"`, "a= 0x1F ": `"0x1F"`, "a=1_000": `"1_000"`, "a=100": "100", "a=-1": "-1", "a=0.9": "0.9", "a=0": "0", "a=on": "true", "a=64MB": `"64MB"`,
	} {
		document := map[string]any{}
		if err := (setting{text: text, parameter: true}).apply(document); err != nil {
			t.Fatal(err)
		}
		if got := jsonText(document); got != `{"postgresql": {"parameters": {"a": `+want+`}}}` {
			t.Errorf("%s: %s", text, got)
		}
	}
	document := map[string]any{}
	if err := (setting{text: "x=1:30"}).apply(document); err != nil || jsonText(document) != `{"x": 90}` {
		t.Errorf("elsewhere YAML counts: %s, %v", jsonText(document), err)
	}
}

func TestReadValue(t *testing.T) {
	for text, want := range map[string]string{
		"on": "true", "5": "5", "[1, two]": `[1, "two"]`, "{x: y}": `{"x": "y"}`, "": "null", "null": "null", "1.5": "1.5", "a: b": `{"a": "b"}`, "'5'": `"5"`, "%h x": "",
	} {
		got, err := readValue(text)
		if want == "" {
			if err == nil {
				t.Errorf("%q was taken as %v", text, got)
			}
			continue
		}
		if err != nil || jsonText(got) != want {
			t.Errorf("%q: got %s, %v", text, jsonText(got), err)
		}
	}
}

package ctl

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// fakeMember is a member's REST API that a test scripts.
type fakeMember struct {
	w      *world
	name   string
	answer func(request string) (int, string) // code 0: the connection breaks

	mu     sync.Mutex
	status []string // told one by one; the last one stays
	asked  []string
}

const firstStatus = `{"state":"running","role":"replica","replication_state":"streaming","postmaster_start_time":"first","server_version":150020,"patroni":{"version":"4.1.4"}}`

// serve gives a member of the world an API. A request is "METHOD /path body".
func (w *world) serve(name string, answer func(request string) (int, string)) *fakeMember {
	w.t.Helper()
	m := &fakeMember{w: w, name: name, answer: answer, status: []string{firstStatus}}
	s := httptest.NewServer(m)
	w.t.Cleanup(s.Close)
	w.set(name, "api_url", s.URL+"/patroni")
	return m
}

func (m *fakeMember) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/patroni" {
		m.mu.Lock()
		defer m.mu.Unlock()
		status := m.status[0]
		if len(m.status) > 1 {
			m.status = m.status[1:]
		}
		if status == "" {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(rw, status)
		return
	}
	data, _ := io.ReadAll(r.Body)
	request := strings.TrimSpace(r.Method + " " + r.URL.Path + " " + string(data))
	m.mu.Lock()
	m.asked = append(m.asked, request)
	m.mu.Unlock()
	code, text := m.answer(request)
	if code == 0 {
		panic(http.ErrAbortHandler)
	}
	rw.WriteHeader(code)
	_, _ = io.WriteString(rw, text)
}

// is sets what the member tells of its server, one after the other.
func (m *fakeMember) is(status ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status = status
}

func (m *fakeMember) requests() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.asked, "\n")
}

// set changes one field of a member's key.
func (w *world) set(name, field string, value any) {
	w.t.Helper()
	var doc map[string]any
	d := json.NewDecoder(strings.NewReader(w.get("members/" + name)))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		w.t.Fatal(err)
	}
	doc[field] = value
	data, err := json.Marshal(doc)
	if err != nil {
		w.t.Fatal(err)
	}
	w.put("members/"+name, string(data))
}

func always(code int, text string) func(string) (int, string) {
	return func(string) (int, string) { return code, text }
}

// expect compares all that a command leaves behind.
func (w *world) expect(t *testing.T, args, out, errs string, exit int) {
	t.Helper()
	gotOut, gotErrs, code := w.run(strings.Fields(args)...)
	if gotOut != out || gotErrs != errs || code != exit {
		t.Errorf("%s: exit %d, want %d\n%s[err]\n%s\nwant\n%s[err]\n%s", args, code, exit, gotOut, gotErrs, out, errs)
	}
}

func TestMembersAreChosenByRoleAndName(t *testing.T) {
	for _, c := range []struct {
		args, names, errs string
		strict            bool
	}{
		{"harbor", "pier1, pier2, pier3", "", false},
		{"harbor -r replica", "pier2, pier3", "", false},
		{"harbor -r standby", "pier2, pier3", "", false},
		{"harbor -r leader", "pier1", "", false},
		{"harbor -r primary", "pier1", "", false},
		{"harbor pier3 pier1", "pier1, pier3", "", false},
		{"harbor pier3 pier1 --role replica", "pier3", "", false},
		{"harbor pier3 nosuch", "pier3", "", false},
		{"harbor -r standby-leader", "", "Error: harbor cluster doesn't have any members\n", false},
		{"harbor pier2 -r leader", "", "Error: No 'leader' among provided members\n", false},
		{"nosuch", "", "Error: nosuch cluster doesn't have any members\n", false},
		{"", "", "Error: Missing argument 'CLUSTER_NAME'.\n", false},
		{"harbor pier3 nosuch", "", "Error: nosuch: not a member of cluster harbor\n", true},
		{"harbor -r standby-leader", "", "Error: no member of cluster harbor has the role standby-leader\n", true},
		{"pier3", "pier3", "", true},
		{"", "pier1, pier2, pier3", "", true},
		{"pier2 pier3", "pier2, pier3", "", true},
	} {
		w := newWorld(t, harbor)
		w.strict = c.strict
		w.input = "n\n"
		out, errs, code := w.run(append([]string{"reload"}, strings.Fields(c.args)...)...)
		if c.names != "" {
			if !strings.HasPrefix(out, harborTable) || !strings.HasSuffix(out, "Are you sure you want to reload members "+c.names+"? [y/N]: ") ||
				!strings.HasSuffix(errs, "Error: Aborted reload\n") || code != 1 {
				t.Errorf("%s: exit %d\n%s%s", c.args, code, out, errs)
			}
			continue
		}
		if !strings.HasSuffix(errs, c.errs) || code == 0 || strings.Contains(out, "Are you sure") {
			t.Errorf("%s: exit %d\n%s%s", c.args, code, out, errs)
		}
	}
}

func TestReload(t *testing.T) {
	w := newWorld(t, harbor)
	first := w.serve("pier1", always(202, "reload scheduled"))
	w.serve("pier2", always(200, "nothing"))
	w.serve("pier3", always(401, "no auth header received"))
	lines := "Reload request received for member pier1 and will be processed within 3 seconds\n" +
		"No changes to apply on member pier2\n" +
		"Failed: reload for member pier3, status code=401, (no auth header received)\n"
	w.expect(t, "reload harbor --force", harborTable+lines, "", 0)
	if first.requests() != "GET /reload/result\nPOST /reload" {
		t.Errorf("asked %q", first.requests())
	}
	w.strict = true
	w.expect(t, "reload harbor --force", harborTable+lines, "", ExitRefused)
	w.expect(t, "reload harbor --force -f json", `[{"Action": "reload", "Cluster": "harbor", "Member": "pier1", "Result": "done", "Code": 202, "Text": "reload scheduled"}, `+
		`{"Action": "reload", "Cluster": "harbor", "Member": "pier2", "Result": "unchanged", "Code": 200, "Text": "nothing"}, `+
		`{"Action": "reload", "Cluster": "harbor", "Member": "pier3", "Result": "refused", "Code": 401, "Text": "no auth header received"}]`+"\n", harborTable+lines, ExitRefused)
}

// telling is a member that has done its reload by the second time that it is asked.
func telling(result string) func(string) (int, string) {
	asked := 0
	return func(request string) (int, string) {
		if request == "POST /reload" {
			return 202, "reload scheduled"
		}
		if asked++; asked < 3 {
			return 200, `{"count":4,"changed":[],"invalid":["of an earlier one"]}`
		}
		return 200, `{"count":5,` + result + `}`
	}
}

func TestAReloadTellsWhatCameOfIt(t *testing.T) {
	const asked = "Reload request received for member pier1 and will be processed within 3 seconds\n"
	for name, c := range map[string]struct {
		result, lines, json string
		exit                int
	}{
		"changed, and what is not in force": {`"changed":[{"key":"tags.a"},{"key":"etcd3.hosts","restart":true,"how":"restart of the agent"},` +
			`{"key":"postgresql.callbacks.on_stop","how":"next time"}],"invalid":["f.yml:7: warning: tgas is not known"]`,
			"pier1: f.yml:7: warning: tgas is not known\npier1: tags.a has changed\npier1: etcd3.hosts has changed, and does not count yet: restart of the agent\n" +
				"pier1: postgresql.callbacks.on_stop has changed (next time)\n",
			`"Result": "done", "Code": 202, "Text": "reload scheduled", "Changed": [{"Key": "tags.a", "Restart": false}, {"How": "restart of the agent", "Key": "etcd3.hosts", "Restart": true}, ` +
				`{"How": "next time", "Key": "postgresql.callbacks.on_stop", "Restart": false}], "Invalid": ["f.yml:7: warning: tgas is not known"]`, 0},
		"nothing": {`"changed":[],"invalid":[]`, "pier1: nothing has changed in its file\n",
			`"Result": "done", "Code": 202, "Text": "reload scheduled", "Changed": [], "Invalid": []`, 0},
		"refused": {`"refused":"the file is not used","changed":[],"invalid":["f.yml:7: error: ttl"]`,
			"pier1: f.yml:7: error: ttl\nFailed: reload for member pier1, (the file is not used)\n",
			`"Result": "failed", "Code": 202, "Text": "the file is not used", "Changed": [], "Invalid": ["f.yml:7: error: ttl"]`, ExitRefused},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, harbor)
			w.strict = true
			w.serve("pier1", telling(c.result))
			w.expect(t, "reload harbor pier1 --force", harborTable+asked+c.lines, "", c.exit)
			w.serve("pier1", telling(c.result))
			w.expect(t, "reload harbor pier1 --force -f json", `[{"Action": "reload", "Cluster": "harbor", "Member": "pier1", `+c.json+"}]\n",
				harborTable+asked+c.lines, c.exit)
		})
	}
}

// The request was granted: that is no failure, but nobody knows more.
func TestAReloadThatIsNotHeardOfAgain(t *testing.T) {
	w := newWorld(t, harbor)
	w.serve("pier1", func(request string) (int, string) {
		if request == "POST /reload" {
			return 202, "reload scheduled"
		}
		return 200, `{"count":4}`
	})
	out, errs, code := w.run("--timeout", "300ms", "reload", "harbor", "pier1", "--force")
	if code != 0 || !strings.HasSuffix(out, "will be processed within 3 seconds\n") || !strings.Contains(errs, "has not told within 300ms what came of the reload") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

// A member that is gone must not keep the others from being asked.
func TestUnreachableMemberDoesNotStopTheRest(t *testing.T) {
	w := newWorld(t, harbor)
	w.set("pier1", "api_url", "http://127.0.0.1:1/patroni")
	w.serve("pier2", always(0, ""))
	w.serve("pier3", always(202, ""))
	for _, strict := range []bool{false, true} {
		w.strict = strict
		out, _, code := w.run("reload", "harbor", "--force")
		for _, part := range []string{"Failed: reload for member pier1, (POST http://127.0.0.1:1/reload: dial tcp", "Result unknown: reload for member pier2, (POST http",
			"; the request may still take effect)\nReload request received for member pier3"} {
			if !strings.Contains(out, part) {
				t.Errorf("%q is not in\n%s", part, out)
			}
		}
		if want := map[bool]int{false: 1, true: ExitUnknown}[strict]; code != want {
			t.Errorf("exit %d, want %d", code, want)
		}
	}
	if out, _, code := w.run("reload", "harbor", "pier1", "--force"); code != ExitUnreachable {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestErrorPageIsReducedToItsMessage(t *testing.T) {
	w := newWorld(t, harbor)
	w.serve("pier2", always(501, "<!DOCTYPE HTML>\n<html><body>\n<p>Error code: 501</p>\n<p>Message: Unsupported method (&#39;POST&#39;).</p>\n</body></html>\n"))
	w.expect(t, "reload harbor pier2 --force", harborTable+"Failed: reload for member pier2, status code=501, (Unsupported method ('POST').)\n", "", 0)
}

func TestVersionOfMembers(t *testing.T) {
	w := newWorld(t, harbor)
	w.serve("pier2", nil)
	w.set("pier3", "api_url", "http://127.0.0.1:1/patroni")
	out, errs, code := w.run("version", "harbor", "pier2", "pier3", "nosuch")
	if want := "patronictl version 4.1.4\n\npier2: Patroni 4.1.4 PostgreSQL 15.20\npier3: failed to get version: GET http"; !strings.HasPrefix(out, want) || errs != "" || code != 0 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	out, _, _ = w.run("version", "harbor", "pier2", "-f", "json")
	want(t, out, `[{"Action": "version", "Result": "done", "Text": "patronictl version 4.1.4"}, {"Action": "version", "Member": "pier2", "Result": "done", "Text": "Patroni 4.1.4 PostgreSQL 15.20"}]`+"\n")
}

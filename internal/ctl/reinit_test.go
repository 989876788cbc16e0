package ctl

import (
	"strings"
	"testing"
)

func TestReinit(t *testing.T) {
	w := newWorld(t, harbor)
	m := w.serve("pier2", always(200, "reinitialize started"))
	w.expect(t, "reinit harbor pier2 --force", harborTable+"Success: reinitialize for member pier2\n", "", 0)
	want(t, m.requests(), `POST /reinitialize {"force":true}`)
	w.expect(t, "reinit harbor --force", harborTable, "", 0) // nobody was named
	w.expect(t, "reinit harbor pier1 --force", harborTable, "Error: No replica among provided members\n", 1)
	w.input = "pier2\nn\n"
	w.expect(t, "reinit harbor", harborTable+"Which member do you want to reinitialize [pier2, pier3]? []: Are you sure you want to reinitialize members pier2? [y/N]: ", "Error: Aborted reinitialize\n", 1)
	w.input = "pier1\n"
	w.expect(t, "reinit harbor", harborTable+"Which member do you want to reinitialize [pier2, pier3]? []: ", "Error: pier1 is not a member of cluster\n", 1)
}

func TestReinitOfABusyMember(t *testing.T) {
	for input, end := range map[string]string{"y\ny\n": "Success: reinitialize for member pier2\n", "y\nn\n": ""} {
		w := newWorld(t, harbor)
		w.serve("pier2", func(request string) (int, string) {
			if strings.Contains(request, `"force":true`) {
				return 200, "reinitialize started"
			}
			return 503, "reinitialize already in progress"
		})
		w.input = input
		w.expect(t, "reinit harbor pier2", harborTable+"Are you sure you want to reinitialize members pier2? [y/N]: "+
			"Failed: reinitialize for member pier2, status code=503, (reinitialize already in progress)\n"+
			"Do you want to cancel it and reinitialize anyway? [y/N]: "+end, "", 0)
	}
}

// The old server may run on for a while, and is not the new one.
func TestReinitIsFollowedUntilTheNewServerRuns(t *testing.T) {
	w := newWorld(t, harbor)
	w.person = true
	m := w.serve("pier2", always(200, "reinitialize started"))
	m.is(firstStatus, firstStatus, `{"state":"stopped"}`, `{"state":"creating replica"}`, `{"state":"creating replica"}`,
		`{"state":"starting"}`, `{"state":"running"}`, restartedStatus)
	out, errs, code := w.run("reinit", "harbor", "pier2", "--force", "--wait")
	want(t, out, harborTable+"Success: reinitialize for member pier2\nWaiting for reinitialize to complete on: pier2\nReinitialize is completed on: pier2\n")
	if code != 0 || strings.Count(errs, "creating replica") != 1 || !strings.Contains(errs, "pier2: starting\n") {
		t.Errorf("exit %d\n%s", code, errs)
	}
}

func TestReinitThatDoesNotComeToAnEnd(t *testing.T) {
	for status, c := range map[string]struct {
		line string
		exit int
	}{
		`{"state":"start failed"}`:                            {"Failed: reinitialize for member pier2, (it is start failed)\n", ExitRefused},
		`{"state":"running","postmaster_start_time":"first"}`: {"Failed: reinitialize for member pier2, (it is running)\n", ExitRefused},
		"": {"Result unknown: reinitialize for member pier2, (GET http", ExitUnknown},
	} {
		w := newWorld(t, harbor)
		w.strict = true
		var m *fakeMember
		m = w.serve("pier2", func(string) (int, string) { m.is(status); return 200, "reinitialize started" })
		out, errs, code := w.run("reinit", "harbor", "pier2", "--force", "--wait")
		if !strings.Contains(out, c.line) || code != c.exit {
			t.Errorf("%s: exit %d\n%s%s", status, code, out, errs)
		}
	}
}

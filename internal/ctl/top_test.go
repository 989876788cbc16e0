package ctl

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"matriarch/internal/dcs"
	"matriarch/internal/top"
)

const leaderStatus = `{"state":"running","role":"primary","timeline":2,"xlog":{"location":67109360},"patroni":{"version":"4.1.4","name":"pier1"}}`

const leaderMetrics = "matriarch_permit_seconds{scope=\"harbor\",name=\"pier1\"} 1\nmatriarch_permit_left_seconds{scope=\"harbor\",name=\"pier1\"} 0.75\n" +
	"matriarch_leading{scope=\"harbor\",name=\"pier1\"} 1\nmatriarch_guard_armed{scope=\"harbor\",name=\"pier1\"} 1\n"

func metricsOnly(text string) func(string) (int, string) {
	return func(request string) (int, string) {
		if request == "GET /metrics" {
			return 200, text
		}
		return 404, ""
	}
}

func TestTopOnceAsksTheMembersThemselves(t *testing.T) {
	w := newWorld(t, harbor)
	w.strict = true
	w.serve("pier1", metricsOnly(leaderMetrics)).status = []string{leaderStatus}
	w.serve("pier2", metricsOnly("")).status = []string{`{"state":"running","role":"replica","replication_state":"streaming","timeline":2,` +
		`"xlog":{"received_location":67109360,"replayed_location":62914560}}`}
	w.set("pier3", "api_url", "http://127.0.0.1:1/patroni")
	out, stderr, code := w.run("top", "--once")
	for _, text := range []string{"Leader  pier1", "permit 0.75 of 1.00 s", "Store   answers in", "4.0 MB !", "?  pier3", "not for 0s", "#######..."} {
		if !strings.Contains(out, text) {
			t.Errorf("%q is missing", text)
		}
	}
	if code != 0 || stderr != "" || strings.Contains(out, "\x1b") || t.Failed() {
		t.Errorf("exit %d, %q\n%s", code, stderr, out)
	}
}

func TestTopWithoutATerminalSaysHow(t *testing.T) {
	w := newWorld(t, harbor)
	w.strict = true
	if _, stderr, code := w.run("top"); code != ExitUsage || !strings.Contains(stderr, "--once") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	w.strict = false
	if _, stderr, code := w.run("top"); code != ExitUsage || !strings.Contains(stderr, "No such command 'top'") {
		t.Errorf("patronictl: exit %d, %s", code, stderr)
	}
}

// hungStore is one whose reads never end by themselves.
type hungStore struct{ dcs.Store }

func (h hungStore) Read(ctx context.Context) (dcs.Snapshot, error) {
	<-ctx.Done()
	return dcs.Snapshot{}, ctx.Err()
}

func TestAHungStoreHoldsUpNoMember(t *testing.T) {
	w := newWorld(t, harbor)
	w.serve("pier1", metricsOnly(leaderMetrics)).status = []string{leaderStatus}
	a := newApp(Env{Open: w.open, Now: time.Now, Environ: []string{"PATRONI_SCOPE=harbor", "PATRONI_ETCD3_HOST=127.0.0.1:1"}})
	s, err := a.open(t.Context(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.store = hungStore{s.store}
	rest, err := s.client()
	if err != nil {
		t.Fatal(err)
	}
	l := newLook(s, rest, 5*time.Millisecond)
	l.view = p.view
	ctx, cancel := context.WithTimeout(t.Context(), lookTime)
	defer cancel()
	var mu sync.Mutex
	words := 0
	l.run(ctx, func(msg any) {
		mu.Lock()
		defer mu.Unlock()
		switch msg := msg.(type) {
		case top.Word:
			if words++; words == 3 {
				cancel()
			}
		case top.Sight:
			if words < 3 || msg.Err == nil {
				t.Errorf("after %d words the store said %v", words, msg.Err)
			}
		}
	})
	if words < 3 {
		t.Errorf("only %d words of a member were heard", words)
	}
}

func TestTheViewEndsAndResizes(t *testing.T) {
	v := view{model: top.New("harbor", time.Second), now: time.Now}
	next, _ := v.Update(tea.WindowSizeMsg{Width: 70, Height: 12})
	picture := next.View()
	if lines := strings.Split(picture.Content, "\n"); len(lines) != 12 || !picture.AltScreen {
		t.Errorf("%d lines, alternate screen %v", len(lines), picture.AltScreen)
	}
	for _, key := range []tea.KeyPressMsg{{Code: 'q', Text: "q"}, {Code: 'c', Mod: tea.ModCtrl}, {Code: tea.KeyEscape}} {
		_, do := next.Update(key)
		if do == nil {
			t.Errorf("%s does not end the view", key)
			continue
		}
		if _, quits := do().(tea.QuitMsg); !quits {
			t.Errorf("%s does not end the view", key)
		}
	}
	if _, do := next.Update(tea.KeyPressMsg{Code: 'x', Text: "x"}); do != nil {
		t.Error("x does something")
	}
}

func TestTheLocaleTellsWhetherCurvesMayBeDrawn(t *testing.T) {
	for env, want := range map[string]bool{"LANG=C": false, "LANG=de_DE.UTF-8": true, "LC_CTYPE=C.utf8": true, "": false, "LC_ALL=POSIX LANG=en_US.UTF-8": false} {
		if got := newApp(Env{Environ: strings.Fields(env)}).unicode(); got != want {
			t.Errorf("%q: %v", env, got)
		}
	}
}

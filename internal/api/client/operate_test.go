package client

import (
	"context"
	"io"
	"net/http"
	"testing"
)

func TestOperators(t *testing.T) {
	var got string
	url := member(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.Path + " " + string(body)
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "so be it")
	})
	c := newClient(t, Options{})
	for want, do := range map[string]func(context.Context) (Answer, error){
		`POST /restart {}`: func(ctx context.Context) (Answer, error) { return c.Restart(ctx, url, Restart{}) },
		`POST /restart {"schedule":"2030-01-01T00:00:00+00:00","role":"replica","postgres_version":"15.2","timeout":"1min","restart_pending":true}`: func(ctx context.Context) (Answer, error) {
			return c.Restart(ctx, url, Restart{"2030-01-01T00:00:00+00:00", "replica", "15.2", "1min", true})
		},
		`POST /reinitialize {}`: func(ctx context.Context) (Answer, error) { return c.Reinitialize(ctx, url, Reinitialize{}) },
		`POST /reinitialize {"force":true,"from_leader":true}`: func(ctx context.Context) (Answer, error) {
			return c.Reinitialize(ctx, url, Reinitialize{true, true})
		},
		`POST /reload `: func(ctx context.Context) (Answer, error) { return c.Reload(ctx, url) },
		`PATCH /config {"pause":null}`: func(ctx context.Context) (Answer, error) {
			return c.PatchConfig(ctx, url, map[string]any{"pause": nil})
		},
		`DELETE /switchover `: func(ctx context.Context) (Answer, error) { return c.Unschedule(ctx, url, "switchover") },
	} {
		a, err := do(t.Context())
		if err != nil || a.Code != 202 || a.Text != "so be it" {
			t.Errorf("%s: answered %+v, %v", want, a, err)
		}
		if got != want {
			t.Errorf("sent %s\nwant %s", got, want)
		}
	}
}

// What a member tells that does not know the question is its status.
func TestLastReload(t *testing.T) {
	c := newClient(t, Options{})
	for text, want := range map[string]bool{`{"count":0,"changed":[],"invalid":[]}`: true, `{"count":3,"refused":"no"}`: true,
		`{"state":"running","role":"replica"}`: false, `[]`: false, ``: false} {
		last, ok := c.LastReload(t.Context(), member(t, says(text)))
		if ok != want || ok && (last.Count == 3) != (last.Refused == "no") {
			t.Errorf("%s: %+v, %t", text, last, ok)
		}
	}
}

package api

import (
	"net/http"
	"strings"
	"testing"
)

// reloadingNode can tell what came of a reload.
type reloadingNode struct{ *fakeNode }

func (reloadingNode) Reloaded() Reloaded {
	return Reloaded{Count: 2, Changed: []ReloadedKey{{Key: "etcd3.hosts", Restart: true, How: "restart"}}, Invalid: []string{"f:3: warning: x is not known"}}
}

func TestWhatCameOfAReloadIsTold(t *testing.T) {
	s := newServer(t, reloadingNode{primary()}, func(o *Options) { o.Access = Access{Username: "u", Password: "p"} })
	if code, body := call(s, "GET", "/reload/result", ""); code != 401 {
		t.Errorf("without a password: %d %s", code, body)
	}
	code, body := call(s, "GET", "/reload/result", "", func(r *http.Request) { r.SetBasicAuth("u", "p") })
	sameJSON(t, body, `{"count":2,"changed":[{"key":"etcd3.hosts","restart":true,"how":"restart"}],"invalid":["f:3: warning: x is not known"]}`)
	if code != 200 {
		t.Errorf("code %d", code)
	}
	// As Patroni has it.
	for _, s := range []*Server{s, newServer(t, primary())} {
		if _, body := call(s, "GET", "/reload", ""); !strings.Contains(body, `"state"`) {
			t.Errorf("GET /reload: %s", body)
		}
	}
	if _, body := call(newServer(t, primary()), "GET", "/reload/result", ""); !strings.Contains(body, `"state"`) {
		t.Errorf("of a node that tells nothing: %s", body)
	}
}

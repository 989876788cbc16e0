package client

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"matriarch/internal/cluster"
)

func TestServer(t *testing.T) {
	body := `{"state":"running","role":"replica","postmaster_start_time":"2026-11-23 09:29:05.616277+00:00","replication_state":"streaming"}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/patroni" {
			t.Errorf("asked %s %s", r.Method, r.URL.Path)
		}
		w.WriteHeader(http.StatusServiceUnavailable) // a standby's code for /patroni does not matter
		_, _ = io.WriteString(w, body)
	}))
	defer s.Close()
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Server(t.Context(), s.URL+"/patroni")
	want := Server{State: cluster.StateRunning, Role: cluster.RoleReplica, Started: "2026-11-23 09:29:05.616277+00:00", ReplicationState: "streaming"}
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	body = "<html>"
	if got, err := c.Server(t.Context(), s.URL+"/patroni"); err == nil {
		t.Errorf("a page is no status: got %+v", got)
	}
}

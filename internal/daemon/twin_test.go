package daemon

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"matriarch/internal/api/client"
	"matriarch/internal/config"
	"matriarch/internal/dcs"
	"matriarch/internal/dcs/memory"
)

// TestASecondAgentOfOneNameEnds is B-740.
func TestASecondAgentOfOneNameEnds(t *testing.T) {
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer first.Close()
	ask, err := client.New(client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	d := &Daemon{local: &config.Config{Name: "n1"}, store: newLateStore(), peers: peers{ask}, log: slog.New(slog.NewTextHandler(&said, nil))}
	st := memory.New(time.Now).Node("n1")
	d.store.open(st)
	put := func(url string) {
		member := `{"conn_url":"postgres://x:5432/postgres","api_url":"` + url + `","state":"running","role":"replica"}`
		if _, err := st.Commit(t.Context(), dcs.Txn{Then: []dcs.Op{{Key: dcs.KeyMembers + "n1", Data: []byte(member)}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.refuseTwin(t.Context()); err != nil {
		t.Errorf("nobody has the name: %v", err)
	}
	put(first.URL + "/patroni")
	err = d.refuseTwin(t.Context())
	if err == nil || !strings.Contains(said.String(), "Can't start; there is already a node named 'n1' running") {
		t.Errorf("whatever it answers, it lives: %v, said %q", err, said.String())
	}
	first.Close()
	if err := d.refuseTwin(t.Context()); err != nil {
		t.Errorf("nobody is there any more: %v", err)
	}
}

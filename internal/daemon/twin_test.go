package daemon

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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
	d := &Daemon{local: &config.Config{Name: "n1"}, store: newLateStore(), peers: peers{ask}, log: slog.New(slog.DiscardHandler)}
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
	if err == nil || !strings.Contains(err.Error(), "Can't start; there is already a node named 'n1' running") {
		t.Errorf("whatever it answers, it lives: %v", err)
	}
	first.Close()
	if err := d.refuseTwin(t.Context()); err != nil {
		t.Errorf("nobody is there any more: %v", err)
	}
}

// TestARefusalToStartIsInTheLog, which may be a file, and not on standard error alone.
func TestARefusalToStartIsInTheLog(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "patroni.yml")
	text := "scope: demo\nname: n1\nrestapi: {listen: \"127.0.0.1:2\", connect_address: \"127.0.0.1:1\"}\netcd3: {hosts: \"127.0.0.1:1\"}\nlog: {dir: \"" + dir + "\"}\n" +
		"postgresql: {listen: \"127.0.0.1:1\", connect_address: \"127.0.0.1:1\", data_dir: \"" + filepath.Join(dir, "data") + "\", bin_dir: /nonexistent,\n" +
		"  authentication: {superuser: {username: postgres, password: x}, replication: {username: replicator, password: x}}}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	local, _, err := config.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	journal, err := OpenLog(local, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	refused := Run(t.Context(), local, Options{Path: path, Log: journal.Logger(), Journal: journal})
	if err := journal.Close(LogCloseTimeout); err != nil {
		t.Fatal(err)
	}
	said, err := os.ReadFile(filepath.Join(dir, "patroni.log"))
	if refused == nil || err != nil || !strings.Contains(string(said), "CRITICAL: "+refused.Error()) {
		t.Errorf("refused by %v, the log says %s, %v", refused, said, err)
	}
}

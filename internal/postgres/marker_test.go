package postgres

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"matriarch/internal/postgres/conf"
)

func quiet(cfg Config) *Server { return New(cfg, slog.New(slog.DiscardHandler), time.Now) }

func TestMarkerGoesBesideThePasswordFileWhenTheParentIsClosed(t *testing.T) {
	root := t.TempDir()
	parent, home := filepath.Join(root, "mnt"), filepath.Join(root, "home")
	for _, dir := range []string{filepath.Join(parent, "data"), home} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(parent, "data", "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(parent, 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(parent, 0o700)
	s := quiet(Config{DataDir: filepath.Join(parent, "data"), PgPass: filepath.Join(home, "pgpass")})
	if err := s.begin(WorkRewind, "n2"); err != nil {
		t.Fatal(err)
	}
	// Another agent, after a restart.
	again := quiet(s.Config())
	if u := again.Unfinished(); u == nil || u.What != WorkRewind || u.From != "n2" || again.Directory() != HalfWritten {
		t.Fatalf("%+v, %s", u, again.Directory())
	}
	if err := again.finish(); err != nil || again.Unfinished() != nil {
		t.Fatalf("%v, %+v", err, again.Unfinished())
	}
}

func TestUnreadableMarkerCountsAsOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(dir+markerSuffix, []byte("{torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if u := quiet(Config{DataDir: dir}).Unfinished(); u == nil {
		t.Fatal("a torn marker is no marker")
	}
}

func TestDirectoryStates(t *testing.T) {
	dir := t.TempDir()
	s := quiet(Config{DataDir: filepath.Join(dir, "data")})
	want := func(state DirectoryState) {
		t.Helper()
		if got := s.Directory(); got != state {
			t.Fatalf("%s, want %s", got, state)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	want(Missing)
	must(os.MkdirAll(filepath.Join(dir, "data", "lost+found"), 0o700))
	must(os.WriteFile(filepath.Join(dir, "data", ".keep"), nil, 0o600))
	want(Empty)
	must(s.begin(WorkBaseBackup, "n1"))
	want(Empty) // nothing is there that could be half written
	must(os.MkdirAll(filepath.Join(dir, "data", "global"), 0o700))
	want(HalfWritten)
	must(s.finish())
	want(NotACluster)
	must(os.WriteFile(filepath.Join(dir, "data", "global", "pg_control"), nil, 0o600))
	want(HasControl)
}

func TestStandbyConninfoIsPatronis(t *testing.T) {
	cfg := Config{Name: "n2", PgPass: "/var/lib/pg/pgpass", Replication: Credentials{Username: "repl", Password: "secret",
		Extra: map[string]string{"sslrootcert": "/a b", "options": "-c evil", "connect_timeout": "9"}}}
	got := standbyConninfo(cfg, Upstream{Host: "127.0.0.1", Port: 15432}, 15)
	want := `dbname=postgres user=repl passfile=/var/lib/pg/pgpass host=127.0.0.1 port=15432 sslmode=prefer ` +
		`sslrootcert=/a\ b application_name=n2 gssencmode=prefer channel_binding=prefer`
	if got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	if standbyConninfo(cfg, Nobody, 15) != "" {
		t.Fatal("nobody has a conninfo")
	}
	line := conf.Line("primary_conninfo", got)
	if !strings.Contains(line, `sslrootcert=/a\\ b`) {
		t.Fatalf("in the file: %s", line)
	}
}

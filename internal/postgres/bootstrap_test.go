package postgres

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"matriarch/internal/postgres/conf"
	"matriarch/internal/wal"
)

func TestBootstrapStopStart(t *testing.T) {
	n := newNode(t, "n1", func(c *Config) {
		script := filepath.Join(filepath.Dir(c.DataDir), "post")
		c.PostBootstrap = []string{"/bin/sh", "-c", `psql -qXw "$1" -c "create table made_by_script()" && ` +
			`test "$(psql -qAtXw "$1" -c "select count(*) from pg_roles where rolname='replicator'")" = 0 && echo "$1" > ` + script, "sh"}
	})
	n.must(n.Bootstrap(within(t)))
	if u := n.Unfinished(); u == nil || u.What != WorkBootstrap {
		t.Fatalf("before the roles are made the directory must count as unfinished: %+v", u)
	}
	n.must(n.PostBootstrap(within(t)))
	if d := n.Directory(); d != HasControl {
		t.Fatalf("directory: %s", d)
	}
	st := n.Status(within(t))
	if !st.Answering || st.InRecovery || st.Timeline != 1 || st.Position == 0 || st.Version < 130000 {
		t.Fatalf("status %+v", st)
	}
	n.wantSQL("select rolname from pg_roles where rolcanlogin order by 1", "postgres", "replicator", "rewinder")
	n.wantSQL("select 1 from pg_class where relname = 'made_by_script'", "1")
	id, err := n.ReplicationIdentify(within(t), n.self) // with the password, over md5 in pg_hba.conf
	n.must(err)
	own, err := n.SystemID(within(t))
	n.must(err)
	if id.SystemID != own {
		t.Fatalf("system identifier %q over replication, %q in pg_control", id.SystemID, own)
	}
	conninfo, err := os.ReadFile(filepath.Join(n.dir, "post"))
	n.must(err)
	want := "dbname=postgres user=postgres host=127.0.115.1 port="
	if !strings.HasPrefix(string(conninfo), want) {
		t.Fatalf("post_bootstrap was given %q", conninfo)
	}

	var noticed []wal.Point
	n.must(n.Stop(within(t), StopOptions{Mode: Fast, OnShutdownCheckpoint: func(end ShutdownEnd) { noticed = append(noticed, end.At) }}))
	control, err := n.Control(within(t))
	n.must(err)
	if len(noticed) != 1 || noticed[0] != control.Checkpoint || control.State != conf.StateShutDown {
		t.Fatalf("noticed %v, control %+v", noticed, control)
	}
	if n.Status(within(t)).Running {
		t.Fatal("runs after the stop")
	}
	n.must(n.StartPrimary(within(t)))
	n.must(n.WaitReady(within(t)))
	if err := n.StartPrimary(within(t)); !errors.Is(err, ErrRunning) {
		t.Fatalf("second start: %v", err)
	}
	n.noPasswords()
	if saved, err := os.ReadFile(n.cfg().data("postgresql.base.conf.backup")); err != nil || len(saved) == 0 {
		t.Fatalf("the copy of the configuration: %v", err)
	}
}

// noPasswords looks for the password wherever it must not be: the server's log,
// its configuration, and the command lines of all processes.
func (n *node) noPasswords() {
	n.t.Helper()
	// A part without characters that some quoting would change.
	const secret = "pros:2023"
	cfg := n.cfg()
	places := []string{cfg.LogFile, cfg.mainFile(), cfg.data("postgresql.auto.conf")}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	n.must(err)
	for _, place := range append(places, lines...) {
		text, err := os.ReadFile(place)
		if err == nil && strings.Contains(string(text), secret) {
			n.t.Errorf("password in %s", place)
		}
	}
	info, err := os.Stat(cfg.PgPass)
	n.must(err)
	if info.Mode().Perm() != 0o600 {
		n.t.Errorf("mode of the password file: %v", info.Mode())
	}
}

func TestBootstrapWantsAnEmptyDirectory(t *testing.T) {
	n := newNode(t, "n1")
	n.must(os.MkdirAll(n.cfg().DataDir, 0o700))
	n.must(os.WriteFile(n.cfg().data("precious"), []byte("x"), 0o600))
	if err := n.Bootstrap(within(t)); err == nil {
		t.Fatal("bootstrapped over somebody's files")
	}
	if n.Directory() != NotACluster || n.Unfinished() != nil {
		t.Fatalf("directory %s, marker %+v", n.Directory(), n.Unfinished())
	}
	if _, err := os.Stat(n.cfg().data("precious")); err != nil {
		t.Fatal(err)
	}
}

func TestMoveAsideLeavesTheWayFree(t *testing.T) {
	n := newNode(t, "n1")
	n.must(os.MkdirAll(n.cfg().data("global"), 0o700))
	n.must(os.WriteFile(n.cfg().data("global", "pg_control"), nil, 0o600))
	n.must(n.begin(WorkBootstrap, "n1"))
	if n.Directory() != HalfWritten {
		t.Fatal(n.Directory())
	}
	n.must(n.MoveAside(within(t)))
	n.must(os.MkdirAll(n.cfg().DataDir, 0o700)) // the second one replaces the first
	n.must(os.WriteFile(n.cfg().data("PG_VERSION"), nil, 0o600))
	n.must(n.MoveAside(within(t)))
	n.must(n.begin(WorkBootstrap, "n1"))
	n.must(n.MoveAside(within(t))) // a creation that had not written anything
	if n.Directory() != Missing || n.Unfinished() != nil {
		t.Fatalf("directory %s, marker %+v", n.Directory(), n.Unfinished())
	}
	if _, err := os.Stat(filepath.Join(n.cfg().DataDir+".failed", "PG_VERSION")); err != nil {
		t.Fatal(err)
	}
}

package postgres

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// shell is a command of the user's that notes its arguments in a file beside the data
// directory and then runs a script, with the data directory in $data.
func shell(c *Config, name, script string) []string {
	dir := filepath.Dir(c.DataDir)
	return []string{"/bin/sh", "-ec", `printf '%s\n' "$@" > ` + filepath.Join(dir, name) + "; data=" + c.DataDir + "; PATH=" + binDir + ":$PATH; " + script, name}
}

func (n *node) noted(name string) []string {
	n.t.Helper()
	text, err := os.ReadFile(filepath.Join(n.dir, name))
	n.must(err)
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// madeNode is a primary with a table.
func madeNode(t *testing.T, change ...func(*Config)) *node {
	t.Helper()
	n := newNode(t, "n1", change...)
	n.must(n.Bootstrap(within(t)))
	n.must(n.PostBootstrap(within(t)))
	n.must(n.exec(within(t), "make a table", "CREATE TABLE public.kept AS SELECT 7 AS it"))
	return n
}

// asConfigured looks at what a custom bootstrap must leave.
func (n *node) asConfigured(t *testing.T) {
	t.Helper()
	cfg := n.cfg()
	conn, err := pgx.Connect(within(t), conninfoURL(cfg)) // over TCP, where the password is asked for
	n.must(err)
	n.must(conn.Close(within(t)))
	n.wantSQL("select it from public.kept", "7")
	n.wantSQL("select setting from pg_settings where name = 'hot_standby'", "on")
	n.wantSQL("select setting from pg_settings where name = 'hba_file'", cfg.hbaFile())
	n.wantSQL("select count(*) from pg_hba_file_rules where auth_method = 'trust' and address is not null and user_name = '{postgres}'", "0")
	if _, err := os.Stat(cfg.data(bootstrapHBA)); err == nil {
		t.Error("the rules that let us in are still there")
	}
	if d := n.Directory(); d != HasControl {
		t.Errorf("directory: %s", d)
	}
	n.noPasswords()
}

func conninfoURL(cfg Config) string {
	return toolConninfo(cfg, cfg.Superuser, Upstream{Host: cfg.localHost(), Port: cfg.port()}, 15) +
		" password='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(cfg.Superuser.Password) + "'"
}

func otherPasswords(c *Config) {
	c.Superuser.Password, c.Replication.Password = testPassword+"other", testPassword+"otherr"
}

func TestACustomBootstrapClonesAnotherCluster(t *testing.T) {
	source := madeNode(t)
	source.must(source.writePasswordsFor(source.self))
	n := newNode(t, "n2", otherPasswords, func(c *Config) {
		c.Custom = &CustomBootstrap{Command: append(shell(c, "made", `test ! -e $data; export PGPASSFILE=`+source.cfg().PgPass+
			`; pg_basebackup -D $data -c fast -X stream -d "`+toolConninfo(source.cfg(), source.cfg().Replication, source.self, 15)+`"; touch $data/standby.signal`),
			"--scope=mycluster", "--test=1")}
	})
	n.must(os.Mkdir(n.cfg().DataDir, 0o700)) // an empty one is in nobody's way
	n.must(n.Bootstrap(within(t)))
	n.must(n.PostBootstrap(within(t)))
	n.asConfigured(t)
	if got := n.noted("made"); len(got) != 2 || got[0] != "--scope=mycluster" || got[1] != "--test=1" {
		t.Errorf("arguments %q", got)
	}
}

// writePasswordsFor makes the node's password file serve a tool that connects to a
// server.
func (n *node) writePasswordsFor(server Upstream) error { return n.withSource(server) }

func TestACustomBootstrapRecoversFromAnArchive(t *testing.T) {
	var archive string
	source := madeNode(t, func(c *Config) {
		archive = filepath.Join(filepath.Dir(c.DataDir), "archive")
		c.Parameters["archive_mode"], c.Parameters["archive_command"] = "on", "mkdir -p "+archive+" && cp %p "+archive+"/%f"
		c.Parameters["max_connections"] = "150" // more than the new cluster has
	})
	source.must(source.withSource(source.self))
	backup := filepath.Join(source.dir, "base")
	take := shell(&source.config, "backup", `export PGPASSFILE=`+source.cfg().PgPass+`; pg_basebackup -D `+backup+
		` -c fast -X none -d "`+toolConninfo(source.cfg(), source.cfg().Replication, source.self, 15)+`"`)
	source.must(source.run(within(t), "backup", take, nil))
	source.must(source.exec(within(t), "after the backup", "CREATE TABLE public.late AS SELECT 8 AS it"))
	source.must(source.Stop(within(t), StopOptions{Mode: Fast})) // archives all

	n := newNode(t, "n2", otherPasswords, func(c *Config) {
		c.PgHBA = []string{"local all all trust", "host all all all md5"}
		c.Custom = &CustomBootstrap{Command: shell(c, "made", "cp -a "+backup+" $data"), Recovery: map[string]string{
			"recovery_target_action": "promote", "recovery_target_timeline": "latest", "restore_command": "cp " + archive + "/%f %p", "standby_mode": "off"}}
	})
	n.must(n.Bootstrap(within(t)))
	n.must(n.PostBootstrap(within(t)))
	n.asConfigured(t)
	n.wantSQL("select it from public.late", "8")
	n.wantSQL("select setting from pg_settings where name in ('max_connections', 'restore_command') order by name", "100", "")
	if st := n.Status(within(t)); st.Timeline != 2 {
		t.Errorf("timeline %d", st.Timeline)
	}
}

func TestACustomBootstrapThatFailsLeavesWordOfIt(t *testing.T) {
	n := newNode(t, "n1", func(c *Config) {
		c.Custom = &CustomBootstrap{Command: []string{"/bin/sh", "-c", "echo no such backup >&2; exit 3"}}
	})
	err := n.Bootstrap(within(t))
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no such backup") {
		t.Errorf("error %v", err)
	}
	if u := n.Unfinished(); u == nil || u.What != WorkBootstrap {
		t.Errorf("marker %+v", u)
	}
	n.must(n.MoveAside(within(t)))

	n.config.Custom = &CustomBootstrap{Command: []string{"/bin/true"}}
	if err := n.Bootstrap(within(t)); err == nil || !strings.Contains(err.Error(), "left no cluster") {
		t.Errorf("of a command that does nothing: %v", err)
	}
}

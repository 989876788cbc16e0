package generate

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"matriarch/internal/config"
)

// server starts a PostgreSQL that listens on a socket alone, and gives its
// directory. As root it runs as the user postgres.
func startServer(t *testing.T, settings string) (dir string) {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		t.Skip("no PostgreSQL below /usr/lib/postgresql")
	}
	programs := filepath.Dir(found[len(found)-1])
	dir, err := os.MkdirTemp("", "generate") // short: a socket's path has a limit
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	var as *syscall.SysProcAttr
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Skip("as root, a user postgres is needed")
		}
		uid, _ := strconv.Atoi(u.Uid) // numbers on Linux
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	run := func(program string, args ...string) {
		t.Helper()
		cmd := exec.Command(filepath.Join(programs, program), args...)
		cmd.Dir, cmd.SysProcAttr = dir, as
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", program, err, out)
		}
	}
	data := filepath.Join(dir, "d")
	run("initdb", "-D", data, "-U", "boss", "-A", "trust", "--no-sync")
	f, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString("\nlisten_addresses = ''\nunix_socket_directories = '" + dir + "'\n" + settings)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	run("pg_ctl", "-D", data, "-l", filepath.Join(dir, "log"), "-w", "start")
	t.Cleanup(func() { run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop") })
	return dir
}

// TestARunningServerIsDescribed: taken over with the file, nothing about it changes.
func TestARunningServerIsDescribed(t *testing.T) {
	dir := startServer(t, "cluster_name = 'shop'\nwork_mem = 7MB\narchive_command = 'true %p'\nmax_connections = 33\nrecovery_target_name = 'past'\n")
	text := generated(t, Options{DSN: "host=" + dir + " user=boss dbname=postgres password=sesame sslmode=prefer"})
	c, _, err := config.LoadBytes([]byte(text), "f")
	if c == nil {
		t.Fatalf("%v\n%s", err, text)
	}
	pg := c.Tree().Get("postgresql")
	shared := c.Tree().Get("bootstrap", "dcs", "postgresql", "parameters")
	for _, x := range []struct{ what, got, want string }{
		{"scope", c.Scope, "shop"},
		{"data_dir", c.Postgresql.DataDir, filepath.Join(dir, "d")},
		{"superuser", c.Postgresql.Authentication.Superuser.Username, "boss"},
		{"password", c.Postgresql.Authentication.Superuser.Password.Reveal(), "sesame"},
		{"sslmode", c.Postgresql.Authentication.Superuser.Extra["sslmode"], "prefer"},
		{"replication is left to a person", pg.Get("authentication", "replication", "username").Text(), unknown},
		{"a command is the node's", pg.Get("parameters", "archive_command").Text(), "true %p"},
		{"a parameter is the cluster's", shared.Get("work_mem").Text(), "7MB"},
		{"a controlled parameter", shared.Get("max_connections").Text(), "33"},
		{"one that nobody set", shared.Get("max_wal_senders").Text(), "10"},
		{"a recovery target is the past", shared.Get("recovery_target_name").Text(), ""},
		{"cluster_name is the scope", shared.Get("cluster_name").Text(), ""},
		{"the default place of a file", pg.Get("parameters", "hba_file").Text(), ""},
	} {
		if x.got != x.want {
			t.Errorf("%s: %q, want %q", x.what, x.got, x.want)
		}
	}
	if !strings.Contains(strings.Join(c.Postgresql.PgHBA, "\n"), "trust") || !strings.HasPrefix(c.Postgresql.BinDir, "/usr/lib/postgresql/") {
		t.Errorf("pg_hba %q, bin_dir %s", c.Postgresql.PgHBA, c.Postgresql.BinDir)
	}

	if out, err := exec.Command("psql", "-h", dir, "-U", "boss", "-d", "postgres", "-c", "CREATE ROLE clerk LOGIN").CombinedOutput(); err != nil {
		t.Skipf("no psql to make a user with: %v\n%s", err, out)
	}
	err = Run(t.Context(), Options{DSN: "host=" + dir + " user=clerk dbname=postgres"})
	if err == nil || err.Error() != "The provided user does not have superuser privilege" {
		t.Errorf("a user without privilege: %v", err)
	}
}

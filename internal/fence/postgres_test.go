package fence

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"matriarch/internal/boottime"
)

// TestPostgreSQLLosesNothingInAFreeze freezes a server under pgbench, thaws it, and
// asks whether every transaction that was acknowledged is there and every client
// still connected. Then it freezes it again and kills it.
func TestPostgreSQLLosesNothingInAFreeze(t *testing.T) {
	const bin = "/usr/lib/postgresql/15/bin"
	if _, err := os.Stat(bin + "/postgres"); err != nil || os.Geteuid() == 0 {
		t.Skip("needs PostgreSQL, and another user than root")
	}
	n := newNode(t, time.Minute)
	data := filepath.Join(n.dir, "data")
	tool := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.Env = append(os.Environ(), "PGHOST="+n.dir, "PGPORT=5432", "PGUSER=postgres", "PGDATABASE=postgres")
		return cmd
	}
	run := func(name string, args ...string) string {
		t.Helper()
		out, err := tool(name, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "--no-instructions")
	command := Command{
		Path: bin + "/postgres", Dir: "/", Env: []string{"PATH=/usr/bin:/bin", "LC_ALL=C"},
		Args: []string{bin + "/postgres", "-D", data, "-k", n.dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=50"},
	}
	pid, err := n.Launch(limited(t), command)
	if err != nil {
		t.Fatal(err)
	}
	ready := func() {
		t.Helper()
		n.await("PostgreSQL", func() (bool, string) {
			out, err := tool("pg_isready").CombinedOutput()
			return err == nil, string(out) + n.read("log")
		})
	}
	ready()
	run("pgbench", "-i", "-q")
	if err := n.Arm(limited(t), boottime.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	bench := tool("pgbench", "-n", "-c", "20", "-t", "200")
	var out bytes.Buffer
	bench.Stdout, bench.Stderr = &out, &out
	if err := bench.Start(); err != nil {
		t.Fatal(err)
	}
	frozen := n.event(WasFrozen)
	t.Logf("frozen %v late, took %v: %d processes by %s", frozen.Late, frozen.Took, len(n.server()), n.status().Method)
	n.mustStandStill()
	if err := n.Extend(boottime.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := bench.Wait(); err != nil {
		t.Fatalf("pgbench: %v\n%s", err, out.String())
	}
	done := regexp.MustCompile(`actually processed: (\d+)/`).FindStringSubmatch(out.String())
	if done == nil || done[1] != "4000" {
		t.Errorf("pgbench after a freeze:\n%s", out.String())
	}
	if rows := run("psql", "-Atc", "SELECT count(*) FROM pgbench_history"); rows != "4000" {
		t.Errorf("%s rows, want one for each of 4000 transactions", rows)
	}
	if err := n.Freeze(limited(t)); err != nil {
		t.Fatal(err)
	}
	if err := n.Kill(limited(t)); err != nil {
		t.Fatal(err)
	}
	if _, there := readProcess(pid); there || len(n.server()) != 0 {
		t.Errorf("left: %v", n.server())
	}

	// Crash recovery, and then the guard dies: the kernel's SIGQUIT asks for an
	// immediate shutdown.
	pid, err = n.Launch(limited(t), command)
	if err != nil {
		t.Fatal(err)
	}
	ready()
	if rows := run("psql", "-Atc", "SELECT count(*) FROM pgbench_history"); rows != "4000" {
		t.Errorf("%s rows after a kill in the freeze", rows)
	}
	if err := n.Break(); err != nil {
		t.Fatal(err)
	}
	n.await("an immediate shutdown", func() (bool, string) {
		p, there := readProcess(pid)
		return (!there || p.state == "Z") && strings.Contains(n.read("log"), "immediate shutdown"), fmt.Sprint(p)
	})
}

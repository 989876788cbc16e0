package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"matriarch/test/e2e/lab"
)

// scripts are the user's commands. Each node has its own, and they write beside them.
var scripts = map[string]string{
	"tell": `echo "$@" >> told`,
	"make": `echo "$@" >> made; for a; do case $a in --datadir=*) data=${a#*=};; esac; done
initdb -D $data -U postgres --no-sync -A trust --data-checksums`,
	"copy": `echo "$@" >> copied; for a; do case $a in --datadir=*) data=${a#*=};; --connstring=*) from=${a#*=};; esac; done
pg_basebackup -D $data -X stream -c fast -d "$from"`,
	"post": `psql -qXw "$1" -c "create table made_by_post()"`,
	"ask":  `echo "asked" >> asked; test ! -e refuse`,
	"stop": `echo "before_stop" >> stopped`,
}

// TestCommands is about everything in which a node runs a command of the user's.
func TestCommands(t *testing.T) {
	c := lab.New(t, 2, lab.StartEtcd(t, 1), lab.Changed(withCommands))
	for _, n := range c.Nodes {
		for name, text := range scripts {
			path := filepath.Join(n.Dir, name)
			text = "#!/bin/sh -e\ncd " + n.Dir + "; PATH=" + lab.BinDir + ":$PATH\nenv | grep -E '^(PATRONI_|NOTIFY_SOCKET)' >> leaked || :\n" + text + "\n"
			if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	first, second := c.Nodes[0], c.Nodes[1]

	story(t, c, "a cluster is made by a command, and a standby by another", func(t *testing.T) {
		first.Start()
		c.WaitPrimary(lab.Patience, nil)
		second.Start()
		if leader := c.WaitWhole(lab.Patience); leader != first {
			t.Fatalf("%s leads", leader.Name)
		}
		said(t, first, "made", "--scope="+c.Scope+" --datadir="+first.Data+" --fast=True --test-argument=it's")
		said(t, first, "told", "on_start primary "+c.Scope)
		said(t, second, "told", "on_start replica "+c.Scope)
		if got := written(second, "copied"); len(got) != 1 || !strings.HasPrefix(got[0], "--threads=2 --scope="+c.Scope+" --role=replica --datadir="+second.Data+" --connstring=dbname=postgres user=replicator host="+first.Host) {
			t.Errorf("the copy was asked for by %q", got)
		}
		second.Value("select count(*) from made_by_post")
	})
	story(t, c, "a refused promotion leaves the lead to another", func(t *testing.T) {
		if err := os.WriteFile(filepath.Join(second.Dir, "refuse"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		mark := second.Mark()
		// What the answer is depends on whether the short reign of the other is noticed.
		if _, err := first.Ask(t.Context(), lab.Patience, http.MethodPost, "/switchover", fmt.Sprintf(`{"leader":%q,"candidate":%q}`, first.Name, second.Name)); err != nil {
			t.Errorf("the switchover: %v", err)
		}
		second.WaitLog(mark, "pre_promote refused the promotion")
		if leader := c.WaitWhole(lab.Patience); leader != first {
			t.Fatalf("%s leads", leader.Name)
		}
		ends(t, second, "asked", "asked")
		said(t, first, "stopped", "before_stop")
		ends(t, first, "told", "on_role_change primary "+c.Scope)
		if got := written(first, "told"); !slices.ContainsFunc(got, func(l string) bool { return strings.HasPrefix(l, "on_stop ") }) {
			t.Errorf("%s told %q", first.Name, got)
		}
		ends(t, second, "told", "on_start replica "+c.Scope, "on_reload replica "+c.Scope)
	})
	story(t, c, "the agent's end is told, and the next leader takes over", func(t *testing.T) {
		if err := os.Remove(filepath.Join(second.Dir, "refuse")); err != nil {
			t.Fatal(err)
		}
		first.Stop()
		c.WaitPrimary(lab.Patience, first)
		ends(t, second, "told", "on_role_change primary "+c.Scope)
		ends(t, first, "told", "on_stop primary "+c.Scope, "on_stop demoted "+c.Scope)
		first.Start()
		c.WaitWhole(lab.Patience)
		ends(t, first, "told", "on_start replica "+c.Scope)
	})
	for _, n := range c.Nodes {
		if got := written(n, "leaked"); len(got) > 0 {
			t.Errorf("commands of %s were given %q", n.Name, got)
		}
	}
}

func withCommands(n *lab.Node, s lab.Settings) {
	at := func(name string) string { return filepath.Join(n.Dir, name) }
	for _, event := range []string{"on_start", "on_stop", "on_restart", "on_reload", "on_role_change"} {
		s.Set("postgresql.callbacks."+event, at("tell"))
	}
	s.Set("bootstrap.method", "made")
	s.Set("bootstrap.made", map[string]any{"command": at("make")})
	s.Set("bootstrap.made.test-argument", "it's")
	s.Set("bootstrap.made.fast", true)
	s.Set("bootstrap.post_bootstrap", at("post"))
	s.Set("postgresql.create_replica_methods", []any{"copy", "basebackup"})
	s.Set("postgresql.copy", map[string]any{"command": at("copy"), "threads": 2})
	s.Set("postgresql.pre_promote", at("ask"))
	s.Set("postgresql.before_stop", at("stop"))
}

// written are the lines that a node's commands have written to a file.
func written(n *lab.Node, file string) []string {
	text, err := os.ReadFile(filepath.Join(n.Dir, file))
	if err != nil || len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// said waits until that is all that a node's commands have written.
func said(t *testing.T, n *lab.Node, file string, want ...string) {
	t.Helper()
	lab.Eventually(t, lab.Patience, fmt.Sprintf("%s has written %q", n.Name, want), func(context.Context) (bool, string) {
		got := written(n, file)
		return slices.Equal(got, want), fmt.Sprintf("%q", got)
	})
}

// ends waits until the last line is one of these.
func ends(t *testing.T, n *lab.Node, file string, want ...string) {
	t.Helper()
	lab.Eventually(t, lab.Patience, fmt.Sprintf("%s has written one of %q last", n.Name, want), func(context.Context) (bool, string) {
		got := written(n, file)
		return len(got) > 0 && slices.Contains(want, got[len(got)-1]), fmt.Sprintf("%q", got)
	})
}

package e2e

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
)

// secretParts are what is left of lab's passwords however they are quoted.
var secretParts = []string{"23,super-e2e", "23,repl-e2e", "23,rewind-e2e", "23%2Csuper", "23%2Crepl", "23%2Crewind"}

// commandLines looks at the command lines of all processes again and again.
type commandLines struct {
	cancel context.CancelFunc
	wait   sync.WaitGroup
	seen   map[string]bool // programs
}

func watchCommandLines(t *testing.T) *commandLines {
	ctx, cancel := context.WithCancel(t.Context())
	w := &commandLines{cancel: cancel, seen: map[string]bool{}}
	w.wait.Go(func() {
		tick := time.NewTicker(3 * time.Millisecond)
		defer tick.Stop()
		for {
			for _, p := range lab.Procs() {
				w.seen[p.Tool()] = true
				for _, secret := range secretParts {
					if strings.Contains(strings.Join(p.Command, " "), secret) {
						t.Errorf("a password is on the command line of %s", p.Tool())
					}
				}
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(w.stop)
	return w
}

func (w *commandLines) stop() {
	w.cancel()
	w.wait.Wait()
}

// checkSecrets looks for passwords where they must not be.
func checkSecrets(t *testing.T, c *lab.Cluster) {
	t.Helper()
	logged := 0
	for _, n := range c.Nodes {
		text := n.LogSince(0)
		logged += strings.Count(text, "statement: ")
		info := n.Value("coalesce((select conninfo from pg_stat_wal_receiver), '')")
		if n.Value("pg_is_in_recovery()") == "true" && !strings.Contains(info, "passfile=") {
			t.Errorf("the walreceiver of %s names no passfile: %s", n.Name, info)
		}
		for _, secret := range secretParts {
			for line := range strings.Lines(text) {
				if strings.Contains(line, secret) {
					t.Errorf("a password is in the log of %s (%s): %s", n.Name, filepath.Base(n.Log), strings.ReplaceAll(line, secret, "<secret>"))
				}
			}
			if strings.Contains(info, secret) {
				t.Errorf("a password is in the conninfo that %s shows", n.Name)
			}
		}
	}
	if logged == 0 {
		t.Error("no node has logged a statement, so nothing is known of those with passwords")
	}
}

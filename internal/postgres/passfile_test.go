package postgres

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAPasswordFileThatCannotBeWrittenIsToldAtTheStart(t *testing.T) {
	n := newNode(t, "n1")
	n.must(n.Check(within(t)))
	closed := filepath.Join(n.dir, "another's home")
	n.must(os.Mkdir(closed, 0o500))
	cfg := n.Config()
	cfg.PgPass = filepath.Join(closed, "pgpass")
	n.Reconfigure(cfg)
	if err := n.Check(within(t)); err == nil || !strings.Contains(err.Error(), "postgresql.pgpass") {
		t.Errorf("a directory that we may not write to: %v", err)
	}
	cfg.PgPass = n.dir
	n.Reconfigure(cfg)
	if err := n.Check(within(t)); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("a directory: %v", err)
	}
	cfg.PgPass = filepath.Join(n.dir, "made at the start", "pgpass")
	n.Reconfigure(cfg)
	n.must(n.Check(within(t)))
}

package postgres

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// What is synced after a rewind is all that the server has, wherever links lead.
func TestTheDataIsWhereItsLinksLeadToo(t *testing.T) {
	base := t.TempDir()
	c := Config{DataDir: filepath.Join(base, "data")}
	if _, err := c.dataRoots(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a directory of the log: %v", err)
	}
	var errs []error
	for _, dir := range []string{"data/pg_tblspc", "data/pg_wal", "space", "log"} {
		errs = append(errs, os.MkdirAll(filepath.Join(base, dir), 0o700))
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if got, err := c.dataRoots(); err != nil || !slices.Equal(got, []string{c.DataDir}) {
		t.Errorf("all in one place: %q, %v", got, err)
	}
	err := errors.Join(os.Symlink(filepath.Join(base, "space"), c.data("pg_tblspc", "16384")),
		os.Remove(c.data("pg_wal")), os.Symlink(filepath.Join(base, "log"), c.data("pg_wal")))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.dataRoots(); err != nil || !slices.Equal(got, []string{c.DataDir, c.data("pg_tblspc", "16384"), c.data("pg_wal")}) {
		t.Errorf("in three: %q, %v", got, err)
	}
}

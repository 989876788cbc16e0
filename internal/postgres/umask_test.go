package postgres

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTheUmaskIsTheDataDirectorys: what a script creates goes by the data directory,
// and a file outside by the umask that there was.
func TestTheUmaskIsTheDataDirectorys(t *testing.T) {
	before := originalUmask()
	t.Cleanup(func() { unix.Umask(int(before)) })
	outside := OutsideMode()
	dir := t.TempDir()
	for name, want := range map[string]struct{ dir, file fs.FileMode }{
		"closed": {0o700, 0o600}, "open to the group": {0o750, 0o640}, "not there yet": {0, 0o600},
	} {
		data := filepath.Join(dir, name)
		if want.dir != 0 {
			if err := os.Mkdir(data, want.dir); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(data, want.dir); err != nil {
				t.Fatal(err)
			}
		}
		TakeUmask(data)
		made := filepath.Join(dir, name+".made")
		if err := os.WriteFile(made, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(made)
		if err != nil || info.Mode().Perm() != want.file {
			t.Errorf("%s: a file gets %v, want %v: %v", name, info.Mode(), want.file, err)
		}
		sockets := filepath.Join(dir, name+".run", "postgresql")
		if err := makeOutside(sockets); err != nil {
			t.Fatal(err)
		}
		for _, d := range []string{sockets, filepath.Dir(sockets)} {
			if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o755&^before {
				t.Errorf("%s: the directory %s gets %v, %v", name, d, info.Mode(), err)
			}
		}
		if got := fileMode(Config{DataDir: data}, filepath.Join(dir, "postgresql.conf")); got != outside {
			t.Errorf("%s: a file outside gets %v, want %v", name, got, outside)
		}
		if got := fileMode(Config{DataDir: data}, filepath.Join(data, "postgresql.conf")); got != want.file {
			t.Errorf("%s: a file inside gets %v, want %v", name, got, want.file)
		}
	}
}

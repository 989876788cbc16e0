package lab

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Listing is every file below a directory with its mode, size and time of the
// last change: equal listings mean that nothing was touched.
func Listing(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		out[path] = fmt.Sprintf("%v %d %v", info.Mode(), info.Size(), info.ModTime())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// SameListing fails the test when something below the directory has changed, but
// for the paths that are excepted.
func SameListing(t testing.TB, dir string, before map[string]string, except ...string) {
	t.Helper()
	after := Listing(t, dir)
	for _, path := range except {
		after[path] = before[path]
	}
	for path, was := range before {
		if after[path] != was {
			t.Errorf("%s was touched: %q before, %q after", path, was, after[path])
		}
	}
	for path := range after {
		if _, known := before[path]; !known {
			t.Errorf("%s is new", path)
		}
	}
}

// WaitFile waits until a file is there.
func WaitFile(t testing.TB, path string) {
	t.Helper()
	Eventually(t, Patience, path+" is there", func(context.Context) (bool, string) {
		_, err := os.Stat(path)
		return err == nil, fmt.Sprint(err)
	})
}

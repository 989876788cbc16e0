package durable

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// tree is a root behind a link, with a link out of it.
func tree(t *testing.T) (root string, want []string) {
	t.Helper()
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	real := filepath.Join(base, "real")
	want = []string{real}
	for d := range 3 {
		dir := filepath.Join(real, fmt.Sprint("d", d))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		want = append(want, dir)
		for f := range 20 {
			path := filepath.Join(dir, fmt.Sprint("f", f))
			if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
			want = append(want, path)
		}
	}
	root = filepath.Join(base, "link")
	if err := errors.Join(os.Symlink(real, root), os.Symlink(base, filepath.Join(real, "out"))); err != nil {
		t.Fatal(err)
	}
	return root, want
}

func TestSyncTreeReachesEveryFileOnce(t *testing.T) {
	root, want := tree(t)
	paths := make(chan string)
	var found []string
	var reading sync.WaitGroup
	reading.Go(func() {
		for path := range paths {
			found = append(found, path)
		}
	})
	err := walk(t.Context(), root, paths)
	close(paths)
	reading.Wait()
	slices.Sort(found)
	slices.Sort(want)
	if err != nil || !slices.Equal(found, want) {
		t.Errorf("%v\nfound %q\nwant %q", err, found, want)
	}
	if err := SyncTree(t.Context(), root, root); err != nil {
		t.Error(err)
	}
}

func TestSyncTreeTellsWhatItCouldNotSync(t *testing.T) {
	root, _ := tree(t)
	if err := SyncTree(t.Context(), root, filepath.Join(root, "nothing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a root that is not there: %v", err)
	}
	if err := syncPath(filepath.Join(root, "nothing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := SyncTree(ctx, root); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

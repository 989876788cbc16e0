package durable

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// syncAtOnce is how many files are synced at the same time. Each fsync has the disk
// flush its own cache, also for a file that is clean, and waits for it: one after the
// other, the thousand files of a small cluster take half a second. Of those that wait at
// the same time the kernel makes one flush.
const syncAtOnce = 16

// SyncTree makes everything below the roots durable, whoever has written it. A root may
// be a symbolic link; links below are not followed.
func SyncTree(ctx context.Context, roots ...string) error {
	paths := make(chan string)
	errs := make(chan error, syncAtOnce)
	var work sync.WaitGroup
	for range syncAtOnce {
		work.Go(func() {
			var failed error
			for path := range paths {
				if failed == nil {
					failed = syncPath(path)
				}
			}
			errs <- failed
		})
	}
	var all []error
	for _, root := range roots {
		all = append(all, walk(ctx, root, paths))
	}
	close(paths)
	work.Wait()
	for range syncAtOnce {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// walk passes on every file and directory.
func walk(ctx context.Context, root string, paths chan<- string) error {
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return fmt.Errorf("sync %s: %w", root, err)
	}
	err = filepath.WalkDir(real, func(path string, entry fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if entry.IsDir() || entry.Type().IsRegular() {
			paths <- path
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sync %s: %w", root, err)
	}
	return nil
}

func syncPath(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	return nil
}

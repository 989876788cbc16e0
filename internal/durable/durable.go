// Package durable writes files so that they outlive a power cut: after a call
// has returned, a reader sees the whole new content, and before that the whole
// old one, never a mixture and never an empty file.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile replaces the file at path by data with exactly the given mode,
// whatever the umask. The directory must exist and be writable.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, filepath.Base(path)+".tmp*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := fill(temp, data, mode); err != nil {
		os.Remove(temp.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		os.Remove(temp.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return SyncDir(dir)
}

// fill writes, syncs and closes the file; it is closed on every path.
func fill(file *os.File, data []byte, mode fs.FileMode) error {
	_, err := file.Write(data)
	// The mode is set before the rename: a file that holds a secret is never
	// seen under its final name with a wider one.
	return errors.Join(err, file.Chmod(mode), file.Sync(), file.Close())
}

// Remove deletes a file and makes the deletion durable. A file that is not
// there is a success: what was asked for is the case.
func Remove(path string) error {
	if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return SyncDir(filepath.Dir(path))
}

// Rename moves a file within one directory and makes the move durable.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("rename %s to %s: %w", from, to, err)
	}
	return SyncDir(filepath.Dir(to))
}

// SyncDir makes the names in a directory durable: a rename or a removal is in
// the directory's own data, which fsync of the file does not cover (fsync(2)).
func SyncDir(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}

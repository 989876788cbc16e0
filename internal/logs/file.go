package logs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// FileName is the log's name in its directory.
const FileName = "patroni.log"

// file is a log file that is renamed to .1, .2 and so on when it is full. The names
// are Patroni's, which log shippers and cleaning jobs look for; that rules out the
// usual libraries, which put a time into them.
type file struct {
	path  string
	mode  fs.FileMode // 0: a file keeps its own
	fresh fs.FileMode // of one that is made, with mode 0; 0: what the umask leaves
	keep  int
	full  int64 // bytes

	f    *os.File
	size int64
}

// openOutput opens the file of a directory, or stands for standard error.
func openOutput(o Options, stderr io.Writer) (output, error) {
	if o.Dir == "" {
		return noClose{stderr}, nil
	}
	f := &file{path: filepath.Join(o.Dir, FileName), mode: fs.FileMode(o.Mode) & 0o777, fresh: fs.FileMode(o.Fresh) & 0o777, keep: o.FileNum, full: o.FileSize}
	if err := f.open(); err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return f, nil
}

type noClose struct{ io.Writer }

func (noClose) Close() error { return nil }

func (f *file) open() error {
	mode := f.mode
	if _, err := os.Lstat(f.path); mode == 0 && errors.Is(err, fs.ErrNotExist) {
		mode = f.fresh
	}
	opened, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	info, err := opened.Stat()
	if err == nil && mode != 0 && info.Mode().Perm() != mode {
		err = opened.Chmod(mode)
	}
	if err != nil {
		_ = opened.Close() // nothing was written to it
		return err
	}
	f.f, f.size = opened, info.Size()
	return nil
}

// Write appends a line, in a new file if the old one is full. If that cannot be made
// the old one goes on, and it is tried again after as much again.
func (f *file) Write(line []byte) (int, error) {
	if f.keep > 0 && f.full > 0 && f.size > 0 && f.size+int64(len(line)) >= f.full {
		if err := f.rotate(); err != nil {
			f.size = 0
			fmt.Fprintf(f.f, "the log cannot be rotated: %v\n", err)
		}
	}
	n, err := f.f.Write(line)
	f.size += int64(n)
	return n, err
}

func (f *file) rotate() error {
	for n := f.keep - 1; n >= 1; n-- {
		if err := renameIfThere(f.numbered(n), f.numbered(n+1)); err != nil {
			return err
		}
	}
	if err := renameIfThere(f.path, f.numbered(1)); err != nil {
		return err
	}
	old := f.f
	if err := f.open(); err != nil {
		return err
	}
	_ = old.Close() // it is renamed, and a later look at it tells all there is
	return nil
}

func (f *file) numbered(n int) string { return f.path + "." + strconv.Itoa(n) }

func renameIfThere(from, to string) error {
	if _, err := os.Lstat(from); os.IsNotExist(err) {
		return nil
	}
	return os.Rename(from, to)
}

// Close closes the file.
func (f *file) Close() error { return f.f.Close() }

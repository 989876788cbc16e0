package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrEmpty says that neither file nor environment gave any configuration.
var ErrEmpty = errors.New("configuration is empty")

// ErrNotMap says that a file does not hold a map of keys.
var ErrNotMap = errors.New("does not contain a map of keys")

// NotMap is the error about a file that does not hold a map of keys.
type NotMap struct{ File string }

func (e *NotMap) Error() string { return "read configuration: " + e.File + " " + ErrNotMap.Error() }

// Unwrap is ErrNotMap.
func (e *NotMap) Unwrap() error { return ErrNotMap }

// fileMax is in bytes; a larger file is not a configuration.
const fileMax = 4 << 20

// read gives the local configuration as one tree: the file or directory with the
// environment over it. Without a usable path PATRONI_CONFIGURATION stands for both,
// and failing that the environment stands alone.
func read(path string, environ []string, report *Report) (*Value, error) {
	env := newEnvironment(environ)
	if path != "" {
		info, err := os.Stat(path)
		if err == nil {
			tree, err := readPath(path, info, report)
			if err != nil {
				return nil, err
			}
			return nonEmptyTree(Merge(tree, env.tree(report)))
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
	}
	if text := env.get("CONFIGURATION"); text != "" {
		tree, err := parse([]byte(text), "PATRONI_CONFIGURATION", report)
		if err != nil {
			return nil, err
		}
		if tree.Truth() {
			if !tree.Is(KindMap) {
				return nil, fmt.Errorf("read PATRONI_CONFIGURATION: %w", ErrNotMap)
			}
			return tree, nil
		}
	}
	tree, err := nonEmptyTree(env.tree(report))
	if err != nil && path != "" {
		return nil, fmt.Errorf("%w, and there is no file %s", err, path)
	}
	return tree, err
}

func nonEmptyTree(tree *Value) (*Value, error) {
	if len(tree.Fields()) == 0 {
		return nil, ErrEmpty
	}
	return tree, nil
}

func readPath(path string, info os.FileInfo, report *Report) (*Value, error) {
	switch {
	case info.IsDir():
		return readDirectory(path, report)
	case info.Mode().IsRegular():
		return readFile(path, report)
	}
	return nil, fmt.Errorf("read configuration %s: neither a file nor a directory", path)
}

// readDirectory merges the files of a directory in the order of their names.
func readDirectory(dir string, report *Report) (*Value, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read configuration directory: %w", err)
	}
	var names []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(path) // a link to a file is a file
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if strings.HasSuffix(e.Name(), ".yml") || strings.HasSuffix(e.Name(), ".yaml") {
			names = append(names, path)
		}
	}
	slices.Sort(names)
	tree := newMap(Position{Source: dir})
	for _, name := range names {
		upper, err := readFile(name, report)
		if err != nil {
			return nil, err
		}
		tree = Merge(tree, upper)
	}
	return tree, nil
}

func readFile(name string, report *Report) (*Value, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, fileMax+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if len(text) > fileMax {
		return nil, fmt.Errorf("read configuration %s: larger than %d bytes", name, fileMax)
	}
	tree, err := parse(text, name, report)
	if err != nil {
		return nil, err
	}
	if !tree.Is(KindMap) {
		return nil, &NotMap{name}
	}
	return tree, nil
}

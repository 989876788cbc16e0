package postgres

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// originalUmask is the umask that this process was started with. TakeUmask changes the
// one in force.
var originalUmask = sync.OnceValue(umask)

// umask reads the process's umask without changing it, which umask(2) cannot
// (proc(5), /proc/PID/status).
func umask() fs.FileMode {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0o077
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, "Umask:"); found {
			if mask, err := strconv.ParseUint(strings.TrimSpace(value), 8, 32); err == nil {
				return fs.FileMode(mask)
			}
		}
	}
	return 0o077
}

// TakeUmask gives this process, and the commands that it starts from now on, the umask
// of the data directory, so that what a script of the user's creates inside can be read
// by those who can read the rest, and by nobody else (compat/config.md §5.7).
func TakeUmask(dataDir string) {
	originalUmask()
	mask := 0o077
	if FileMode(dataDir) == 0o640 {
		mask = 0o027
	}
	unix.Umask(mask)
}

// OutsideMode is that of a file that does not lie in the data directory: what the umask
// leaves with which the process was started.
func OutsideMode() fs.FileMode { return 0o666 &^ originalUmask() }

// makeOutside makes a directory with those above it, by the umask of the start: clients
// of other users have to get to a socket.
func makeOutside(dir string) error {
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if above := filepath.Dir(dir); above != dir {
		if err := makeOutside(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Chmod(dir, 0o755&^originalUmask())
}

// FileMode is that of a file inside a data directory: readable for the group if the
// directory is.
func FileMode(dataDir string) fs.FileMode {
	if info, err := os.Stat(dataDir); err == nil && info.Mode().Perm()&0o050 == 0o050 {
		return 0o640
	}
	return 0o600
}

// fileMode is that of a configuration file, which may lie on either side.
func fileMode(cfg Config, path string) fs.FileMode {
	inside := strings.HasPrefix(filepath.Clean(path), filepath.Clean(cfg.DataDir)+string(filepath.Separator))
	if !inside {
		return OutsideMode()
	}
	return FileMode(cfg.DataDir)
}

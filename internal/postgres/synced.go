package postgres

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"matriarch/internal/postgres/conf"
)

// A server that was not shut down in order, and so one that was rewound, syncs every file
// of its directory before it recovers, one after the other: 0.4 s for the thousand of a
// small cluster, and more for more. Who has just made all of them durable need not wait for
// that again: the server then leaves it to syncfs, which has little to do, unless others
// write to the same file systems: it writes what is theirs too. So it is tried beforehand.

const initSyncMethod = "recovery_init_sync_method" // since PostgreSQL 14

// setDurable notes whether the whole directory has just been synced, and syncfs has next to
// nothing to do. It holds for one start.
func (s *Server) setDurable(synced bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.synced = synced
}

// syncfsMost is what syncfs may take where it is to be worth it.
const syncfsMost = 50 * time.Millisecond

// syncfsIsQuick tries syncfs on the file systems of the roots. It waits no longer than that
// is worth; Close waits for the end.
func (s *Server) syncfsIsQuick(roots []string) bool {
	if !syncfsTellsErrors() {
		return false
	}
	done := make(chan error, 1)
	s.wait.Go(func() {
		var err error
		for _, root := range roots {
			err = errors.Join(err, syncfs(root))
		}
		done <- err
	})
	most := time.NewTimer(syncfsMost)
	defer most.Stop()
	select {
	case err := <-done:
		return err == nil
	case <-most.C:
		return false
	}
}

func syncfs(root string) error {
	file, err := os.Open(root)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(file.Fd())), file.Close())
}

// quickSync is the setting for a start right after all was synced; none, where the server
// cannot do so, or the configuration says how it is to be done.
func (s *Server) quickSync(ctx context.Context, cfg Config) []conf.Setting {
	s.mu.Lock()
	synced := s.synced
	s.synced = false
	s.mu.Unlock()
	if _, chosen := cfg.parameter(initSyncMethod); !synced || chosen {
		return nil
	}
	if major, err := s.binaryMajor(ctx); err != nil || major < 14 {
		return nil
	}
	return []conf.Setting{{Name: initSyncMethod, Value: "syncfs"}}
}

// syncfsTellsErrors reports that syncfs(2) fails when something could not be written, as it
// does since Linux 5.8. It will be asked again if the server crashes in the same life.
func syncfsTellsErrors() bool {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return false
	}
	major, minor := kernelVersion(unix.ByteSliceToString(name.Release[:]))
	return major > 5 || major == 5 && minor >= 8
}

// kernelVersion reads "6.1.0-13-amd64"; 0.0 is not known.
func kernelVersion(release string) (major, minor int) {
	numbers, at := [2]int{}, 0
	for _, r := range release {
		switch {
		case r >= '0' && r <= '9' && numbers[at] < 1000:
			numbers[at] = 10*numbers[at] + int(r-'0')
		case r == '.' && at == 0:
			at = 1
		default:
			return numbers[0], numbers[1]
		}
	}
	return numbers[0], numbers[1]
}

// Package postgres manages one PostgreSQL server: it starts, stops, promotes,
// copies and asks it, and reports what it saw. It takes no decisions and knows
// no store: whether an action is right is the caller's question.
//
// The promises it keeps: a directory that is half written (by a base backup, a
// rewind, an initdb that was interrupted) is never started; nothing is started
// over what an earlier postmaster left running; passwords are in files of mode
// 0600 and nowhere else. "Does not answer" is never reported as "is down".
//
// One action runs at a time: the caller sees to it. Status and the questions may
// run beside an action.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The answers that callers tell apart with errors.Is.
var (
	// ErrHalfWritten refuses to start a directory whose copy, rewind or initdb
	// did not come to its end.
	ErrHalfWritten = errors.New("the data directory is half written")
	// ErrRunning refuses what is only safe on a stopped server.
	ErrRunning = errors.New("the server is running")
	// ErrNotRunning says that there is no postmaster to do it.
	ErrNotRunning = errors.New("the server is not running")
	// ErrRoot refuses to work as root, as PostgreSQL does.
	ErrRoot = errors.New("must not run as root: run as the user that owns the data directory")
	// ErrTooOld refuses a PostgreSQL before oldestMajor.
	ErrTooOld = errors.New("PostgreSQL is too old")
)

// oldestMajor is the first PostgreSQL in which primary_conninfo and the slot
// name can be changed by a reload; following never needs a restart here.
const oldestMajor = 13

// Server is one data directory and whatever runs on it.
type Server struct {
	log   *slog.Logger
	clock func() time.Time

	changed chan struct{}
	wait    sync.WaitGroup // the watchers of processes

	mu         sync.Mutex // guards what follows
	config     Config
	upstream   *Upstream        // followed last; nil while not known
	proc       *process         // nil while none is known
	streams    map[int]*process // the processes that stream, by their pids
	names      standbyNames
	namesOf    namesInForce
	major      int       // of the binaries; 0 while not asked
	source     *Upstream // whom a copy or rewind reads from; its password is in the file too
	logOffset  int64     // where this start's part of LogFile begins
	saveDue    bool      // the copies of the configuration are due at the next readiness
	launcher   Launcher  // nil: we fork the postmaster ourselves
	ownSocket  bool      // unix_socket_directories is our choice, not the configuration's
	judged     verdict
	warned     []string   // what the settings were wrong in before the server was asked
	reloadedAs *process   // the process that is known to have read the files
	restoring  *restoring // nil but during a custom bootstrap
	synced     bool       // the whole directory is durable as it is, see setDurable
	closed     bool

	files sync.Mutex // one writer of the configuration files at a time
	found []string   // by the judge, so far; the writer's

	segments sync.Mutex // whoever puts a segment in place
	leaving  *process   // whose promotion has begun; guarded by segments

	session session
	pending pendingCache
}

// New makes a manager of the server that cfg describes. It touches nothing.
func New(cfg Config, log *slog.Logger, clock func() time.Time) *Server {
	s := &Server{
		config:  cfg.clone(),
		log:     log,
		clock:   clock,
		changed: make(chan struct{}, 1),
		session: session{free: make(chan struct{}, 1)},
		streams: map[int]*process{},
	}
	s.session.free <- struct{}{}
	return s
}

// Changed tells that something may be different: the server ended, or a piece of
// work is done. Several changes can make one message.
func (s *Server) Changed() <-chan struct{} { return s.changed }

func (s *Server) announce() {
	select {
	case s.changed <- struct{}{}:
	default: // one is waiting already
	}
}

// Close lets go of the server without stopping it, and waits for our goroutines.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	watched := append(slices.Collect(maps.Values(s.streams)), s.proc)
	s.mu.Unlock()
	for _, p := range watched {
		if p != nil {
			p.detach()
		}
	}
	s.wait.Wait()
	s.disconnect()
}

// Reconfigure takes new values, which Reload carries to the server.
func (s *Server) Reconfigure(cfg Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config = cfg.clone()
	s.keepSocket()
}

// Config returns the values in force.
func (s *Server) Config() Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config.clone()
}

// cfg is the values without a copy; nobody changes the maps of a stored one.
func (s *Server) cfg() Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config
}

// Check looks whether the server can be managed at all: the user, the tools, the
// version.
func (s *Server) Check(ctx context.Context) error {
	if os.Geteuid() == 0 {
		return ErrRoot
	}
	if err := s.cfg().checkPasswordFile(); err != nil {
		return err
	}
	major, err := s.binaryMajor(ctx)
	if err != nil {
		return err
	}
	data, err := s.DataMajor()
	if err == nil && data != major {
		return fmt.Errorf("check %s: the data directory is of PostgreSQL %d, the binaries are %d", s.cfg().DataDir, data, major)
	}
	return nil
}

// binaryMajor asks the postgres binary for its version, once.
func (s *Server) binaryMajor(ctx context.Context) (int, error) {
	s.mu.Lock()
	major := s.major
	s.mu.Unlock()
	if major != 0 {
		return major, nil
	}
	out, err := s.tool(ctx, "postgres", "--version").output()
	if err != nil {
		return 0, fmt.Errorf("ask postgres for its version: %w", err)
	}
	if major, err = parseVersion(out); err != nil {
		return 0, err
	}
	s.mu.Lock()
	s.major = major
	s.mu.Unlock()
	return major, nil
}

// parseVersion reads "postgres (PostgreSQL) 15.13 (Debian …)"; 9.6 and 19devel
// give 9 and 19.
func parseVersion(text string) (int, error) {
	_, version, _ := strings.Cut(text, "(PostgreSQL) ")
	digits := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	if digits > 0 {
		version = version[:digits]
	}
	major, err := strconv.Atoi(strings.TrimSpace(version))
	if err != nil {
		return 0, fmt.Errorf("read the version of postgres from %q", strings.TrimSpace(text))
	}
	if major < oldestMajor {
		return 0, fmt.Errorf("%w: it is %d, needed is %d or later", ErrTooOld, major, oldestMajor)
	}
	return major, nil
}

// DataMajor is the major version of the data directory, from PG_VERSION.
func (s *Server) DataMajor() (int, error) {
	text, err := os.ReadFile(s.cfg().data("PG_VERSION"))
	if err != nil {
		return 0, fmt.Errorf("read the version of the data directory: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("read the version of the data directory from %q: %w", text, err)
	}
	return major, nil
}

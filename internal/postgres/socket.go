package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// socketPathMax is in bytes: the length of sun_path less the NUL (unix(7)).
const socketPathMax = 107

// chooseSocket decides, before a start, where the server's Unix socket goes when
// the configuration does not say: to the built-in directory, as people expect.
// Where that cannot be, because it is not there, not ours to write to, or a
// server of another data directory on this machine has the port's socket in it,
// the server would refuse to start. Then the socket goes into a directory of its
// own beside the data directory, or nowhere if none can be made or the path is too
// long for a socket; TCP serves as always.
func (s *Server) chooseSocket() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ownSocket { // chosen by us at an earlier start
		s.config = s.config.clone() // others may be reading the old map
		delete(s.config.Parameters, socketParameter)
		s.ownSocket = false
	}
	if _, set := s.config.parameter(socketParameter); set {
		return
	}
	why := socketTaken(s.config.DataDir, s.config.port())
	if why == "" {
		return
	}
	s.useOwnSocket()
	s.log.Warn("the Unix socket goes beside the data directory; set unix_socket_directories to choose another place",
		"because", why, "directory", s.config.Parameters[socketParameter])
}

const socketParameter = "unix_socket_directories"

// useOwnSocket sets the parameter in the configuration in force. The mutex is
// held.
func (s *Server) useOwnSocket() {
	dir := s.config.ownSocketDir()
	if len(filepath.Join(dir, socketName(s.config.port()))) > socketPathMax || os.MkdirAll(dir, 0o700) != nil {
		dir = ""
	}
	s.config = s.config.clone()
	if s.config.Parameters == nil {
		s.config.Parameters = map[string]string{}
	}
	s.config.Parameters[socketParameter] = dir
	s.ownSocket = true
}

// keepSocket carries an earlier choice over to a new configuration, so that a
// reload does not ask for a restart. The mutex is held.
func (s *Server) keepSocket() {
	if _, set := s.config.parameter(socketParameter); set {
		s.ownSocket = false
		return
	}
	if !s.ownSocket {
		// A server that we adopted: its pid file tells what an earlier life of
		// this agent chose (miscadmin.h, LOCK_FILE_LINE_SOCKET_DIR).
		text, err := os.ReadFile(s.config.data("postmaster.pid"))
		if lines := strings.Split(string(text), "\n"); err != nil || len(lines) < 5 || lines[4] != s.config.ownSocketDir() {
			return
		}
	}
	s.useOwnSocket()
}

// ownSocketDir lies beside the data directory: pg_rewind copies every file of its
// source's, and fails at a socket.
func (c Config) ownSocketDir() string { return filepath.Clean(c.DataDir) + ".socket" }

func socketName(port int) string { return ".s.PGSQL." + strconv.Itoa(port) }

// socketTaken says why the built-in directory cannot hold this server's socket,
// or nothing if it can.
func socketTaken(dataDir string, port int) string {
	if err := unix.Access(defaultSocketDir, unix.W_OK|unix.X_OK); err != nil {
		return fmt.Sprintf("%s: %v", defaultSocketDir, err)
	}
	text, err := os.ReadFile(filepath.Join(defaultSocketDir, socketName(port)+".lock"))
	if err != nil {
		return "" // none, or not readable: the server itself will judge
	}
	lines := strings.SplitN(string(text), "\n", 3)
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || len(lines) < 2 || lines[1] == dataDir || !alive(max(pid, -pid)) {
		return ""
	}
	return fmt.Sprintf("process %d, a server on %s, has the socket of port %d", pid, lines[1], port)
}

// alive reports that the process runs and is no zombie.
func alive(pid int) bool {
	stat, err := readStat(pid)
	return err == nil && !stat.dead()
}

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"matriarch/internal/postgres/conf"
)

// launch forks the postmaster: a session of its own, so that it survives us and
// no terminal's signal reaches it.
func (s *Server) launch(ctx context.Context, cfg Config, settings []conf.Setting, standby bool) (*process, error) {
	args := commandLine(cfg, settings)
	binary, err := exec.LookPath(args[0])
	if err != nil {
		return nil, fmt.Errorf("find postgres: %w", err)
	}
	output, err := s.openLog(cfg)
	if err != nil {
		return nil, err
	}
	defer output.close()
	command := Command{Path: binary, Args: args, Env: postmasterEnvironment(cfg), Dir: "/", Output: output.files[2], Primary: !standby}
	p, err := s.fork(ctx, command, output.files)
	if err != nil {
		return nil, fmt.Errorf("launch postmaster: %w", err)
	}
	s.mu.Lock()
	s.proc, s.saveDue, s.reloadedAs = p, true, p
	s.mu.Unlock()
	return p, nil
}

// Command is a postmaster to be launched.
type Command struct {
	Path    string
	Args    []string // the first is the program's name
	Env     []string
	Dir     string
	Output  *os.File // standard output and error
	Primary bool     // it will take writes as soon as it is up
}

// Launcher launches postmasters in this process's stead, as a guard does that has
// to be their parent.
type Launcher interface {
	Launch(ctx context.Context, c Command) (pid int, err error)
}

// LaunchBy makes every later start go through the launcher. Call it before the
// first start.
func (s *Server) LaunchBy(l Launcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.launcher = l
}

// fork makes the process, by the launcher where there is one.
func (s *Server) fork(ctx context.Context, c Command, files []*os.File) (*process, error) {
	s.mu.Lock()
	launcher := s.launcher
	s.mu.Unlock()
	if launcher != nil {
		pid, err := launcher.Launch(ctx, c)
		if err != nil {
			return nil, err
		}
		pidfd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			return nil, fmt.Errorf("watch process %d: %w", pid, err)
		}
		return s.watched(pid, pidfd, nil)
	}
	pidfd := -1
	child, err := os.StartProcess(c.Path, c.Args, &os.ProcAttr{
		Dir: c.Dir, Env: c.Env, Files: files,
		Sys: &syscall.SysProcAttr{Setsid: true, PidFD: &pidfd},
	})
	if err != nil {
		return nil, err
	}
	if pidfd < 0 {
		if pidfd, err = unix.PidfdOpen(child.Pid, 0); err != nil {
			return nil, errors.Join(fmt.Errorf("watch process %d: %w", child.Pid, err), child.Kill())
		}
	}
	return s.watched(child.Pid, pidfd, child)
}

// watched begins to watch a process that was just launched; one that cannot be
// watched must not run.
func (s *Server) watched(pid, pidfd int, child *os.Process) (*process, error) {
	p, err := s.newProcess(pid, pidfd, child, s.clock())
	if err != nil {
		err = errors.Join(err, unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0))
		unix.Close(pidfd)
		return nil, err
	}
	return p, nil
}

// serverOutput is where the postmaster's words go.
type serverOutput struct {
	files []*os.File
	owned []*os.File
}

func (o serverOutput) close() {
	for _, f := range o.owned {
		f.Close()
	}
}

func (s *Server) openLog(cfg Config) (serverOutput, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return serverOutput{}, fmt.Errorf("launch postmaster: %w", err)
	}
	out := serverOutput{files: []*os.File{null, os.Stdout, os.Stderr}, owned: []*os.File{null}}
	if cfg.LogFile == "" {
		return out, nil
	}
	file, err := os.OpenFile(cfg.LogFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		out.close()
		return serverOutput{}, fmt.Errorf("open the server's log: %w", err)
	}
	if info, err := file.Stat(); err == nil {
		s.mu.Lock()
		s.logOffset = info.Size()
		s.mu.Unlock()
	}
	out.files[1], out.files[2] = file, file
	out.owned = append(out.owned, file)
	return out, nil
}

// postmasterEnvironment is what the postmaster gets of ours.
func postmasterEnvironment(cfg Config) []string {
	env := append(ChildEnvironment(), staleLock(cfg)...)
	if cfg.KrbSrvName != "" {
		env = append(env, "PGKRBSRVNAME="+cfg.KrbSrvName)
	}
	if arenas := os.Getenv("PG_MALLOC_ARENA_MAX"); arenas != "" {
		env = append(env, "MALLOC_ARENA_MAX="+arenas)
	}
	return env
}

// staleLock gives PG_GRANDPARENT_PID when a stale postmaster.pid names a process
// that exists and is not a postmaster of ours: a zombie, which kill(pid, 0) finds
// alive, or a stranger that got the number. PostgreSQL then takes the lock file for
// stale (miscinit.c, CreateLockFile), as a postmaster and in single-user mode alike.
//
// The lock file of the socket is looked at in the same way, and outlives a data
// directory that was moved aside. A stranger there can be another cluster's
// postmaster at work, so there only a zombie counts.
func staleLock(cfg Config) []string {
	pid := readPidFile(cfg).PID
	if pid < 0 {
		pid = -pid
	}
	stale := pid != 0 && (kin(pid, cfg.DataDir) == zombie || kin(pid, cfg.DataDir) == foreign)
	if pid == 0 {
		pid = socketOwner(cfg)
		stale = pid > 0 && kin(pid, cfg.DataDir) == zombie
	}
	if !stale {
		return nil
	}
	return []string{"PG_GRANDPARENT_PID=" + strconv.Itoa(pid)}
}

// socketOwner is the postmaster that the socket's lock file names; 0 if there is
// none.
func socketOwner(cfg Config) int {
	directories, set := cfg.parameter(socketParameter)
	if !set {
		directories = defaultSocketDir
	}
	for d := range strings.SplitSeq(directories, ",") {
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(d), ".s.PGSQL."+strconv.Itoa(cfg.port())+".lock"))
		if err != nil {
			continue
		}
		first, _, _ := strings.Cut(string(text), "\n")
		if pid, err := strconv.Atoi(first); err == nil {
			return pid
		}
	}
	return 0
}

// serverSaid is the end of the log since the last start, for an error message.
func (s *Server) serverSaid() string {
	s.mu.Lock()
	path, offset := s.config.LogFile, s.logOffset
	s.mu.Unlock()
	if path == "" {
		return ""
	}
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return ""
	}
	const tail = 4096 // bytes; enough for the last lines
	offset = max(offset, info.Size()-tail)
	text := make([]byte, max(info.Size()-offset, 0))
	n, err := file.ReadAt(text, offset)
	if err != nil && n == 0 && !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text[:n])), "\n")
	return strings.Join(lines[max(0, len(lines)-lineKeep):], "\n")
}

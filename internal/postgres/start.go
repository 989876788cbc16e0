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

	"matriarch/internal/durable"
	"matriarch/internal/postgres/conf"
)

// StartPrimary starts the server out of recovery: it removes the signal files
// first. Only for one who knows that this server is the primary.
func (s *Server) StartPrimary(ctx context.Context) error {
	if err := s.mayStart(ctx); err != nil {
		return err
	}
	return s.startPrimary(ctx)
}

func (s *Server) startPrimary(ctx context.Context) error {
	cfg := s.cfg()
	for _, name := range []string{"standby.signal", "recovery.signal"} {
		if err := durable.Remove(cfg.data(name)); err != nil {
			return fmt.Errorf("start as primary: %w", err)
		}
	}
	s.setUpstream(nil)
	return s.start(ctx, false)
}

// StartStandby starts the server in recovery, following upstream. It returns
// when the postmaster runs; WaitReady waits until it answers.
func (s *Server) StartStandby(ctx context.Context, upstream Upstream) error {
	if err := s.mayStart(ctx); err != nil {
		return err
	}
	if err := s.writeSignal(); err != nil {
		return fmt.Errorf("start as standby: %w", err)
	}
	s.setUpstream(&upstream)
	return s.start(ctx, true)
}

func (s *Server) setUpstream(u *Upstream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.upstream = u
}

func (s *Server) hasSignal(cfg Config) bool {
	_, err := os.Stat(cfg.data("standby.signal"))
	return err == nil
}

// writeSignal makes the directory that of a standby. recovery.signal would mean
// to recover to a target and then to promote.
func (s *Server) writeSignal() error {
	cfg := s.cfg()
	if err := durable.Remove(cfg.data("recovery.signal")); err != nil {
		return err
	}
	if s.hasSignal(cfg) {
		return nil
	}
	path := cfg.data("standby.signal")
	return durable.WriteFile(path, nil, fileMode(cfg, path))
}

// mayStart is all that can forbid a start.
func (s *Server) mayStart(ctx context.Context) error {
	if err := s.Check(ctx); err != nil {
		return err
	}
	if err := s.refuseHalfWritten(); err != nil {
		return err
	}
	if p := s.current(); p != nil {
		return fmt.Errorf("start on %s: %w as process %d", s.cfg().DataDir, ErrRunning, p.pid)
	}
	return nil
}

// start writes the files and launches the postmaster.
func (s *Server) start(ctx context.Context, standby bool) error {
	began := s.clock()
	s.disconnect()
	s.chooseSocket()
	cfg := s.cfg()
	if err := s.clearLeftovers(ctx); err != nil {
		return fmt.Errorf("start on %s: %w", cfg.DataDir, err)
	}
	if err := makeDirectories(cfg); err != nil {
		return fmt.Errorf("start on %s: %w", cfg.DataDir, err)
	}
	_, effective, err := s.writeFiles(ctx, standby)
	if err != nil {
		return fmt.Errorf("start on %s: %w", cfg.DataDir, err)
	}
	for _, warning := range effective.Warnings {
		s.log.Warn(warning)
	}
	p, err := s.launch(cfg, effective.CommandLine)
	if err != nil {
		return fmt.Errorf("start on %s: %w", cfg.DataDir, err)
	}
	s.log.Info("postmaster started", "pid", p.pid, "standby", standby, "took", s.clock().Sub(began))
	return nil
}

// makeDirectories creates those that the server's files live in. The socket
// directory is often on a file system that does not outlive a boot.
func makeDirectories(cfg Config) error {
	var wanted []string
	if directories, set := cfg.parameter("unix_socket_directories"); set {
		for d := range strings.SplitSeq(directories, ",") {
			if d = strings.TrimSpace(d); filepath.IsAbs(d) {
				wanted = append(wanted, d)
			}
		}
	}
	if cfg.PgPass != "" {
		wanted = append(wanted, filepath.Dir(cfg.PgPass))
	}
	for _, d := range wanted {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// commandLine is the postmaster's. What must agree on all nodes is here and not
// only in the file, since it then beats ALTER SYSTEM.
func commandLine(cfg Config, settings []conf.Setting) []string {
	args := []string{cfg.bin("postgres"), "-D", cfg.DataDir, "--config-file=" + cfg.mainFile()}
	for _, setting := range settings {
		args = append(args, "--"+setting.Name+"="+setting.Value)
	}
	return args
}

// launch forks the postmaster: a session of its own, so that it survives us and
// no terminal's signal reaches it.
func (s *Server) launch(cfg Config, settings []conf.Setting) (*process, error) {
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
	pidfd := -1
	child, err := os.StartProcess(binary, args, &os.ProcAttr{
		Dir: "/", Env: postmasterEnvironment(cfg), Files: output.files,
		Sys: &syscall.SysProcAttr{Setsid: true, PidFD: &pidfd},
	})
	if err != nil {
		return nil, fmt.Errorf("launch postmaster: %w", err)
	}
	if pidfd < 0 {
		if pidfd, err = unix.PidfdOpen(child.Pid, 0); err != nil {
			return nil, errors.Join(fmt.Errorf("watch postmaster: %w", err), child.Kill())
		}
	}
	p, err := s.newProcess(child.Pid, pidfd, child, s.clock())
	if err != nil {
		unix.Close(pidfd)
		return nil, errors.Join(err, child.Kill())
	}
	s.mu.Lock()
	s.proc, s.saveDue, s.reloadedAs = p, true, p
	s.mu.Unlock()
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
	env := append(childEnvironment(), staleLock(cfg)...)
	if cfg.KrbSrvName != "" {
		env = append(env, "PGKRBSRVNAME="+cfg.KrbSrvName)
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

package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
)

// ErrNoMethod says that there is no way to make a standby, for want of one that needs
// no source.
var ErrNoMethod = errors.New("none of create_replica_methods can do without a server to copy from")

// CreateReplica makes the data directory of a standby by the first of the configured
// methods that succeeds. Without a source only those that need none are tried; with
// builtin set only the base backup is. When all have failed the directory is emptied,
// unless ctx has ended: then it stays, marked as half written.
func (s *Server) CreateReplica(ctx context.Context, source Upstream, builtin bool, progress func(string)) error {
	methods := s.cfg().ReplicaMethods
	if builtin || len(methods) == 0 {
		methods = []ReplicaMethod{{Name: "basebackup"}}
	}
	if source.Host == "" {
		methods = slices.DeleteFunc(slices.Clone(methods), func(m ReplicaMethod) bool { return !m.NoLeader || m.Command == nil })
	}
	if len(methods) == 0 {
		return fmt.Errorf("create a replica: %w", ErrNoMethod)
	}
	var errs []error
	for _, m := range methods {
		err := s.create(ctx, m, source, progress)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		s.log.Error("Error creating replica using method "+m.Name, "err", err)
		errs = append(errs, err)
	}
	return errors.Join(append(errs, s.RemoveData(ctx))...)
}

func (s *Server) create(ctx context.Context, m ReplicaMethod, source Upstream, progress func(string)) error {
	if m.Command == nil {
		return s.BaseBackup(ctx, source, progress)
	}
	if err := s.runMethod(ctx, m, source); err != nil {
		return fmt.Errorf("create a replica by %s: %w", m.Name, err)
	}
	return nil
}

// runMethod has the user's command fill the directory. The marker tells, as with a
// base backup, that it is half written until the command has succeeded.
func (s *Server) runMethod(ctx context.Context, m ReplicaMethod, source Upstream) error {
	if os.Geteuid() == 0 {
		return ErrRoot
	}
	major, err := s.binaryMajor(ctx)
	if err != nil {
		return err
	}
	if p := s.current(); p != nil {
		return fmt.Errorf("%w as process %d", ErrRunning, p.pid)
	}
	if err := s.begin(WorkBaseBackup, source.label()); err != nil {
		return err
	}
	if !m.KeepData {
		if err := s.emptyDirectory(ctx); err != nil {
			return err
		}
	}
	cfg := s.cfg()
	vacate(cfg.DataDir)
	var env []string
	if source.Host != "" && cfg.Replication.Password != "" {
		if err := s.withSource(source); err != nil {
			return err
		}
		env = passEnvironment(cfg)
	}
	if err := s.run(ctx, m.Name, append(slices.Clone(m.Command), m.arguments(cfg, source, major)...), env); err != nil {
		// With no_params the data goes although keep_data is set, as in Patroni.
		if keep := m.KeepData && !m.NoParams; keep || ctx.Err() != nil {
			return err
		}
		return errors.Join(err, s.emptyDirectory(ctx))
	}
	if _, err := os.Stat(cfg.data("global", "pg_control")); err != nil {
		return fmt.Errorf("the command ended well, but left no cluster: %w", err)
	}
	if err := s.adoptCopy(); err != nil {
		return err
	}
	if err := s.finish(); err != nil {
		return err
	}
	s.announce()
	return nil
}

// arguments are the user's, in their order, with ours in the place of those of the
// same name (compat/config.md §6.5).
func (m ReplicaMethod) arguments(cfg Config, source Upstream, major int) []string {
	params := slices.Clone(m.Params)
	if m.NoParams {
		params = slices.DeleteFunc(params, func(p Param) bool { return slices.Contains([]string{"no_params", "no_leader", "keep_data"}, p.Name) })
	} else {
		connection := ""
		if source.Host != "" {
			connection = toolConninfo(cfg, cfg.Replication, source, major)
		}
		for _, own := range []Param{{"scope", cfg.Scope}, {"role", "replica"}, {"datadir", cfg.DataDir}, {"connstring", connection}} {
			at := slices.IndexFunc(params, func(p Param) bool { return p.Name == own.Name })
			if at < 0 {
				params = append(params, own)
			} else {
				params[at] = own
			}
		}
	}
	var args []string
	for _, p := range params {
		args = append(args, "--"+p.Name+"="+p.Value)
	}
	return args
}

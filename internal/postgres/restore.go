package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"

	"matriarch/internal/durable"
	"matriarch/internal/postgres/conf"
)

// restoring is in what the first server of a custom bootstrap differs from what is
// configured. What the user's command has left may have to be recovered first, from
// an archive and up to a target, and nobody knows the passwords in it. When the roles
// are made the server is started anew as configured.
type restoring struct {
	recovery map[string]string
	keep     bool // the recovery settings are as the command has written them
	// cold is set where recovery ends by itself in a primary. Then nobody reads
	// meanwhile, and the backup's max_connections may be larger than ours: as a hot
	// standby the server would stop for that.
	cold bool
}

// bootstrapHBA is a file of its own, so that the configured one, or the one in the
// backup, need not be put back.
const bootstrapHBA = "pg_hba.bootstrap.conf"

func (s *Server) restores() *restoring {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.restoring
}

func (s *Server) setRestoring(r *restoring) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restoring = r
}

func (r *restoring) keeps() bool { return r != nil && r.keep }

// adjust changes the settings.
func (r *restoring) adjust(effective *conf.Effective, recovery *map[string]string) {
	if r == nil {
		return
	}
	*recovery = r.recovery
	if !r.cold {
		return
	}
	effective.File["hot_standby"] = "off"
	for i := range effective.CommandLine {
		if effective.CommandLine[i].Name == "hot_standby" {
			effective.CommandLine[i].Value = "off"
		}
	}
}

// openAccess points the server to the rules by which we come in.
func (r *restoring) openAccess(cfg Config, main *conf.Main) {
	if r == nil {
		return
	}
	for name := range main.Settings {
		if strings.EqualFold(name, "hba_file") {
			delete(main.Settings, name)
		}
	}
	main.HBAFile = cfg.data(bootstrapHBA)
}

// customBootstrap has the user's command make the cluster, and starts it.
func (s *Server) customBootstrap(ctx context.Context, cfg Config) error {
	began := s.clock()
	vacate(cfg.DataDir)
	if err := s.run(ctx, "custom bootstrap", cfg.Custom.Command, nil); err != nil {
		return err
	}
	if _, err := os.Stat(cfg.data("global", "pg_control")); err != nil {
		return fmt.Errorf("the custom bootstrap ended well, but left no cluster: %w", err)
	}
	s.log.Info("the custom bootstrap has made the data directory", "data_dir", cfg.DataDir, "took", s.clock().Sub(began))
	if err := s.restoreFiles(); err != nil {
		return err
	}
	if err := durable.Remove(cfg.data("promote")); err != nil {
		return err
	}
	if err := appendHBA(cfg); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := s.prepareRestoring(cfg); err != nil {
		return err
	}
	s.setUpstream(nil)
	if err := s.start(ctx, false); err != nil {
		return err
	}
	return s.awaitRecovered(ctx)
}

// prepareRestoring writes what the first server needs besides its configuration.
func (s *Server) prepareRestoring(cfg Config) error {
	major, err := s.DataMajor()
	if err != nil {
		return err
	}
	r := &restoring{keep: cfg.Custom.Recovery == nil && cfg.Custom.KeepRecovery}
	r.cold = r.keep
	signal := ""
	if cfg.Custom.Recovery != nil {
		var standby bool
		if r.recovery, standby = conf.RestoreRecovery(cfg.Custom.Recovery, major); standby {
			signal = "standby.signal"
		} else {
			signal = "recovery.signal"
		}
		r.cold = strings.EqualFold(r.recovery["recovery_target_action"], "promote")
	}
	for _, name := range []string{"standby.signal", "recovery.signal"} {
		if r.keep {
			break
		}
		if err := durable.Remove(cfg.data(name)); err != nil {
			return err
		}
	}
	if signal != "" {
		if err := durable.WriteFile(cfg.data(signal), nil, fileMode(cfg, cfg.data(signal))); err != nil {
			return err
		}
	}
	access := cfg.data(bootstrapHBA)
	if err := durable.WriteFile(access, []byte(conf.Lines(ownAccess(cfg))), fileMode(cfg, access)); err != nil {
		return err
	}
	s.setRestoring(r)
	return nil
}

// ownAccess lets in this machine alone (samehost: pg_hba.conf in the manual), and only
// the two roles that are ours. Patroni names the address that it connects to, but on a
// loopback address the kernel picks another one to come from.
func ownAccess(cfg Config) []string {
	superuser := cfg.Superuser.Username
	if superuser == "" {
		if own, err := user.Current(); err == nil {
			superuser = own.Username
		}
	}
	quoted := func(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
	var lines []string
	for _, from := range [][2]string{{"local", ""}, {"host", "\tsamehost"}} {
		if cfg.Replication.Username != "" {
			lines = append(lines, from[0]+"\treplication\t"+quoted(cfg.Replication.Username)+from[1]+"\ttrust")
		}
		lines = append(lines, from[0]+"\tall\t"+quoted(superuser)+from[1]+"\ttrust")
	}
	return lines
}

// recoveredPoll is how often a server is looked at that recovers from a backup, which
// takes seconds at the least.
const recoveredPoll = 50 * time.Millisecond

// awaitRecovered waits until the server takes writes. There is no limit but ctx: the
// archive may hold hours of work, or somebody is to say where recovery ends.
func (s *Server) awaitRecovered(ctx context.Context) error {
	p := s.current()
	if p == nil {
		return fmt.Errorf("recover what the custom bootstrap left: %w%s", ErrNotRunning, s.quoteServer())
	}
	tick := time.NewTicker(recoveredPoll)
	defer tick.Stop()
	told := false
	for {
		select {
		case <-p.ended:
			return fmt.Errorf("recover what the custom bootstrap left: %w: postmaster %d has ended (%s)%s", ErrNotRunning, p.pid, p.exit, s.quoteServer())
		case <-ctx.Done():
			return fmt.Errorf("recover what the custom bootstrap left: %w", ctx.Err())
		case <-tick.C:
		}
		if file := readPidFile(s.cfg()); file.PID == p.pid && (file.Status == "ready" || file.Status == "standby") {
			if standby, err := s.inRecovery(ctx); err == nil && !standby {
				return nil
			}
		}
		if !told {
			s.log.Info("waiting for end of recovery after bootstrap")
			told = true
		}
	}
}

// endRestoring starts the server anew as it is configured.
func (s *Server) endRestoring(ctx context.Context) error {
	if s.restores() == nil {
		return nil
	}
	s.setRestoring(nil)
	if err := s.Stop(ctx, StopOptions{Mode: Fast}); err != nil {
		return err
	}
	if err := durable.Remove(s.cfg().data(bootstrapHBA)); err != nil {
		return err
	}
	if err := s.startPrimary(ctx); err != nil {
		return err
	}
	return s.WaitReady(ctx)
}

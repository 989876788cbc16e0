package postgres

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// Follow makes a standby follow upstream, or nobody, and tells whether that
// changed anything. Since PostgreSQL 13 a reload is enough; a server that does
// not run reads the files at its start. The first call for a server that we did
// not start always reloads: whether it has read its files we cannot know.
func (s *Server) Follow(ctx context.Context, upstream Upstream) (bool, error) {
	p := s.current()
	if p != nil {
		if standby, err := s.inRecovery(ctx); err == nil && !standby {
			return false, fmt.Errorf("follow %q: the server is not in recovery", upstream.Name)
		}
	}
	if err := s.writeSignal(); err != nil {
		return false, fmt.Errorf("follow %q: %w", upstream.Name, err)
	}
	s.setUpstream(&upstream)
	changed, err := s.rewrite(ctx, p, true, false)
	if err != nil {
		return false, fmt.Errorf("follow %q: %w", upstream.Name, err)
	}
	if changed {
		s.log.Info("following", "upstream", upstream.Name, "host", upstream.Host, "port", upstream.port(), "slot", upstream.Slot)
	}
	return changed, nil
}

// Reload brings the configuration files up to date and makes the server read
// them if they changed, or always if always is set. It reports whether the
// server was told.
func (s *Server) Reload(ctx context.Context, always bool) (bool, error) {
	told, err := s.rewrite(ctx, s.current(), s.hasSignal(s.cfg()), always)
	if err != nil {
		return false, fmt.Errorf("reload: %w", err)
	}
	return told, nil
}

func (s *Server) rewrite(ctx context.Context, p *process, standby, always bool) (bool, error) {
	files, err := s.writeFiles(ctx, standby)
	if err != nil {
		return false, err
	}
	changed := files.changed
	if changed {
		for _, warning := range files.effective.Warnings {
			s.log.Warn(warning)
		}
	}
	if p != nil {
		s.tellChanges(ctx, files.settings)
	}
	s.mu.Lock()
	unread := s.reloadedAs != p
	s.mu.Unlock()
	if p == nil || !changed && !always && !unread {
		return changed, nil
	}
	if err := s.hearsSignals(ctx, p); err != nil {
		return false, err
	}
	if err := p.signal(unix.SIGHUP); err != nil {
		return false, err
	}
	s.mu.Lock()
	s.reloadedAs = p
	s.mu.Unlock()
	s.forgetPending()
	return true, nil
}

// ResumeReplay goes on with replay that was paused.
func (s *Server) ResumeReplay(ctx context.Context) error {
	return s.exec(ctx, "resume replay", "SELECT pg_wal_replay_resume()")
}

// exec runs one short statement on the kept connection.
func (s *Server) exec(ctx context.Context, what, statement string, args ...any) error {
	err := s.query(ctx, func(ctx context.Context, q querier) error {
		_, err := q.Exec(ctx, statement, args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

package postgres

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"matriarch/internal/postgres/conf"
	"matriarch/internal/wal"
)

// Pending is a setting that waits for a restart, as PostgreSQL shows values: numbers
// in the largest unit that gives a whole one. New is ? when it could not be found out.
type Pending struct{ Old, New string }

// pendingAge is how old the list of settings that wait for a restart may be: it costs
// the server a walk over all its settings, 1 to 2 ms. pendingSettles is how long after
// a reload the server may not have read its files yet, so that it is asked each time.
const (
	pendingAge     = 10 * time.Second
	pendingSettles = 2 * time.Second
)

type pendingCache struct {
	mu       sync.Mutex
	of       *process
	at       time.Time
	reloaded time.Time // when the server was told to read its files
	settings map[string]Pending
	values   map[string]string // of settings: what a restart would bring
	basis    string            // of values: the files that they are from

	timelineOf *process
	timelineAt wal.LSN
	timeline   wal.Timeline
}

// pendingQuery asks for what the server itself says waits for a restart, and for the
// settings that are given on its command line: their new values are in no file.
const pendingQuery = `SELECT name, setting, current_setting(name), coalesce(unit, ''), pending_restart FROM pg_settings
 WHERE pending_restart OR name = ANY($1)`

// pendingRestart is what waits for a restart of this process.
func (s *Server) pendingRestart(ctx context.Context, p *process) map[string]Pending {
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	now := s.clock()
	if s.pending.of == p && now.Sub(s.pending.at) < pendingAge && now.Sub(s.pending.reloaded) >= pendingSettles {
		return s.pending.settings
	}
	cfg := s.cfg()
	given := map[string]string{}
	for _, setting := range conf.Resolve(cfg.Parameters, fixedSettings(cfg), nil).CommandLine {
		given[setting.Name] = setting.Value
	}
	found, units := map[string]Pending{}, map[string]string{}
	err := s.query(ctx, func(ctx context.Context, q querier) error {
		rows, err := q.Query(ctx, pendingQuery, slices.Sorted(maps.Keys(given)))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name, raw, shown, unit string
			var flagged bool
			if err := rows.Scan(&name, &raw, &shown, &unit, &flagged); err != nil {
				return err
			}
			wanted, controlled := given[name]
			switch {
			case conf.IsRecovery(name) || name == "hot_standby":
				// Those of a primary that was a standby once are of no account until it
				// is one again, and then it is started anew (compat/config.md §1.6).
			case controlled && !conf.Same(raw, wanted):
				found[name] = Pending{Old: shown, New: wanted}
			case !controlled:
				found[name], units[name] = Pending{Old: shown, New: "?"}, unit
			}
		}
		return rows.Err()
	})
	if err != nil {
		return s.pending.settings
	}
	s.newValues(ctx, cfg, found, units)
	s.tellPending(cfg, found)
	s.pending.of, s.pending.at, s.pending.settings = p, now, found
	return found
}

// newValues asks the postgres binary which values a restart would bring. It is asked
// again when one of the files that it reads has changed.
func (s *Server) newValues(ctx context.Context, cfg Config, found map[string]Pending, units map[string]string) {
	if len(units) == 0 {
		return
	}
	basis := ""
	for _, path := range []string{cfg.mainFile(), cfg.baseFile(), cfg.data("postgresql.auto.conf")} {
		if info, err := os.Stat(path); err == nil {
			basis += fmt.Sprintln(path, info.ModTime().UnixNano(), info.Size())
		}
	}
	if s.pending.values == nil || s.pending.basis != basis {
		s.pending.values, s.pending.basis = map[string]string{}, basis
	}
	for _, name := range slices.Sorted(maps.Keys(units)) {
		value, known := s.pending.values[name]
		if !known {
			out, err := s.tool(ctx, "postgres", "-D", cfg.DataDir, "-C", name, "--config-file="+cfg.mainFile()).output()
			if err != nil {
				s.log.Warn("which value a restart would bring could not be found out", "setting", name, "err", err)
				continue
			}
			value = conf.Shown(strings.TrimSpace(out), units[name])
			s.pending.values[name] = value
		}
		found[name] = Pending{Old: found[name].Old, New: value}
	}
}

// tellPending logs what has come to wait for a restart since the last look. What is not
// from the cluster's configuration is told in the words that tools look for in Patroni's
// log (compat/config.md §1.6).
func (s *Server) tellPending(cfg Config, found map[string]Pending) {
	var elsewhere []string
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if _, told := s.pending.settings[name]; told {
			continue
		}
		if _, ours := cfg.parameter(name); !ours && !conf.IsControlled(name) {
			elsewhere = append(elsewhere, name)
		}
		s.log.Info("a setting waits for a restart", "setting", name, "value", conf.Masked(name, found[name].Old), "after", conf.Masked(name, found[name].New))
	}
	if len(elsewhere) > 0 {
		s.log.Info("PostgreSQL settings " + strings.Join(elsewhere, ", ") + " seem to be changed bypassing Patroni config. Setting 'Pending restart' flag")
	}
}

// forgetPending makes the next Status ask anew, and for a moment every one: the server
// was told to read its files.
func (s *Server) forgetPending() {
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	s.pending.reloaded = s.clock()
}

// Outgrown reports that this running standby has lower values of the settings in its
// control file than the primary has: the primary's log has brought them there, and
// replay does not go on past that (since PostgreSQL 14 it pauses; xlogrecovery.c,
// RecoveryRequiresIntParameter).
func (s *Server) Outgrown(ctx context.Context) (bool, error) {
	control, err := s.Control(ctx)
	if err != nil {
		return false, err
	}
	names := slices.Sorted(maps.Keys(control.Settings))
	outgrown := false
	err = s.query(ctx, func(ctx context.Context, q querier) error {
		rows, err := q.Query(ctx, "SELECT name, setting::bigint FROM pg_settings WHERE name = ANY($1)", names)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			var value int64
			if err := rows.Scan(&name, &value); err != nil {
				return err
			}
			outgrown = outgrown || value < control.Settings[name]
		}
		return rows.Err()
	})
	if err != nil {
		return false, fmt.Errorf("compare the settings with those of the control file: %w", err)
	}
	return outgrown, nil
}

func fixedSettings(cfg Config) conf.Fixed {
	return conf.Fixed{ListenAddresses: cfg.ListenAddresses, Port: cfg.port(), ClusterName: cfg.Scope}
}

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"matriarch/internal/postgres/conf"
	"matriarch/internal/wal"
)

// namesParameter says for which standbys a commit waits.
const namesParameter = "synchronous_standby_names"

// standbyNames is whose value of synchronous_standby_names the file has.
type standbyNames struct {
	known   bool // it was said in this life; else what the file says stays, for a server that runs by it
	managed bool // ours; else the user's
	read    bool // the file was read, for want of that
	found   bool // and had a value
	value   string
}

// SetStandbyNames gives the server a value of synchronous_standby_names in place of the
// user's, or with users set the user's own again. It returns when the server has been
// told; Status says what is in force.
func (s *Server) SetStandbyNames(ctx context.Context, value string, users bool) error {
	s.mu.Lock()
	s.names = standbyNames{known: true, managed: !users, value: value}
	s.mu.Unlock()
	if _, err := s.Reload(ctx, false); err != nil {
		return fmt.Errorf("set %s to %q: %w", namesParameter, value, err)
	}
	return nil
}

// standbyNames tells whose value counts. Before anybody has said so it is that of the
// file, and ours if it differs from the user's.
func (s *Server) standbyNames(cfg Config) (value string, managed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.names.known && !s.names.read {
		s.names.read = s.readNames(cfg)
	}
	if s.names.known {
		return s.names.value, s.names.managed
	}
	users, _ := cfg.parameter(namesParameter)
	return s.names.value, s.names.found && s.names.value != users
}

// readNames takes the value from a file that was generated, be it by Patroni: the
// server runs by it. It reports whether there is a file.
func (s *Server) readNames(cfg Config) bool {
	text, err := os.ReadFile(cfg.mainFile())
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err != nil {
		s.log.Warn("the configuration file could not be read", "path", cfg.mainFile(), "err", err)
		return false
	}
	if generated, _, _ := strings.Cut(conf.Header, "\n"); !strings.HasPrefix(string(text), generated) {
		return true
	}
	for _, setting := range conf.Parse(string(text)) {
		if setting.Name == namesParameter {
			s.names.value, s.names.found = setting.Value, true
		}
	}
	return true
}

// waitForNobody is for a server that starts as a standby: when it is promoted one day,
// nobody is known to follow it (B-434).
func (s *Server) waitForNobody() {
	if _, managed := s.standbyNames(s.cfg()); managed {
		s.mu.Lock()
		s.names = standbyNames{known: true, managed: true}
		s.mu.Unlock()
	}
}

// overruleNames puts our value in the place of the user's.
func (s *Server) overruleNames(cfg Config, file map[string]string) {
	value, managed := s.standbyNames(cfg)
	if !managed {
		return
	}
	for name := range file { // however the user spelled it
		if strings.EqualFold(name, namesParameter) {
			delete(file, name)
		}
	}
	file[namesParameter] = value
}

// namesInForce is since when the server goes by a value.
type namesInForce struct {
	of    *process
	value string
	seen  time.Time
	since wal.LSN // 0: not known yet
}

// reloadTime is how long the processes of a server may take to hear of new settings.
// Patroni waits as long (compat/behaviour.md, appendix C).
const reloadTime = 100 * time.Millisecond

// settleNames finds the position from which on every commit was acknowledged by the
// value in force. Our own session has read the new value; the senders do so before
// they take the next word of a standby (walsender.c, WalSndLoop). Whether commits wait
// at all is the checkpointer's to say (syncrep.c, SyncRepUpdateSyncStandbysDefined),
// which looks at its settings whenever it is about to rest.
func (s *Server) settleNames(ctx context.Context, q querier, p *process, status *Status) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, now := &s.namesOf, s.clock()
	if status.InRecovery {
		*n = namesInForce{}
		return nil
	}
	if n.of != p || n.value != status.StandbyNames {
		*n = namesInForce{of: p, value: status.StandbyNames, seen: now}
	}
	if n.since == 0 && n.value != "" && now.Sub(n.seen) >= reloadTime {
		at, err := settled(ctx, q)
		if err != nil {
			return fmt.Errorf("look whether commits wait for %s: %w", n.value, err)
		}
		n.since = at
	}
	status.StandbyNamesSince, status.StandbyNamesAge = n.since, now.Sub(n.seen)
	return nil
}

// checkpointerRests tells whether the checkpointer has looked at its settings. Before 14
// it does not say so while it spreads a checkpoint's writes.
const checkpointerRests = `coalesce((SELECT wait_event IN ('CheckpointerMain', 'CheckpointWriteDelay')
  FROM pg_stat_activity WHERE backend_type = 'checkpointer' LIMIT 1), false)`

// namesPatience is how long a promotion waits for it.
const namesPatience = 2 * time.Second

// awaitNames waits, before a promotion, until the value that was written is in force:
// from its first moment as a primary the server must not acknowledge what nobody waited
// for (S2). Where it waits for nobody there is nothing to wait for.
func (s *Server) awaitNames(ctx context.Context) error {
	value, managed := s.standbyNames(s.cfg())
	if !managed || value == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, namesPatience)
	defer cancel()
	tick := time.NewTicker(promotePoll)
	defer tick.Stop()
	var since time.Time
	for {
		var now string
		var rests bool
		err := s.query(ctx, func(ctx context.Context, q querier) error {
			return q.QueryRow(ctx, "SELECT current_setting('"+namesParameter+"'), "+checkpointerRests).Scan(&now, &rests)
		})
		switch {
		case err != nil || now != value || !rests:
			since = time.Time{}
		case since.IsZero():
			since = s.clock()
		case s.clock().Sub(since) >= reloadTime:
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait until %s is %q: it is %q, and the checkpointer rests: %v: %w", namesParameter, value, now, rests, errors.Join(ctx.Err(), err))
		}
	}
}

// settled is how far the log is flushed, and with it all that was acknowledged; 0 if
// the checkpointer may not have heard of the settings. It adds a little to the log, so
// that a standby that has what is there has something to tell.
func settled(ctx context.Context, q querier) (wal.LSN, error) {
	var rests bool
	var flushed string
	err := q.QueryRow(ctx, "SELECT "+checkpointerRests+", pg_current_wal_flush_lsn()::text").Scan(&rests, &flushed)
	if err != nil || !rests {
		return 0, err
	}
	at, err := wal.ParseLSN(flushed)
	if err != nil {
		return 0, err
	}
	_, err = q.Exec(ctx, "SELECT set_config('synchronous_commit', 'local', true), txid_current()")
	return at, err
}

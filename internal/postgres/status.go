package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"matriarch/internal/postgres/conf"
	"matriarch/internal/wal"
)

// Status is what one look at the server saw. Two questions are kept apart: does
// a postmaster run, and does it answer. While it runs and does not answer, the
// fields below Answering are not known.
type Status struct {
	Running   bool
	PID       int
	StartedAt time.Time

	Answering bool
	Starting  bool  // it runs and says that it does not take connections (57P03)
	Err       error // why it does not answer

	Version      int // server_version_num
	InRecovery   bool
	Timeline     wal.Timeline // 0: not known
	Position     wal.LSN      // primary: flushed; standby: the larger of received and replayed
	Received     wal.LSN      // standby; 0: nothing since its start
	Replayed     wal.LSN
	ReplayPaused bool
	ReplayedAt   time.Time // commit time of the last transaction replayed
	Receiver     *Receiver // nil: no walreceiver

	StandbyNames        string        // synchronous_standby_names, in force
	StandbyNamesManaged bool          // ours, not the user's
	StandbyNamesTold    string        // ours, as the files have it
	StandbyNamesSince   wal.LSN       // primary: what was acknowledged by an earlier value lies before it; 0: not known yet
	StandbyNamesAge     time.Duration // since it was first seen in force

	Replication    []Replication
	Slots          []Slot
	PendingRestart map[string]Pending // by setting; at most pendingAge old
}

// Receiver is the walreceiver of a standby.
type Receiver struct {
	PID        int
	Status     string
	Timeline   wal.Timeline
	SenderHost string
	SenderPort int
	Slot       string
	LatestEnd  wal.LSN // the sender's end of log, as it was last heard
}

// Replication is a row of pg_stat_replication.
type Replication struct {
	PID             int     `json:"pid"`
	Username        string  `json:"usename"`
	ApplicationName string  `json:"application_name"`
	ClientAddr      string  `json:"client_addr"`
	State           string  `json:"state"`
	SyncState       string  `json:"sync_state"`
	SyncPriority    int     `json:"sync_priority"`
	SyncedLSN       wal.LSN `json:"-"` // by the measure of synchronous_commit; 0: not known
	SentLSN         wal.LSN `json:"-"`
	WriteLSN        wal.LSN `json:"-"`
	FlushLSN        wal.LSN `json:"-"`
	ReplayLSN       wal.LSN `json:"-"`
}

// Slot is a replication slot that is neither temporary nor one that the servers keep in
// step by themselves.
type Slot struct {
	Name           string
	Type           string // physical, logical
	Active         bool
	RestartLSN     wal.LSN // 0: none reserved
	ConfirmedFlush wal.LSN // logical only
	XMin           uint32  // 0: none
	CatalogXMin    uint32
	WALStatus      string // reserved, extended, unreserved, lost
	Database       string
	Plugin         string
}

// statusQuery reads all in one snapshot of the server's mind. The recovery state
// is asked once, in a subquery that the planner cannot pull up since the function
// is volatile, so that the columns agree. Written log counts as received: a
// promotion replays it.
const statusQuery = `
SELECT current_setting('server_version_num')::int, r.standby,
  CASE WHEN r.standby THEN 0 ELSE ('x' || substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8))::bit(32)::bigint END,
  CASE WHEN r.standby THEN '0/0' ELSE pg_current_wal_flush_lsn() END::text,
  coalesce(greatest(pg_last_wal_receive_lsn(), w.written_lsn), '0/0')::text,
  coalesce(pg_last_wal_replay_lsn(), '0/0')::text,
  CASE WHEN r.standby THEN pg_is_wal_replay_paused() ELSE false END,
  pg_last_xact_replay_timestamp(), pg_postmaster_start_time(),
  w.status, coalesce(w.pid, 0), coalesce(w.received_tli, 0), coalesce(w.sender_host, ''), coalesce(w.sender_port, 0), coalesce(w.slot_name, ''),
  coalesce(w.latest_end_lsn, '0/0')::text, current_setting('synchronous_standby_names'), current_setting('synchronous_commit'),
  (SELECT json_agg(x) FROM (SELECT pid, coalesce(usename, '') AS usename, application_name,
     coalesce(host(client_addr), '') AS client_addr, state, sync_state, sync_priority,
     sent_lsn, write_lsn, flush_lsn, replay_lsn FROM pg_stat_replication WHERE state IS NOT NULL ORDER BY pid) x)::text,
  (SELECT json_agg(x) FROM (SELECT slot_name, slot_type, active, restart_lsn, confirmed_flush_lsn,
     coalesce(xmin::text, '0') AS xmin, coalesce(catalog_xmin::text, '0') AS catalog_xmin, coalesce(wal_status, '') AS wal_status,
     coalesce(database, '') AS database, coalesce(plugin, '') AS plugin
     FROM pg_replication_slots AS s WHERE NOT temporary AND ` + notFailover + ` ORDER BY slot_name) x)::text
FROM (SELECT pg_is_in_recovery() AS standby) r
LEFT JOIN (SELECT * FROM pg_stat_wal_receiver WHERE pid IS NOT NULL) w ON r.standby`

// Status looks at the server. It never takes longer than localLimit and a little,
// and a question that fails is reported as such, never as "down".
func (s *Server) Status(ctx context.Context) Status {
	var status Status
	p := s.current()
	if p == nil {
		return status
	}
	status.Running, status.PID, status.StartedAt = true, p.pid, p.startedAt
	ctx, cancel := context.WithTimeout(ctx, localLimit) // for all of its questions together
	defer cancel()
	err := s.query(ctx, func(ctx context.Context, q querier) error {
		if err := readStatus(ctx, q, &status); err != nil {
			return err
		}
		return s.settleNames(ctx, q, p, &status)
	})
	if err != nil {
		var refusal *pgconn.PgError
		status = Status{Running: p.alive(), PID: p.pid, StartedAt: p.startedAt, Err: fmt.Errorf("ask the server: %w", err)}
		status.Starting = errors.As(err, &refusal) && refusal.Code == codeStarting
		return status
	}
	status.Answering = true
	s.becameReady()
	status.StandbyNamesTold, status.StandbyNamesManaged = s.standbyNames(s.cfg())
	s.watchStreams(streamsOf(status))
	if status.InRecovery && status.Timeline == 0 {
		status.Timeline = s.replayTimeline(ctx, p, status)
	}
	status.PendingRestart = s.pendingRestart(ctx, p)
	return status
}

func readStatus(ctx context.Context, q querier, status *Status) error {
	var timeline, receiverTimeline int64
	var flushed, received, replayed, host, slot, latestEnd, measure string
	var receiverPID, port int
	var replayedAt, started *time.Time
	var receiver, replication, slots *string
	err := q.QueryRow(ctx, statusQuery).Scan(&status.Version, &status.InRecovery, &timeline, &flushed, &received, &replayed,
		&status.ReplayPaused, &replayedAt, &started, &receiver, &receiverPID, &receiverTimeline, &host, &port, &slot, &latestEnd,
		&status.StandbyNames, &measure, &replication, &slots)
	if err != nil {
		return err
	}
	var parse lsnParser
	status.Timeline, status.Position = wal.Timeline(timeline), parse.lsn(flushed)
	if started != nil {
		status.StartedAt = *started
	}
	if status.InRecovery {
		status.Received, status.Replayed = parse.lsn(received), parse.lsn(replayed)
		status.Position = max(status.Received, status.Replayed)
		if replayedAt != nil {
			status.ReplayedAt = *replayedAt
		}
	}
	if receiver != nil {
		status.Receiver = &Receiver{receiverPID, *receiver, wal.Timeline(receiverTimeline), host, port, slot, parse.lsn(latestEnd)}
		status.Timeline = wal.Timeline(receiverTimeline)
	}
	status.Replication = parse.replication(replication, measure)
	status.Slots = parse.slots(slots)
	return parse.err
}

// lsnParser keeps the first fault of a row.
type lsnParser struct{ err error }

func (p *lsnParser) lsn(text string) wal.LSN {
	if text == "" {
		return 0
	}
	lsn, err := wal.ParseLSN(text)
	if p.err == nil {
		p.err = err
	}
	return lsn
}

func (p *lsnParser) decode(text *string, into any) {
	if text == nil { // json_agg of no rows
		return
	}
	if err := json.Unmarshal([]byte(*text), into); err != nil && p.err == nil {
		p.err = err
	}
}

func (p *lsnParser) replication(text *string, measure string) []Replication {
	var rows []struct {
		Replication
		Sent   string `json:"sent_lsn"`
		Write  string `json:"write_lsn"`
		Flush  string `json:"flush_lsn"`
		Replay string `json:"replay_lsn"`
	}
	p.decode(text, &rows)
	var list []Replication
	for _, row := range rows {
		row.SentLSN, row.WriteLSN = p.lsn(row.Sent), p.lsn(row.Write)
		row.FlushLSN, row.ReplayLSN = p.lsn(row.Flush), p.lsn(row.Replay)
		switch measure {
		case "remote_apply":
			row.SyncedLSN = row.ReplayLSN
		case "remote_write":
			row.SyncedLSN = row.WriteLSN
		default:
			row.SyncedLSN = row.FlushLSN
		}
		list = append(list, row.Replication)
	}
	return list
}

func (p *lsnParser) slots(text *string) []Slot {
	var rows []struct {
		Name        string `json:"slot_name"`
		Type        string `json:"slot_type"`
		Active      bool   `json:"active"`
		Restart     string `json:"restart_lsn"`
		Confirmed   string `json:"confirmed_flush_lsn"`
		XMin        uint32 `json:"xmin,string"`
		CatalogXMin uint32 `json:"catalog_xmin,string"`
		WALStatus   string `json:"wal_status"`
		Database    string `json:"database"`
		Plugin      string `json:"plugin"`
	}
	p.decode(text, &rows)
	var list []Slot
	for _, r := range rows {
		list = append(list, Slot{r.Name, r.Type, r.Active, p.lsn(r.Restart), p.lsn(r.Confirmed),
			r.XMin, r.CatalogXMin, r.WALStatus, r.Database, r.Plugin})
	}
	return list
}

// replayTimeline is the timeline of a standby without a walreceiver: a
// replication connection knows what is being replayed, and without one the
// control file does, a little late. It is asked again only after replay has
// moved: the timeline changes no other way.
func (s *Server) replayTimeline(ctx context.Context, p *process, seen Status) wal.Timeline {
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	if s.pending.timelineOf == p && s.pending.timelineAt == seen.Replayed && s.pending.timeline != 0 {
		return s.pending.timeline
	}
	cfg := s.cfg()
	self := Upstream{Host: cfg.localAddress(cfg.UseUnixSocketRepl), Port: cfg.port()}
	identity, err := s.ReplicationIdentify(ctx, self)
	timeline := identity.At.Timeline
	if err != nil {
		data, errControl := s.Control(ctx)
		if errControl != nil {
			return 0
		}
		return controlTimeline(data) // not kept: a better answer may come
	}
	s.pending.timelineOf, s.pending.timelineAt, s.pending.timeline = p, seen.Replayed, timeline
	return timeline
}

func controlTimeline(data conf.ControlData) wal.Timeline {
	return max(data.MinRecovery.Timeline, data.Checkpoint.Timeline)
}

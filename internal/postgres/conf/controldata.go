package conf

import (
	"fmt"
	"strconv"
	"strings"

	"matriarch/internal/wal"
)

// State is what pg_control says about the cluster (pg_controldata.c, dbState).
type State string

// The states as pg_controldata prints them under LC_MESSAGES=C.
const (
	StateStartingUp         State = "starting up"
	StateShutDown           State = "shut down"
	StateShutDownInRecovery State = "shut down in recovery"
	StateShuttingDown       State = "shutting down"
	StateInCrashRecovery    State = "in crash recovery"
	StateInArchiveRecovery  State = "in archive recovery"
	StateInProduction       State = "in production"
)

// ControlData is what pg_control holds: all that is known of a server that is
// down.
type ControlData struct {
	ControlVersion   int
	SystemIdentifier string
	State            State
	Checkpoint       wal.Point // start of the latest checkpoint record
	PrevTimeline     wal.Timeline
	Redo             wal.LSN
	MinRecovery      wal.Point // zero unless in, or shut down in, recovery
	ChecksumVersion  int
	WALLogHints      bool
	WALLevel         string
	Settings         map[string]int64 // GUC name to value, those a standby must not go below
}

// controlSettings maps the lines of pg_controldata to the settings that must not
// shrink on a standby (xlogrecovery.c, CheckRequiredParameterValues).
var controlSettings = map[string]string{
	"max_connections setting":      "max_connections",
	"max_worker_processes setting": "max_worker_processes",
	"max_wal_senders setting":      "max_wal_senders",
	"max_prepared_xacts setting":   "max_prepared_transactions",
	"max_locks_per_xact setting":   "max_locks_per_transaction",
}

// ParseControlData reads the report of pg_controldata in the C locale.
func ParseControlData(text string) (ControlData, error) {
	p := controlParser{fields: map[string]string{}}
	for line := range strings.Lines(text) {
		if key, value, found := strings.Cut(line, ":"); found {
			p.fields[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	data := ControlData{
		ControlVersion:   int(p.number("pg_control version number", 10)),
		SystemIdentifier: p.fields["Database system identifier"],
		State:            State(p.fields["Database cluster state"]),
		Checkpoint: wal.Point{
			Timeline: wal.Timeline(p.number("Latest checkpoint's TimeLineID", 10)),
			LSN:      p.lsn("Latest checkpoint location"),
		},
		PrevTimeline: wal.Timeline(p.number("Latest checkpoint's PrevTimeLineID", 10)),
		Redo:         p.lsn("Latest checkpoint's REDO location"),
		MinRecovery: wal.Point{
			Timeline: wal.Timeline(p.number("Min recovery ending loc's timeline", 10)),
			LSN:      p.lsn("Minimum recovery ending location"),
		},
		ChecksumVersion: int(p.number("Data page checksum version", 10)),
		WALLogHints:     p.fields["wal_log_hints setting"] == "on",
		WALLevel:        p.fields["wal_level setting"],
		Settings:        map[string]int64{},
	}
	for line, name := range controlSettings {
		data.Settings[name] = p.number(line, 10)
	}
	if _, err := strconv.ParseUint(data.SystemIdentifier, 10, 64); err != nil && p.err == nil {
		p.err = fmt.Errorf("no system identifier")
	}
	if p.err != nil {
		return ControlData{}, fmt.Errorf("parse control data: %w", p.err)
	}
	return data, nil
}

// controlParser keeps the first fault.
type controlParser struct {
	fields map[string]string
	err    error
}

func (p *controlParser) number(key string, radix int) int64 {
	value, err := strconv.ParseInt(p.fields[key], radix, 64)
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("%s: %w", key, err)
	}
	return value
}

func (p *controlParser) lsn(key string) wal.LSN {
	value, err := wal.ParseLSN(p.fields[key])
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("%s: %w", key, err)
	}
	return value
}

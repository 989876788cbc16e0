package cluster

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net"
	"net/url"
	"strconv"
	"strings"

	"matriarch/internal/wal"
)

// State is what a member's PostgreSQL is doing. The texts are Patroni's and are
// read by every tool around it.
type State string

// The states of compat/dcs.md §6.
const (
	StateInitializing   State = "initializing new cluster"
	StateInitdbFailed   State = "initdb failed"
	StateCustomRunning  State = "running custom bootstrap script"
	StateCustomFailed   State = "custom bootstrap failed"
	StateCreatingCopy   State = "creating replica"
	StateRunning        State = "running"
	StateStarting       State = "starting"
	StateCustomStarting State = "starting after custom bootstrap"
	StateStartFailed    State = "start failed"
	StateRestarting     State = "restarting"
	StateRestartFailed  State = "restart failed"
	StateStopping       State = "stopping"
	StateStopped        State = "stopped"
	StateStopFailed     State = "stop failed"
	StateCrashed        State = "crashed"
	StateUnknown        State = "unknown"
)

// Role is a member's role as published. On the wire a standby is a replica.
type Role string

// The roles of compat/dcs.md §6.
const (
	RolePrimary       Role = "primary"
	RoleStandbyLeader Role = "standby_leader"
	RoleReplica       Role = "replica"
	RoleDemoted       Role = "demoted"
	RolePromoted      Role = "promoted"
	RoleUninitialized Role = "uninitialized"
)

// Streaming and InArchiveRecovery are the values of Member.ReplicationState.
const (
	Streaming         = "streaming"
	InArchiveRecovery = "in archive recovery"
)

// Member is one node as it describes itself in the store.
type Member struct {
	Name             string
	ConnURL          string
	APIURL           string
	State            State
	Role             Role
	Version          string
	Tags             Tags
	PendingRestart   bool
	PendingReason    map[string]Change
	Location         wal.LSN // xlog_location; 0: not published
	ReceiveLSN       wal.LSN
	ReplayLSN        wal.LSN
	ReplicationState string
	Timeline         wal.Timeline
	Pause            bool
	ScheduledRestart json.RawMessage
	ProxyURL         string

	// Progress tells of a base backup or a rewind how far it has come, for people:
	// "base backup 42%". It is
	// Matriarch's own field; Patroni's readers pass over it.
	Progress string

	// Permit tells that the member keeps the rules of package permit. A member
	// without it is Patroni's, and takes the leader key as soon as its lease is over.
	Permit bool

	// Guard is how well the member's server is kept from writing without the right to:
	// freezer, signals, adopted or off. Empty: it does not run, or the member is
	// Patroni's. Matriarch's own field.
	Guard string

	// CheckpointPending is set while a promoted member has not yet written the
	// checkpoint that puts its new timeline into its control file: until then
	// nobody may rewind from it (B-301).
	CheckpointPending bool

	Lease    int64
	Modified int64
}

// Change is a parameter's value in force and the one that a restart would bring.
type Change struct {
	Old string `json:"old_value"`
	New string `json:"new_value"`
}

// memberJSON fixes the names and the order of the published fields. Optional ones
// are absent when empty, never false or null: readers test for presence.
type memberJSON struct {
	ConnURL           string            `json:"conn_url"`
	APIURL            string            `json:"api_url"`
	State             State             `json:"state"`
	Role              Role              `json:"role"`
	Version           string            `json:"version"`
	ProxyURL          string            `json:"proxy_url,omitempty"`
	CheckpointPending *bool             `json:"checkpoint_after_promote,omitempty"`
	Tags              Tags              `json:"tags,omitempty"`
	PendingRestart    bool              `json:"pending_restart,omitempty"`
	PendingReason     map[string]Change `json:"pending_restart_reason,omitempty"`
	Location          uint64            `json:"xlog_location,omitempty"`
	ReplayLSN         uint64            `json:"replay_lsn,omitempty"`
	ReceiveLSN        uint64            `json:"receive_lsn,omitempty"`
	ReplicationState  string            `json:"replication_state,omitempty"`
	Timeline          uint32            `json:"timeline,omitempty"`
	ScheduledRestart  json.RawMessage   `json:"scheduled_restart,omitempty"`
	Pause             bool              `json:"pause,omitempty"`
	Progress          string            `json:"progress,omitempty"`
	Permit            bool              `json:"permit,omitempty"`
	Guard             string            `json:"guard,omitempty"`
}

// Encode is the value of the member's key.
func (m Member) Encode() []byte {
	out := memberJSON{
		ConnURL: m.ConnURL, APIURL: m.APIURL, State: m.State, Role: m.Role, Version: m.Version,
		ProxyURL: m.ProxyURL, Tags: m.Tags, PendingRestart: m.PendingRestart, PendingReason: m.PendingReason,
		Location: uint64(m.Location), ReplayLSN: uint64(m.ReplayLSN), ReceiveLSN: uint64(m.ReceiveLSN),
		ReplicationState: m.ReplicationState, Timeline: uint32(m.Timeline), Pause: m.Pause,
		ScheduledRestart: m.ScheduledRestart, Progress: m.Progress, Permit: m.Permit, Guard: m.Guard,
	}
	if m.CheckpointPending {
		out.CheckpointPending = new(bool) // false: not done yet
	}
	return EncodeJSON(out)
}

// Equal reports whether two members would be written alike. It is asked in every pass,
// so the fields answer where they can, without the text that would be written.
func (m Member) Equal(o Member) bool {
	switch {
	case !m.sameNumbers(o):
		return false
	case m.sameTexts(o) && bytes.Equal(m.ScheduledRestart, o.ScheduledRestart) && maps.Equal(m.PendingReason, o.PendingReason) && m.Tags.same(o.Tags):
		return true
	}
	return string(m.Encode()) == string(o.Encode()) // a tag can be 1 here and "1.0" there, for example
}

// sameNumbers: two different ones are never written alike.
func (m Member) sameNumbers(o Member) bool {
	return m.Location == o.Location && m.ReceiveLSN == o.ReceiveLSN && m.ReplayLSN == o.ReplayLSN && m.Timeline == o.Timeline &&
		m.Pause == o.Pause && m.PendingRestart == o.PendingRestart && m.Permit == o.Permit && m.CheckpointPending == o.CheckpointPending
}

func (m Member) sameTexts(o Member) bool {
	return m.State == o.State && m.Role == o.Role && m.ReplicationState == o.ReplicationState && m.Guard == o.Guard && m.Progress == o.Progress &&
		m.ConnURL == o.ConnURL && m.APIURL == o.APIURL && m.ProxyURL == o.ProxyURL && m.Version == o.Version
}

// parseMember reads a member key. Not legible is one that no member has written.
func parseMember(name string, e Entry, faults *[]string) (m Member, legible bool) {
	m = Member{Name: name, Lease: e.Lease, Modified: e.Modified}
	fields, err := object(e.Data)
	if err != nil {
		if text := string(e.Data); strings.HasPrefix(text, "postgres") {
			m.ConnURL, m.APIURL = oldMember(text)
			return m, true
		}
		*faults = append(*faults, fmt.Sprintf("members/%s is not a JSON object", name))
		return m, false
	}
	m.ConnURL, m.APIURL = fields.text("conn_url"), fields.text("api_url")
	m.State, m.Role = State(fields.text("state")), Role(fields.text("role"))
	if m.Role == "master" { // before Patroni 4.0
		m.Role = RolePrimary
	}
	m.Version, m.ProxyURL = fields.text("version"), fields.text("proxy_url")
	m.ReplicationState, m.Progress = fields.text("replication_state"), fields.text("progress")
	m.Guard = fields.text("guard")
	m.Location, m.ReplayLSN, m.ReceiveLSN = fields.lsn("xlog_location"), fields.lsn("replay_lsn"), fields.lsn("receive_lsn")
	if n := fields.number("timeline"); n > 0 && n <= math.MaxUint32 {
		m.Timeline = wal.Timeline(n)
	}
	m.Pause, m.PendingRestart, m.Permit = fields.truth("pause"), fields.truth("pending_restart"), fields.truth("permit")
	if raw, ok := fields["checkpoint_after_promote"]; ok {
		m.CheckpointPending = string(raw) == "false"
	}
	if raw, ok := fields["tags"]; ok {
		_ = decode(raw, &m.Tags) // wrong type: no tags
	}
	if raw, ok := fields["pending_restart_reason"]; ok {
		_ = json.Unmarshal(raw, &m.PendingReason)
	}
	if raw := fields["scheduled_restart"]; string(raw) != "null" {
		m.ScheduledRestart = raw
	}
	if m.State == "" && m.ConnURL == "" {
		*faults = append(*faults, fmt.Sprintf("members/%s says nothing of a member", name))
		return m, false
	}
	return m, true
}

// oldMember splits the plain URL that very old members wrote: the API's address
// is hidden in a parameter (compat/dcs.md §18).
func oldMember(text string) (conn, api string) {
	conn, query, _ := strings.Cut(text, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return conn, ""
	}
	return conn, values.Get("application_name")
}

// Address is the host and port of the member's PostgreSQL; ok is false when it
// published none that can be read. Of several hosts the first counts.
func (m Member) Address() (host string, port int, ok bool) {
	rest, found := strings.CutPrefix(m.ConnURL, "postgres://")
	if !found {
		rest, found = strings.CutPrefix(m.ConnURL, "postgresql://")
	}
	if !found {
		return "", 0, false
	}
	rest, _, _ = strings.Cut(rest, "/")
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		rest = rest[at+1:]
	}
	rest, _, _ = strings.Cut(rest, ",")
	host, portText, err := net.SplitHostPort(rest)
	if err != nil {
		return strings.Trim(rest, "[]"), 5432, rest != ""
	}
	port, err = strconv.Atoi(portText)
	return host, port, err == nil && host != ""
}

// Database is the database named in the member's conn_url, or "".
func (m Member) Database() string {
	if name, ok := plainPath(m.ConnURL); ok {
		return name
	}
	u, err := url.Parse(m.ConnURL)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(u.Path, "/")
}

// plainPath is the path of a URL like postgres://n1.example:5432/app, as members write
// it: it is asked for in every pass of a standby. ok is false for all others.
func plainPath(address string) (path string, ok bool) {
	rest, found := strings.CutPrefix(address, "postgres://")
	if !found {
		return "", false
	}
	host, path, _ := strings.Cut(rest, "/")
	host, port, _ := strings.Cut(host, ":")
	return path, plain(host, ".-") && strings.Trim(port, "0123456789") == "" && plain(path, "_-")
}

// plain reports that a text has letters, digits and the given characters only.
func plain(text, more string) bool {
	for i := range len(text) {
		c := text[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(more, c) < 0 {
			return false
		}
	}
	return true
}

// Position is how far the member's log goes: for a standby the larger of what it
// received and what it replayed.
func (m Member) Position() wal.LSN { return max(m.Location, m.ReceiveLSN, m.ReplayLSN) }

// SlotName is the name of the replication slot that serves the named member:
// lower case, - and . become _, any other character that a slot name cannot hold
// becomes u and its code point, and the whole is cut to 63 bytes (NAMEDATALEN - 1,
// pg_config_manual.h). Two members can collide; the caller has to notice.
func SlotName(member string) string {
	if validSlotName(member) {
		return member
	}
	var b strings.Builder
	for _, r := range strings.ToLower(member) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			b.WriteRune(r)
		case r == '-', r == '.':
			b.WriteByte('_')
		default:
			fmt.Fprintf(&b, "u%04d", r)
		}
	}
	name := b.String()
	return name[:min(len(name), 63)]
}

// Version3 reads X.Y.Z; ok is false when it is anything else.
func Version3(s string) (v [3]int, ok bool) {
	x, rest, _ := strings.Cut(s, ".")
	y, z, _ := strings.Cut(rest, ".")
	var errs [3]error
	for i, p := range [...]string{x, y, z} { // a fourth number stands in z, and is none
		v[i], errs[i] = strconv.Atoi(p)
	}
	return v, cmp.Or(errs[0], errs[1], errs[2]) == nil
}

package cluster

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"matriarch/internal/wal"
)

// Status is what the leader last wrote of itself.
type Status struct {
	Known  bool
	Optime wal.LSN // the leader's position
	Slots  map[string]wal.LSN
	Retain []string // slots of absent members that are still kept
}

// Encode is the value of the status key.
func (s Status) Encode() []byte {
	out := struct {
		Optime uint64            `json:"optime"`
		Slots  map[string]uint64 `json:"slots,omitempty"`
		Retain []string          `json:"retain_slots,omitempty"`
	}{Optime: uint64(s.Optime), Retain: slices.Sorted(slices.Values(s.Retain))}
	if len(s.Slots) > 0 {
		out.Slots = make(map[string]uint64, len(s.Slots))
		for name, lsn := range s.Slots {
			out.Slots[name] = uint64(lsn)
		}
	}
	return EncodeJSON(out)
}

// Equal reports whether two states would be written alike. It is asked in every pass of
// a leader, and its position has mostly moved.
func (s Status) Equal(t Status) bool {
	switch {
	case s.Optime != t.Optime:
		return false
	case maps.Equal(s.Slots, t.Slots) && slices.Equal(s.Retain, t.Retain):
		return true
	}
	return string(s.Encode()) == string(t.Encode())
}

func parseStatus(e, old Entry, faults *[]string) Status {
	if len(e.Data) == 0 {
		n, err := strconv.ParseUint(strings.TrimSpace(string(old.Data)), 10, 63)
		return Status{Known: err == nil, Optime: wal.LSN(n)}
	}
	if n, err := strconv.ParseUint(strings.TrimSpace(string(e.Data)), 10, 63); err == nil {
		return Status{Known: true, Optime: wal.LSN(n)} // 2.x wrote the bare position
	}
	f, err := object(e.Data)
	if err != nil {
		*faults = append(*faults, "status is not a JSON object")
		return Status{}
	}
	s := Status{Known: true, Optime: f.lsn("optime")}
	if slots, err := object(unwrapped(f["slots"])); err == nil && len(slots) > 0 {
		s.Slots = make(map[string]wal.LSN, len(slots))
		for name := range slots {
			s.Slots[name] = slots.lsn(name) // null or garbage: a slot that never kept a position
		}
	}
	if json.Unmarshal(unwrapped(f["retain_slots"]), &s.Retain) != nil {
		s.Retain = nil
	}
	return s
}

// unwrapped undoes the quoting of a value that holds JSON as text, which some
// versions wrote.
func unwrapped(raw json.RawMessage) json.RawMessage {
	var text string
	if len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &text) == nil {
		return json.RawMessage(text)
	}
	return raw
}

// History is the history key: every timeline of the cluster that has ended.
type History struct {
	Known bool
	Lines []HistoryLine
}

// HistoryLine is one ended timeline. When and NewLeader are empty for a promotion
// that nobody recorded.
type HistoryLine struct {
	Timeline  wal.Timeline
	LSN       wal.LSN
	Reason    string
	When      string // ISO 8601 with offset
	NewLeader string
}

// Encode is the value of the history key.
func (h History) Encode() []byte {
	lines := make([][]any, 0, len(h.Lines))
	for _, l := range h.Lines {
		line := []any{uint32(l.Timeline), uint64(l.LSN), l.Reason}
		if l.When != "" {
			line = append(line, l.When)
			if l.NewLeader != "" {
				line = append(line, l.NewLeader)
			}
		}
		lines = append(lines, line)
	}
	return EncodeJSON(lines)
}

func parseHistory(e Entry, faults *[]string) History {
	if len(e.Data) == 0 {
		return History{}
	}
	var lines [][]any
	if decode(e.Data, &lines) != nil || lines == nil {
		*faults = append(*faults, "history is not a JSON array of arrays")
		return History{}
	}
	h := History{Known: true}
	for _, fields := range lines {
		var l HistoryLine
		for i, v := range fields {
			n, _ := integer(v)
			text, _ := v.(string)
			switch i {
			case 0:
				if n > 0 && n <= math.MaxUint32 {
					l.Timeline = wal.Timeline(n)
				}
			case 1:
				l.LSN = wal.LSN(max(0, n))
			case 2:
				l.Reason = text
			case 3:
				l.When = text
			case 4:
				l.NewLeader = text
			}
		}
		h.Lines = append(h.Lines, l)
	}
	return h
}

// Failover is the failover key: a switchover, a failover or nothing that a person
// asked for.
type Failover struct {
	Leader    string
	Candidate string // in the store it is called member
	At        string // ISO 8601 as it was given; empty: now
	Modified  int64  // 0: the key is absent
}

// Requested reports whether the key asks for anything.
func (f Failover) Requested() bool { return f.Leader != "" || f.Candidate != "" }

// Switchover reports that both sides are expected to be alive; otherwise it is a
// manual failover, to which looser rules apply.
func (f Failover) Switchover() bool { return f.Leader != "" }

// FulfilledBy reports that what was asked for is so when that member leads: it was
// asked for by name, or anybody but another one was.
func (f Failover) FulfilledBy(member string) bool {
	switch {
	case !f.Requested() || f.Leader == member:
		return false
	case f.Candidate == "":
		return true
	}
	return f.Candidate == member
}

// Scheduled is the time that was asked for. ok is false when the request is for
// now, err is set when the time cannot be used.
func (f Failover) Scheduled() (at time.Time, ok bool, err error) {
	if f.At == "" {
		return time.Time{}, false, nil
	}
	at, err = ParseTime(f.At)
	return at, err == nil, err
}

// Encode is the value of the failover key. Nothing requested is {}: the key is
// cleared by writing, never deleted.
func (f Failover) Encode() []byte {
	return EncodeJSON(struct {
		Leader string `json:"leader,omitempty"`
		Member string `json:"member,omitempty"`
		At     string `json:"scheduled_at,omitempty"`
	}{f.Leader, f.Candidate, f.At})
}

func parseFailover(e Entry) Failover {
	out := Failover{Modified: e.Modified}
	if len(e.Data) == 0 {
		return out
	}
	f, err := object(e.Data)
	if err != nil {
		var any any
		if json.Unmarshal(e.Data, &any) != nil { // leader:member, the oldest form
			out.Leader, out.Candidate, _ = strings.Cut(string(e.Data), ":")
		}
		return out
	}
	out.Leader, out.Candidate, out.At = f.text("leader"), f.text("member"), f.text("scheduled_at")
	return out
}

// Sync is the sync key: who may be promoted in synchronous mode.
type Sync struct {
	Leader   string // empty: synchronous mode is not active
	Standbys []string
	Quorum   int
	Modified int64

	// Illegible: there is a key, and nobody can tell who is named in it.
	Illegible bool
}

// Includes reports whether the name is the key's leader or one of its standbys.
// PostgreSQL compares application names without regard to case, so does this.
func (s Sync) Includes(name string) bool {
	if strings.EqualFold(s.Leader, name) {
		return true
	}
	return slices.ContainsFunc(s.Standbys, func(n string) bool { return strings.EqualFold(n, name) })
}

// Encode is the value of the sync key (compat/dcs.md §12).
func (s Sync) Encode() []byte {
	out := struct {
		Leader   string  `json:"leader"`
		Quorum   int     `json:"quorum"`
		Standbys *string `json:"sync_standby"`
	}{Leader: s.Leader, Quorum: s.Quorum}
	if len(s.Standbys) > 0 {
		list := strings.Join(slices.Sorted(slices.Values(s.Standbys)), ",")
		out.Standbys = &list
	}
	return EncodeJSON(out)
}

func parseSync(e Entry, faults *[]string) Sync {
	s := Sync{Modified: e.Modified}
	if len(e.Data) == 0 {
		return s
	}
	f, err := object(e.Data)
	if err != nil {
		*faults = append(*faults, "sync is not a JSON object: in synchronous mode nobody takes over until the leader has put it again")
		s.Illegible = true
		return s
	}
	s.Leader, s.Quorum = f.text("leader"), int(f.number("quorum"))
	for name := range strings.SplitSeq(f.text("sync_standby"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			s.Standbys = append(s.Standbys, name)
		}
	}
	return s
}

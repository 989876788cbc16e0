package permit

import "time"

// Position is how far a server has got. LSNs order positions on one timeline
// only.
type Position struct {
	Timeline uint32 `json:"timeline"`
	LSN      uint64 `json:"lsn"` // bytes
}

// Heartbeat is the leader's request for a promise: not to take over before
// permit + margin have passed. The same goes to every member.
type Heartbeat struct {
	Leader     string        `json:"leader"`
	Term       int64         `json:"term"`       // revision of the leader key's last put (P7)
	Sequence   int64         `json:"sequence"`   // the leader's mark; it keeps the instant of the send to itself
	Permit     time.Duration `json:"permit"`     // nanoseconds (P9)
	Electorate int64         `json:"electorate"` // newest revision of the electorate key that the leader knows
	Position   Position      `json:"position"`
}

// Ack answers a heartbeat. Not Accepted is a refusal, and no promise.
type Ack struct {
	Member   string   `json:"member"`
	Of       int64    `json:"of"`       // the heartbeat's term
	Sequence int64    `json:"sequence"` // the heartbeat's
	Accepted bool     `json:"accepted"`
	Term     int64    `json:"term"`   // the newest that the member knows
	Leader   string   `json:"leader"` // whose it is; empty: not known
	Position Position `json:"position"`
	Mixed    bool     `json:"mixed,omitempty"` // the member sees one of Patroni's in the scope
}

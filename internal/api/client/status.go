package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// Status is what a member says of itself.
type Status struct {
	Role     cluster.Role
	State    cluster.State
	Timeline wal.Timeline // 0: not known

	// HasPositions is false when the member has no connection to its server: then
	// it counts as unreachable in a race, whatever else it says.
	HasPositions bool
	Location     wal.LSN // primary: flushed
	Received     wal.LSN // standby
	Replayed     wal.LSN // standby

	ReplicationState string // of a standby: streaming, in archive recovery or empty

	Tags           cluster.Tags
	WatchdogFailed bool
	Pause          bool
	Unlocked       bool
	SystemID       string
	Scope          string
	Name           string
	Version        string // of the agent
	ServerVersion  int    // server_version_num, 0: not known
	DCSLastSeen    time.Time
}

// Primary reports that the member's server takes writes, or that the member
// believes so. Either is reason enough to stand back.
func (s Status) Primary() bool { return s.Location != 0 || s.Role == cluster.RolePrimary }

// Position is how far the member's log goes.
func (s Status) Position() wal.LSN { return max(s.Location, s.Received, s.Replayed) }

// statusJSON reads Patroni's document of any version from 2.1 on.
type statusJSON struct {
	State          cluster.State `json:"state"`
	Role           cluster.Role  `json:"role"`
	Timeline       *uint32       `json:"timeline"`
	Replication    string        `json:"replication_state"`
	Xlog           *xlogJSON     `json:"xlog"`
	Wal            *xlogJSON     `json:"wal"` // the newer name, which some send
	Tags           cluster.Tags  `json:"tags"`
	WatchdogFailed bool          `json:"watchdog_failed"`
	Pause          bool          `json:"pause"`
	Unlocked       bool          `json:"cluster_unlocked"`
	SystemID       string        `json:"database_system_identifier"`
	ServerVersion  int           `json:"server_version"`
	DCSLastSeen    int64         `json:"dcs_last_seen"`
	Patroni        struct {
		Version string `json:"version"`
		Scope   string `json:"scope"`
		Name    string `json:"name"`
	} `json:"patroni"`
}

type xlogJSON struct {
	Location *uint64 `json:"location"`
	Received *uint64 `json:"received_location"`
	Replayed *uint64 `json:"replayed_location"`
}

// Status asks the member for its status document. It gives up after two seconds,
// as Patroni does in a race.
func (c *Client) Status(ctx context.Context, apiURL string) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	a, err := c.Do(ctx, http.MethodGet, apiURL, "patroni", nil)
	if err != nil {
		return Status{}, err
	}
	var in statusJSON
	if err := json.Unmarshal([]byte(a.Text), &in); err != nil {
		return Status{}, fmt.Errorf("read the status that %s sent with code %d: %w", apiURL, a.Code, err)
	}
	s := Status{
		Role: in.Role, State: in.State, Tags: in.Tags, WatchdogFailed: in.WatchdogFailed, Pause: in.Pause, Unlocked: in.Unlocked,
		ReplicationState: in.Replication, SystemID: in.SystemID, Scope: in.Patroni.Scope, Name: in.Patroni.Name, Version: in.Patroni.Version, ServerVersion: in.ServerVersion,
	}
	if in.DCSLastSeen > 0 {
		s.DCSLastSeen = time.Unix(in.DCSLastSeen, 0)
	}
	if s.Role == "master" { // before Patroni 4.0
		s.Role = cluster.RolePrimary
	}
	if in.Timeline != nil {
		s.Timeline = wal.Timeline(*in.Timeline)
	}
	if in.Xlog == nil {
		in.Xlog = in.Wal
	}
	if x := in.Xlog; x != nil {
		s.HasPositions = true
		s.Location, s.Received, s.Replayed = lsn(x.Location), lsn(x.Received), lsn(x.Replayed)
	}
	return s, nil
}

func lsn(n *uint64) wal.LSN {
	if n == nil {
		return 0
	}
	return wal.LSN(*n)
}

// Eligible reports whether the member answers with positions and nothing that it
// says of itself forbids its promotion. How far behind it is does not count here.
func (c *Client) Eligible(ctx context.Context, apiURL string) bool {
	s, err := c.Status(ctx, apiURL)
	return err == nil && s.HasPositions && !s.Tags.Nofailover() && !s.WatchdogFailed
}

package api

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// check is one health check: everything that its answer can depend on. The
// server is asked only where the answer needs it.
type check struct {
	path  string
	query url.Values
	now   time.Time
	node  Picture
	doc   func() status
}

// locked is "L" of compat/rest-api.md §5: this node holds the leader lock, by its
// own clock and whatever PostgreSQL does.
func (c check) locked() bool { return c.node.LeaderUntil.After(c.now) }

// adrift reports that the cluster is paused and cannot be seen. Only then does
// PostgreSQL's own role decide who is primary.
func (c check) adrift() bool { return c.node.View == nil && c.node.Settings.Pause }

func (c check) leader() bool {
	if c.adrift() {
		role := c.doc().Role
		return role == cluster.RolePrimary || role == cluster.RoleStandbyLeader
	}
	return c.locked()
}

func (c check) primary() bool {
	if c.adrift() {
		return c.doc().Role == cluster.RolePrimary
	}
	return c.locked() && !c.node.Settings.StandbyCluster
}

func (c check) standbyLeader() bool {
	if c.adrift() {
		return c.doc().Role == cluster.RoleStandbyLeader
	}
	if !c.locked() || !c.node.Settings.StandbyCluster {
		return false
	}
	role := c.doc().Role
	return role == cluster.RoleReplica || role == cluster.RoleStandbyLeader
}

func (c check) replica() bool {
	if !c.adrift() && c.locked() && c.node.Settings.StandbyCluster {
		return false
	}
	d := c.doc()
	return d.Role == cluster.RoleReplica && d.State == cluster.StateRunning &&
		!c.node.Tags.Noloadbalance() && !c.lagging(d)
}

// lagging reports that the standby is further behind than the request allows.
// It is strict: a standby exactly at the limit is well. A limit that cannot be
// read is no limit.
func (c check) lagging(d status) bool {
	limit, ok := parseBytes(param(c.query, "lag"))
	if !ok {
		return false
	}
	end := max(c.optime(), d.postgres.LatestEnd)
	return end != 0 && int64(end) > int64(d.postgres.Replayed)+limit
}

func (c check) optime() wal.LSN {
	if c.node.View == nil {
		return 0
	}
	return c.node.View.Status.Optime
}

// ok applies the table of compat/rest-api.md §5: the first line that matches
// answers. Contains means a substring anywhere in the path, as Patroni has it:
// old load balancer files depend on it.
func (c check) ok() bool {
	contains := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(c.path, w) {
				return true
			}
		}
		return false
	}
	switch {
	case contains("standby_leader", "standby-leader"):
		return c.standbyLeader()
	case contains("leader"):
		return c.leader()
	case c.path == "/", contains("master", "primary", "read-write"):
		return c.primary()
	case contains("replica"):
		return c.tagged() && c.replica()
	case contains("read-only") && !contains("sync", "quorum"):
		return c.tagged() && (c.primary() || c.standbyLeader() || c.replica())
	case contains("health"):
		return c.tagged() && c.doc().State == cluster.StateRunning
	}
	return c.node.View != nil && c.tagged() && c.synchronous()
}

// synchronous answers the paths that need to know who is synchronous.
func (c check) synchronous() bool {
	switch c.path {
	case "/sync", "/synchronous":
		return c.doc().SyncStandby && c.replica()
	case "/quorum":
		return c.doc().QuorumStandby && c.replica()
	case "/async", "/asynchronous":
		return !c.doc().SyncStandby && !c.doc().QuorumStandby && c.replica()
	case "/read-only-quorum":
		return c.primary() || c.standbyLeader() || c.doc().QuorumStandby && c.replica()
	case "/read-only-sync", "/read-only-synchronous":
		return c.primary() || c.standbyLeader() || c.doc().SyncStandby && c.replica()
	}
	return false
}

// tagged reports whether every tag that the request names has the value that it
// names. Texts count exactly, everything else as lower-case text.
func (c check) tagged() bool {
	for name := range c.query {
		tag, found := strings.CutPrefix(name, "tag_")
		want := param(c.query, name)
		if !found || want == "" {
			continue
		}
		have, ok := c.node.Tags[tag]
		if !ok {
			return false
		}
		text, isText := have.(string)
		if !isText {
			text = strings.ToLower(fmt.Sprint(have))
		}
		if text != want {
			return false
		}
	}
	return true
}

// live reports whether the agent's loop still turns. A running primary gets less
// patience: it is the one that does harm when nobody watches it.
func (c check) live() bool {
	patience := 2 * c.node.Settings.TTL
	if c.node.Role == cluster.RolePrimary && c.node.State == cluster.StateRunning {
		patience = c.node.Settings.TTL
	}
	return c.node.Settings.Pause || c.node.NextPass.Add(patience).After(c.now)
}

// ready is the readiness of compat/rest-api.md §6: a standby counts once it
// streams and has caught up.
func (c check) ready() bool {
	if c.locked() {
		return true
	}
	d := c.doc()
	if d.State != cluster.StateRunning || d.ReplicationState != cluster.Streaming {
		return false
	}
	end := max(c.optime(), d.postgres.LatestEnd)
	if c.node.View == nil && d.postgres.LatestEnd == 0 {
		return c.node.FailsafeActive
	}
	limit, ok := parseBytes(param(c.query, "lag"))
	if !ok {
		limit = c.node.Settings.MaximumLagOnFailover
	}
	at := d.postgres.Replayed
	if received := d.postgres.Received; received != 0 && param(c.query, "mode") == "write" {
		at = received
	}
	return int64(end)-int64(at) <= limit
}

// param is the first value of a parameter that is not empty.
func param(q url.Values, name string) string {
	for _, v := range q[name] {
		if v != "" {
			return v
		}
	}
	return ""
}

// Package cluster runs three nodes of Matriarch or of Patroni with an etcd of
// three, and sees them from outside: by SQL, by the REST interface that both have,
// and by etcd's metrics.
package cluster

import (
	"fmt"
	"strings"
)

// Setup is one system with one configuration.
type Setup struct {
	System string // matriarch or patroni
	Name   string
	// Seconds of the dynamic configuration.
	TTL, LoopWait, RetryTimeout int
	Permit                      string   // seconds, of Matriarch; empty: its default
	Embedded                    bool     // the agents are the etcd as well
	Cases                       []string // that it is for; empty: all
}

// The systems.
const (
	Matriarch = "matriarch"
	Patroni   = "patroni"
)

// Setups are what is measured: the guide's configuration, and what else each
// system can be set to.
func Setups() []Setup {
	loss := []string{"node-loss", "partition"}
	return []Setup{
		{System: Patroni, Name: "guide", TTL: 30, LoopWait: 10, RetryTimeout: 10},
		// Patroni takes no ttl below 20, and no loop_wait and retry_timeout below 1 and 3.
		{System: Patroni, Name: "fastest", TTL: 20, LoopWait: 1, RetryTimeout: 3},
		{System: Matriarch, Name: "guide", TTL: 30, LoopWait: 10, RetryTimeout: 10},
		{System: Matriarch, Name: "permit 0.4", TTL: 30, LoopWait: 10, RetryTimeout: 10, Permit: "0.4", Cases: loss},
		{System: Matriarch, Name: "embedded etcd", TTL: 30, LoopWait: 10, RetryTimeout: 10, Embedded: true, Cases: loss},
	}
}

func (s Setup) String() string { return s.System + ", " + s.Name }

// Password of the guide's roles.
const password = "Finpros2023,"

// guide is the guide's file (examples/guide), with words for what differs from
// node to node and from setup to setup.
const guide = `scope: mycluster
name: NAME
restapi:
  listen: HOST:8008
  connect_address: HOST:8008
STORE
bootstrap:
  dcs:
    ttl: TTL
    loop_wait: LOOP
    retry_timeout: RETRY
PERMIT    maximum_lag_on_failover: 1048576
    postgresql:
      use_pg_rewind: true
      parameters:
        wal_level: replica
        hot_standby: "on"
        wal_log_hints: "on"
  initdb:
    - encoding: UTF8
    - data-checksums
  pg_hba:
    - host replication replicator SUBNET md5
    - host all all 0.0.0.0/0 md5
postgresql:
  listen: HOST:5432
  connect_address: HOST:5432
  data_dir: DATA
  bin_dir: BIN
  authentication:
    replication: {username: replicator, password: "PASSWORD"}
    superuser: {username: postgres, password: "PASSWORD"}
  parameters:
    archive_mode: "on"
    archive_command: "cp %p ARCHIVE/%f"
`

// place is what differs from node to node.
type place struct {
	name, host, data, bin, archive, subnet string
	stores                                 []string // host:port of every etcd
	members                                []string // name and host of every member, in pairs
}

// file is a node's configuration.
func (s Setup) file(p place) string {
	store := "etcd3:\n  hosts: " + strings.Join(p.stores, ",") + "\n  protocol: http"
	if s.Embedded {
		store = "dcs: embedded\nembedded:\n  members:"
		for i := 0; i+1 < len(p.members); i += 2 {
			store += fmt.Sprintf("\n    - {name: %s, host: %s}", p.members[i], p.members[i+1])
		}
	}
	permit := ""
	if s.Permit != "" {
		permit = "    permit: " + s.Permit + "\n"
	}
	return strings.NewReplacer("NAME", p.name, "HOST", p.host, "STORE", store, "TTL", fmt.Sprint(s.TTL), "LOOP", fmt.Sprint(s.LoopWait),
		"RETRY", fmt.Sprint(s.RetryTimeout), "PERMIT", permit, "SUBNET", p.subnet, "DATA", p.data, "BIN", p.bin,
		"PASSWORD", password, "ARCHIVE", p.archive).Replace(guide)
}

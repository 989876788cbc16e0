package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"matriarch/test/e2e/lab"
)

// guideFile is the guide's configuration word for word, on the guide's network,
// but for the folders.
const guideFile = `scope: mycluster
name: NAME
restapi:
  listen: 0.0.0.0:8008
  connect_address: HOST:8008
etcd3:
  hosts: 192.168.110.31:2379
  protocol: http
bootstrap:
  dcs:
    ttl: 30
    loop_wait: 10
    retry_timeout: 10
    maximum_lag_on_failover: 1048576
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
    - host replication replicator 192.168.110.0/24 md5
    - host all all 0.0.0.0/0 md5
postgresql:
  listen: 0.0.0.0:5432
  connect_address: HOST:5432
  data_dir: DATA
  bin_dir: BIN
  authentication:
    replication: {username: replicator, password: "Finpros2023,"}
    superuser: {username: postgres, password: "PASSWORD"}
  parameters:
    archive_mode: "on"
    archive_command: "cp %p ARCHIVE/%f"
`

// TestCutNetwork gives each node a network of its own, so that the guide's file
// keeps its 0.0.0.0, and cuts the primary off.
func TestCutNetwork(t *testing.T) {
	sw := lab.NewSwitch(t, "192.168.110.1/24")
	hosts := []string{"192.168.110.31", "192.168.110.32", "192.168.110.164"}
	var nets []lab.Network
	for i, h := range hosts {
		nets = append(nets, sw.Plug(fmt.Sprintf("n%d", i+1), h+"/24"))
	}
	etcd := lab.StartEtcdIn(t, nets[0], hosts[0], sw.Net) // on node1, as in the guide
	c := lab.NewAt(t, hosts, etcd)
	c.Scope, c.Client = "mycluster", sw.Net
	for i, n := range c.Nodes {
		n.Net = nets[i]
		n.Text = strings.NewReplacer("NAME", n.Name, "HOST", n.Host, "DATA", n.Data, "BIN", lab.BinDir,
			"PASSWORD", strings.ReplaceAll(lab.SuperPassword, `\`, `\\`), "ARCHIVE", c.Archive).Replace(guideFile)
	}
	c.Start()
	leader := c.WaitWhole(lab.Patience)
	if leader == c.Nodes[0] { // its cable is etcd's as well
		move(t, leader, "switchover", leader.Name, "node2")
		leader = c.WaitWhole(lab.Patience)
	}
	checkHealth(t, c, leader)
	w := write(t, c)
	w.WaitPast(t, lab.Patience, time.Now().Add(time.Second))

	began := time.Now()
	port := fmt.Sprintf("n%s", strings.TrimPrefix(leader.Name, "node"))
	sw.Cut(port)
	var next *lab.Node
	lab.Eventually(t, 2*lab.Patience, "another node leads", func(ctx context.Context) (bool, string) {
		p, err := c.Picture(ctx)
		if err != nil {
			return false, err.Error()
		}
		if n := c.Node(p.Leader); n != nil && n != leader {
			next = n
			return true, ""
		}
		return false, p.String()
	})
	if role, err := leader.RoleSeenFrom(t.Context(), leader.Net); err == nil && role == "primary" {
		t.Errorf("%s leads while %s, cut off, is still primary", next.Name, leader.Name)
	}
	w.WaitServer(t, lab.Patience, began, next.Host)
	t.Logf("%s was cut off, %s leads; outage %v", leader.Name, next.Name, milliseconds(w.Outage(began)))
	sw.Heal(port)
	c.WaitWhole(lab.Patience)
	t.Log(verdict(t, c, w))
}

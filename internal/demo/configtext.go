package demo

import (
	"fmt"
	"strings"
)

// leaseSeconds is the least ttl that there is: nothing waits for it but the notice
// that a member is gone.
const leaseSeconds = 20

// configText is a node's patroni.yml. It differs between the nodes by name and
// ports only.
func (l *layout) configText(i int) string {
	name := l.name(i)
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("scope: %s", scope)
	line("name: %s", name)
	line("restapi:")
	line("  listen: %s:%d", host, l.ports.api(i))
	line("  connect_address: %s:%d", host, l.ports.api(i))
	line("dcs: embedded")
	line("embedded:")
	line("  data_dir: %s", quote(l.path(name, "etcd")))
	line("  members:")
	for j := range nodeCount {
		line("    - {name: %s, host: %s, client_port: %d, peer_port: %d}", l.name(j), host, l.ports.client(j), l.ports.peer(j))
	}
	b.WriteString(bootstrapText)
	line("postgresql:")
	line("  listen: %s:%d", host, l.ports.postgres(i))
	line("  connect_address: %s:%d", host, l.ports.postgres(i))
	line("  data_dir: %s", quote(l.path(name, "data")))
	line("  bin_dir: %s", quote(l.binaries.dir))
	line("  pgpass: %s", quote(l.path(name, "pgpass")))
	line("  authentication:")
	line("    superuser: {username: postgres, password: %s}", quote(l.password))
	line("    replication: {username: replicator, password: %s}", quote(l.repl))
	line("  pg_hba:")
	line("    - local all all scram-sha-256")
	line("    - host replication replicator 127.0.0.0/8 scram-sha-256")
	line("    - host all all 127.0.0.0/8 scram-sha-256")
	line("  parameters:")
	line("    unix_socket_directories: %s", quote(l.path(name, "run")))
	line("    password_encryption: scram-sha-256")
	line("    shared_buffers: 32MB")
	return b.String()
}

// bootstrapText keeps loop_wait + 2*retry_timeout <= ttl. The locale C is on every
// machine.
var bootstrapText = fmt.Sprintf(`bootstrap:
  dcs:
    ttl: %d
    loop_wait: 5
    retry_timeout: 5
    maximum_lag_on_failover: 1048576
    postgresql:
      use_pg_rewind: true
      parameters:
        wal_level: replica
        hot_standby: "on"
        wal_log_hints: "on"
        max_connections: 50
  initdb:
    - encoding: UTF8
    - locale: C
    - data-checksums
`, leaseSeconds)

// quote is a YAML text in single quotes, in which only the quote is special.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

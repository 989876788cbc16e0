package lab

import (
	"fmt"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// Settings is a configuration document as maps, to be changed before it is
// written.
type Settings map[string]any

// Set puts a value at a path such as "postgresql.parameters.fsync", making the
// maps on the way.
func (s Settings) Set(path string, value any) {
	at := map[string]any(s)
	keys := strings.Split(path, ".")
	for _, key := range keys[:len(keys)-1] {
		next, ok := at[key].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[key] = next
		}
		at = next
	}
	at[keys[len(keys)-1]] = value
}

// Passwords of the roles. They hold what has to be quoted in YAML, in SQL, in a
// password file and in a URL, and they are long enough to be found by search.
const (
	SuperPassword       = `Fin'pros:20\23,super-e2e`
	ReplicationPassword = `Fin'pros:20\23,repl-e2e`
	RewindPassword      = `Fin'pros:20\23,rewind-e2e`
)

// guide is the guide's configuration for a node on an address of its own, with
// sizes and durability for tests: we kill processes and not machines, so what
// the kernel has taken counts as written.
func guide(n *Node) Settings {
	own := n.Host
	s := Settings{
		"scope":   n.cluster.Scope,
		"name":    n.Name,
		"restapi": map[string]any{"listen": own + ":8008", "connect_address": own + ":8008"},
		"bootstrap": map[string]any{
			"dcs": map[string]any{
				"ttl": 20, "loop_wait": 5, "retry_timeout": 5, "maximum_lag_on_failover": 1048576,
				"postgresql": map[string]any{
					"use_pg_rewind": true,
					"parameters":    map[string]any{"wal_level": "replica", "hot_standby": "on", "wal_log_hints": "on"},
				},
			},
			"initdb": []any{map[string]any{"encoding": "UTF8"}, "data-checksums", "no-sync"},
			"pg_hba": []any{"host replication replicator 127.0.0.0/8 md5", "host all all 0.0.0.0/0 md5"},
		},
		"postgresql": map[string]any{
			"listen": own + ":5432", "connect_address": own + ":5432",
			"data_dir": n.Data, "bin_dir": BinDir, "pgpass": n.PgPass,
			"authentication": map[string]any{
				"superuser":   map[string]any{"username": "postgres", "password": SuperPassword},
				"replication": map[string]any{"username": "replicator", "password": ReplicationPassword},
				"rewind":      map[string]any{"username": "rewinder", "password": RewindPassword},
			},
			"parameters": map[string]any{
				"unix_socket_directories": n.Dir, "fsync": "off", "shared_buffers": "32MB",
				"archive_mode": "on", "archive_command": "cp %p " + n.cluster.Archive + "/%f",
				"log_line_prefix": "%m [%p] %q%u@%d/%a ",
			},
		},
	}
	if n.cluster.etcd != nil {
		s.Set("etcd3", map[string]any{"hosts": strings.Join(n.cluster.etcd.Endpoints, ","), "protocol": "http"})
		return s
	}
	var members []any
	for _, m := range n.cluster.Nodes {
		members = append(members, map[string]any{"name": m.Name, "host": m.Host})
	}
	s.Set("dcs", "embedded")
	s.Set("embedded", map[string]any{"members": members})
	return s
}

func encode(t testing.TB, s Settings) []byte {
	t.Helper()
	text, err := yaml.Marshal(map[string]any(s))
	if err != nil {
		t.Fatal(fmt.Errorf("write the configuration: %w", err))
	}
	return text
}

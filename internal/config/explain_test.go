package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"matriarch/internal/postgres/conf"
)

// explained is a setting on one line: value, origin, and what it overrode.
func explained(s Setting) string {
	text := fmt.Sprintf("%v from %s", s.Value, s.From)
	for _, o := range s.Others {
		text += fmt.Sprintf("; not %v of %s: %s", o.Value, o.From, o.Why)
	}
	return text
}

func explain(t *testing.T, c *Config, d Dynamic) map[string]Setting {
	t.Helper()
	settings, _ := Explain(c, d)
	out := map[string]Setting{}
	for _, s := range settings {
		if _, twice := out[s.Key]; twice {
			t.Errorf("%s is explained twice", s.Key)
		}
		out[s.Key] = s
	}
	return out
}

// TestExplain walks the rules by which layers meet (compat/config.md §1).
func TestExplain(t *testing.T) {
	const text = `
scope: s
name: n1
ttl: 50
restapi: {listen: 0.0.0.0:8008, connect_address: 10.0.0.1:8008}
etcd3: {hosts: 10.0.0.9}
bootstrap: {dcs: {ttl: 60, postgresql: {parameters: {max_connections: 200}}}}
postgresql:
  listen: 0.0.0.0:5433
  connect_address: 10.0.0.1
  data_dir: /data/main
  authentication: {superuser: {username: p, password: sesame}, replication: {username: r}}
  callbacks: {on_start: /own}
  parameters: {work_mem: 8MB, max_connections: 500, archive_command: "x password=sesame y"}
tags: {rack: 7}
`
	doc := decode(t, `{"ttl":25,"master_start_timeout":100,"maximum_lag_on_failover":"1MB","slots":{},"permanent_slots":{"a":null},
		"postgresql":{"data_dir":"/theirs","use_slots":false,"pg_hba":["a"],"callbacks":{"on_start":"/a","on_stop":"/b"},"recovery_conf":{"restore_command":"old"},
		"parameters":{"max_connections":300,"Work_Mem":"4MB","max_wal_senders":1,"restore_command":"new","wal_keep_segments":10,"port":1}}}`)
	c, _, err := LoadBytes([]byte(text), "f")
	if err != nil {
		t.Fatal(err)
	}
	got := explain(t, c, Dynamic{Document: doc, Source: "the store"})
	for key, want := range map[string]string{
		"scope":     "s from f:2",
		"tags.rack": "7 from f:15",
		"log.level": "INFO from default",
		"ttl": "25 from the store; not 50 of f:4: only the dynamic configuration counts for this key; " +
			"not 60 of f:7: the bootstrap section counts only when a cluster is created; this one has its dynamic configuration",
		"loop_wait":                                    "5 from adjusted; not 10 of default: the least values and the rule loop_wait + 2*retry_timeout <= ttl",
		"retry_timeout":                                "10 from default",
		"primary_start_timeout":                        "100 from the store; not 100 of the store: written under its old name master_start_timeout",
		"maximum_lag_on_failover":                      `1048576 from default; not 1MB of the store: is text ("1MB"), not an integer; the default 1048576 is used`,
		"slots":                                        "map[a:<nil>] from the store",
		"postgresql.use_slots":                         "false from the store",
		"postgresql.pg_hba":                            "[a] from the store",
		"postgresql.data_dir":                          "/data/main from f:11; not /theirs of the store: only the node itself can say this",
		"postgresql.callbacks.on_start":                "/own from f:13; not /a of the store: the node's own section hides the cluster's whole, also the keys that it does not give",
		"postgresql.callbacks.on_stop":                 "<nil> from none; not /b of the store: the node's own section hides the cluster's whole, also the keys that it does not give",
		"postgresql.recovery_conf.restore_command":     "<nil> from none; not old of the store: the recovery setting restore_command among postgresql.parameters replaces the whole section",
		"postgresql.parameters.max_connections":        "300 from the store; not 500 of f:14: it must be the same on all nodes, so only the dynamic configuration counts",
		"postgresql.parameters.max_wal_senders":        "10 from default; not 1 of the store: it is not an integer of at least 3, so the default is used (not the limit)",
		"postgresql.parameters.work_mem":               "8MB from f:14; not 4MB of the store: the node's own value comes first",
		"postgresql.parameters.wal_keep_size":          "160MB from the store",
		"postgresql.parameters.port":                   "5433 from f:9; not 1 of the store: it comes from postgresql.listen",
		"postgresql.parameters.archive_command":        "x password=(hidden) y from f:14",
		"postgresql.authentication.superuser.password": "(hidden) from f:12",
	} {
		if s, ok := got[key]; !ok || explained(s) != want {
			t.Errorf("%s\n got %s\nwant %s", key, explained(s), want)
		}
	}
	if all := fmt.Sprint(got); strings.Contains(all, "sesame") {
		t.Error("a password is shown")
	}
	for key, want := range map[string]string{
		"postgresql.parameters.max_connections": "to raise it the standbys first, to lower it the primary first",
		"postgresql.parameters.work_mem":        "reload of the agent on this node (SIGHUP, or matriarch reload); PostgreSQL reloads",
		"ttl":                                   "matriarch edit-config; every node takes it at once",
		"scope":                                 "restart of the agent",
	} {
		if how := got[key].Apply.How; !strings.Contains(how, want) {
			t.Errorf("%s: %s", key, how)
		}
	}
}

// TestExplainIsWhatIsUsed compares with what the node runs with, so that the two
// readings of the rules cannot drift apart.
func TestExplainIsWhatIsUsed(t *testing.T) {
	for _, text := range []string{
		`{}`, `{"ttl":15}`, `{"ttl":25,"loop_wait":10}`, `{"ttl":"60"}`,
		`{"postgresql":{"parameters":{"max_connections":"0x64","wal_level":"Logical","hot_standby":false,"work_mem":null,"WAL_keep_size":"1GB"}}}`,
		`{"postgresql":{"parameters":{"max_connections":true,"track_commit_timestamp":"yes","Work_mem":"1MB","a.b":1,"cluster_name":"x"}}}`,
	} {
		c := localConfig(t, "  parameters: {Work_mem: 8MB, wal_level: logical, \"x.y\": on}\n")
		e, _ := Combine(decode(t, text), c)
		used := map[string]any{"ttl": int64(e.TTL.Seconds()), "loop_wait": int64(e.LoopWait.Seconds()), "retry_timeout": int64(e.RetryTimeout.Seconds())}
		for name, value := range e.Postgresql.ParametersFor(versionKeepSize) {
			used["postgresql.parameters."+name] = value
		}
		got := explain(t, c, Dynamic{Document: decode(t, text), Source: "the store"})
		for key, want := range used {
			s := got[key]
			if v := FromJSON(s.Value, ""); v.Text() != FromJSON(want, "").Text() {
				t.Errorf("%s: %s is %v, explained as %s", text, key, want, explained(s))
			}
		}
		for key := range got {
			if _, ok := used[key]; !ok && strings.HasPrefix(key, "postgresql.parameters.") {
				t.Errorf("%s: %s is explained but not used", text, key)
			}
		}
	}
}

func TestExplainKnowsTheNodesOwnLayers(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"1.yml": minimal + "etcd3: {hosts: 10.0.0.9}\nlog: {level: DEBUG, dir: /var/log}\ntags: {rack: 1, row: 2}\n",
		"2.yml": "log: {level: ERROR, dir: ~}\ntags: {rack: ~}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, _, err := Load(dir, []string{"PATRONI_LOGLEVEL=INFO", "PATRONI_LOG_LEVEL=WARNING"})
	if err != nil {
		t.Fatal(err)
	}
	got := explain(t, c, Dynamic{})
	level := got["log.level"]
	want := []Other{
		{"INFO", Origin{LayerEnvironment, Position{Source: "environment variable PATRONI_LOGLEVEL"}}, "the environment comes before the file"},
	}
	if level.Value != any("WARNING") || level.From.Layer != LayerEnvironment || len(level.Others) < 2 || !reflect.DeepEqual(level.Others[0], want[0]) {
		t.Errorf("log.level: %s", explained(level))
	}
	if last := level.Others[len(level.Others)-1]; last.Value != any("DEBUG") || !strings.HasSuffix(last.From.String(), "1.yml:12") {
		t.Errorf("log.level: %s", explained(level))
	}
	for _, key := range []string{"log.dir", "tags.rack"} {
		if s := got[key]; s.Value != nil || len(s.Others) != 1 || !strings.Contains(s.Others[0].Why, "2.yml") {
			t.Errorf("%s: %s", key, explained(s))
		}
	}
	if s := got["tags.row"]; explained(s) != "2 from "+filepath.Join(dir, "1.yml")+":13" {
		t.Errorf("tags.row: %s", explained(s))
	}
}

func TestMasked(t *testing.T) {
	for text, want := range map[string]string{
		"host=a password=x y":                 "host=a password=(hidden) y",
		`user=u password='a \' b' port=1`:     "user=u password=(hidden) port=1",
		"postgresql://u:sesame@h/db":          "postgresql://u:(hidden)@h/db",
		"sslpassword = abc":                   "sslpassword = (hidden)",
		"password_encryption = scram-sha-256": "password_encryption = scram-sha-256",
		"cp /a/%f %p":                         "cp /a/%f %p",
	} {
		if got := conf.MaskText(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

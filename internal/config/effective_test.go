package config

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// localConfig is the minimal configuration with more lines below postgresql.
func localConfig(t *testing.T, postgresql string) *Config {
	t.Helper()
	c, report, err := LoadBytes([]byte(minimal+postgresql+"etcd3: {host: 10.0.0.9}\n"), "f")
	if err != nil {
		t.Fatal(err, report)
	}
	return c
}

func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func problemTexts(problems []Problem) string {
	var lines []string
	for _, p := range problems {
		lines = append(lines, p.Severity.String()+": "+p.Path+" "+p.Message)
	}
	return strings.Join(lines, "\n")
}

func TestTiming(t *testing.T) {
	const s = time.Second
	for _, test := range []struct {
		doc     string
		want    Timing
		refused bool
	}{
		{`{}`, Timing{30 * s, 10 * s, 10 * s}, false},
		{`{"ttl":25,"loop_wait":10,"retry_timeout":10}`, Timing{25 * s, 5 * s, 10 * s}, false},
		{`{"ttl":15}`, Timing{20 * s, 1 * s, 9 * s}, false},
		{`{"loop_wait":0,"retry_timeout":1}`, Timing{30 * s, 1 * s, 3 * s}, false},
		{`{"ttl":"60","loop_wait":10.9}`, Timing{60 * s, 10 * s, 10 * s}, false},
		{`{"ttl":null}`, Timing{30 * s, 10 * s, 10 * s}, false},
		{`{"ttl":"30s"}`, Timing{}, true},
		{`{"loop_wait":"10.9"}`, Timing{}, true},
		{`{"ttl":1e300}`, Timing{}, true},
	} {
		e, problems := Combine(decode(t, test.doc), localConfig(t, ""))
		refused := len(Report{problems}.Errors()) > 0
		if refused != test.refused {
			t.Errorf("%s: %s", test.doc, problemTexts(problems))
		}
		if !refused && e.Timing != test.want {
			t.Errorf("%s: %+v, want %+v", test.doc, e.Timing, test.want)
		}
		if !refused && e.LoopWait+2*e.RetryTimeout > e.TTL {
			t.Errorf("%s: the rule does not hold: %+v", test.doc, e.Timing)
		}
	}
}

func TestBootstrapDCSIsWrittenAdjusted(t *testing.T) {
	c, _, err := LoadBytes([]byte(minimal+"etcd3: {host: 10.0.0.9}\nbootstrap: {dcs: {ttl: 25, loop_wait: 10, slots: }}\n"), "f")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"ttl": int64(25), "loop_wait": int64(5), "slots": nil}
	if !reflect.DeepEqual(c.Bootstrap.DCS, want) {
		t.Errorf("%v", c.Bootstrap.DCS)
	}
}

func TestLocalHidesDynamicKeyByKey(t *testing.T) {
	local := localConfig(t, `  use_slots: false
  pg_hba: [local all all peer]
  recovery_conf: {restore_command: cp a b}
  parameters:
    Work_Mem: 8MB
    max_connections: 500
    port: 9999
`)
	e, problems := Combine(decode(t, `{"postgresql": {
		"data_dir": "/elsewhere", "listen": "1.2.3.4:1", "use_pg_rewind": true,
		"pg_hba": ["host all all all trust"], "recovery_conf": {"recovery_min_apply_delay": 5, "x": "y"},
		"pg_ident": ["a b c"], "krbsrvname": "pg",
		"parameters": {"work_mem": "4MB", "MAX_CONNECTIONS": "0x64", "max_wal_senders": 2, "shared_buffers": "1GB",
			"wal_level": "Logical", "wal_log_hints": false, "jit": false, "listen_addresses": "*", "random_page_cost": 1.1}}}`), local)
	p := e.Postgresql
	checks := []struct {
		what      string
		got, want any
	}{
		{"data_dir", p.DataDir, "/data/main"},
		{"listen", p.Listen, Listen{[]string{"0.0.0.0"}, 5432}},
		{"use_pg_rewind", p.UsePgRewind, true},
		{"use_slots", p.UseSlots, true},
		{"pg_hba", p.PgHBA, []string{"local all all peer"}},
		{"pg_ident", p.PgIdent, []string{"a b c"}},
		{"recovery_conf", p.RecoveryConf, map[string]string{"restore_command": "cp a b"}},
		{"krbsrvname", p.KrbSrvName, "pg"},
		{"parameters", p.Parameters, map[string]string{
			"Work_Mem": "8MB", "max_connections": "100", "max_wal_senders": "10", "shared_buffers": "1GB",
			"wal_level": "logical", "wal_log_hints": "False", "jit": "False", "random_page_cost": "1.1",
			"listen_addresses": "0.0.0.0", "port": "5432", "cluster_name": "s", "hot_standby": "on",
			"max_prepared_transactions": "0", "max_locks_per_transaction": "64", "track_commit_timestamp": "off",
			"max_replication_slots": "10", "max_worker_processes": "8"}},
	}
	for _, check := range checks {
		if !reflect.DeepEqual(check.got, check.want) {
			t.Errorf("%s: got %v, want %v", check.what, check.got, check.want)
		}
	}
	want := "warning: postgresql.parameters.max_wal_senders postgresql parameter max_wal_senders=2 failed validation, defaulting to 10"
	if got := problemTexts(problems); !strings.Contains(got, want) {
		t.Errorf("problems:\n%s", got)
	}
}

func TestDynamicFaults(t *testing.T) {
	local := localConfig(t, "")
	for _, test := range []struct{ name, doc, want string }{
		{"parameters that are no map refuse the document", `{"postgresql": {"parameters": ["a"]}}`,
			"error: postgresql.parameters is not a dictionary"},
		{"units where there is no base unit", `{"maximum_lag_on_failover": "1MB"}`,
			`warning: maximum_lag_on_failover is text ("1MB"), not an integer; the default 1048576 is used`},
		{"a permit with a fraction", `{"permit": 0.4}`, ""},
		{"a permit with a unit", `{"permit": "400ms"}`, ""},
		{"a permit that is too short", `{"permit": 0.1}`, "warning: permit is 100ms, less than 300ms"},
		{"a permit that is no time", `{"permit": "soon"}`, `warning: permit is text ("soon"), not a time; the default 1 is used`},
		{"a misspelt key", `{"synchronous_mod": true}`,
			"warning: synchronous_mod is not a known key and is ignored; did you mean synchronous_mode?"},
		{"a method of the cluster", `{"postgresql": {"create_replica_methods": ["wal_e"], "wal_e": {"command": "x"}}}`, ""},
		{"no slots of an unknown kind", `{"postgresql": {"use_slots": "maybe"}}`,
			`warning: postgresql.use_slots is text ("maybe"), not a boolean; false is used`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, problems := Combine(decode(t, test.doc), local)
			if got := problemTexts(problems); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestParametersForVersion(t *testing.T) {
	for _, test := range []struct {
		parameters  map[string]string
		version     int
		name, value string
	}{
		{nil, 150004, "wal_keep_size", "128MB"},
		{map[string]string{"wal_keep_segments": "10"}, 150004, "wal_keep_size", "160MB"},
		{map[string]string{"wal_keep_segments": "10", "wal_keep_size": "1GB"}, 150004, "wal_keep_size", "1GB"},
		{map[string]string{"wal_keep_segments": "10"}, 150004, "wal_keep_segments", ""},
		{nil, 120004, "wal_keep_segments", "8"},
		{map[string]string{"wal_keep_size": "1GB"}, 120004, "wal_keep_segments", "64"},
		{map[string]string{"wal_keep_size": "20"}, 120004, "wal_keep_segments", "1"},
		{map[string]string{"wal_level": "hot_standby"}, 150004, "wal_level", "replica"},
		{map[string]string{"wal_level": "replica"}, 90500, "wal_level", "hot_standby"},
	} {
		got := Postgresql{Parameters: test.parameters}.ParametersFor(test.version)
		if got[test.name] != test.value {
			t.Errorf("%v for %d: %v", test.parameters, test.version, got)
		}
	}
}

func TestReplicaMethods(t *testing.T) {
	local := localConfig(t, `  create_replica_methods: [pgbackrest, plain, basebackup]
  pgbackrest: {command: pgbackrest restore, keep_data: True, no_params: true, retries: 3, b: "x y", a: off}
  basebackup: [checkpoint: fast, {max-rate: "'100M'"}, verbose, {a: b, c: d}, {pgdata: /x}]
`)
	e, _ := Combine(nil, local)
	want := map[string]ReplicaMethod{
		"plain": {Name: "plain", Command: "plain"},
		"pgbackrest": {Name: "pgbackrest", Command: "pgbackrest restore", KeepData: true, NoParams: true,
			Params: []Param{{"keep_data", "True"}, {"no_params", "True"}, {"retries", "3"}, {"b", "x y"}, {"a", "False"}}},
	}
	if !reflect.DeepEqual(e.Postgresql.ReplicaMethods, want) {
		t.Errorf("methods %+v", e.Postgresql.ReplicaMethods)
	}
	options := []string{"--checkpoint=fast", "--max-rate=100M", "--verbose"}
	if !reflect.DeepEqual(e.Postgresql.BaseBackup, options) {
		t.Errorf("basebackup %q", e.Postgresql.BaseBackup)
	}
}

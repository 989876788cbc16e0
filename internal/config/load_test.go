package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares a text with a file in testdata; -update writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs:\n%s\n--- want\n%s", name, got, want)
	}
}

func TestGuideLoadsWithoutWarnings(t *testing.T) {
	c, report, err := Load("testdata/guide.yml", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Problems {
		t.Errorf("unexpected: %s", p)
	}
	if got := c.Postgresql.Authentication.Replication.Password.Reveal(); got != "Finpros2023," {
		t.Errorf("password %q", got)
	}
	checks := []struct {
		what      string
		got, want any
	}{
		{"identity", []string{c.Scope, c.Name, c.Namespace}, []string{"mycluster", "node1", "service"}},
		{"restapi.listen", c.RestAPI.Listen, Listen{[]string{"0.0.0.0"}, 8008}},
		{"api url", c.RestAPI.URL(), "http://127.0.110.31:8008/patroni"},
		{"etcd", c.Etcd.Endpoints(), []string{"http://127.0.110.31:2379"}},
		{"initdb", c.Bootstrap.Initdb, []string{"--encoding=UTF8", "--data-checksums"}},
		{"bootstrap.pg_hba", c.Bootstrap.PgHBA, []string{"host replication replicator 127.0.0.0/8 md5", "host all all 0.0.0.0/0 md5"}},
		{"listen", c.Postgresql.Listen, Listen{[]string{"0.0.0.0"}, 5432}},
		{"connect_address", c.Postgresql.ConnectAddress, HostPort{"127.0.110.31", 5432}},
		{"config_dir", c.Postgresql.ConfigDir, "/var/lib/matriarch-example/node1"},
		{"replication", c.Postgresql.Authentication.Replication.Username, "replicator"},
		{"rewind is the superuser", c.Postgresql.Authentication.Rewind.Username, "postgres"},
		{"archive_mode", c.Postgresql.Parameters["archive_mode"], "on"},
		{"methods", c.Postgresql.CreateReplicaMethods, []string{"basebackup"}},
		{"pg_ctl_timeout", c.Postgresql.PgCtlTimeout, time.Minute},
		{"program", c.Postgresql.Bin("pg_rewind"), "/usr/lib/postgresql/15/bin/pg_rewind"},
		{"watchdog", c.Watchdog, Watchdog{Mode: "automatic", Device: "/dev/watchdog", SafetyMargin: 5 * time.Second}},
	}
	for _, check := range checks {
		if !reflect.DeepEqual(check.got, check.want) {
			t.Errorf("%s: got %v, want %v", check.what, check.got, check.want)
		}
	}
	dcs, err := json.Marshal(c.Bootstrap.DCS)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"loop_wait":10,"maximum_lag_on_failover":1048576,"postgresql":{"parameters":{"hot_standby":"on",` +
		`"wal_level":"replica","wal_log_hints":"on"},"use_pg_rewind":true},"retry_timeout":10,"ttl":30}`
	if string(dcs) != want {
		t.Errorf("dcs %s", dcs)
	}
}

func TestAllFaultsAreReportedAtOnce(t *testing.T) {
	c, report, err := Load("testdata/faults.yml", nil)
	if err == nil || c == nil {
		t.Fatalf("config %v, error %v", c, err)
	}
	var lines strings.Builder
	for _, p := range report.Problems {
		fmt.Fprintln(&lines, p)
	}
	golden(t, "faults.golden", lines.String())
	golden(t, "faults.validator.golden", strings.Join(ValidatorLines(report.Problems), "\n")+"\n")
	if strings.Contains(lines.String()+err.Error(), "sesame") {
		t.Error("a password is shown")
	}
	if n := strings.Count(err.Error(), "\n"); n != len(report.Errors()) {
		t.Errorf("the error lists %d faults, the report %d", n, len(report.Errors()))
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	text := `
scope: s
name: n
restapi: {listen: 0.0.0.0:8008, connect_address: 10.0.0.1:8008, authentication: {username: u, password: sesame1}, keyfile_password: sesame2}
etcd3: {url: "http://root:sesame3@10.0.0.9:2379"}
postgresql:
  listen: 0.0.0.0
  connect_address: 10.0.0.1
  data_dir: /data
  authentication:
    superuser: {username: p, password: sesame4, sslpassword: sesame5}
    replication: {username: r, password: sesame6}
`
	c, _, err := LoadBytes([]byte(text), "x.yml")
	if err != nil {
		t.Fatal(err)
	}
	if c.Etcd.Password.Reveal() != "sesame3" || c.Etcd.URL != "http://10.0.0.9:2379" {
		t.Errorf("etcd url %q", c.Etcd.URL)
	}
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "config", c, "etcd", c.Etcd, "pg", c.Postgresql, "tree", c.Tree())
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "config", c, "etcd", c.Etcd, "pg", c.Postgresql, "tree", c.Tree())
	all := string(encoded) + logged.String()
	for _, v := range []any{c, *c, c.Etcd, c.Postgresql, c.RestAPI, c.Ctl, c.Tree(), *c.Tree(), c.Tree().Get("etcd3", "url")} {
		all += fmt.Sprintf("%v %+v %#v %s", v, v, v, v)
	}
	if i := strings.Index(all, "sesame"); i >= 0 {
		t.Errorf("a password is shown: …%.200s", all[max(0, i-100):])
	}
}

func TestFaultyAddressesDoNotShowPasswords(t *testing.T) {
	for _, text := range []string{
		"etcd3: {hosts: 'http://u:sesame@h:2379'}", "etcd3: {host: 'u:sesame@h:2379'}", "etcd3: {hosts: ['u:sesame@h:1:2']}",
		"etcd3: {url: 'u:sesame@h:2379'}", "etcd3: {proxy: 'http://u:sesame@h:port'}", "etcd3: {proxy: ['http://u:sesame@h']}",
	} {
		_, report, err := LoadBytes([]byte(minimal+text+"\n"), "f")
		if err == nil {
			t.Errorf("%s: no error", text)
		}
		if all := fmt.Sprint(err, report, ValidatorLines(report.Problems)); strings.Contains(all, "sesame") {
			t.Errorf("%s: the password is shown: %s", text, all)
		}
	}
}

// minimal is a configuration without faults, to which a test adds.
const minimal = `# no faults

scope: s
name: n1
restapi: {listen: 0.0.0.0:8008, connect_address: 10.0.0.1:8008}
postgresql:
  listen: 0.0.0.0
  connect_address: 10.0.0.1
  data_dir: /data/main
  authentication: {superuser: {username: p}, replication: {username: r}}
`

func TestProblems(t *testing.T) {
	const etcd = "etcd3: {hosts: 10.0.0.9}\n"
	for _, test := range []struct {
		name string
		text string
		want string // the problems, without the file; "" for none
	}{
		{"a minimal file is fine", etcd, ""},
		{"hosts as a list", "etcd3: {hosts: ['10.0.0.9:2379', 10.0.0.8]}\n", ""},
		{"etcd is read as etcd3", "etcd: {host: 10.0.0.9}\n",
			"11: warning: etcd is read as etcd3: only the v3 protocol is spoken. Rename the section to etcd3"},
		{"consul is refused by name", "consul: {host: 10.0.0.9}\n",
			"11: error: consul is not supported as a store; supported are etcd3, etcd, and dcs: embedded"},
		{"consul comes before etcd3", etcd + "consul: {host: 10.0.0.9}\n",
			"11: warning: etcd3 is ignored: consul is used\n12: error: consul is not supported as a store; supported are etcd3, etcd, and dcs: embedded"},
		{"kubernetes comes behind etcd3", etcd + "kubernetes: {labels: {a: b}}\n",
			"12: warning: kubernetes is ignored: etcd3 is used"},
		{"no store", "", "3: error: etcd3 is not given, nor any other store: supported are etcd3, etcd, and dcs: embedded"},
		{"no server of the store", "etcd3: {protocol: https}\n",
			"11: error: etcd3 names no server: one of hosts, host, url, proxy, srv is needed"},
		{"embedded beside etcd3", etcd + "dcs: embedded\nembedded: {members: [{name: n1, host: h}]}\n",
			"11: error: etcd3 contradicts dcs: embedded; keep one of them"},
		{"embedded without this node", "dcs: embedded\nembedded: {members: [{name: n2, host: h}]}\n",
			`12: error: embedded.members has no member of this node's name "n1"`},
		{"embedded inside the data directory", "dcs: embedded\nembedded: {data_dir: /data/main/etcd, members: [{name: n1, host: h}]}\n",
			"12: error: embedded.data_dir must not be inside postgresql.data_dir, which is removed when the server is copied anew"},
		{"embedded members that collide", "dcs: embedded\nembedded: {members: [{name: n1, host: h}, {name: n2, host: h, peer_prot: 1}, {name: n3, host: g}]}\n",
			"12: warning: embedded.members.1.peer_prot is not a known key and is ignored; did you mean peer_port?\n" +
				"12: error: embedded.members have address h:2379 twice, for n1 and n2\n" +
				"12: error: embedded.members have address h:2380 twice, for n1 and n2"},
		{"a dynamic key at the top", etcd + "ttl: 30\n",
			"12: warning: ttl is not a known key and is ignored; its place is bootstrap.dcs.ttl"},
		{"case and dashes", etcd + "Watch-Dog: {}\n",
			"12: warning: Watch-Dog is not a known key and is ignored; did you mean watchdog?"},
		{"a part for anchors", etcd + "x-part: &a {a: b}\n", ""},
		{"a number for a password", etcd + "ctl: {authentication: {username: u, password: 0123}}\n",
			"12: warning: ctl.authentication.password is an integer, not text; put it in quotes"},
		{"a boolean for a password", etcd + "ctl: {authentication: {username: u, password: yes}}\n",
			"12: error: ctl.authentication.password is a boolean, not text; put text in quotes"},
		{"watchdog off is a boolean", etcd + "watchdog: {mode: off}\n", ""},
		{"a bootstrap section without dcs", etcd + "bootstrap: {initdb: [data-checksums]}\n",
			"12: error: bootstrap.dcs is required and not given"},
		{"the least values", etcd + "bootstrap: {dcs: {ttl: 15}}\n",
			"12: warning: bootstrap.dcs.ttl is 15 and can't be smaller than 20, which is used instead\n" +
				"12: warning: bootstrap.dcs.loop_wait the rule loop_wait + 2*retry_timeout <= ttl does not hold (10 + 2*10 > 20): loop_wait 1 and retry_timeout 9 are used instead"},
		{"quorum", etcd + "bootstrap: {dcs: {synchronous_mode: quorum}}\n", ""},
		{"a method with its section", etcd + "bootstrap: {dcs: {}, method: pitr, pitr: {command: restore --to 'now'}}\n", ""},
		{"a method without command", etcd + "bootstrap: {dcs: {}, method: pitr}\n",
			"12: warning: bootstrap.method is pitr, but bootstrap.pitr has no command; initdb is used"},
		{"a command that cannot be split", etcd + "bootstrap: {dcs: {}, post_init: \"a 'b\"}\n",
			"12: error: bootstrap.post_init cannot be split into words: a quote is not closed"},
		{"a bootstrap command that cannot be split", etcd + "bootstrap: {dcs: {}, method: pitr, pitr: {command: \"restore 'it\"}}\n",
			"12: error: bootstrap.pitr.command cannot be split into words: a quote is not closed"},
		{"an unknown tag", etcd + "tags: {rack: !rack 7}\n", "12: error: tags.rack has a tag that is not one of YAML's own"},
		{"an unknown tag of a map", etcd + "tags: !rack {a: b}\n", "12: error: tags has a tag that is not one of YAML's own"},
		{"controlled settings are not the node's", etcd + "bootstrap: {dcs: {postgresql: {parameters: {Port: 1}}}}\n",
			"12: warning: bootstrap.dcs.postgresql.parameters.Port is ignored: port comes from postgresql.listen"},
		{"one address for two servers", "restapi: {listen: 10.0.0.1:5432, connect_address: 10.0.0.1:5432}\n" + etcd,
			"11: error: restapi is given twice in one map, first in line 5\n" +
				"11: error: restapi.listen and postgresql.listen are both port 5432 of one address"},
		{"free tags", etcd + "tags: {rack: 7, nofailover: true}\n", ""},
		{"a standby cluster of nobody", etcd + "bootstrap: {dcs: {standby_cluster: {primary_slot_name: x}}}\n",
			"12: error: bootstrap.dcs.standby_cluster needs one of host, port, restore_command"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, report, _ := LoadBytes([]byte(minimal+test.text), "f")
			var lines []string
			for _, p := range report.Problems {
				lines = append(lines, strings.TrimPrefix(p.String(), "f:"))
			}
			if got := strings.Join(lines, "\n"); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

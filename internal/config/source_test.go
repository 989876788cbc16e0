package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDirectoryMergesInOrderOfNames(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"10-base.yml":  minimal + "etcd3: {host: 10.0.0.9, protocol: https}\nctl: {insecure: true}\n",
		"20-node.yaml": "name: n7\npostgresql: {parameters: {work_mem: 1MB}}\netcd3: {protocol: }\nctl: null\n",
		"30-other.txt": "name: no\n",
	})
	if err := os.Mkdir(filepath.Join(dir, "40.yml"), 0o700); err != nil {
		t.Fatal(err)
	}
	c, _, err := Load(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "n7" || c.Scope != "s" || c.Etcd.Protocol != "http" || c.Ctl.Insecure || c.Postgresql.Parameters["work_mem"] != "1MB" {
		t.Errorf("%+v %+v", c, c.Etcd)
	}
}

func TestSources(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"ok.yml": minimal + "etcd3: {host: 10.0.0.9}\n", "list.yml": "- a\n", "empty.yml": "", "twice.yml": "name: a\nname: b\n",
	})
	whole := "PATRONI_CONFIGURATION=" + minimal + "etcd3: {host: 10.0.0.9}\n"
	for _, test := range []struct {
		name, path string
		environ    []string
		wantName   string
		wantErr    string
		wantIs     error
	}{
		{"a file", "ok.yml", nil, "n1", "", nil},
		{"the environment goes over the file", "ok.yml", []string{"PATRONI_NAME=e1"}, "e1", "", nil},
		{"an empty variable does not", "ok.yml", []string{"PATRONI_NAME="}, "n1", "", nil},
		{"a file goes over PATRONI_CONFIGURATION", "ok.yml", []string{"PATRONI_CONFIGURATION={name: x}"}, "n1", "", nil},
		{"without a file PATRONI_CONFIGURATION stands alone", "none.yml", []string{whole, "PATRONI_NAME=e1"}, "n1", "", nil},
		{"nothing at all", "none.yml", nil, "", "configuration is empty, and there is no file", ErrEmpty},
		{"a list", "list.yml", nil, "", "list.yml does not contain a map of keys", ErrNotMap},
		{"an empty file", "empty.yml", nil, "", "empty.yml does not contain a map of keys", ErrNotMap},
		{"a key given twice", "twice.yml", nil, "b", "twice.yml:2: error: name is given twice in one map, first in line 1", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, _, err := Load(filepath.Join(dir, test.path), test.environ)
			if test.wantErr == "" && err != nil || test.wantErr != "" && (err == nil || !strings.Contains(err.Error(), test.wantErr)) {
				t.Fatalf("error %v, want %q", err, test.wantErr)
			}
			if test.wantIs != nil && !errors.Is(err, test.wantIs) {
				t.Errorf("%v is not %v", err, test.wantIs)
			}
			if test.wantName != "" && c.Name != test.wantName {
				t.Errorf("name %q", c.Name)
			}
		})
	}
}

func TestEnvironment(t *testing.T) {
	environ := []string{
		"PATRONI_SCOPE=s", "PATRONI_NAME=n1", "HOME=/home/pg", "PATH=/bin",
		"PATRONI_RESTAPI_LISTEN=0.0.0.0:8008", "PATRONI_RESTAPI_CONNECT_ADDRESS=10.0.0.1:8008",
		"PATRONI_RESTAPI_ALLOWLIST=10.0.0.0/8, 192.168.0.1", "PATRONI_RESTAPI_ALLOWLIST_INCLUDE_MEMBERS=on",
		"PATRONI_RESTAPI_HTTP_EXTRA_HEADERS=X-Frame: deny", "PATRONI_RESTAPI_REQUEST_QUEUE_SIZE=ten",
		"PATRONI_ETCD3_HOSTS='h1:2379','h2:2380'", "PATRONI_ETCD3_PROTOCOL=https", "PATRONI_ETCD3_USERNAME=u",
		"PATRONI_ETCD_PASSWORD=alone", "PATRONI_POSTGRESQL_LISTEN=*:5433", "PATRONI_POSTGRESQL_CONNECT_ADDRESS=10.0.0.1:5433",
		"PATRONI_POSTGRESQL_DATA_DIR=/data", "PATRONI_POSTGRESQL_BIN_PG_CTL=my_ctl", "PATRONI_REPLICATION_USERNAME=r",
		"PATRONI_REPLICATION_SSLMODE=require", "PATRONI_SUPERUSER_PASSWORD=sesame", "PATRONI_LOG_MODE=0644",
		"PATRONI_LOGLEVEL=DEBUG", "PATRONI_LOG_LEVEL=ERROR", "PATRONI_LOG_LOGGERS=a: INFO, b: DEBUG", "PATRONI_POSTGRESQL_LISTN=x", "PATRONI_MINE=x",
	}
	c, report, err := Load("", environ)
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range []struct {
		what      string
		got, want any
	}{
		{"allowlist", c.RestAPI.Allowlist, []string{"10.0.0.0/8", "192.168.0.1"}},
		{"include members", c.RestAPI.AllowlistIncludeMembers, true},
		{"headers", c.RestAPI.HTTPExtraHeaders, map[string]string{"X-Frame": "deny"}},
		{"etcd", c.Etcd.Endpoints(), []string{"https://h1:2379", "https://h2:2380"}},
		{"etcd user", c.Etcd.Username, "u"},
		{"not the etcd section, which has only a password", c.Etcd.FromOldSection, false},
		{"listen", c.Postgresql.Listen, Listen{[]string{"*"}, 5433}},
		{"pg_ctl", c.Postgresql.Bin("pg_ctl"), "my_ctl"},
		{"sslmode", c.Postgresql.Authentication.Replication.Extra, map[string]string{"sslmode": "require"}},
		{"pgpass", c.Postgresql.PgPass, "/home/pg/pgpass"},
		{"log.mode", c.Log.Mode, uint32(0o644)},
		{"the newer name wins", c.Log.Level, "ERROR"},
		{"loggers", c.Log.Loggers, map[string]string{"a": "INFO", "b": "DEBUG"}},
	} {
		if !reflect.DeepEqual(check.got, check.want) {
			t.Errorf("%s: got %v, want %v", check.what, check.got, check.want)
		}
	}
	var lines []string
	for _, p := range report.Problems {
		lines = append(lines, p.String())
	}
	slices.Sort(lines)
	want := []string{
		"environment variable PATRONI_POSTGRESQL_LISTN: warning: is not read; did you mean PATRONI_POSTGRESQL_LISTEN?",
		"environment variable PATRONI_RESTAPI_REQUEST_QUEUE_SIZE: warning: is not an integer and is ignored",
		"environment variable PATRONI_SUPERUSER_PASSWORD: warning: postgresql.authentication.superuser.username is not given; the user of the system is taken",
	}
	for _, w := range want {
		if !slices.Contains(lines, w) {
			t.Errorf("missing %q in\n%s", w, strings.Join(lines, "\n"))
		}
	}
	consumed := ConsumedVariables(environ)
	if slices.Contains(consumed, "PATRONI_MINE") || slices.Contains(consumed, "PATH") || !slices.Contains(consumed, "PATRONI_ETCD_PASSWORD") {
		t.Errorf("consumed %v", consumed)
	}
}

func TestSame(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"a: 5", "a: '5'", true}, {"a: [1]", "a: [2]", false}, {"a: {x: 1, y: 2}", "a: {y: '2', x: 1}", true},
		{"a: 1", "a: 1\nb: 2", false}, {"a: on", "a: 'True'", true}, {"a: ~", "a:", true}, {"a: [1]", "a: 1", false},
	} {
		a, errA := parse([]byte(test.a), "a", &Report{})
		b, errB := parse([]byte(test.b), "b", &Report{})
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if Same(a, b) != test.want || Same(b, a) != test.want {
			t.Errorf("%s and %s: want %v", test.a, test.b, test.want)
		}
	}
}

package generate

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"matriarch/internal/config"
)

// bin is a directory whose postgres says a version.
func bin(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	text := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + " (Debian)'\n"
	if err := os.WriteFile(filepath.Join(dir, "postgres"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func generated(t *testing.T, o Options) string {
	t.Helper()
	var out bytes.Buffer
	o.Out = &out
	if err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestASampleIsAConfiguration: what is missing in it is marked, and nothing else is
// wrong.
func TestASampleIsAConfiguration(t *testing.T) {
	environ := []string{"PATRONI_POSTGRESQL_BIN_DIR=" + bin(t, "17.2"), "PATRONI_SCOPE=shop", "PATRONI_NAME=db1", "PATRONI_ETCD3_HOSTS=10.0.0.1:2379",
		"PATRONI_RESTAPI_LISTEN=0.0.0.0:8008", "PATRONI_RESTAPI_CONNECT_ADDRESS=10.0.0.2:8008", "PATRONI_SUPERUSER_PASSWORD=0123",
		"PATRONI_POSTGRESQL_CONNECT_ADDRESS=10.0.0.2:5432"}
	text := generated(t, Options{Sample: true, Environ: environ})
	c, report, err := config.LoadBytes([]byte(text), "patroni.yml")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, p := range report.Problems {
		t.Errorf("%s\n%s", p, text)
	}
	if c.Scope != "shop" || c.Name != "db1" || c.RestAPI.Listen.Port != 8008 || c.Postgresql.Authentication.Superuser.Password.Reveal() != "0123" {
		t.Errorf("the environment is not in\n%s", text)
	}
	for _, part := range []string{"data_dir: '#FIXME'", "username: rewind_user", "wal_level: replica", "wal_keep_size: 128MB", "use_pg_rewind: true",
		"host replication replicator all scram-sha-256", "password_encryption: scram-sha-256"} {
		if !strings.Contains(text, part) {
			t.Errorf("%s is not in\n%s", part, text)
		}
	}
	last := -1
	for _, section := range []string{"scope:", "name:", "log:", "restapi:", "etcd3:", "bootstrap:", "  dcs:", "    loop_wait:", "    retry_timeout:", "    ttl:", "postgresql:", "tags:"} {
		i := strings.Index("\n"+text, "\n"+section)
		if i <= last {
			t.Errorf("%s is not in its place in\n%s", section, text)
		}
		last = i
	}
	if strings.HasSuffix(text, "\n") {
		t.Error("it ends with a newline")
	}
}

func TestSamplesOfOldServers(t *testing.T) {
	text := generated(t, Options{Sample: true, Environ: []string{"PATRONI_POSTGRESQL_BIN_DIR=" + bin(t, "9.6.24")}})
	for part, want := range map[string]bool{"md5": true, "scram": false, "rewind_user": false, "wal_keep_segments": true, "hosts: '#FIXME'": true} {
		if strings.Contains(text, part) != want {
			t.Errorf("%s: want %v in\n%s", part, want, text)
		}
	}
}

func TestFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a", "b", "patroni.yml")
	if err := Run(t.Context(), Options{Sample: true, File: name, Environ: []string{"PATRONI_POSTGRESQL_BIN_DIR=" + bin(t, "15.1")}}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() == 0 {
		t.Errorf("%v, %v", info, err)
	}
	err = Run(t.Context(), Options{Sample: true, Environ: []string{"PATRONI_POSTGRESQL_BIN_DIR=/no/such"}})
	if err == nil || !strings.HasPrefix(err.Error(), "Failed to get postgres version: ") {
		t.Errorf("without PostgreSQL: %v", err)
	}
}

// TestWhatIsWrittenIsRead: YAML 1.1 has its own mind about on, 0123 and 12:30.
func TestWhatIsWrittenIsRead(t *testing.T) {
	parameters := values{"a": "on", "b": "0123", "c": "12:30", "d": "1_000", "e": "~", "f": "a: b # c", "g": "", "h": "0x1f", "i": "null", "j": "it's \\ \"q\"", "k": "2024-01-01", "l": "1e3", "m": " x ", "n": "%f"}
	tree := template(machine{})
	at(tree, "postgresql")["parameters"] = parameters
	tree["etcd3"] = values{"host": "h"}
	text, err := render(tree)
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := config.LoadBytes([]byte(text), "f")
	if c == nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if got := c.Tree().Get("postgresql", "parameters").JSON(); !reflect.DeepEqual(got, any(parameters)) {
		t.Errorf("got  %v\nwant %v\n%s", got, parameters, text)
	}
}

func TestAddress(t *testing.T) {
	for list, want := range map[string]string{
		"127.0.0.1 ::1": unknown, "127.0.0.1 10.0.0.1 10.0.0.2": "10.0.0.1", "fe80::1 2001:db8::1 10.0.0.1": "10.0.0.1", "fe80::1 2001:db8::1": "2001:db8::1",
	} {
		var ips []net.IP
		for text := range strings.FieldsSeq(list) {
			ips = append(ips, net.ParseIP(text))
		}
		if got := choose(ips); got != want {
			t.Errorf("%s: %s, want %s", list, got, want)
		}
	}
	if got := join("2001:db8::1", 5432) + " " + listenAddress("*") + " " + listenAddress("a, ::1"); got != "[2001:db8::1]:5432 * a,[::1]" {
		t.Error(got)
	}
}

func TestAuthentication(t *testing.T) {
	m := machine{environ: []string{"PGSSLMODE=require", "PGCHANNELBINDING=disable"}}
	for _, c := range []struct {
		dsn   string
		major int
		want  values
	}{
		{"host=h sslmode=verify-full sslcert=/c", 15, values{"sslmode": "verify-full", "sslcert": "/c", "channel_binding": "disable"}},
		{"postgresql://u:p@h/db?sslrootcert=/r", 12, values{"sslmode": "require", "sslrootcert": "/r"}},
	} {
		if got := authentication(m, c.dsn, c.major); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", c.dsn, got, c.want)
		}
	}
}

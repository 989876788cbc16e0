package conf

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestParseInt(t *testing.T) {
	cases := []struct {
		text, base string
		want       int64
		ok         bool
	}{
		{"10", "", 10, true},
		{" -7", "", -7, true},
		{"0x1F", "", 31, true},
		{"010", "", 8, true},
		{"08", "", 0, false},
		{"10.6", "", 11, true},
		{"1.5e1", "", 15, true},
		{"1MB", "", 0, false},
		{"1GB", "MB", 1024, true},
		{"128 MB", "MB", 128, true},
		{"1MB", "8kB", 128, true},
		{"5min", "s", 300, true},
		{"5min", "MB", 0, false},
		{"5Min", "s", 0, false},
		{"1_000", "", 0, false},
		{"", "", 0, false},
		{"true", "", 0, false},
		{"+-1", "", 0, false},
	}
	for _, c := range cases {
		if got, ok := ParseInt(c.text, c.base); got != c.want || ok != c.ok {
			t.Errorf("ParseInt(%q, %q) = %d, %v; want %d, %v", c.text, c.base, got, ok, c.want, c.ok)
		}
	}
}

func TestMainFileReadsBackAsWritten(t *testing.T) {
	settings := map[string]string{"archive_command": `cp '%p' "C:\x\%f"`, "a.b": "", "work_mem": "4MB"}
	text := Main{Include: "postgresql.base.conf", Settings: settings, HBAFile: "/d/pg_hba.conf",
		Recovery: map[string]string{"primary_conninfo": `host=a sslrootcert=/a\ b`}}.Render()
	want := Header + `include 'postgresql.base.conf'

a.b = ''
archive_command = 'cp ''%p'' "C:\\x\\%f"'
work_mem = '4MB'
hba_file = '/d/pg_hba.conf'

# recovery.conf
primary_conninfo = 'host=a sslrootcert=/a\\ b'
`
	if text != want {
		t.Fatalf("rendered:\n%s\nwant:\n%s", text, want)
	}
	read := map[string]string{}
	for _, s := range Parse(text) {
		read[s.Name] = s.Value
	}
	for name, value := range settings {
		if read[name] != value {
			t.Errorf("%s reads back as %q, was %q", name, read[name], value)
		}
	}
	if got := RecoverySection(text)["primary_conninfo"]; got != `host=a sslrootcert=/a\ b` {
		t.Errorf("conninfo reads back as %q", got)
	}
}

func TestSanitizeAutoKeepsWhatIsNotRecovery(t *testing.T) {
	text := "# Do not edit\nwork_mem = '1MB'\nPrimary_Conninfo = 'host=x'\nprimary_slot_name='s' # why\n"
	got, changed := SanitizeAuto(text)
	if !changed || got != "# Do not edit\nwork_mem = '1MB'\n" {
		t.Fatalf("%q, %v", got, changed)
	}
	if again, changed := SanitizeAuto(got); changed || again != got {
		t.Fatal("a clean file was changed")
	}
}

func TestConninfoOrderAndEscapes(t *testing.T) {
	values := map[string]string{"dbname": "postgres", "user": "repl", "passfile": "/p", "host": "127.0.0.1", "port": "15432",
		"sslmode": "prefer", "sslrootcert": "/a b", "application_name": "n2", "gssencmode": "prefer",
		"channel_binding": "prefer", "sslnegotiation": "postgres", "sslcrldir": "/c", "unheard": "of"}
	got := Conninfo(values, 13)
	want := `dbname=postgres user=repl passfile=/p host=127.0.0.1 port=15432 sslmode=prefer sslrootcert=/a\ b application_name=n2 gssencmode=prefer channel_binding=prefer`
	if got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	back, err := ParseConninfo(Conninfo(values, 17))
	if err != nil {
		t.Fatal(err)
	}
	delete(values, "unheard")
	if !maps.Equal(back, values) {
		t.Fatalf("reads back as %v", back)
	}
}

func TestParseConninfoNeverQuotesItsInput(t *testing.T) {
	for _, text := range []string{"password='secret", "password secret", "=secret"} {
		_, err := ParseConninfo(text)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestPasswordLine(t *testing.T) {
	got := PasswordLine("a,/var/run", "5432", "", `p:w\`)
	want := `a:5432:*:*:p\:w\\` + "\n" + `/var/run:5432:*:*:p\:w\\` + "\n" + `localhost:5432:*:*:p\:w\\` + "\n"
	if got != want {
		t.Fatalf("%q", got)
	}
}

func TestResolveControlledSettings(t *testing.T) {
	e := Resolve(map[string]string{
		"Max_Connections": "10", "wal_level": "HOT_STANDBY", "max_wal_senders": "0x14", "wal_keep_segments": "4",
		"hot_standby": "off", "port": "1", "work_mem": "8MB", "restore_command": "cp x", "track_commit_timestamp": "on",
	}, Fixed{ListenAddresses: "10.0.0.1", Port: 5433, ClusterName: "c"}, map[string]int64{"max_worker_processes": 12, "max_wal_senders": 5})
	want := map[string]string{
		"listen_addresses": "10.0.0.1", "port": "5433", "cluster_name": "c", "wal_level": "replica", "hot_standby": "on",
		"max_connections": "100", "max_wal_senders": "20", "max_prepared_transactions": "0", "max_locks_per_transaction": "64",
		"track_commit_timestamp": "on", "max_replication_slots": "10", "max_worker_processes": "12", "wal_log_hints": "on",
		"wal_keep_size": "64MB", "work_mem": "8MB",
	}
	if !maps.Equal(e.File, want) {
		t.Errorf("file %v", e.File)
	}
	var names []string
	for _, s := range e.CommandLine {
		names = append(names, s.Name)
	}
	order := strings.Fields("listen_addresses port cluster_name wal_level hot_standby max_connections max_wal_senders " +
		"max_prepared_transactions max_locks_per_transaction track_commit_timestamp max_replication_slots max_worker_processes wal_log_hints")
	if !slices.Equal(names, order) {
		t.Errorf("command line %v", names)
	}
	if e.Recovery["restore_command"] != "cp x" {
		t.Errorf("recovery %v", e.Recovery)
	}
	// max_connections and hot_standby refused, max_worker_processes raised.
	if len(e.Warnings) != 3 {
		t.Errorf("warnings %q", e.Warnings)
	}
}

func TestStandbyRecoveryFollowsForEver(t *testing.T) {
	user := map[string]string{"recovery_target_time": "2020-01-01", "restore_command": "cp", "primary_conninfo": "host=evil", "standby_mode": "on"}
	got := StandbyRecovery(user, "host=a", "n1", 15)
	want := map[string]string{"restore_command": "cp", "recovery_target_timeline": "latest", "recovery_target": "",
		"recovery_target_name": "", "recovery_target_time": "", "recovery_target_xid": "", "recovery_target_lsn": "",
		"primary_conninfo": "host=a", "primary_slot_name": "n1"}
	if !maps.Equal(got, want) {
		t.Fatalf("%v", got)
	}
	if alone := StandbyRecovery(nil, "", "n1", 15); alone["primary_slot_name"] != "" || alone["primary_conninfo"] != "" {
		t.Fatalf("with nobody to follow: %v", alone)
	}
}

const controlReport = `pg_control version number:            1300
Catalog version number:               202209061
Database system identifier:           7300000000000000001
Database cluster state:               shut down in recovery
pg_control last modified:             Mon 01 Jan 2024 10:00:00 AM UTC
Latest checkpoint location:           0/3000060
Latest checkpoint's REDO location:    0/3000028
Latest checkpoint's REDO WAL file:    000000010000000000000003
Latest checkpoint's TimeLineID:       2
Latest checkpoint's PrevTimeLineID:   1
Minimum recovery ending location:     0/30000D8
Min recovery ending loc's timeline:   3
wal_level setting:                    replica
wal_log_hints setting:                on
max_connections setting:              100
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           0
max_locks_per_xact setting:           64
Data page checksum version:           1
`

func TestParseControlData(t *testing.T) {
	d, err := ParseControlData(controlReport)
	if err != nil {
		t.Fatal(err)
	}
	if d.State != StateShutDownInRecovery || d.Checkpoint.String() != "2@0/3000060" || d.MinRecovery.String() != "3@0/30000D8" ||
		d.SystemIdentifier != "7300000000000000001" || !d.WALLogHints || d.ChecksumVersion != 1 || d.Settings["max_wal_senders"] != 10 {
		t.Fatalf("%+v", d)
	}
	if _, err := ParseControlData(strings.Replace(controlReport, "0/3000060", "gone", 1)); err == nil {
		t.Fatal("a broken report is accepted")
	}
}

func FuzzParseInt(f *testing.F) {
	f.Add("1.5e1", "MB")
	f.Add("-0x10 kB", "8kB")
	f.Fuzz(func(t *testing.T, text, base string) { ParseInt(text, base) })
}

func FuzzQuotedValueReadsBack(f *testing.F) {
	f.Add(`a'b\c`)
	f.Fuzz(func(t *testing.T, value string) {
		if strings.ContainsAny(value, "\n") {
			t.Skip("a line is one setting")
		}
		got := Parse(Line("archive_command", value))
		if len(got) != 1 || got[0].Value != value {
			t.Fatalf("%q reads back as %q", value, got)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("a = 'b''\\101' # c\ninclude 'x'\nport 5432")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range Parse(text) {
			if s.Name == "" || s.Name != strings.ToLower(s.Name) {
				t.Fatalf("name %q", s.Name)
			}
		}
		clean, _ := SanitizeAuto(text)
		if again, changed := SanitizeAuto(clean); changed {
			t.Fatalf("%q is not clean: %q", clean, again)
		}
	})
}

func FuzzConninfoReadsBack(f *testing.F) {
	f.Add(`a 'b'\`, "n 1")
	f.Fuzz(func(t *testing.T, host, name string) {
		if strings.ContainsAny(host+name, "\t\n\r\v\f") || host == "" || name == "" {
			t.Skip("only the blank has an escape")
		}
		got, err := ParseConninfo(Conninfo(map[string]string{"host": host, "application_name": name}, 15))
		if err != nil || got["host"] != host || got["application_name"] != name {
			t.Fatalf("%q %q read back as %v, %v", host, name, got, err)
		}
	})
}

func FuzzParseControlData(f *testing.F) {
	f.Add(controlReport)
	f.Fuzz(func(t *testing.T, text string) { ParseControlData(text) })
}

func TestValuesAreShownAsPostgreSQLShowsThem(t *testing.T) {
	for _, c := range []struct{ value, base, want string }{
		{"8192", "8kB", "64MB"}, {"16384", "8kB", "128MB"}, {"1", "8kB", "8kB"}, {"1048576", "kB", "1GB"}, {"64", "MB", "64MB"},
		{"300", "s", "5min"}, {"90", "s", "90s"}, {"200", "ms", "200ms"}, {"86400000", "ms", "1d"}, {"0", "8kB", "0"}, {"-1", "8kB", "-1"},
		{"101", "", "101"}, {"replica", "", "replica"}, {"on", "", "on"},
	} {
		if got := Shown(c.value, c.base); got != c.want {
			t.Errorf("%s of %q is shown as %q, want %q", c.value, c.base, got, c.want)
		}
	}
	for _, c := range []struct {
		a, b string
		same bool
	}{{"100", "100", true}, {"100", "0x64", true}, {"100", "101", false}, {"on", "true", true}, {"off", "on", false}, {"replica", "logical", false}, {"100", "on", false}} {
		if Same(c.a, c.b) != c.same {
			t.Errorf("%s and %s", c.a, c.b)
		}
	}
}

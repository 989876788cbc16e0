package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"matriarch/internal/config"
	"matriarch/internal/postgres"
)

const file = `
scope: mycluster
name: node1
restapi: {listen: 127.0.0.9:8008, connect_address: 10.0.0.1:8008}
etcd3: {hosts: 127.0.0.9:2379}
bootstrap:
  dcs: {ttl: 30, postgresql: {use_pg_rewind: true, parameters: {max_connections: 50}}}
  initdb: [{encoding: UTF8}, data-checksums]
  pg_hba: [host all all 0.0.0.0/0 md5]
postgresql:
  listen: 127.0.0.9:5433
  connect_address: 10.0.0.1:5433
  data_dir: DIR
  pgpass: DIR/../pgpass
  authentication:
    replication: {username: replicator, password: secret-r}
    superuser: {username: postgres, password: secret-s, sslmode: require}
  parameters: {work_mem: 8MB, max_connections: 9999}
tags: {clonefrom: true}
`

func load(t *testing.T, text string) *config.Config {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	c, _, err := config.LoadBytes([]byte(strings.ReplaceAll(text, "DIR", dir)), "node1.yml")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheServerGetsWhatTheFileSays(t *testing.T) {
	c := load(t, file)
	e, problems := config.Combine(c.Bootstrap.DCS, c)
	for _, p := range problems {
		if p.Severity == config.Error {
			t.Fatal(p)
		}
	}
	s := serverConfig(c, e.Postgresql)
	for _, x := range []struct{ what, got, want string }{
		{"name", s.Name, "node1"},
		{"listen", s.ListenAddresses, "127.0.0.9"},
		{"a parameter of the node", s.Parameters["work_mem"], "8MB"},
		{"a controlled parameter comes from the cluster", s.Parameters["max_connections"], "50"},
		{"replication password", s.Replication.Password, "secret-r"},
		{"a libpq key of the superuser", s.Superuser.Extra["sslmode"], "require"},
		{"the rewind user is the superuser", s.Rewind.Username, "postgres"},
		{"initdb", strings.Join(s.Initdb, " "), "--encoding=UTF8 --data-checksums"},
		{"bootstrap hba", strings.Join(s.BootstrapHBA, "|"), "host all all 0.0.0.0/0 md5"},
	} {
		if x.got != x.want {
			t.Errorf("%s: %q, want %q", x.what, x.got, x.want)
		}
	}
	if s.Port != 5433 || !s.UsePgRewind || !s.UseSlots {
		t.Errorf("port %d, rewind %v, slots %v", s.Port, s.UsePgRewind, s.UseSlots)
	}

	me := identity(c, e)
	if me.ConnURL != "postgres://10.0.0.1:5433/postgres" || me.APIURL != "http://10.0.0.1:8008/patroni" {
		t.Errorf("published: %s, %s", me.ConnURL, me.APIURL)
	}
	if !me.MayBootstrap || !me.UseRewind || me.RemoveOnDiverged || !me.Tags.Clonefrom() {
		t.Errorf("identity: %+v", me)
	}
}

func TestTheKeptConfigurationOutranksTheBootstrapSection(t *testing.T) {
	c := load(t, file)
	dir := c.Postgresql.DataDir
	if doc, err := firstDynamic(c); err != nil || len(doc) == 0 {
		t.Fatalf("without a kept one: %v, %v", doc, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	e, _ := config.Combine(map[string]any{"ttl": 40, "loop_wait": 30}, c)
	if err := saveDynamic(dir, map[string]any{"ttl": 40, "loop_wait": 30, "x": 1}, e); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, config.DynamicFile)); err != nil || string(text) != `{"loop_wait":20,"ttl":40,"x":1}` {
		t.Errorf("kept with the timing that is in force: %s, %v", text, err)
	}
	for mode, want := range map[os.FileMode]os.FileMode{0o700: 0o600, 0o750: 0o640} {
		path := filepath.Join(dir, config.DynamicFile)
		if err := errors.Join(os.Chmod(dir, mode), os.Remove(path), saveDynamic(dir, map[string]any{"ttl": 40}, e)); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("in a directory of mode %o: %v, %v", mode, info.Mode(), err)
		}
	}
	doc, err := firstDynamic(c)
	if err != nil || doc["ttl"] != float64(40) {
		t.Errorf("kept: %v, %v", doc, err)
	}
	if err := os.WriteFile(filepath.Join(dir, config.DynamicFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	doc, err = firstDynamic(c)
	if err == nil || doc["postgresql"] == nil {
		t.Errorf("a damaged one must be told and passed over: %v, %v", doc, err)
	}
}

func TestWhatIsNotDoneIsSaid(t *testing.T) {
	notes := unusedDynamic(map[string]any{"synchronous_mode": "quorum", "synchronous_node_count": 2, "failsafe_mode": true,
		"slots": map[string]any{"backup": nil}})
	if len(notes) != 0 {
		t.Errorf("dynamic: %q", notes)
	}
	notes = unusedDynamic(map[string]any{"standby_cluster": map[string]any{"host": "h"}})
	if len(notes) != 1 || !strings.Contains(notes[0], "standby_cluster") {
		t.Errorf("a standby cluster: %q", notes)
	}
}

func TestTheUsersCommandsGetTheirArguments(t *testing.T) {
	c := load(t, strings.NewReplacer("  pgpass:", `  create_replica_methods: [restore, basebackup, bare]
  restore: {command: /usr/bin/restore 'from here', no_leader: true, keep_data: 1, threads: 4}
  pre_promote: /bin/ask
  before_stop: /bin/say "good bye"
  pgpass:`, "bootstrap:\n", `bootstrap:
  method: backup
  backup: {command: /usr/bin/fetch --all, test-argument: it's, keep_existing_recovery_conf: true, fast: true, datadir: elsewhere,
    recovery_conf: {recovery_target_action: promote}}
`).Replace(file))
	e, problems := config.Combine(c.Bootstrap.DCS, c)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	p := serverConfig(c, e.Postgresql)
	custom := &postgres.CustomBootstrap{Command: []string{"/usr/bin/fetch", "--all", "--scope=" + c.Scope, "--datadir=" + c.Postgresql.DataDir, "--test-argument=it's", "--fast=True"},
		Recovery: map[string]string{"recovery_target_action": "promote"}, KeepRecovery: true}
	if !reflect.DeepEqual(p.Custom, custom) {
		t.Errorf("custom bootstrap: %+v", p.Custom)
	}
	methods := []postgres.ReplicaMethod{
		{Name: "restore", Command: []string{"/usr/bin/restore", "from here"}, KeepData: true, NoLeader: true,
			Params: []postgres.Param{{Name: "no_leader", Value: "True"}, {Name: "keep_data", Value: "1"}, {Name: "threads", Value: "4"}}},
		{Name: "basebackup"},
		{Name: "bare", Command: []string{"bare"}},
	}
	if !reflect.DeepEqual(p.ReplicaMethods, methods) {
		t.Errorf("replica methods: %+v", p.ReplicaMethods)
	}
	if !slices.Equal(p.PrePromote, []string{"/bin/ask"}) || !slices.Equal(p.BeforeStop, []string{"/bin/say", "good bye"}) {
		t.Errorf("pre_promote %q, before_stop %q", p.PrePromote, p.BeforeStop)
	}
	if me := identity(c, e); !me.CustomBootstrap || !me.CopiesAlone || !me.AsksPrePromote {
		t.Errorf("what is decided by it: %+v", me)
	}
}

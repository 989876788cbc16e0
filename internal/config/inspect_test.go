package config

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// occupied listens on a free port of loopback for the length of the test.
func occupied(t *testing.T) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

func vacant(t *testing.T) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// programs makes a directory of programs; its postgres says that version.
func programs(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range binaries {
		script := fmt.Sprintf("#!/bin/sh\necho 'postgres (PostgreSQL) %s (Debian)'\n", version)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestInspect(t *testing.T) {
	taken, taken2, free, free2 := occupied(t), occupied(t), vacant(t), vacant(t)
	bin := programs(t, "15.4")
	old := writeFiles(t, map[string]string{"PG_VERSION": "14\n"})
	if err := os.Mkdir(filepath.Join(old, "pg_wal"), 0o700); err != nil {
		t.Fatal(err)
	}
	absent := filepath.Join(t.TempDir(), "absent")
	foreign := writeFiles(t, map[string]string{"letter.txt": ""})
	config := func(etcd, rest, pg int, data, bin string) *Config {
		text := fmt.Sprintf(`
scope: s
name: n1
restapi: {listen: "127.0.0.1:%d", connect_address: 10.0.0.1:8008}
etcd3: {hosts: ["127.0.0.1:%d"]}
postgresql:
  listen: 127.0.0.1:%d
  connect_address: 10.0.0.1
  data_dir: %s
  bin_dir: %s
  authentication: {superuser: {username: p}, replication: {username: r}}
`, rest, etcd, pg, data, bin)
		c, _, err := LoadBytes([]byte(text), "f")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, test := range []struct {
		name    string
		config  *Config
		options InspectOptions
		want    []string
	}{
		{"all is well", config(taken, free, free2, filepath.Join(bin, "none"), bin), InspectOptions{}, nil},
		{"ports in use", config(taken, taken, taken2, t.TempDir(), bin), InspectOptions{}, []string{
			fmt.Sprintf("restapi.listen 127.0.0.1:%d didn't pass validation: Port %d is already in use.", taken, taken),
			fmt.Sprintf("postgresql.listen 127.0.0.1:%d didn't pass validation: Port %d is already in use.", taken2, taken2)}},
		{"ports of the running node", config(taken, taken, taken2, t.TempDir(), bin), InspectOptions{IgnoreListenPort: true}, nil},
		{"etcd away", config(free, free, free2, t.TempDir(), bin), InspectOptions{}, []string{
			fmt.Sprintf("etcd3.hosts.0 127.0.0.1:%d didn't pass validation: 127.0.0.1:%d is not reachable", free, free)}},
		{"another version's data", config(taken, free, free2, old, bin), InspectOptions{}, []string{
			"postgresql.data_dir " + old + " didn't pass validation: is of version 14, but the program postgres is of version 15"}},
		{"somebody else's directory", config(taken, free, free2, foreign, bin), InspectOptions{}, []string{
			"postgresql.data_dir " + foreign + " didn't pass validation: is not empty and has no file PG_VERSION"}},
		{"no directory of programs", config(taken, free, free2, t.TempDir(), absent), InspectOptions{}, []string{
			"postgresql.bin_dir  Directory '" + absent + "' does not exist."}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.options.Timeout = 2 * time.Second
			got := ValidatorLines(Inspect(t.Context(), test.config, test.options))
			if strings.Join(got, "\n") != strings.Join(test.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

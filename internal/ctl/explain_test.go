package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"matriarch/internal/config"
	"matriarch/internal/dcs"
	"matriarch/internal/store"
)

const pier1 = `scope: harbor
name: pier1
restapi: {listen: 0.0.0.0:8008, connect_address: 10.0.0.1:8008, authentication: {username: u, password: sesame}}
etcd3: {host: 127.0.0.1:1}
bootstrap: {dcs: {ttl: 60}}
postgresql:
  listen: 0.0.0.0
  connect_address: 10.0.0.1
  data_dir: DATA
  authentication: {superuser: {username: p, password: sesame}, replication: {username: r}}
  parameters: {max_connections: 500, work_mem: 8MB}
`

// runConfig calls matriarch config with that file, and gives stdout and stderr.
func (w *world) runConfig(args ...string) (out, errs string, code int) {
	w.t.Helper()
	var stdout, stderr bytes.Buffer
	env := Env{In: strings.NewReader(""), Out: &stdout, Err: &stderr, Strict: true, Open: w.open, Now: w.clock, Environ: w.env}
	root := &cobra.Command{Use: "matriarch"}
	root.AddCommand(Commands(env, "")...)
	Finish(root, env)
	root.SetArgs(append([]string{"config"}, args...))
	code = Exit(root.ExecuteContext(w.t.Context()), &stderr)
	return stdout.String(), stderr.String(), code
}

func explainFile(t *testing.T) (file, data string) {
	t.Helper()
	dir := t.TempDir()
	file, data = filepath.Join(dir, "pier1.yml"), filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(pier1, "DATA", data)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, data
}

func TestExplainReadsTheStore(t *testing.T) {
	w := newWorld(t, harbor)
	w.put("members/pier2", `{"conn_url":"postgres://127.0.0.2:5432/postgres","state":"running","pending_restart":true,
		"pending_restart_reason":{"max_connections":{"old_value":"50","new_value":"60"}}}`)
	file, _ := explainFile(t)
	out, errs, code := w.runConfig("explain", "max_connections", "-c", file)
	want(t, out, `postgresql.parameters.max_connections = 60
  from       the dynamic configuration (the store, /service/harbor/config)
  not        500 (`+file+`:11): it must be the same on all nodes, so only the dynamic configuration counts
  to change  matriarch edit-config; every node takes it at once, then restart PostgreSQL on every node: to raise it the standbys first, to lower it the primary first
  waits      for a restart of PostgreSQL on pier2: there it is 50, and will be 60
`)
	if errs != "" || code != 0 {
		t.Errorf("exit %d, %s", code, errs)
	}
	out, _, _ = w.runConfig("explain", "-c", file)
	for _, part := range []string{"| ttl ", "| 20 ", "60 (" + file[:10], "(hidden)", "restart, waits on pier2", "| postgresql.parameters.work_mem "} {
		if !strings.Contains(out, part) {
			t.Errorf("%q is not in\n%s", part, out)
		}
	}
	if strings.Contains(out, "log.level") || strings.Contains(out, "sesame") {
		t.Errorf("a mere default or a password is shown:\n%s", out)
	}
	if out, _, _ = w.runConfig("explain", "-c", file, "--all"); !strings.Contains(out, "log.level") {
		t.Errorf("no default in\n%s", out)
	}
}

func TestExplainForPrograms(t *testing.T) {
	w := newWorld(t, harbor)
	file, _ := explainFile(t)
	out, _, code := w.runConfig("explain", "postgresql", "-c", file, "-f", "json")
	var list []struct {
		Setting, Layer, Source string
		Line                   int
		Value                  any
		Overrides              []struct{ Why string }
		Apply                  struct{ Restart bool }
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != 0 {
		t.Fatalf("%v, exit %d\n%s", err, code, out)
	}
	found := 0
	for _, s := range list {
		switch s.Setting {
		case "postgresql.listen":
			found++
			if s.Value != "0.0.0.0" || s.Layer != "file" || s.Source != file || s.Line != 7 || !s.Apply.Restart {
				t.Errorf("%+v", s)
			}
		case "postgresql.parameters.max_connections":
			found++
			if s.Value != "60" || s.Layer != "dynamic" || len(s.Overrides) != 1 {
				t.Errorf("%+v", s)
			}
		}
	}
	if found != 2 || strings.Contains(out, "sesame") {
		t.Errorf("found %d, in\n%s", found, out)
	}
	for _, format := range []string{"yaml", "tsv"} {
		if out, _, code = w.runConfig("explain", "ttl", "-c", file, "-f", format); code != 0 || !strings.Contains(out, "ttl") || !strings.Contains(out, "20") {
			t.Errorf("%s: exit %d\n%s", format, code, out)
		}
	}
}

// TestExplainWithoutTheStore: the kept file counts, and failing that the bootstrap
// section, as at a start (compat/config.md §1.3).
func TestExplainWithoutTheStore(t *testing.T) {
	w := newWorld(t, harbor)
	w.open = func(context.Context, *config.Config, store.Options) (dcs.Store, error) {
		return nil, errors.New("no route to host")
	}
	file, data := explainFile(t)
	out, errs, code := w.runConfig("explain", "ttl", "-c", file)
	if !strings.HasPrefix(out, "ttl = 60\n  from       the dynamic configuration ("+file+":5)") || !strings.Contains(errs, "no route to host") || code != 0 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	kept := filepath.Join(data, config.DynamicFile)
	if err := os.WriteFile(kept, []byte(`{"ttl":40}`), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, _ = w.runConfig("explain", "ttl", "-c", file)
	if !strings.HasPrefix(out, "ttl = 40\n  from       the dynamic configuration ("+kept+")\n  not        60 (") || !strings.Contains(errs, kept) {
		t.Errorf("%s%s", out, errs)
	}
}

func TestExplainOfNothing(t *testing.T) {
	w := newWorld(t, harbor)
	file, _ := explainFile(t)
	for name, part := range map[string]string{"shared_buffers": "keeps the server's own value", "restapi.ciphers": "is not set"} {
		if out, errs, code := w.runConfig("explain", name, "-c", file); code != 1 || out != "" || !strings.Contains(errs, part) {
			t.Errorf("%s: exit %d, %q, %q", name, code, out, errs)
		}
	}
	if _, errs, code := w.runConfig("explian"); code != 2 || !strings.Contains(errs, "explain") {
		t.Errorf("exit %d, %q", code, errs)
	}
}

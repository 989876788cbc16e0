package ctl

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"matriarch/internal/config"
	"matriarch/internal/dcs"
	"matriarch/internal/dcs/memory"
	"matriarch/internal/store"
)

// harbor is the cluster of most captures in compat/ctl.md.
var harbor = map[string]string{
	"initialize": "7711295818603699884",
	"leader":     "pier1",
	"config":     `{"ttl":20,"loop_wait":3,"retry_timeout":5,"maximum_lag_on_failover":1048576,"postgresql":{"use_pg_rewind":true,"parameters":{"max_connections":60}}}`,
	"status":     `{"optime":67109360}`,
	"history": `[[1,67109080,"no recovery target specified","2026-11-23T09:26:48.424320+00:00","pier1"],` +
		`[2,117440904,"no recovery target specified","2026-11-23T09:30:40.108310+00:00","pier3"]]`,
	"members/pier1": `{"conn_url":"postgres://127.0.0.1:5432/postgres","state":"running","role":"primary","timeline":2,"xlog_location":67109360}`,
	"members/pier2": `{"conn_url":"postgres://127.0.0.2:5432/postgres","state":"running","role":"replica","timeline":2,` +
		`"xlog_location":67109360,"receive_lsn":67109360,"replay_lsn":67109360,"replication_state":"streaming"}`,
	"members/pier3": `{"conn_url":"postgres://127.0.0.3:5432/postgres","state":"running","role":"replica","timeline":2,` +
		`"xlog_location":67109360,"receive_lsn":67109360,"replay_lsn":67109360,"replication_state":"streaming"}`,
}

// oddball is the one with everything that is out of the ordinary.
var oddball = map[string]string{
	"initialize": "",
	"status":     `{"optime":101562624}`, // half a megabyte to 3.5 beyond the others
	"members/n1": `{"conn_url":"postgres://10.9.9.1:5433/postgres","state":"running","replication_state":"streaming","timeline":3,"receive_lsn":99475712,"replay_lsn":98427136,"tags":{"replicatefrom":"n2"}}`,
	"members/n2": `{"conn_url":"postgres://10.9.9.1:5434/postgres","state":"running","timeline":3,"replay_lsn":97378560,"tags":{"replicatefrom":"n1"}}`,
	"members/n3": `{"conn_url":"postgres://10.9.9.2:5432/postgres","state":"start failed","timeline":3,"pending_restart":true,` +
		`"pending_restart_reason":{"shared_preload_libraries":{"old_value":"pg_stat_statements","new_value":"pg_stat_statements,auto_explain,pg_cron"}}}`,
	"members/n4": `{"state":"stopped"}`,
	"members/n5": `{"conn_url":"postgres://10.9.9.5:5432/postgres","state":"running","xlog_location":99999999,` +
		`"scheduled_restart":{"schedule":"2030-01-01T00:00:00+00:00","postgres_version":"16.2"}}`,
}

// world is the store and the process around a command.
type world struct {
	t      *testing.T
	store  *memory.Cluster
	writer dcs.Store
	input  string
	strict bool
	person bool // looks at stderr
	env    []string
	now    time.Time
	ctx    context.Context   // nil: the test's
	tick   time.Duration     // by which the clock goes on with every look at it
	stdout func(text string) // is told what goes there
	stderr func(text string)
	open   func(ctx context.Context, c *config.Config, o store.Options) (dcs.Store, error)
}

func newWorld(t *testing.T, clusters ...map[string]string) *world {
	w := &world{t: t, now: time.Date(2026, 11, 23, 9, 30, 40, 598230000, time.Local)}
	w.store = memory.New(func() time.Time { return w.now })
	w.writer = w.store.Node("writer")
	for _, keys := range clusters {
		for key, value := range keys {
			w.put(key, value)
		}
	}
	w.open = func(_ context.Context, c *config.Config, _ store.Options) (dcs.Store, error) {
		if c.Scope == "nosuch" {
			return memory.New(time.Now).Node("ctl"), nil
		}
		return w.store.Node("ctl"), nil
	}
	return w
}

func (w *world) put(key, value string) {
	w.t.Helper()
	if _, err := w.writer.Commit(w.t.Context(), dcs.Txn{Then: []dcs.Op{{Key: key, Data: []byte(value)}}}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) get(key string) string { return string(w.store.Snapshot().Values[key].Data) }

// run calls patronictl and returns what it printed and its exit code.
func (w *world) run(args ...string) (stdout, stderr string, code int) {
	w.t.Helper()
	var out, errs bytes.Buffer
	env := Env{In: strings.NewReader(w.input), Out: told{&out, w.stdout}, Err: told{&errs, w.stderr}, Pace: time.Millisecond, Strict: w.strict, Terminal: w.person, Open: w.open, Now: w.clock,
		Environ: append([]string{"HOME=/nonexistent", "PATRONI_SCOPE=harbor", "PATRONI_ETCD3_HOST=127.0.0.1:1"}, w.env...)}
	root := Root(env, "4.1.4")
	root.SetArgs(args)
	ctx := w.ctx
	if ctx == nil {
		ctx = w.t.Context()
	}
	code = Exit(root.ExecuteContext(ctx), &errs)
	return out.String(), errs.String(), code
}

func (w *world) clock() time.Time {
	if w.tick != 0 {
		w.now = w.now.Add(w.tick)
	}
	return w.now
}

// told is a writer that lets a test know.
type told struct {
	io.Writer
	of func(text string)
}

func (t told) Write(p []byte) (int, error) {
	if t.of != nil {
		t.of(string(p))
	}
	return t.Writer.Write(p)
}

// want compares a whole output.
func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

package postgres

import (
	"bytes"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTheServersWordsAreHeeded: what PostgreSQL says about a file, what becomes of the
// settings, and the words in which the log tells it (compat/config.md §5.3).
func TestTheServersWordsAreHeeded(t *testing.T) {
	for _, c := range []struct {
		name, said string
		want       map[string]string // that differ; empty: removed
		log        string
	}{
		{"unknown", `LOG:  unrecognized configuration parameter "foo" in file "/c/x.check1" line 4`, map[string]string{"foo": ""},
			"Removing unexpected parameter=foo value=1 from the config"},
		{"unknown in the included file is its owner's", `LOG:  unrecognized configuration parameter "foo" in file "/c/postgresql.base.conf" line 4`, nil, ""},
		{"not a boolean", `LOG:  parameter "jit" requires a Boolean value`, map[string]string{"Jit": ""},
			"Removing bool parameter=Jit from the config due to the invalid value=perhaps"},
		{"not a choice", `LOG:  invalid value for parameter "wal_sync_method": "prayer"`, map[string]string{"wal_sync_method": ""},
			"Removing parameter=wal_sync_method from the config due to the invalid value=prayer"},
		{"too low", `LOG:  1 is outside the valid range for parameter "work_mem" (64 .. 2147483647)`, map[string]string{"work_mem": "64"},
			"Value=1kB of parameter=work_mem is out of range, the limit 64 is used"},
		{"too low, by 17's words", `LOG:  1 kB is outside the valid range for parameter "work_mem" (64 kB .. 2147483647 kB)`, map[string]string{"work_mem": "64"},
			"Value=1kB of parameter=work_mem is out of range, the limit 64 is used"},
		{"too high", `LOG:  172800 s is outside the valid range for parameter "checkpoint_timeout" (30 s .. 86400 s)`, map[string]string{"checkpoint_timeout": "86400"},
			"Value=2d of parameter=checkpoint_timeout is out of range, the limit 86400 is used"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			s := New(Config{}, slog.New(slog.NewTextHandler(&log, nil)), time.Now)
			given := map[string]string{"foo": "1", "Jit": "perhaps", "wal_sync_method": "prayer", "work_mem": "1kB", "checkpoint_timeout": "2d"}
			got := maps.Clone(given)
			if changed := s.heed(c.said+"\n", "x.check1", got); changed != (c.want != nil) {
				t.Errorf("changed %v", changed)
			}
			for name, value := range c.want {
				if given[name] = value; value == "" {
					delete(given, name)
				}
			}
			if !maps.Equal(got, given) {
				t.Errorf("settings %v, want %v", got, given)
			}
			if !strings.Contains(log.String(), c.log) || c.log == "" && log.Len() > 0 {
				t.Errorf("log %s", log.String())
			}
		})
	}
}

func TestDirectoriesOfTheServerAreMade(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{DataDir: filepath.Join(dir, "data"), Parameters: map[string]string{
		"unix_socket_directories": filepath.Join(dir, "a") + ", @abstract," + filepath.Join(dir, "b"), "Stats_Temp_Directory": "stats"}}
	if err := makeDirectories(cfg); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "data/stats"} {
		if found, _ := filepath.Glob(filepath.Join(dir, name)); len(found) != 1 {
			t.Errorf("%s is not there", name)
		}
	}
}

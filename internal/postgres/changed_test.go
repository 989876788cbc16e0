package postgres

import (
	"slices"
	"strings"
	"testing"
)

func TestWhatChangedInTheFile(t *testing.T) {
	const before = "include 'postgresql.base.conf'\nwork_mem = '4MB'\nDateStyle = 'iso'\nport = '5432'\nhot_standby = 'on'\nprimary_conninfo = 'host=a'\n"
	for _, c := range []struct{ name, after, want string }{
		{"nothing", before, ""},
		{"one value", strings.Replace(before, "4MB", "8MB", 1), "work_mem 4MB 8MB"},
		{"one is new", before + "jit = 'off'\n", "jit  off"},
		{"one is gone", strings.Replace(before, "DateStyle = 'iso'\n", "", 1), "datestyle iso gone"},
		{"what makes a standby", "include 'postgresql.base.conf'\nwork_mem = '4MB'\nDateStyle = 'iso'\nport = '5432'\nprimary_conninfo = 'host=b'\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, change := range changes(before, c.after) {
				now := change.Now
				if change.Gone {
					now = "gone"
				}
				got = append(got, change.Name+" "+change.was+" "+now)
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestChangedSettingsAreTold: once, by the server's words for what it has, and nothing
// of what it has already.
func TestChangedSettingsAreTold(t *testing.T) {
	n := newPrimary(t, "n1", func(c *Config) {
		c.Parameters["work_mem"], c.Parameters["log_min_duration_statement"] = "4096", "5s"
	})
	cfg := n.Config()
	delete(cfg.Parameters, "log_min_duration_statement")
	for name, value := range map[string]string{
		"work_mem": "8MB", "max_connections": "60", "maintenance_work_mem": "65536kB", // the default
		"archive_command": "put --password=sesame %p", "my.token": "sesame",
	} {
		cfg.Parameters[name] = value
	}
	n.Reconfigure(cfg)
	for range 2 {
		if _, err := n.Reload(within(t), true); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"Changed archive_command from '(disabled)' to 'put --password=(hidden) %p'",
		"Changed log_min_duration_statement from '5s' to 'None'",
		"Changed max_connections from '100' to '60' (restart might be required)",
		"Changed my.token from '(hidden)' to '(hidden)'",
		"Changed work_mem from '4MB' to '8MB'",
	}
	if got := n.told.beginning("Changed "); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

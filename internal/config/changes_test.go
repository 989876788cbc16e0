package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestChanges(t *testing.T) {
	base := "etcd3: {hosts: 10.0.0.9, password: sesame1, username: u}\n"
	for _, c := range []struct {
		name, before, now, want string
	}{
		{"nothing", base, base, ""},
		{"the same text as a number", base + "tags: {a: 1}\n", base + "tags: {a: '1'}\n", ""},
		{"keys of several sections", base + "log: {level: INFO}\ntags: {a: 1, b: 2}\n", base + "log: {level: DEBUG}\ntags: {a: 1, c: 3}\n", "log.level tags.b tags.c"},
		{"a section that comes", base, base + "watchdog: {mode: off}\n", "watchdog.mode"},
		{"a list", base + "restapi2: [1]\n", base + "restapi2: [2]\n", "restapi2"},
		{"what only a start reads", base, strings.Replace(base, "10.0.0.9", "10.0.0.8", 1) + "namespace: x\n", "etcd3.hosts! namespace!"},
		{"a new password of the store", base, strings.Replace(base, "sesame1", "sesame2", 1), "etcd3.password"},
	} {
		t.Run(c.name, func(t *testing.T) {
			load := func(text string) *Config {
				out, _, err := LoadBytes([]byte(minimal+text), "f")
				if err != nil {
					t.Fatal(err)
				}
				return out
			}
			var got []string
			changes := Changes(load(c.before), load(c.now))
			for _, change := range changes {
				if change.AgentRestart() {
					change.Key += "!"
				}
				got = append(got, change.Key)
			}
			if strings.Join(got, " ") != c.want || strings.Contains(fmt.Sprint(changes), "sesame") {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
}

// TestWhatIsLeftToDoAfterAReload: the reload itself is done by then.
func TestWhatIsLeftToDoAfterAReload(t *testing.T) {
	before, _, err := LoadBytes([]byte(minimal+"etcd3: {hosts: 10.0.0.9}\n"), "f")
	if err != nil {
		t.Fatal(err)
	}
	now, _, err := LoadBytes([]byte(minimal+"  parameters: {work_mem: 8MB, shared_buffers: 1GB}\n  use_pg_rewind: true\netcd3: {hosts: 10.0.0.8}\ntags: {a: 1}\n"), "f")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"etcd3.hosts":                          "restart of the agent on this node; PostgreSQL runs on, if the guard holds it",
		"tags.a":                               "",
		"postgresql.parameters.work_mem":       "",
		"postgresql.parameters.shared_buffers": "restart PostgreSQL on this node",
		"postgresql.use_pg_rewind":             "counts for the next time that it is needed",
	}
	got := map[string]string{}
	for _, c := range Changes(before, now) {
		got[c.Key] = c.Left()
	}
	for key, text := range want {
		if left, there := got[key]; !there || left != text {
			t.Errorf("%s: %q, want %q", key, left, text)
		}
	}
}

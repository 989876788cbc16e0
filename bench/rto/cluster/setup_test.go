package cluster

import (
	"os"
	"strings"
	"testing"
)

func TestTheConfigurationIsTheGuides(t *testing.T) {
	want, err := os.ReadFile("../../../examples/guide/node1.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range Setups() {
		if s.Name != "guide" {
			continue
		}
		got := s.file(place{name: "node1", host: "127.0.110.31", data: "/var/lib/matriarch-example/node1", bin: "/usr/lib/postgresql/15/bin",
			archive: "/var/lib/matriarch-example/archive", subnet: "127.0.0.0/8", stores: []string{"127.0.110.31:2379"}})
		if got != string(want) {
			t.Errorf("%v:\n%s\nthe guide:\n%s", s, got, want)
		}
	}
}

func TestASetupSaysWhatItChanges(t *testing.T) {
	p := place{name: "n1", host: "h1", members: []string{"n1", "h1", "n2", "h2"}}
	for _, c := range []struct {
		setup Setup
		want  string
	}{
		{Setup{Permit: "0.4"}, "\n    permit: 0.4\n    maximum_lag_on_failover"},
		{Setup{Embedded: true}, "\ndcs: embedded\nembedded:\n  members:\n    - {name: n1, host: h1}\n    - {name: n2, host: h2}\nbootstrap:"},
		{Setup{TTL: 20, LoopWait: 1, RetryTimeout: 3}, "\n    ttl: 20\n    loop_wait: 1\n    retry_timeout: 3\n    maximum"},
	} {
		if got := c.setup.file(p); !strings.Contains(got, c.want) {
			t.Errorf("%v: no %q in\n%s", c.setup, c.want, got)
		}
	}
}

package ctl

import (
	"context"
	"strings"
	"testing"
	"time"

	"matriarch/internal/config"
	"matriarch/internal/dcs"
	"matriarch/internal/dcs/memory"
	"matriarch/internal/store"
)

// flotilla is the Citus cluster of the captures in compat/ctl.md.
var flotilla = map[string]string{
	"config": `{"pause":true}`,
	"status": `{"optime":100000000}`,
}

func newFlotilla(t *testing.T) *world {
	w := newWorld(t)
	w.env = []string{"PATRONI_SCOPE=flotilla", "PATRONI_CITUS_GROUP=0", "PATRONI_CITUS_DATABASE=app"}
	stores := map[string]*memory.Cluster{"flotilla": w.store}
	for group, leader := range map[string]string{"0": "boat0", "1": "boat1"} {
		one := memory.New(time.Now)
		stores["flotilla/"+group] = one
		keys := map[string]string{
			"initialize": "70000000000000000" + group, "leader": leader + "a",
			"members/" + leader + "a": `{"conn_url":"postgres://127.0.1.` + group + `1:5432/x","state":"running","role":"primary","timeline":3}`,
			"members/" + leader + "b": `{"conn_url":"postgres://127.0.1.` + group + `2:5432/x","state":"running","replication_state":"streaming","timeline":3,"receive_lsn":99000000,"replay_lsn":90000000}`,
		}
		if group == "1" {
			keys["failover"] = `{"leader":"boat1a","member":"boat1b","scheduled_at":"2031-02-03T04:05:06+00:00"}`
		}
		for key, value := range flotilla {
			keys[key] = value
		}
		for key, value := range keys {
			w.put(group+"/"+key, value)
			if _, err := one.Node("writer").Commit(t.Context(), dcs.Txn{Then: []dcs.Op{{Key: key, Data: []byte(value)}}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.open = func(_ context.Context, c *config.Config, _ store.Options) (dcs.Store, error) {
		return stores[c.Scope].Node("ctl"), nil
	}
	return w
}

func TestCitusClusterIsListedGroupByGroup(t *testing.T) {
	w := newFlotilla(t)
	w.expect(t, "list", `+ Citus cluster: flotilla ----+---------+-----------+----+-------------+-----+------------+-----+
| Group | Member | Host       | Role    | State     | TL | Receive LSN | Lag | Replay LSN | Lag |
+-------+--------+------------+---------+-----------+----+-------------+-----+------------+-----+
|     0 | boat0a | 127.0.1.01 | Leader  | running   |  3 |             |     |            |     |
|     0 | boat0b | 127.0.1.02 | Replica | streaming |  3 |   0/5E69EC0 |   1 |  0/55D4A80 |  10 |
|     1 | boat1a | 127.0.1.11 | Leader  | running   |  3 |             |     |            |     |
|     1 | boat1b | 127.0.1.12 | Replica | streaming |  3 |   0/5E69EC0 |   1 |  0/55D4A80 |  10 |
+-------+--------+------------+---------+-----------+----+-------------+-----+------------+-----+
Citus group: 0
 Maintenance mode: on
Citus group: 1
 Maintenance mode: on
 Switchover scheduled at: 2031-02-03T04:05:06+00:00
                    from: boat1a
                      to: boat1b
`, "", 0)
	out, _, _ := w.run("list", "--group", "1")
	if !strings.HasPrefix(out, "+ Citus cluster: flotilla (group: 1, 700000000000000001) ") || !strings.Contains(out, "\n| Member | Host ") || strings.Contains(out, "Citus group:") {
		t.Error(out)
	}
	out, _, _ = w.run("list", "--group", "1", "-f", "tsv")
	if !strings.HasPrefix(out, "Cluster\tGroup\tMember\t") || !strings.Contains(out, "\nflotilla\t1\tboat1a\t") {
		t.Error(out)
	}
	if out, _, _ = w.run("topology"); !strings.Contains(out, "|     0 | boat0a   |") || !strings.Contains(out, "|     1 | + boat1b |") {
		t.Error(out)
	}
	if out, _, _ = w.run("dsn", "-m", "boat1b"); out != "host=127.0.1.12 port=5432\n" {
		t.Error(out)
	}
	if out, _, _ = w.run("show-config"); out != "pause: true\n\n" { // of the configured group
		t.Error(out)
	}
}

func TestCitusGroupIsAskedFor(t *testing.T) {
	w := newFlotilla(t)
	for _, args := range []string{"switchover --force", "failover --force --candidate boat1b", "remove flotilla"} {
		if _, errs, code := w.run(strings.Fields(args)...); errs != "Error: For Citus clusters the --group must me specified\n" || code != 1 {
			t.Errorf("%s: exit %d\n%s", args, code, errs)
		}
	}
	w.input = "one\n1\n"
	out, errs, code := w.run("switchover")
	if !strings.HasSuffix(out, "Citus group: Error: 'one' is not a valid integer.\nCitus group: Primary [boat1a]: ") || errs != "Aborted!\n" || code != 1 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	w.input = "n\n"
	if out, _, _ = w.run("reload", "flotilla", "-r", "leader"); !strings.HasSuffix(out, "members boat0a, boat1a? [y/N]: ") {
		t.Error(out)
	}
}

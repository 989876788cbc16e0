package ctl

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"matriarch/internal/config"
	"matriarch/internal/dcs"
	"matriarch/internal/store"
)

const harborTable = `+ Cluster: harbor (7711295818603699884) ---+----+-------------+-----+------------+-----+
| Member | Host      | Role    | State     | TL | Receive LSN | Lag | Replay LSN | Lag |
+--------+-----------+---------+-----------+----+-------------+-----+------------+-----+
| pier1  | 127.0.0.1 | Leader  | running   |  2 |             |     |            |     |
| pier2  | 127.0.0.2 | Replica | streaming |  2 |   0/40001F0 |   0 |  0/40001F0 |   0 |
| pier3  | 127.0.0.3 | Replica | streaming |  2 |   0/40001F0 |   0 |  0/40001F0 |   0 |
+--------+-----------+---------+-----------+----+-------------+-----+------------+-----+
`

func TestList(t *testing.T) {
	out, errs, code := newWorld(t, harbor).run("list")
	want(t, out, harborTable)
	if errs != "" || code != 0 {
		t.Errorf("stderr %q, exit %d", errs, code)
	}
}

func TestListExtended(t *testing.T) {
	out, _, _ := newWorld(t, harbor).run("list", "-e")
	want(t, strings.Join(strings.SplitAfter(out, "\n")[:4], ""), `+ Cluster: harbor (7711295818603699884) ---+----+-------------+-----+------------+-----+-----------------+------------------------+-------------------+------+
| Member | Host      | Role    | State     | TL | Receive LSN | Lag | Replay LSN | Lag | Pending restart | Pending restart reason | Scheduled restart | Tags |
+--------+-----------+---------+-----------+----+-------------+-----+------------+-----+-----------------+------------------------+-------------------+------+
| pier1  | 127.0.0.1 | Leader  | running   |  2 |             |     |            |     |                 |                        |                   |      |
`)
}

func TestListOddball(t *testing.T) {
	w := newWorld(t, oddball)
	out, _, _ := w.run("list", "oddball")
	want(t, out, `+ Cluster: oddball (initializing) -+--------------+----+-------------+-----+------------+-----+-----------------+-----------------------------------------------+---------------------------------------------+-------------------+
| Member | Host          | Role    | State        | TL | Receive LSN | Lag | Replay LSN | Lag | Pending restart | Pending restart reason                        | Scheduled restart                           | Tags              |
+--------+---------------+---------+--------------+----+-------------+-----+------------+-----+-----------------+-----------------------------------------------+---------------------------------------------+-------------------+
| n1     | 10.9.9.1:5433 | Replica | streaming    |  3 |   0/5EDE100 |   2 |  0/5DDE100 |   3 |                 |                                               |                                             | replicatefrom: n2 |
| n2     | 10.9.9.1:5434 | Replica | running      |  3 |     unknown |     |  0/5CDE100 |   4 |                 |                                               |                                             | replicatefrom: n1 |
| n3     | 10.9.9.2:5432 | Replica | start failed |  3 |     unknown |     |    unknown |     | *               | shared_preload_libraries: [hidden - too long] |                                             |                   |
| n4     |               | Replica | stopped      |    |     unknown |     |    unknown |     |                 |                                               |                                             |                   |
| n5     | 10.9.9.5:5432 | Replica | running      |    |     unknown |     |  0/5F5E0FF |   1 |                 |                                               | 2030-01-01T00:00:00+00:00 if version < 16.2 |                   |
+--------+---------------+---------+--------------+----+-------------+-----+------------+-----+-----------------+-----------------------------------------------+---------------------------------------------+-------------------+
`)
	out, _, _ = w.run("list", "oddball", "-f", "json")
	for _, part := range []string{
		`{"Cluster": "oddball", "Member": "n3", "Host": "10.9.9.2:5432", "Role": "Replica", "State": "start failed", "TL": 3, "Receive LSN": "unknown", "Replay LSN": "unknown", "Pending restart": "*", "Pending restart reason": "shared_preload_libraries: pg_stat_statements->pg_stat_statements,auto_explain,pg_cron"}`,
		`{"Cluster": "oddball", "Member": "n4", "Role": "Replica", "State": "stopped", "Receive LSN": "unknown", "Replay LSN": "unknown"}`,
		`{"Cluster": "oddball", "Member": "n5", "Host": "10.9.9.5:5432", "Role": "Replica", "State": "running", "Receive LSN": "unknown", "Replay LSN": "0/5F5E0FF", "Replay Lag": 1, "Scheduled restart": "2030-01-01T00:00:00+00:00 if version < 16.2"}`,
	} {
		if !strings.Contains(out, part) {
			t.Errorf("%s\nis not in\n%s", part, out)
		}
	}
	out, _, _ = w.run("topology", "oddball")
	for _, part := range []string{"| + n3 ", "| + n4 ", "| + n5 ", "n1 ", "n2 "} {
		if !strings.Contains(out, part) {
			t.Errorf("%q is not in\n%s", part, out)
		}
	}
}

func TestListWithLinesInCells(t *testing.T) {
	w := newWorld(t, harbor)
	w.put("members/pier2", `{"conn_url":"postgres://127.0.0.2:5432/postgres","state":"crashed","pending_restart":true,
		"pending_restart_reason":{"max_connections":{"old_value":"60","new_value":"70"},"archive_mode":{"old_value":"off","new_value":"off"}},
		"scheduled_restart":{"schedule":"2030-01-02T03:05:00+02:00","postgres_version":"16.1"}}`)
	w.put("members/pier3", "")
	out, _, _ := w.run("list")
	want(t, out, `+ Cluster: harbor (7711295818603699884) -+----+-------------+-----+------------+-----+-----------------+-------------------------+---------------------------------------------+
| Member | Host      | Role    | State   | TL | Receive LSN | Lag | Replay LSN | Lag | Pending restart | Pending restart reason  | Scheduled restart                           |
+--------+-----------+---------+---------+----+-------------+-----+------------+-----+-----------------+-------------------------+---------------------------------------------+
| pier1  | 127.0.0.1 | Leader  | running |  2 |             |     |            |     |                 |                         |                                             |
+--------+-----------+---------+---------+----+-------------+-----+------------+-----+-----------------+-------------------------+---------------------------------------------+
| pier2  | 127.0.0.2 | Replica | crashed |    |     unknown |     |    unknown |     | *               | archive_mode: off->off  | 2030-01-02T03:05:00+02:00 if version < 16.1 |
|        |           |         |         |    |             |     |            |     |                 | max_connections: 60->70 |                                             |
+--------+-----------+---------+---------+----+-------------+-----+------------+-----+-----------------+-------------------------+---------------------------------------------+
| pier3  |           | Replica |         |    |     unknown |     |    unknown |     |                 |                         |                                             |
+--------+-----------+---------+---------+----+-------------+-----+------------+-----+-----------------+-------------------------+---------------------------------------------+
`)
	out, _, _ = w.run("list", "-f", "yaml")
	if part := "  Pending restart reason: 'archive_mode: off->off\n\n    max_connections: 60->70'\n"; !strings.Contains(out, part) {
		t.Errorf("%s\nis not in\n%s", part, out)
	}
}

// tagged is harbor after two failovers, with tags.
func tagged(t *testing.T) *world {
	w := newWorld(t, harbor)
	w.put("status", `{"optime":117540312}`)
	w.put("members/pier1", `{"conn_url":"postgres://127.0.0.1:5432/postgres","state":"running","role":"primary","timeline":4}`)
	w.put("members/pier2", `{"conn_url":"postgres://127.0.0.2:5432/postgres","state":"running","timeline":4,"receive_lsn":117540312,"replay_lsn":117540312,`+
		`"replication_state":"streaming","tags":{"nofailover":true,"zone":"east"}}`)
	w.put("members/pier3", `{"conn_url":"postgres://127.0.0.3:5432/postgres","state":"running","timeline":4,"receive_lsn":117540312,"replay_lsn":117540312,`+
		`"tags":{"replicatefrom":"pier2","clonefrom":true,"weight":3}}`)
	return w
}

func TestFormats(t *testing.T) {
	w := tagged(t)
	out, _, _ := w.run("list", "-f", "json")
	// The tags are in the order of their names: the stored order is not kept.
	want(t, out, `[{"Cluster": "harbor", "Member": "pier1", "Host": "127.0.0.1", "Role": "Leader", "State": "running", "TL": 4}, `+
		`{"Cluster": "harbor", "Member": "pier2", "Host": "127.0.0.2", "Role": "Replica", "State": "streaming", "TL": 4, "Receive LSN": "0/70185D8", "Receive Lag": 0, "Replay LSN": "0/70185D8", "Replay Lag": 0, "Tags": {"nofailover": true, "zone": "east"}}, `+
		`{"Cluster": "harbor", "Member": "pier3", "Host": "127.0.0.3", "Role": "Replica", "State": "running", "TL": 4, "Receive LSN": "0/70185D8", "Receive Lag": 0, "Replay LSN": "0/70185D8", "Replay Lag": 0, "Tags": {"clonefrom": true, "replicatefrom": "pier2", "weight": 3}}]`+"\n")
	out, _, _ = w.run("list", "-f", "tsv")
	want(t, out, "Cluster\tMember\tHost\tRole\tState\tTL\tReceive LSN\tReceive Lag\tReplay LSN\tReplay Lag\tTags\n"+
		"harbor\tpier1\t127.0.0.1\tLeader\trunning\t4\t\t\t\t\t\n"+
		"harbor\tpier2\t127.0.0.2\tReplica\tstreaming\t4\t0/70185D8\t0\t0/70185D8\t0\t{nofailover: true, zone: east}\n"+
		"harbor\tpier3\t127.0.0.3\tReplica\trunning\t4\t0/70185D8\t0\t0/70185D8\t0\t{clonefrom: true, replicatefrom: pier2, weight: 3}\n")
	out, _, _ = w.run("list", "-f", "yml")
	for _, part := range []string{"- Cluster: harbor\n  Host: 127.0.0.2\n  Member: pier2\n  Receive LSN: 0/70185D8\n  Receive Lag: 0\n  Replay LSN: 0/70185D8\n  Replay Lag: 0\n" +
		"  Role: Replica\n  State: streaming\n  TL: 4\n  Tags:\n    nofailover: true\n    zone: east\n"} {
		if !strings.Contains(out, part) || !strings.HasSuffix(out, "\n\n") {
			t.Errorf("%s\nis not in\n%s", part, out)
		}
	}
	out, _, _ = w.run("topology")
	want(t, out, `+ Cluster: harbor (7711295818603699884) ------+----+-------------+-----+------------+-----+----------------------------------------------------+
| Member    | Host      | Role    | State     | TL | Receive LSN | Lag | Replay LSN | Lag | Tags                                               |
+-----------+-----------+---------+-----------+----+-------------+-----+------------+-----+----------------------------------------------------+
| pier1     | 127.0.0.1 | Leader  | running   |  4 |             |     |            |     |                                                    |
| + pier2   | 127.0.0.2 | Replica | streaming |  4 |   0/70185D8 |   0 |  0/70185D8 |   0 | {nofailover: true, zone: east}                     |
|   + pier3 | 127.0.0.3 | Replica | running   |  4 |   0/70185D8 |   0 |  0/70185D8 |   0 | {clonefrom: true, replicatefrom: pier2, weight: 3} |
+-----------+-----------+---------+-----------+----+-------------+-----+------------+-----+----------------------------------------------------+
`)
	out, _, _ = w.run("list")
	for _, part := range []string{"| nofailover: true     |\n", "| zone: east           |\n", "| replicatefrom: pier2 |\n"} {
		if !strings.Contains(out, part) {
			t.Errorf("%s\nis not in\n%s", part, out)
		}
	}
}

func TestEmptyCluster(t *testing.T) {
	w := newWorld(t)
	out, _, code := w.run("list", "nosuch")
	want(t, out, `+ Cluster: nosuch (uninitialized) --+-------------+-----+------------+-----+
| Member | Host | Role | State | TL | Receive LSN | Lag | Replay LSN | Lag |
+--------+------+------+-------+----+-------------+-----+------------+-----+
+--------+------+------+-------+----+-------------+-----+------------+-----+
`)
	for format, text := range map[string]string{"json": "[]\n", "yaml": "[]\n\n",
		"tsv": "Cluster\tMember\tHost\tRole\tState\tTL\tReceive LSN\tReceive Lag\tReplay LSN\tReplay Lag\n"} {
		out, _, _ := w.run("list", "nosuch", "-f", format)
		want(t, out, text)
	}
	if code != 0 {
		t.Errorf("exit %d", code)
	}
}

func TestRolesAndFooter(t *testing.T) {
	w := newWorld(t, harbor)
	w.put("config", `{"synchronous_mode":true,"pause":true}`)
	w.put("sync", `{"leader":"pier1","sync_standby":"PIER2"}`)
	w.put("failover", `{"leader":"pier3","member":"pier1","scheduled_at":"2030-06-07T08:09:00+00:00"}`)
	out, _, _ := w.run("list", "-t")
	for _, part := range []string{"| pier2  | 127.0.0.2 | Sync Standby | streaming |", "| pier3  | 127.0.0.3 | Replica      |",
		"+\n Maintenance mode: on\n Switchover scheduled at: 2030-06-07T08:09:00+00:00\n                    from: pier3\n                      to: pier1\n"} {
		if !strings.Contains(out, part) {
			t.Errorf("%q is not in\n%s", part, out)
		}
	}
	if !strings.HasPrefix(out, "2026-11-23 09:30:40\n+") {
		t.Errorf("no timestamp in\n%s", out)
	}
	w.put("config", `{"synchronous_mode":"quorum"}`)
	if out, _, _ = w.run("list"); !strings.Contains(out, "| Quorum Standby |") {
		t.Errorf("no quorum standby in\n%s", out)
	}
	w.put("config", `{"synchronous_mode":"quorum","standby_cluster":{"host":"x"}}`)
	w.put("members/pier1", `{"conn_url":"postgres://127.0.0.1:5432/postgres","state":"running","role":"standby_leader","replication_state":"in archive recovery"}`)
	if out, _, _ = w.run("list"); !strings.Contains(out, "| pier1  | 127.0.0.1 | Standby Leader | in archive recovery |") || strings.Contains(out, "Quorum") {
		t.Errorf("no standby leader in\n%s", out)
	}
}

func TestNoClusterName(t *testing.T) {
	w := newWorld(t)
	w.env = []string{"PATRONI_SCOPE="}
	out, errs, code := w.run("list")
	if want := "Listing members: No cluster names were provided\n"; out != "" || !strings.HasSuffix(errs, want) || code != 0 {
		t.Errorf("got %q, %q, %d", out, errs, code)
	}
	if _, errs, code := w.run("history"); !strings.HasPrefix(errs, "Error: no cluster name") || code != 1 {
		t.Errorf("got %q, %d", errs, code)
	}
}

func TestHistory(t *testing.T) {
	w := newWorld(t, harbor)
	out, _, _ := w.run("history")
	want(t, out, `+----+-----------+------------------------------+----------------------------------+------------+
| TL |       LSN | Reason                       | Timestamp                        | New Leader |
+----+-----------+------------------------------+----------------------------------+------------+
|  1 |  67109080 | no recovery target specified | 2026-11-23T09:26:48.424320+00:00 | pier1      |
|  2 | 117440904 | no recovery target specified | 2026-11-23T09:30:40.108310+00:00 | pier3      |
+----+-----------+------------------------------+----------------------------------+------------+
`)
	w.put("history", `[[1,67109080,"no recovery target specified","2026-11-23T09:26:48.424320+00:00","pier1"],[2,5,"x"]]`)
	out, _, _ = w.run("history", "-f", "json")
	want(t, out, `[{"TL": 1, "LSN": 67109080, "Reason": "no recovery target specified", "Timestamp": "2026-11-23T09:26:48.424320+00:00", "New Leader": "pier1"}, `+
		`{"TL": 2, "LSN": 5, "Reason": "x", "Timestamp": "", "New Leader": ""}]`+"\n")
	w.put("history", `[[1,67109080,"no recovery target specified","2026-11-23T09:26:48.424320+00:00","pier1"]]`)
	out, _, _ = w.run("history", "-f", "yaml")
	want(t, out, "- LSN: 67109080\n  New Leader: pier1\n  Reason: no recovery target specified\n  TL: 1\n  Timestamp: '2026-11-23T09:26:48.424320+00:00'\n\n")
	out, _, _ = w.run("history", "-f", "tsv")
	want(t, out, "TL\tLSN\tReason\tTimestamp\tNew Leader\n1\t67109080\tno recovery target specified\t2026-11-23T09:26:48.424320+00:00\tpier1\n")
	out, _, code := w.run("history", "nosuch", "-f", "json")
	if want(t, out, "[]\n"); code != 0 {
		t.Errorf("exit %d", code)
	}
}

func TestShowConfig(t *testing.T) {
	w := newWorld(t, harbor)
	out, _, _ := w.run("show-config")
	want(t, out, `loop_wait: 3
maximum_lag_on_failover: 1048576
postgresql:
  parameters:
    max_connections: 60
  use_pg_rewind: true
retry_timeout: 5
ttl: 20

`)
	if out, _, code := w.run("show-config", "nosuch"); out != "" || code != 0 {
		t.Errorf("got %q, exit %d", out, code)
	}
}

// TestASilentStoreIsWaitedForAloud: on a terminal, and not for one that answers soon.
func TestASilentStoreIsWaitedForAloud(t *testing.T) {
	const waiting = "waiting for the store at http://127.0.0.1:1, at most 5s\n"
	for _, c := range []struct {
		person bool
		answer time.Duration
		want   string
	}{{true, 3 * time.Second, waiting}, {true, time.Second, ""}, {false, 3 * time.Second, ""}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, harbor)
			w.person = c.person
			open := w.open
			w.open = func(ctx context.Context, conf *config.Config, o store.Options) (dcs.Store, error) {
				select {
				case <-time.After(c.answer):
					return open(ctx, conf, o)
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
			if _, errs, code := w.run("list", "--timeout", "5s"); errs != c.want || code != 0 {
				t.Errorf("%+v: said %q, exit %d", c, errs, code)
			}
		})
	}
}

func TestStoreThatDoesNotAnswer(t *testing.T) {
	w := newWorld(t)
	w.open = func(ctx context.Context, _ *config.Config, _ store.Options) (dcs.Store, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	start := time.Now()
	_, errs, code := w.run("list", "--timeout", "50ms")
	if !strings.Contains(errs, "http://127.0.0.1:1") || !strings.HasPrefix(errs, "Error: the store did not answer within 50ms") || code != 1 {
		t.Errorf("got %q, exit %d", errs, code)
	}
	if time.Since(start) > 5*time.Second {
		t.Errorf("it took %v", time.Since(start))
	}
}

func TestRealStoreThatDoesNotAnswer(t *testing.T) {
	w := newWorld(t)
	w.open = store.Open
	_, errs, code := w.run("--timeout", "100ms", "history")
	if !strings.Contains(errs, "http://127.0.0.1:1") || code != 1 || strings.Count(errs, "\n") != 1 {
		t.Errorf("got %q, exit %d", errs, code)
	}
}

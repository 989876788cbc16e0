package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"matriarch/internal/cluster"
)

// onPurpose are the fields that Patroni does not have, and why we do.
var onPurpose = map[string]string{
	"guard": "how well the server is kept from writing without the right to; Patroni has no guard",
}

// differences compares two documents field by field. A field is named by its path.
func differences(theirs, ours string) (out []string) {
	a, b := map[string]string{}, map[string]string{}
	for _, d := range []struct {
		text string
		into map[string]string
	}{{theirs, a}, {ours, b}} {
		var doc any
		if err := json.Unmarshal([]byte(d.text), &doc); err != nil {
			return []string{fmt.Sprintf("%v in %s", err, d.text)}
		}
		flatten("", doc, d.into)
	}
	for _, path := range slices.Sorted(maps.Keys(a)) {
		if mine, ok := b[path]; !ok {
			out = append(out, fmt.Sprintf("%s is missing, want %s", path, a[path]))
		} else if mine != a[path] {
			out = append(out, fmt.Sprintf("%s is %s, want %s", path, mine, a[path]))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(b)) {
		if _, known := a[path]; !known && onPurpose[path] == "" {
			out = append(out, fmt.Sprintf("%s is %s, and Patroni has no such field", path, b[path]))
		}
	}
	return out
}

// flatten lists the values with their types, by path.
func flatten(path string, v any, into map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		into[path] = "an object"
		for name, inner := range v {
			flatten(strings.TrimPrefix(path+"."+name, "."), inner, into)
		}
	case []any:
		into[path] = fmt.Sprintf("a list of %d", len(v))
		for i, inner := range v {
			flatten(fmt.Sprintf("%s[%d]", path, i), inner, into)
		}
	default:
		into[path] = fmt.Sprintf("%T %v", v, v)
	}
}

func TestDifferencesAreFound(t *testing.T) {
	for ours, want := range map[string]int{
		`{"a":1,"b":{"c":[1,2]}}`: 0, `{"a":"1","b":{"c":[1,2]}}`: 1, `{"a":1,"b":{"c":[1]}}`: 2, `{"a":1,"b":{"c":[1,2]},"d":null}`: 1,
		`{"a":1,"b":null}`: 4, `{"a":1,"b":{"c":[1,2]},"guard":"x"}`: 0, `{`: 1,
	} {
		if got := differences(`{"a":1,"b":{"c":[1,2]}}`, ours); len(got) != want {
			t.Errorf("%s: %q, want %d", ours, got, want)
		}
	}
}

func recorded(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "contract", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func day(hour, minute, second, micros int) time.Time {
	return time.Date(2026, 11, 23, hour, minute, second, micros*1000, time.UTC)
}

// demo is a node of the recorded cluster.
func demo(n *fakeNode, name string, seen int64) *fakeNode {
	n.picture.Name, n.picture.Guard = name, "freezer"
	n.picture.Tags, n.picture.DCSLastSeen = cluster.Tags{"clonefrom": true}, time.Unix(seen, 0)
	return n
}

func TestContractStatus(t *testing.T) {
	address := "127.0.0.1"
	leads := demo(primary(), "node1", 1795426010)
	leads.postgres = Postgres{Known: true, Version: 150020, Started: day(9, 26, 25, 209995), Timeline: 1, Location: 67108960,
		Senders: []Sender{{User: "repl", Application: "node3", Address: &address, State: "streaming", SyncState: "async"}}}

	follows := demo(syncStandby("on"), "node1", 1795426187)
	follows.picture.View.Sync = cluster.Sync{Leader: "node2", Standbys: []string{"node1"}}
	follows.picture.PendingRestart, follows.picture.PendingReason = true, map[string]cluster.Change{"max_connections": {Old: "50", New: "60"}}
	follows.postgres = Postgres{Known: true, InRecovery: true, Version: 150020, Started: day(9, 29, 5, 616277), Timeline: 2,
		Received: 100664064, Replayed: 100664064, ReplayedAt: day(9, 29, 37, 599820), ReplicationState: "streaming"}

	copying := demo(standby(), "node3", 1795426125)
	copying.picture.State, copying.picture.Role, copying.picture.SystemID = cluster.StateCreatingCopy, cluster.RoleUninitialized, ""

	for file, n := range map[string]*fakeNode{"primary.json": leads, "standby.json": follows, "copying.json": copying} {
		_, body := call(newServer(t, n), "GET", "/patroni", "")
		for _, difference := range differences(recorded(t, file), body) {
			t.Errorf("%s: %s", file, difference)
		}
	}
}

// TestContractCluster reads the keys that made Patroni's answer.
func TestContractCluster(t *testing.T) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal([]byte(recorded(t, "cluster.keys.json")), &keys); err != nil {
		t.Fatal(err)
	}
	entries := map[string]cluster.Entry{}
	for name, value := range keys {
		entries[name] = cluster.Entry{Data: value, Modified: 1}
	}
	entries["leader"] = cluster.Entry{Data: []byte("node1"), Modified: 1, Lease: 1}
	n := primary()
	n.store = cluster.Parse(1, entries)
	if len(n.store.Faults) > 0 {
		t.Fatal(n.store.Faults)
	}
	_, body := call(newServer(t, n), "GET", "/cluster", "")
	for _, difference := range differences(recorded(t, "cluster.json"), body) {
		t.Error(difference)
	}
}

func TestContractMetrics(t *testing.T) {
	n := demo(standby(), "node3", 1795426563)
	n.postgres = Postgres{Known: true, InRecovery: true, Version: 150020, Started: day(9, 32, 3, 522383), Timeline: 5,
		Received: 134411752, Replayed: 134411752, ReplayedAt: day(9, 33, 0, 77502), ReplicationState: "streaming"}
	code, body := call(newServer(t, n), "GET", "/metrics", "")
	theirs, ours := strings.Split(recorded(t, "metrics.txt"), "\n"), strings.Split(body, "\n")
	if code != 200 || len(ours) != len(theirs) {
		t.Errorf("%d with %d lines, want %d", code, len(ours), len(theirs))
	}
	for i := range min(len(ours), len(theirs)) {
		if ours[i] != theirs[i] {
			t.Errorf("line %d\ngot  %s\nwant %s", i+1, ours[i], theirs[i])
		}
	}
}

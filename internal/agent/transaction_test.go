package agent

import (
	"reflect"
	"testing"

	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
	"matriarch/internal/ha"
	"matriarch/internal/wal"
)

// TestEveryWriteHasItsCondition is B-161 and compat/dcs.md §2: what was decided on
// one state of the store is not written over another.
func TestEveryWriteHasItsCondition(t *testing.T) {
	o := ha.Observation{Me: ha.Me{Name: "n1"}}
	o.Store.View.Status = cluster.Status{Known: true, Optime: 5, Slots: map[string]wal.LSN{"n2": 4}, Retain: []string{"n3"}}
	o.Store.View.Config.Valid = true
	fresh := o
	fresh.Store.View.Config.Valid = false
	fresh.Store.Dynamic = map[string]any{"ttl": 5, "loop_wait": 10, "x": "y"}
	fresh.Store.Settings = cluster.DefaultSettings()

	mixed := o
	mixed.Store.View.Members = []cluster.Member{{Name: "n1", Version: "4.1.4"}, {Name: "n2", Version: "2.0.2"}}
	newer := o
	newer.Store.View.Members = []cluster.Member{{Name: "n1", Version: "4.1.4"}, {Name: "n2", Version: "2.1.0"}, {Name: "n3", Version: "?"}}

	mine := dcs.Condition{Key: "leader", Equals: []byte("n1")}
	write := func(key, text string) dcs.Op { return dcs.Op{Key: key, Data: []byte(text)} }
	member := cluster.Member{Name: "n1", State: cluster.StateRunning}
	cases := []struct {
		name   string
		from   ha.Observation
		action ha.Action
		want   dcs.Txn
	}{
		{"a member's key is its own", o, ha.PutMember{Member: member},
			dcs.Txn{Then: []dcs.Op{{Key: "members/n1", Data: member.Encode(), Leased: true}}}},
		{"status by the leader", o, ha.PutStatus{Status: cluster.Status{Optime: 7}},
			dcs.Txn{If: []dcs.Condition{mine}, Then: []dcs.Op{write("status", `{"optime":7}`)}}},
		{"and the position alone for a member that is older than the key", mixed, ha.PutStatus{Status: cluster.Status{Optime: 7}},
			dcs.Txn{If: []dcs.Condition{mine}, Then: []dcs.Op{write("status", `{"optime":7}`), write("optime/leader", "7")}}},
		{"but for no other", newer, ha.PutStatus{Status: cluster.Status{Optime: 7}},
			dcs.Txn{If: []dcs.Condition{mine}, Then: []dcs.Op{write("status", `{"optime":7}`)}}},
		{"history by the leader", o, ha.PutHistory{History: cluster.History{}},
			dcs.Txn{If: []dcs.Condition{mine}, Then: []dcs.Op{write("history", `[]`)}}},
		{"configuration by the leader", o, ha.PutConfig{Document: map[string]any{"ttl": 30}},
			dcs.Txn{If: []dcs.Condition{mine}, Then: []dcs.Op{write("config", `{"ttl":30}`)}}},
		{"the request that was seen is cleared, not a newer one", o, ha.ClearFailover{Modified: 8},
			dcs.Txn{If: []dcs.Condition{{Key: "failover", Modified: 8}}, Then: []dcs.Op{write("failover", `{}`)}}},
		{"S5: the race for the creation", o, ha.RaceInitialize{},
			dcs.Txn{If: []dcs.Condition{{Key: "initialize", Absent: true}}, Then: []dcs.Op{{Key: "initialize", Data: []byte{}, Leased: true}}}},
		{"S5: an identity where there is none", o, ha.AdoptInitialize{SystemID: systemID},
			dcs.Txn{If: []dcs.Condition{{Key: "initialize", Absent: true}}, Then: []dcs.Op{write("initialize", systemID)}}},
		{"S5: an identity over what was seen", o, ha.AdoptInitialize{SystemID: systemID, Modified: 3},
			dcs.Txn{If: []dcs.Condition{{Key: "initialize", Modified: 3}}, Then: []dcs.Op{write("initialize", systemID)}}},
		{"S5: a failed creation takes back its own key", o, ha.Unfound{Modified: 3},
			dcs.Txn{If: []dcs.Condition{{Key: "initialize", Modified: 3}}, Then: []dcs.Op{{Key: "initialize", Delete: true}}}},
		{"S5: a creation ends whole", o, ha.Found{SystemID: systemID, Modified: 3}, dcs.Txn{
			If:   []dcs.Condition{{Key: "initialize", Modified: 3}, {Key: "leader", Absent: true}},
			Then: []dcs.Op{write("initialize", systemID)}}},
		{"with its configuration, the timings in range", fresh, ha.Found{SystemID: systemID, Modified: 3}, dcs.Txn{
			If:   []dcs.Condition{{Key: "initialize", Modified: 3}, {Key: "leader", Absent: true}},
			Then: []dcs.Op{write("initialize", systemID), write("config", `{"loop_wait":10,"ttl":30,"x":"y"}`)}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := transaction(c.from, c.action); !reflect.DeepEqual(got, c.want) {
				t.Errorf("transaction\n%+v, want\n%+v", got, c.want)
			}
		})
	}
}

func TestAnActionWithoutATransactionIsABrokenInvariant(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	transaction(ha.Observation{}, ha.Checkpoint{})
}

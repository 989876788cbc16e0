package ha

import (
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

const url = ":8008/patroni"

// silentStore is leader in failsafe mode, beside Patroni's n3, with a store that has
// just fallen silent.
func silentStore() Observation {
	o := leader()
	o.Store.Current, o.Store.Silent, o.Store.Settings.Failsafe = false, true, true
	o.Store.View.Members[2].Permit = false
	o.Store.View.Failsafe = map[string]string{"n1": "http://n1" + url, "n2": "http://n2" + url, "n3": "http://n3" + url}
	o.Right.Mixed = true
	o.Failsafe.Age = Idle
	return o
}

func TestALeaderAsksPatronisMembersWhenTheStoreIsSilent(t *testing.T) {
	round := AskFailsafe{
		Others: map[string]string{"n2": "http://n2" + url, "n3": "http://n3" + url}, Needed: []string{"n3"}, Mixed: true,
		Call: cluster.FailsafeCall{Name: "n1", ConnURL: "postgres://n1:5432/postgres", APIURL: "http://n1" + url,
			Slots: map[string]wal.LSN{"n1": flushed, "n2": flushed, "n3": flushed}},
	}
	asks := after(StoreAway, loop, round)
	nothing := wait(StoreAway, loop)
	departed, unread := round, round
	departed.Needed = []string{"n2", "n3"}
	unread.Call.Slots = nil
	ours := round
	ours.Needed, ours.Mixed, ours.Call.Permit = nil, false, true
	came := round
	came.Others = map[string]string{"n2": "http://n2" + url, "n3": "http://n3" + url, "n4": "http://n4" + url}
	came.Needed = []string{"n3", "n4"}
	decided(t, silentStore, []decision{
		{"B-543: all are asked, and those needed who go by the lease", nil, asks},
		{"before a renewal that waits for the silent store", leaseOverdue, after(StoreAway, soon, round, Renew{})},
		{"B-547: again after loop_wait", func(o *Observation) { o.Failsafe.Age = loop }, asks},
		{"not before", func(o *Observation) { o.Failsafe.Age = loop - 1 }, nothing},
		{"one round at a time", func(o *Observation) { o.Failsafe.Asking = true }, nothing},
		{"at the first silence, also while the mirror is believed", func(o *Observation) { o.Store.Current = true }, after(Leading, loop, round)},
		{"one who is not in the store any more may be Patroni's", func(o *Observation) {
			o.Store.View.Members = o.Store.View.Members[:1]
			o.Memory.Seen = map[string]time.Duration{"n2": time.Minute, "n3": time.Minute}
		}, after(StoreAway, loop, departed)},
		{"B-544: without slots while the server does not answer", both(frozen, over(time.Second)), after(StoreAway, loop, unread)},
		{"B-540: not with the mode off", func(o *Observation) { o.Store.Settings.Failsafe = false }, nothing},
		{"L3: without Patroni's members nobody has to accept", func(o *Observation) { o.Right.Mixed = false }, after(StoreAway, loop, ours)},
		{"one of Patroni's that is not in the map that was read", func(o *Observation) {
			o.Store.View.Members = append(o.Store.View.Members, cluster.Member{Name: "n4", APIURL: "http://n4" + url})
		}, after(StoreAway, loop, came)},
		{"not while paused", paused, nothing},
		{"nor with the store at hand", func(o *Observation) { o.Store.Current, o.Store.Silent = true, false }, wait(Leading, loop)},
		{"nor by who does not lead", func(o *Observation) { o.Right.Leading, o.Memory.Awake = false, 0 }, nothing},
		{"nor by a server that is not a primary", func(o *Observation) { o.Server.Role, o.Right.MayPromote = Standby, false }, nothing},
		{"B-542: nor without a map", func(o *Observation) { o.Store.View.Failsafe = nil }, nothing},
		{"B-542: nor by who is not in it", func(o *Observation) { delete(o.Store.View.Failsafe, "n1") }, nothing},
	})
}

func TestTheLeaderKeepsTheFailsafeKey(t *testing.T) {
	on := func(o *Observation) { o.Store.Settings.Failsafe = true }
	written := map[string]string{"n1": "http://n1" + url, "n2": "http://n2" + url, "n3": "http://n3" + url}
	all := PutFailsafe{`{"n1":"http://n1:8008/patroni","n2":"http://n2:8008/patroni","n3":"http://n3:8008/patroni"}`}
	decided(t, leader, []decision{
		{"B-541: every member that can be asked, and itself", on, after(Leading, loop, all)},
		{"not again", both(on, func(o *Observation) { o.Store.View.Failsafe = written }), wait(Leading, loop)},
		{"anew when a member has left", both(on, func(o *Observation) {
			o.Store.View.Failsafe = map[string]string{"n1": "http://n1" + url, "n2": "http://n2" + url, "n3": "http://n3" + url, "n4": "x"}
		}), after(Leading, loop, all)},
	})
	decided(t, standby, []decision{{"B-541: a standby never writes it", on, wait(Following, loop)}})
}

func TestInFailsafeModeTheMapIsAskedAsWell(t *testing.T) {
	listed := func(o *Observation) {
		o.Store.Settings.Failsafe = true
		o.Store.View.Failsafe = map[string]string{"n1": "http://n1" + url, "n2": "http://n2" + url, "n3": "http://n3" + url}
	}
	n1 := cluster.Member{Name: "n1", APIURL: "http://n1" + url}
	o := orphan()
	listed(&o)
	ask := []cluster.Member{n1, member("n3", cluster.RoleReplica)}
	samePlan(t, Decide(published(o)), do(RaceAsking, AskPeers{Members: ask, Within: time.Second / 3}))
	o.Peers.Answers = append([]Peer{{Name: "n1", Primary: true, End: at(3, flushed)}}, o.Peers.Answers...)
	samePlan(t, Decide(published(o)), wait(RacePrimaryAlive, 2*soon))
	o.Peers.Answers[0] = Peer{Name: "n1", Silent: true} // B-550
	samePlan(t, Decide(published(o)), acquire(RaceWon))
}

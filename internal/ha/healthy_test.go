package ha

import (
	"reflect"
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// The healthy cluster that every case starts from: n1 leads on timeline 3, n2 and
// n3 stream from it. A case states only its difference.
const (
	systemID = "7000000000000000001"
	otherID  = "7000000000000000002"
	leaseID  = 70 // n1's; n2 and n3 have 71 and 72
	flushed  = wal.LSN(0x5000000)
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

func historyOfThree() wal.History {
	return wal.History{Timeline: 3, Switches: []wal.Switch{
		{Timeline: 1, LSN: 0x2000000, Reason: "no recovery target specified"},
		{Timeline: 2, LSN: 0x4000000, Reason: "no recovery target specified"},
	}}
}

func member(name string, role cluster.Role) cluster.Member {
	m := cluster.Member{
		Name: name, ConnURL: "postgres://" + name + ":5432/postgres", APIURL: "http://" + name + ":8008/patroni",
		State: cluster.StateRunning, Role: role, Version: "4.1.4", Location: flushed, Timeline: 3, Permit: true,
	}
	m.Lease = map[string]int64{"n1": leaseID, "n2": leaseID + 1, "n3": leaseID + 2}[name]
	if role == cluster.RoleReplica {
		m.ReceiveLSN, m.ReplayLSN, m.ReplicationState = flushed, flushed, cluster.Streaming
	}
	return m
}

// healthy is what all three see of the store.
func healthy(name string) Observation {
	document := map[string]any{"ttl": 30}
	return Observation{
		Now: noon, Wall: noon,
		Me: Me{
			Name: name, ConnURL: "postgres://" + name + ":5432/postgres", APIURL: "http://" + name + ":8008/patroni",
			Version: "4.1.4", MayBootstrap: true, UseRewind: true,
		},
		Store: Store{
			Current: true,
			View: cluster.View{
				Initialize: cluster.Initialize{Present: true, Value: systemID, Modified: 2},
				Config:     cluster.Config{Valid: true, Document: document, Modified: 3},
				Leader:     cluster.Leader{Name: "n1", Lease: leaseID, Modified: 4},
				Members:    []cluster.Member{member("n1", cluster.RolePrimary), member("n2", cluster.RoleReplica), member("n3", cluster.RoleReplica)},
				Status: cluster.Status{Known: true, Optime: flushed,
					Slots: map[string]wal.LSN{"n1": flushed, "n2": flushed, "n3": flushed}},
				History: cluster.History{Known: true, Lines: []cluster.HistoryLine{
					{Timeline: 1, LSN: 0x2000000, Reason: "no recovery target specified", When: "2030-01-01T00:00:00+00:00", NewLeader: "n2"},
					{Timeline: 2, LSN: 0x4000000, Reason: "no recovery target specified", When: "2030-01-01T12:00:00+00:00", NewLeader: "n1"},
				}},
			},
			Settings: cluster.DefaultSettings(), Dynamic: document, Applied: 3,
			LeaseID: member(name, "").Lease,
		},
		Right: Right{FreeIn: quietly, Guarded: true},
		Server: Server{
			Directory: Data, SystemID: systemID, Running: true, Answering: true, CanRewind: true,
			End: wal.Point{Timeline: 3, LSN: flushed}, CheckpointTimeline: 3, History: historyOfThree(), HistoryTime: "2030-01-01T12:00:00+00:00",
		},
		Memory: Memory{Awake: time.Hour, MemberAge: time.Second, StatusAge: time.Second, Seen: map[string]time.Duration{}},
	}
}

func slot(name string, active bool) Slot { return Slot{Name: name, Active: active, Restart: flushed} }

// leader is n1, the healthy primary.
func leader() Observation {
	o := healthy("n1")
	o.Server.Role, o.Right = Primary, leading()
	o.Server.Slots = []Slot{slot("n2", true), slot("n3", true)}
	return o
}

// leading is the right of a leader: its permit was extended a moment ago.
func leading() Right {
	return Right{Leading: true, Left: time.Second, MayPromote: true, Guarded: true, FreeIn: Idle}
}

// quietly is the quiet period after a heartbeat: a permit and its margin.
const quietly = 1050 * time.Millisecond

// standby is n2, streaming from n1.
func standby() Observation {
	o := healthy("n2")
	o.Server.Role, o.Server.Streaming, o.Server.Upstream = Standby, true, fromN1()
	o.Server.Received, o.Server.Replayed = flushed, flushed
	o.Server.Slots = []Slot{slot("n1", false), slot("n3", false)}
	return o
}

// orphan is n2 after n1 is gone with its keys; n3 has been asked and is no better.
func orphan() Observation {
	o := standby()
	o.Store.View.Leader = cluster.Leader{}
	o.Store.View.Members = []cluster.Member{member("n2", cluster.RoleReplica), member("n3", cluster.RoleReplica)}
	o.Store.Leaderless, o.Server.Streaming = time.Second, false
	o.Right = Right{Free: true, FreeFor: 200 * time.Millisecond, Overdue: true, Guarded: true}
	o.Peers = Peers{Asked: true, Age: soon, Answers: []Peer{{Name: "n3", End: wal.Point{Timeline: 3, LSN: flushed}, Priority: 1}}}
	return o
}

// stopped is n1, shut down in order after it led, with n2 leading on timeline 4
// from its shutdown checkpoint on.
func stopped() Observation {
	o := healthy("n1")
	o.Server = Server{
		Directory: Data, SystemID: systemID, WasPrimary: true, Clean: true, CanRewind: true, CheckpointTimeline: 3,
		End: wal.Point{Timeline: 3, LSN: flushed + 1}, History: historyOfThree(),
	}
	m2, m3 := member("n2", cluster.RolePrimary), member("n3", cluster.RoleReplica)
	m2.Timeline, m3.Timeline = 4, 4
	o.Store.View.Members = []cluster.Member{member("n1", cluster.RoleReplica), m2, m3}
	o.Store.View.Leader = cluster.Leader{Name: "n2", Lease: leaseID + 1, Modified: 9}
	o.Log = logOfFour(flushed + 100)
	return o
}

// logOfFour is n2's log, which left timeline 3 at the given position.
func logOfFour(fork wal.LSN) LeaderLog {
	h := historyOfThree()
	h.Timeline, h.Switches = 4, append(h.Switches, wal.Switch{Timeline: 3, LSN: fork})
	return LeaderLog{Leader: "n2", Primary: true, SystemID: systemID, History: h}
}

func fromN1() Upstream {
	return Upstream{Member: "n1", Host: "n1", Port: 5432, Database: "postgres", Slot: "n2"}
}
func fromN2() Upstream {
	return Upstream{Member: "n2", Host: "n2", Port: 5432, Database: "postgres", Slot: "n1"}
}

// bare is an upstream to copy, rewind or read from: no slot.
func bare(u Upstream) Upstream {
	u.Slot = ""
	return u
}

// published puts into the view what the member would say of itself, so that a case
// about something else does not have to speak of the member key. Nor of where the member
// was when it asked the others: it is there still, unless the case says otherwise.
func published(o Observation) Observation {
	if o.Peers.Mine.LSN == 0 {
		o.Peers.Mine = o.Server.End
	}
	if o.Store.LeaseID == 0 {
		return o
	}
	own := o.member()
	own.Lease = o.Store.LeaseID
	var members []cluster.Member
	for _, m := range o.Store.View.Members {
		if m.Name == own.Name {
			m = own
		}
		members = append(members, m)
	}
	o.Store.View.Members = members
	return o
}

// a case of a decision: its difference from the observation that the table starts
// from, and the exact plan.
type decision struct {
	name   string // a sentence, with the rules it stands for
	change func(*Observation)
	want   Plan
}

func decided(t *testing.T, start func() Observation, cases []decision) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := start()
			if c.change != nil {
				c.change(&o)
			}
			samePlan(t, Decide(published(o)), c.want)
		})
	}
}

func samePlan(t *testing.T, got, want Plan) {
	t.Helper()
	if len(got.Do) == 0 && len(want.Do) == 0 {
		got.Do, want.Do = nil, nil
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("plan:\n  %v, look again in %v\n  %+v\nwant:\n  %v, look again in %v\n  %+v",
			got.Why, got.LookAgain, describe(got.Do), want.Why, want.LookAgain, describe(want.Do))
	}
}

func describe(actions []Action) []string {
	var out []string
	for _, a := range actions {
		out = append(out, reflect.TypeOf(a).Name()+sprint(a))
	}
	return out
}

// after is a plan with actions that does not have to be looked at again at once.
func after(why Reason, d time.Duration, actions ...Action) Plan {
	return Plan{Why: why, Do: actions, LookAgain: d}
}

const loop = 10 * time.Second // loop_wait

// hurry is what is left of the time in which nothing but the race counts, in a
// cluster that has had no leader for a second.
const hurry = 4 * time.Second

// acquire is the plan that takes the lead.
func acquire(why Reason) Plan { return after(why, soon, Acquire{}) }

func TestAHealthyClusterHasNothingToDo(t *testing.T) {
	decided(t, leader, []decision{{"the leader leads", nil, wait(Leading, loop)}})
	decided(t, standby, []decision{{"a standby follows", nil, wait(Following, loop)}})
}

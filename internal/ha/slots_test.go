package ha

import (
	"slices"
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

func slots(s ...Slot) func(*Observation) { return func(o *Observation) { o.Server.Slots = s } }

func idle(name string, restart wal.LSN) Slot { return Slot{Name: name, Restart: restart} }

// but is a slot with a difference.
func but(s Slot, change func(*Slot)) Slot {
	change(&s)
	return s
}

func withXmin(s *Slot)   { s.HasXmin = true }
func withoutLog(s *Slot) { s.Lost = true }

// mark sets a tag of the member at an index.
func mark(i int, name string, value any) func(*Observation) {
	return func(o *Observation) {
		tags := cluster.Tags{name: value}
		for k, v := range o.Store.View.Members[i].Tags {
			tags[k] = v
		}
		o.Store.View.Members[i].Tags = tags
	}
}

func permanent(p ...cluster.PermanentSlot) func(*Observation) {
	return func(o *Observation) { o.Store.Settings.Permanent = p }
}

var (
	backup  = cluster.PermanentSlot{Name: "backup"}
	decoded = cluster.PermanentSlot{Name: "cdc", Database: "app", Plugin: "pgoutput"}
)

// cdc is the slot of decoded as a server has it.
func cdc(confirmed wal.LSN) Slot {
	return Slot{Name: "cdc", Logical: true, Database: "app", Plugin: "pgoutput", Restart: 1, Confirmed: confirmed}
}

func noUseSlots(o *Observation) { o.Store.Settings.UseSlots = false }

// unpublished keeps the status of a leader that has just been written out of a case.
func unpublished(o *Observation) { o.Memory.StatusAge = 0 }

func TestTheLeadersSlots(t *testing.T) {
	n2, n3 := slot("n2", true), slot("n3", true)
	seen := func(name string, ago time.Duration) func(*Observation) {
		return func(o *Observation) { o.Memory.Seen = map[string]time.Duration{name: ago, "n1": 0} }
	}
	start := func() Observation {
		o := leader()
		unpublished(&o)
		return o
	}
	decided(t, start, []decision{
		{"B-331, B-349: one for each other member, in order", slots(), after(Leading, settle, CreateSlot{Name: "n2"}, CreateSlot{Name: "n3"})},
		{"B-331: none for those that do not stream", both(slots(n2), mark(2, "nostream", true)), wait(Leading, loop)},
		{"B-346: others are dropped", slots(n2, n3, idle("x", 1)), after(Leading, settle, DropSlot{"x"})},
		{"B-346: not while in use", slots(n2, n3, slot("x", true)), wait(Leading, loop)},
		{"B-516: not while paused", both(paused, slots(n2, n3, idle("x", 1))), wait(Leading, loop)},
		{"B-345: not one that somebody makes under our eyes", slots(n2, n3, but(idle("x", 1), func(s *Slot) { s.Young = true })), wait(Leading, loop)},
		{"B-346: logical ones too", slots(n2, n3, cdc(5)), after(Leading, settle, DropSlot{"cdc"})},
		{"B-346: one that lost its log is made anew", slots(n2, but(idle("n3", 1), withoutLog)), after(Leading, settle, DropSlot{"n3"})},
		{"B-346: not while paused", both(paused, slots(n2, but(idle("n3", 1), withoutLog))), wait(Leading, loop)},
		{"B-347: a logical one in the place of a member's, also while paused", both(paused, slots(n2, Slot{Name: "n3", Logical: true})),
			after(Leading, settle, DropSlot{"n3"})},
		{"B-333: its members move their slots", slots(n2, idle("n3", 1)), wait(Leading, loop)},
		{"B-333: and their xmin is theirs", slots(n2, but(idle("n3", 1), withXmin)), wait(Leading, loop)},
		{"B-350: that of one that follows another is moved by its own word", both(slots(n2, idle("n3", 1)), mark(2, "replicatefrom", "n2")),
			after(Leading, loop, AdvanceSlot{Name: "n3", To: flushed})},
		{"B-334: which is more recent than what was published", both(slots(n2, idle("n3", 1)), mark(2, "replicatefrom", "n2"), func(o *Observation) {
			o.Store.View.Status.Slots = map[string]wal.LSN{"n1": flushed, "n2": flushed, "n3": flushed - 100}
			o.Store.View.Members[2].Location, o.Store.View.Members[2].ReceiveLSN, o.Store.View.Members[2].ReplayLSN = flushed-10, flushed-10, 0
		}), after(Leading, loop, AdvanceSlot{Name: "n3", To: flushed - 10})},
		{"B-348: and made anew if it holds back vacuum", both(slots(n2, but(idle("n3", 1), withXmin)), mark(2, "replicatefrom", "n2")),
			after(Leading, settle, DropSlot{"n3"})},
		{"B-333: one that follows nobody who is there follows the leader", both(slots(n2, idle("n3", 1)), mark(2, "replicatefrom", "n9")), wait(Leading, loop)},
		{"B-333: one that is told to follow it, too", both(slots(n2, idle("n3", 1)), mark(2, "replicatefrom", "n1")), wait(Leading, loop)},
		{"B-332: without retention only of those that stream from here", both(slots(n2, idle("n3", 1)), mark(2, "replicatefrom", "n2"),
			func(o *Observation) { o.Store.Settings.MemberSlotsTTL = 0 }), after(Leading, settle, DropSlot{"n3"})},
		{"B-335: a member that was seen lately keeps its slot", seen("n9", time.Minute), after(Leading, settle, CreateSlot{Name: "n9"})},
		{"B-335: whatever its xmin", both(seen("n9", time.Minute), slots(n2, n3, but(idle("n9", 1), withXmin))), wait(Leading, loop)},
		{"B-336: for member_slots_ttl", seen("n9", 30*time.Minute), wait(Leading, loop)},
		{"B-330: use_slots off", both(slots(idle("n2", 1), n3), noUseSlots, permanent(backup)), after(Leading, settle, DropSlot{"n2"})},
		{"a tag that came over a primary takes no slot from those who stream from it", both(tagged("nofailover", true), permanent(backup), slots(n2, n3)),
			after(Leading, settle, CreateSlot{Name: "backup"})},
	})
}

func TestTheLeadersPermanentSlots(t *testing.T) {
	n2, n3 := slot("n2", true), slot("n3", true)
	only := func(kind string) func(*Observation) {
		return permanent(cluster.PermanentSlot{Name: "backup", ClusterType: kind})
	}
	start := func() Observation {
		o := leader()
		unpublished(&o)
		return o
	}
	decided(t, start, []decision{
		{"B-337: a physical one", permanent(backup), after(Leading, settle, CreateSlot{Name: "backup"})},
		{"B-351: a logical one", permanent(decoded), after(Leading, settle, CreateSlot{Name: "cdc", Database: "app", Plugin: "pgoutput"})},
		{"they stay", both(permanent(backup, decoded), slots(idle("backup", 1), cdc(5), n2, n3)), wait(Leading, loop)},
		{"B-351: their clients move them", both(permanent(decoded), slots(cdc(5), n2, n3), func(o *Observation) {
			o.Store.View.Status.Slots["cdc"], o.Server.Replayed = 9, 9
		}), wait(Leading, loop)},
		{"B-338: by whom it is used nobody here asks", both(permanent(backup), slots(but(idle("backup", 1), withXmin), n2, n3)), wait(Leading, loop)},
		{"B-339: one of a member behind another is moved", both(permanent(cluster.PermanentSlot{Name: "n3"}), slots(n2, idle("n3", 1)), mark(2, "replicatefrom", "n2")),
			after(Leading, loop, AdvanceSlot{Name: "n3", To: flushed})},
		{"B-337: none of its own name", permanent(cluster.PermanentSlot{Name: "n1"}), wait(Leading, loop)},
		{"B-337: nor a logical one with a member's name", permanent(cluster.PermanentSlot{Name: "n2", Database: "app", Plugin: "pgoutput"}), wait(Leading, loop)},
		{"B-337: for this kind of cluster", only("primary"), after(Leading, settle, CreateSlot{Name: "backup"})},
		{"B-337: not for another", both(only("standby"), slots(idle("backup", 1), n2, n3)), after(Leading, settle, DropSlot{"backup"})},
		{"B-347: another plugin", both(permanent(decoded), slots(but(cdc(5), func(s *Slot) { s.Plugin = "test_decoding" }), n2, n3)), after(Leading, settle, DropSlot{"cdc"})},
		{"B-347: another database", both(permanent(decoded), slots(but(cdc(5), func(s *Slot) { s.Database = "postgres" }), n2, n3)), after(Leading, settle, DropSlot{"cdc"})},
		{"B-347: not while a client is reading", both(permanent(decoded), slots(but(cdc(5), func(s *Slot) { s.Plugin, s.Active = "x", true }), n2, n3)), wait(Leading, loop)},
	})
}

func TestIgnoredSlots(t *testing.T) {
	ignore := func(i cluster.IgnoreSlot) func(*Observation) {
		return func(o *Observation) {
			o.Store.Settings.Ignore, o.Server.Slots = []cluster.IgnoreSlot{i}, []Slot{cdc(5), slot("n2", true), slot("n3", true)}
		}
	}
	kept, dropped := wait(Leading, loop), after(Leading, settle, DropSlot{"cdc"})
	decided(t, leader, []decision{
		{"B-346: by all that it is", ignore(cluster.IgnoreSlot{Name: "cdc", Type: "logical", Database: "app", Plugin: "pgoutput"}), kept},
		{"B-346: by its name", ignore(cluster.IgnoreSlot{Name: "cdc"}), kept},
		{"B-346: by its database", ignore(cluster.IgnoreSlot{Database: "app"}), kept},
		{"B-346: whatever it is", ignore(cluster.IgnoreSlot{}), kept},
		{"B-346: not by another name", ignore(cluster.IgnoreSlot{Name: "cd", Database: "app"}), dropped},
		{"B-346: nor type", ignore(cluster.IgnoreSlot{Name: "cdc", Type: "physical"}), dropped},
		{"B-346: nor database", ignore(cluster.IgnoreSlot{Name: "cdc", Database: "postgres"}), dropped},
		{"B-346: nor plugin", ignore(cluster.IgnoreSlot{Name: "cdc", Plugin: "test_decoding"}), dropped},
	})
}

func TestAStandbysSlots(t *testing.T) {
	n1, n3 := slot("n1", false), slot("n3", false)
	retain := func(names ...string) func(*Observation) {
		return func(o *Observation) { o.Store.View.Status.Retain = names }
	}
	decided(t, standby, []decision{
		{"B-331: it keeps them too", slots(), after(Following, settle, CreateSlot{Name: "n1"}, CreateSlot{Name: "n3"})},
		{"B-332: without retention only for those that follow it", both(func(o *Observation) { o.Store.Settings.MemberSlotsTTL = 0 }, mark(2, "replicatefrom", "n2"), slots()),
			after(Following, settle, CreateSlot{Name: "n3"})},
		{"B-350: and moves them on", slots(n1, idle("n3", 1)), after(Following, loop, AdvanceSlot{Name: "n3", To: flushed})},
		{"B-350: not beyond what it has replayed", both(slots(n1, idle("n3", 1)), func(o *Observation) { o.Server.Replayed = flushed - 1 }),
			after(Following, loop, AdvanceSlot{Name: "n3", To: flushed - 1})},
		{"B-333: but not that of one who streams from here", both(slots(n1, but(idle("n3", 1), withXmin)), mark(2, "replicatefrom", "n2")), wait(Following, loop)},
		{"B-333: whom the leader was told to follow before it led counts for nothing", both(slots(but(idle("n1", 1), withXmin), n3), mark(0, "replicatefrom", "n2")),
			after(Following, settle, DropSlot{"n1"})},
		{"B-334: before 4.0 leaders told nothing of members", both(slots(n1, idle("n3", 1)), func(o *Observation) {
			o.Store.View.Status.Slots, o.Store.View.Members[0].Version = nil, "3.3.2"
		}), after(Following, loop, AdvanceSlot{Name: "n3", To: flushed})},
		{"B-334: since then they do", both(slots(n1, idle("n3", 1)), func(o *Observation) {
			o.Store.View.Status.Slots, o.Store.View.Members[0].Version = nil, "4.0.0"
		}), wait(Following, loop)},
		{"B-348: one that holds back vacuum is made anew", slots(n1, but(idle("n3", flushed), withXmin)), after(Following, settle, DropSlot{"n3"})},
		{"B-350: one that keeps nothing, too", slots(n1, idle("n3", 0)), after(Following, settle, DropSlot{"n3"})},
		{"B-335: it keeps what the leader keeps", retain("n2", "n9"), after(Following, settle, CreateSlot{Name: "n9"})},
		{"B-335: and moves it as far as the leader has", both(retain("n9"), slots(n1, n3, idle("n9", 1)), func(o *Observation) {
			o.Store.View.Status.Slots["n9"] = 7
		}), after(Following, loop, AdvanceSlot{Name: "n9", To: 7})},
		{"B-335: an xmin of a member that is away stays: nobody can tell from where it will stream", both(retain("n9"), slots(n1, n3, but(idle("n9", 1), withXmin))), wait(Following, loop)},
		{"B-331, B-337: with nofailover only its own followers'", both(slots(), tagged("nofailover", true), retain("n9"), permanent(backup, decoded)), wait(Following, loop)},
		{"B-331: with nofailover its own followers'", both(slots(), tagged("nofailover", true), mark(2, "replicatefrom", "n2")),
			after(Following, settle, CreateSlot{Name: "n3"})},
		{"B-337: a permanent one", permanent(backup), after(Following, settle, CreateSlot{Name: "backup"})},
		{"B-339: which it moves as far as the leader's", both(permanent(backup), slots(idle("backup", 1), n1, n3), func(o *Observation) {
			o.Store.View.Status.Slots["backup"] = 9
		}), after(Following, loop, AdvanceSlot{Name: "backup", To: 9})},
		{"B-348: and makes anew if it holds back vacuum", both(permanent(backup), slots(but(idle("backup", 1), withXmin), n1, n3)),
			after(Following, settle, DropSlot{"backup"})},
	})
}

// feedback makes n2 follow n1 as one who keeps logical slots does (B-377).
func feedback(o *Observation) { o.Server.Upstream.Feedback = true }

func TestLogicalSlotsOfAStandby(t *testing.T) {
	n1, n3 := slot("n1", false), slot("n3", false)
	start := func() Observation {
		o := standby()
		o.Store.Settings.Permanent = []cluster.PermanentSlot{decoded}
		o.Store.View.Status.Slots = map[string]wal.LSN{"n1": flushed, "n2": flushed, "n3": flushed, "cdc": 9}
		feedback(&o)
		return o
	}
	up := fromN1()
	up.Feedback = true
	copies := CopySlots{Slots: []cluster.PermanentSlot{decoded}, From: bare(fromN1()), Upstream: up}
	spent := slots(but(cdc(5), func(s *Slot) { s.Spent = true }), n1, n3)
	decided(t, start, []decision{
		{"B-352: it is copied", nil, do(Following, copies)},
		{"B-352: not before the leader has told of it", func(o *Observation) { delete(o.Store.View.Status.Slots, "cdc") }, wait(Following, loop)},
		{"B-352: and then it follows the leader's", slots(cdc(5), n1, n3), after(Following, loop, AdvanceSlot{Name: "cdc", To: 9, Database: "app"})},
		{"B-352: not beyond what was replayed", both(slots(cdc(5), n1, n3), func(o *Observation) { o.Server.Replayed = 7 }),
			after(Following, loop, AdvanceSlot{Name: "cdc", To: 7, Database: "app"})},
		{"B-352: it is where it should be", slots(cdc(9), n1, n3), wait(Following, loop)},
		{"B-352: one whose log is gone is copied anew", spent, do(Following, copies)},
		{"a copy that does not help is not repeated at once: it restarts the server", both(spent, func(o *Observation) {
			o.Last = Finished{Work: CopyingSlots, Ago: 55 * time.Second}
		}), wait(Following, 5*time.Second)},
		{"nor one that failed", func(o *Observation) { o.Last = Finished{Work: CopyingSlots, Failed: true, Ago: 3 * time.Second} }, wait(Following, 2*time.Second)},
		{"one that cannot be placed yet has to wait for its client", func(o *Observation) {
			o.Last = Finished{Work: CopyingSlots, Failed: true, Hopeless: true, Ago: 55 * time.Second}
		}, wait(Following, 5*time.Second)},
		{"then it is", func(o *Observation) { o.Last = Finished{Work: CopyingSlots, Failed: true, Ago: 5 * time.Second} }, do(Following, copies)},
		{"B-347: another plugin", slots(but(cdc(5), func(s *Slot) { s.Plugin = "x" }), n1, n3), after(Following, settle, DropSlot{"cdc"})},
		{"a restart is put off while a switchover is asked for", requested("n1", "n3"), wait(Following, loop)},
		{"and while the operator has taken over", paused, wait(Following, loop)},
		{"B-353: and for a leader of whom only failsafe mode tells", func(o *Observation) { o.Store.View.Leader.Modified = 0 }, wait(Following, loop)},
		{"B-337: not on a member without a stream", both(tagged("nostream", true), func(o *Observation) { o.Server.Upstream = Upstream{} }), wait(Following, loop)},
		{"B-337: nor behind one", both(tagged("replicatefrom", "n3"), mark(2, "nostream", true), slots(n1), func(o *Observation) {
			o.Server.Upstream = Upstream{Member: "n3", Host: "n3", Port: 5432, Database: "postgres", Slot: "n2"}
		}), wait(Following, loop)},
		{"B-377: the feedback is switched on first", func(o *Observation) { o.Server.Upstream.Feedback = false }, do(RejoinReading, ReadLog{From: bare(fromN1())})},
	})
}

func TestWhoFeedsBack(t *testing.T) {
	behind := func(i int, name string) func(*Observation) { return mark(i, "replicatefrom", name) }
	for _, c := range []struct {
		name   string
		change func(*Observation)
		want   bool
	}{
		{"B-377: who keeps a permanent logical slot", permanent(decoded), true},
		{"nobody without one", permanent(backup), false},
		{"nobody without slots at all", both(permanent(decoded), noUseSlots), false},
		{"not who may not be promoted", both(permanent(decoded), tagged("nofailover", true)), false},
		{"B-377: but for those behind it", both(permanent(decoded), tagged("nofailover", true), behind(2, "n2")), true},
		{"B-377: unless they keep none either", both(permanent(decoded), tagged("nofailover", true), behind(2, "n2"), mark(2, "nofailover", true)), false},
		{"not in a circle", both(permanent(decoded), tagged("replicatefrom", "n3"), behind(2, "n2"), func(o *Observation) {
			o.Store.View.Members[1].Tags = o.Me.Tags
		}), false},
		{"a leader's own tag breaks no way", both(permanent(decoded), tagged("replicatefrom", "n1"), behind(0, "n2")), true},
	} {
		o := standby()
		c.change(&o)
		if got := o.upstream().Feedback; got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestSlotsWhileTheStoreIsAway(t *testing.T) {
	away := func(o *Observation) {
		storeAway(o)
		o.Store.Settings.Failsafe, o.Store.View.Revision = true, 9
		o.Store.Settings.Permanent = []cluster.PermanentSlot{backup, decoded}
		o.Store.View.Status.Slots = map[string]wal.LSN{"n1": flushed, "n3": flushed, "backup": 9, "cdc": 8}
	}
	mine := slots(idle("backup", 1), cdc(5), slot("n1", false), slot("n3", false))
	decided(t, standby, []decision{
		{"B-353: in failsafe mode they are moved as the leader says", both(away, mine),
			after(StoreAway, loop, AdvanceSlot{Name: "backup", To: 9}, AdvanceSlot{Name: "cdc", To: 8, Database: "app"})},
		{"B-353: before a renewal that waits for the silent store", both(away, leaseOverdue, mine),
			after(StoreAway, soon, AdvanceSlot{Name: "backup", To: 9}, AdvanceSlot{Name: "cdc", To: 8, Database: "app"}, Renew{})},
		{"B-353: but not copied", both(away, slots(idle("backup", 9), slot("n1", false), slot("n3", false))), wait(StoreAway, loop)},
		{"without it they are left alone", both(away, mine, func(o *Observation) { o.Store.Settings.Failsafe = false }), wait(StoreAway, loop)},
		{"nothing is known of them by an agent that has not seen the store", both(away, mine, func(o *Observation) { o.Store.View = cluster.View{} }), wait(StoreAway, loop)},
	})
	decided(t, leader, []decision{
		{"B-090: the primary moves those of members behind members", both(away, mark(2, "replicatefrom", "n2"), slots(idle("backup", 1), cdc(5), slot("n2", true), idle("n3", 1))),
			after(StoreAway, loop, AdvanceSlot{Name: "n3", To: flushed})},
	})
}

func TestWhatIsPublishedOfSlots(t *testing.T) {
	start := func(change ...func(*Observation)) map[string]wal.LSN {
		o := leader()
		o.Store.Settings.Permanent = []cluster.PermanentSlot{backup, decoded, {Name: "n3"}, {Name: "gone"}}
		o.Server.Slots = []Slot{idle("backup", 3), cdc(5), slot("n2", true), idle("n3", 4), idle("x", 1), {Name: "y", Young: true}}
		both(change...)(&o)
		return o.status().Slots
	}
	for _, c := range []struct {
		name   string
		change func(*Observation)
		want   map[string]wal.LSN
	}{
		{"B-340: all that is kept by the rules, and its own position", func(*Observation) {},
			map[string]wal.LSN{"n1": flushed, "backup": 3, "cdc": 5, "n2": flushed, "n3": 4}},
		{"B-340: without retention the permanent ones", func(o *Observation) { o.Store.Settings.MemberSlotsTTL = 0 },
			map[string]wal.LSN{"backup": 3, "cdc": 5, "n3": 4}},
		{"B-347: not one that is not what it should be", slots(but(cdc(5), func(s *Slot) { s.Plugin = "x" })), map[string]wal.LSN{"n1": flushed}},
		{"B-330: nothing without slots", noUseSlots, map[string]wal.LSN{}},
	} {
		got := start(c.change)
		if !(cluster.Status{Slots: got}).Equal(cluster.Status{Slots: c.want}) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	o := leader()
	o.Store.Settings.Permanent = []cluster.PermanentSlot{{Name: "n3"}}
	o.Memory.Seen = map[string]time.Duration{"n1": 0, "n2": 0, "n3": 0, "n9": time.Hour}
	if got := o.status().Retain; !slices.Equal(got, []string{"n1", "n2"}) {
		t.Errorf("B-336: retained are %v", got)
	}
}

func TestANewSlotIsPublishedSoon(t *testing.T) {
	o := leader()
	o.Store.Settings.Permanent = []cluster.PermanentSlot{backup}
	o.Server.Slots = append([]Slot{idle("backup", 3)}, o.Server.Slots...)
	put := PutStatus{cluster.Status{Known: true, Optime: flushed, Slots: map[string]wal.LSN{"backup": 3, "n1": flushed, "n2": flushed, "n3": flushed}}}
	samePlan(t, Decide(published(o)), after(Leading, loop, put))
	o.Memory.StatusAge = settle - 1
	samePlan(t, Decide(published(o)), wait(Leading, loop))
}

func TestNamesThatTwoClaim(t *testing.T) {
	o := leader()
	if clashes, kept := o.SlotFaults(); len(clashes)+len(kept) != 0 {
		t.Errorf("a healthy cluster: %q, %q", clashes, kept)
	}
	twin := o.Store.View.Members[2]
	twin.Name = "N-2"
	o.Store.View.Members[1].Name = "n_2"
	o.Store.View.Members = append(o.Store.View.Members, twin)
	o.Store.Settings.Permanent = []cluster.PermanentSlot{{Name: "n3", Database: "app", Plugin: "pgoutput"}}
	want := []string{"the members n_2 and N-2 share the replication slot n_2",
		"the permanent logical slot n3 has the name of a member's slot, and is not made"}
	if got, _ := o.SlotFaults(); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if !o.WantsSlot("n_2") || !o.WantsSlot("n3") || o.WantsSlot("n1") {
		t.Error("a name that two claim has one slot")
	}
}

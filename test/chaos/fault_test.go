package chaos

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"matriarch/test/chaos/history"
	"matriarch/test/e2e/lab"
)

// fault is something bad, or merely asked for, that happens to one node or to etcd.
type fault struct {
	name    string
	hold    time.Duration // how long it lasts, at least
	takes   bool          // another node must take over, and the fault lasts until it has
	keeps   bool          // nobody may take over
	clean   bool          // no acknowledged row may be lost
	standby int           // it is meant for the first or second of the standbys

	deal func(f *field, n *lab.Node) (heal func())
}

// result is what a fault did.
type result struct {
	outage time.Duration // the longest time in which nobody acknowledged
	lost   int
	moved  bool
}

// deal hurts a healthy cluster, heals it, waits until it is whole, and judges.
func (f *field) deal(x fault) result {
	f.t.Helper()
	leader := f.c.WaitWhole(wholeLimit)
	f.awaitWrites(f.h.Now(), wholeLimit)
	n := f.victim(x, leader)
	marks, began := f.marks(), f.h.Now()
	f.s.say("-- %s, at %s (%s leads)", x.name, n.Name, leader.Name)
	heal := x.deal(f, n)
	until := f.h.Now() + x.hold
	if x.takes {
		f.mustMove(leader, began)
	}
	f.pass(max(0, until-f.h.Now()))
	f.s.say("healed")
	heal()
	now := f.c.WaitWhole(wholeLimit)
	f.awaitWrites(f.h.Now(), wholeLimit)
	r := result{outage: history.Gap(f.h.Appends(), began, f.h.Now()), moved: now != leader}
	f.s.say("whole: %s leads; longest pause %v; %s", now.Name, milliseconds(r.outage), f.freezes(marks))
	r.lost = f.judge(now)
	f.demand(x, r, now)
	return r
}

// victim is the node that a fault is meant for.
func (f *field) victim(x fault, leader *lab.Node) *lab.Node {
	if x.standby == 0 {
		return leader
	}
	return f.c.Others(leader)[x.standby-1]
}

// demand checks what was promised of the fault.
func (f *field) demand(x fault, r result, now *lab.Node) {
	f.t.Helper()
	if x.clean && r.lost > 0 {
		f.t.Errorf("%s: %d acknowledged rows are lost", x.name, r.lost)
	}
	if x.keeps && r.moved {
		f.t.Errorf("%s: %s leads now, and nobody needed that", x.name, now.Name)
	}
}

// mustMove waits until another node has taken over.
func (f *field) mustMove(leader *lab.Node, since time.Duration) {
	f.t.Helper()
	if !f.awaitOther(leader, since, takeoverLimit) {
		f.t.Fatalf("nobody has taken over from %s within %v", leader.Name, takeoverLimit)
	}
	f.s.say("another node than %s acknowledges", leader.Name)
}

// String is one line of the table at the end.
func (r result) String() string {
	moved := "stays"
	if r.moved {
		moved = "moves"
	}
	return fmt.Sprintf("%8v  %s  %4d lost", milliseconds(r.outage), moved, r.lost)
}

// table prints results in the order of the faults.
func table(names []string, results []result) string {
	text := "longest pause of writes, leader, rows lost:"
	for i, r := range results {
		text += fmt.Sprintf("\n%s  %s", r, names[i])
	}
	return text
}

// processFault sends signals to a node's processes.
func processFault(s signals) fault {
	return fault{name: s.String(), deal: func(f *field, n *lab.Node) func() {
		f.s.say("%s", describe(n))
		hit := f.strike(n, s)
		return func() { f.release(hit) }
	}}
}

// cableFault takes the cable out.
var cableFault = fault{name: "cut the cable", deal: func(f *field, n *lab.Node) func() {
	cable := port(f.number(n))
	f.sw.Cut(cable)
	return func() { f.sw.Heal(cable) }
}}

// direction is which way packets of the node are lost.
type direction string

const (
	bothWays direction = "both ways"
	hears    direction = "it hears nothing"
	speaks   direction = "it is not heard"
)

// cutFault cuts a node off from part of the others' services.
func cutFault(from string, way direction) fault {
	ports := map[string][]int{"all": nil, "etcd": etcdPorts, "peers": peerPorts}[from]
	return fault{name: fmt.Sprintf("cut off from %s, %s", from, way), deal: func(f *field, n *lab.Node) func() {
		cut := f.cutter()
		for _, m := range f.c.Others(n) {
			if way != speaks {
				cut.deafen(n, m, ports)
			}
			if way != hears {
				cut.deafen(m, n, ports)
			}
		}
		return cut.heal
	}}
}

// crashFault ends everything of a node at once, its etcd too, as a power cut does.
var crashFault = fault{name: "power cut", deal: func(f *field, n *lab.Node) func() {
	i := f.number(n)
	f.sw.Cut(port(i))
	f.etcd.Kill(i)
	n.KillNode()
	return func() {
		f.sw.Heal(port(i))
		f.etcd.Start(i)
		n.Start()
	}
}}

// terminateFault ends the agent as its service manager does.
var terminateFault = fault{name: "SIGTERM to the agent", clean: true, takes: true, deal: func(f *field, n *lab.Node) func() {
	if code := n.Stop(); code != 0 {
		f.t.Errorf("the agent of %s ended with %d", n.Name, code)
	}
	return n.Start
}}

// switchFault asks for a switchover.
var switchFault = fault{name: "switchover", clean: true, takes: true, deal: func(f *field, n *lab.Node) func() {
	body := fmt.Sprintf(`{"leader":%q}`, n.Name)
	a, err := n.Ask(f.t.Context(), lab.Patience, "POST", "/switchover", body)
	if err != nil || a.Code != 200 {
		f.t.Fatalf("POST /switchover %s at %s: %d %s, %v", body, n.Name, a.Code, a.Body, err)
	}
	return func() {}
}}

// restartFault kills the agent, and its supervisor starts it at once.
var restartFault = fault{name: "kill agent, which is restarted", keeps: true, clean: true, deal: func(f *field, n *lab.Node) func() {
	hit := f.strike(n, signals{agent: syscall.SIGKILL})
	f.release(hit)
	return func() {}
}}

// and is two faults at once, the second a moment after the first.
func and(a, b fault, between time.Duration) fault {
	return fault{
		name: strings.Join([]string{a.name, b.name}, " + "), hold: max(a.hold, b.hold), clean: a.clean && b.clean,
		deal: func(f *field, leader *lab.Node) func() {
			healA := a.deal(f, f.victim(a, leader))
			f.pass(between)
			healB := b.deal(f, f.victim(b, leader))
			return func() { healA(); healB() }
		},
	}
}

// during changes how long a fault lasts.
func (x fault) during(d time.Duration) fault { x.hold = d; return x }

// taking makes a fault one by which another node must take over.
func (x fault) taking() fault { x.takes = true; return x }

// keeping makes a fault one by which nobody may.
func (x fault) keeping() fault { x.keeps, x.clean = true, true; return x }

// onStandby makes a fault one of a standby: the leader stays, and nothing is lost.
func (x fault) onStandby(which int) fault {
	x.standby, x.keeps, x.clean = which, true, true
	x.name += fmt.Sprintf(" (standby %d)", which)
	return x
}

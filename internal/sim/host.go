package sim

import (
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/cluster"
	"matriarch/internal/ha"
)

// host is one machine of the cluster: an agent, a guard, a PostgreSQL, and a clock.
type host struct {
	w          *World
	name       string
	machine    int
	clock      clock
	tags       cluster.Tags
	lag        time.Duration      // of what its server receives
	heard      map[string]ha.Peer // what each peer said first; for a mutant
	loose      bool               // disarmed in a pause, and not armed since
	passedOver bool               // and another was asked for by hand in its place
	named      instant            // when a person asked for a failover to it last; 0: never

	agent  *agentProcess
	guard  *guard
	server *server
}

func newHost(w *World, name string, machine int) *host {
	h := &host{w: w, name: name, machine: machine, tags: cluster.Tags{}, heard: map[string]ha.Peer{}}
	h.agent = &agentProcess{h: h, w: w}
	h.guard = &guard{h: h, w: w}
	h.server = &server{h: h, w: w}
	h.server.receiver.s = h.server
	return h
}

// instant is what its CLOCK_BOOTTIME shows, now the same as a time.
func (h *host) instant() boottime.Instant { return h.clock.read(h.w.now) }
func (h *host) now() time.Time            { return timeOf(h.instant()) }

// stopIfSuspended is for a process that a fault starts while its machine stands still.
func (h *host) stopIfSuspended(p *process) {
	if h.w.machines[h.machine].suspended {
		p.stop(bySuspension)
	}
}

// machine is what processes run on.
type machine struct {
	name      string
	off       bool
	suspended bool
	host      *host // nil: it runs etcd only
}

// machineRuns reports that a machine is on and not suspended.
func (w *World) machineRuns(i int) bool { return !w.machines[i].off && !w.machines[i].suspended }

// etcdOn is the etcd member on a machine; nil: none.
func (w *World) etcdOn(i int) *member {
	for _, m := range w.etcd.members {
		if m.machine == i {
			return m
		}
	}
	return nil
}

// powerOff takes a machine away with all that runs on it. Nothing on the network
// says so.
func (w *World) powerOff(i int) {
	m := w.machines[i]
	if m.off {
		return
	}
	m.off = true
	if m.suspended {
		m.suspended = false
	}
	w.tell("%s: power off", m.name)
	if e := w.etcdOn(i); e != nil {
		e.end()
	}
	if h := m.host; h != nil {
		h.server.crash()
		h.agent.kill()
		h.guard.end()
		h.guard.has = false
	}
	w.review()
}

// powerOn boots it. Its clock begins anew.
func (w *World) powerOn(i int) {
	m := w.machines[i]
	if !m.off {
		return
	}
	m.off = false
	w.tell("%s: power on", m.name)
	if e := w.etcdOn(i); e != nil {
		e.start()
	}
	if h := m.host; h != nil {
		h.clock.booted = w.now
		h.agent.begin()
	}
	w.review()
}

// suspend stops all of a machine; its clock goes on.
func (w *World) suspend(i int) {
	m := w.machines[i]
	if m.off || m.suspended {
		return
	}
	m.suspended = true
	w.tell("%s: suspended", m.name)
	for _, p := range w.processesOn(i) {
		p.stop(bySuspension)
	}
	w.checkPrimaries()
	w.review()
}

// wake lets a suspended machine go on. The guard is the first to run: it has a
// real-time priority, and its timer has expired.
func (w *World) wake(i int) {
	m := w.machines[i]
	if !m.suspended {
		return
	}
	m.suspended = false
	w.tell("%s: goes on", m.name)
	w.waking = true
	for _, p := range w.processesOn(i) {
		p.resume(bySuspension)
		if h := m.host; h != nil && p == &h.guard.process && h.guard.alive {
			h.guard.look()
			w.waking = false
		}
	}
	w.waking = false
	w.checkPrimaries()
	w.review()
}

// processesOn are those of a machine, the guard first.
func (w *World) processesOn(i int) []*process {
	var out []*process
	if h := w.machines[i].host; h != nil {
		out = append(out, &h.guard.process, &h.server.process, &h.agent.process)
	}
	if e := w.etcdOn(i); e != nil {
		out = append(out, &e.process)
	}
	return out
}

// review lets everything look again after the network or a process has changed.
func (w *World) review() {
	w.touched()
	w.stable = w.now
	w.etcd.review()
	for _, h := range w.hosts {
		h.server.receiver.review()
	}
}

// host finds one by its name.
func (w *World) host(name string) *host {
	for _, h := range w.hosts {
		if h.name == name {
			return h
		}
	}
	return nil
}

// hangs reports that a connection to a host's server is neither made nor refused.
func (w *World) hangs(from, to *host) bool {
	return !w.machineRuns(to.machine) || !w.net.joined(from.machine, to.machine) || to.server.stopped != 0
}

// serverAt is a running server as another machine reaches it; nil if it does not.
func (w *World) serverAt(from *host, name string) *server {
	h := w.host(name)
	if h == nil || !h.server.runs() || !w.machineRuns(h.machine) || !w.net.joined(from.machine, h.machine) {
		return nil
	}
	return h.server
}

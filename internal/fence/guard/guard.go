package guard

import (
	"strconv"
	"syscall"
	"time"

	"matriarch/internal/boottime"
)

// guard is the process: one loop on one thread that decides, acts, and waits for
// the timer, the agent, and the server's end.
type guard struct {
	path  string // of the socket
	since boottime.Instant

	log    *logger
	scan   *scanner
	orders standingOrders
	group  *cgroup // nil where there is none for us
	groups int     // that were made
	reaper *reaper

	epoll, timer, wake, listener int
	link                         *link
	pending                      []pending

	server   *server
	deadline boottime.Instant
	armed    bool
	giveUp   time.Duration
	told     Order
	standing Standing
	stopped  boottime.Instant // when the present freeze was begun
	slow     bool             // it was told that this freeze is not done at once
	trouble  string           // last error of the freezer, told once

	record    []byte // what the agent keeps here; nil: nothing
	recordFor int    // the postmaster at that time; 0: there was none

	ending bool
	heard  bool // an agent was here
	past   past
}

// past is what has been, for the status.
type past struct {
	pid      int // of the last server that ended
	outcome  string
	code     int
	freezes  int64
	frozen   time.Duration // in all, ended freezes only
	lastTook time.Duration // from the beginning of a freeze until it was seen done
	lateness time.Duration // of the last freeze: its beginning after the deadline
}

// pending is a request that is answered once it is carried out.
type pending struct {
	id   string
	verb string
}

// patience is how long a new guard waits for its first agent.
const patience = 10 * time.Second

// defaultGiveUp is Patroni's default of ttl; the agent says its own.
const defaultGiveUp = 30 * time.Second

// newGuard opens all that the loop needs.
func newGuard(path string) (*guard, error) {
	g := &guard{path: path, since: boottime.Now(), log: newLogger(), scan: &scanner{}, giveUp: defaultGiveUp}
	var err error
	if g.listener, err = listen(path); err != nil {
		return nil, err
	}
	if g.timer, err = newTimer(); err != nil {
		return nil, err
	}
	if g.wake, err = newEvent(); err != nil {
		return nil, err
	}
	if g.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return nil, failed("make an epoll", err)
	}
	for _, fd := range []int{g.listener, g.timer, g.wake} {
		if err := g.watch(fd, eventReadable); err != nil {
			return nil, err
		}
	}
	if err := prctl(prSetSubreaper, 1); err != nil {
		return nil, failed("become the reaper of orphans", err)
	}
	g.reaper = newReaper(g.wake)
	g.newGroup()
	if _, err := g.scan.all(); err != nil { // also brings its memory in
		return nil, err
	}
	return g, nil
}

// newGroup makes the cgroup for the next server.
func (g *guard) newGroup() {
	if g.group != nil {
		g.unwatch(g.group.events)
		g.group.close()
	}
	g.groups++
	var err error
	if g.group, err = newCgroup(g.groups); err == nil {
		if err = g.watch(g.group.events, eventExceptional); err != nil {
			g.group.close()
		}
	}
	if err != nil {
		g.group = nil
		g.log.fault("no freezer, signals are used", err)
	}
}

func (g *guard) watch(fd int, events uint32) error {
	err := syscall.EpollCtl(g.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: events, Fd: int32(fd)})
	if err != nil {
		return failed("watch descriptor "+strconv.Itoa(fd), err)
	}
	return nil
}

// run is the loop. It ends when there is neither a server nor an agent.
func (g *guard) run() error {
	for {
		g.reap()
		verdict := Decide(g.state())
		if g.act(verdict) {
			continue
		}
		if g.finished() {
			g.close()
			return nil
		}
		if err := setTimer(g.timer, g.lookAgain(verdict)); err != nil {
			return err
		}
		if err := g.await(); err != nil {
			return err
		}
	}
}

func (g *guard) state() State {
	return State{
		Now: boottime.Now(), Deadline: g.deadline, Alive: g.server != nil, Armed: g.armed,
		Standing: g.standing, Since: g.stopped, GiveUp: g.giveUp, Told: g.told,
	}
}

// holdEvery is how often a server that is stopped by signals is looked over:
// whoever may signal it may also continue it.
const holdEvery = 100 * time.Millisecond

// leftoverRetry is how soon the processes that outlived their postmaster are
// looked for again after they were killed.
const leftoverRetry = 2 * time.Millisecond

// lookAgain is the verdict's, or earlier where the hands have something to do.
func (g *guard) lookAgain(v Verdict) boottime.Instant {
	next := v.LookAgain
	sooner := func(d time.Duration) {
		if at := boottime.Now().Add(d); next == 0 || at < next {
			next = at
		}
	}
	switch {
	case g.server != nil && g.server.ended:
		sooner(leftoverRetry)
	case g.standing == Frozen && g.server.freeze.method() == "signals":
		sooner(holdEvery)
	case g.server == nil && !g.heard:
		sooner(patience)
	}
	return next
}

// finished is true when nobody needs the guard any more.
func (g *guard) finished() bool {
	if g.server != nil {
		return false
	}
	if g.ending {
		return true
	}
	return g.link == nil && (g.heard || boottime.Now() >= g.since.Add(patience))
}

func (g *guard) close() {
	if g.link != nil {
		g.link.close()
	}
	if g.group != nil {
		g.group.close()
	}
	_ = syscall.Unlink(g.path) // still under the lock
	_ = syscall.Unlink(g.path + ".lock")
}

// await blocks until something has happened, and takes it in.
func (g *guard) await() error {
	var events [16]syscall.EpollEvent
	n, err := syscall.EpollWait(g.epoll, events[:], -1)
	if err == syscall.EINTR {
		return nil
	}
	if err != nil {
		return failed("wait", err)
	}
	for _, event := range events[:n] {
		switch fd := int(event.Fd); {
		case fd == g.timer || fd == g.wake:
			clear8(fd)
		case fd == g.listener:
			g.welcome()
		case g.link != nil && fd == g.link.fd:
			g.listenTo(event.Events)
		case g.server != nil && fd == g.server.pidfd:
			g.postmasterEnded()
		default:
			g.clearEvents(fd)
		}
	}
	return nil
}

// clearEvents reads a cgroup's events, which ends their being news.
func (g *guard) clearEvents(fd int) {
	var buffer [256]byte
	if _, err := syscall.Pread(fd, buffer[:], 0); err != nil {
		// Not one of ours any more.
		_ = syscall.EpollCtl(g.epoll, syscall.EPOLL_CTL_DEL, fd, nil)
	}
}

// become makes this process the guard of the socket at path. It returns when its
// work is done. ready is where whoever started it waits for a word.
func become(path string, ready int) error {
	g, err := newGuard(path)
	if err != nil {
		return err
	}
	g.orders.claim()
	g.log.say("guard started: freezer " + g.freezerName() + ", memory locked " + strconv.FormatBool(g.orders.locked) +
		", spared by the OOM killer " + strconv.FormatBool(g.orders.spared) + ", priority " + g.orders.priority)
	if _, err := syscall.Write(ready, []byte("ready\n")); err != nil {
		return failed("say ready", err)
	}
	syscall.Close(ready)
	return g.run()
}

func (g *guard) freezerName() string {
	if g.group == nil {
		return "signals"
	}
	return g.group.dir
}

package guard

import (
	"errors"
	"strconv"
	"syscall"
	"time"

	"matriarch/internal/boottime"
)

const sigKill = syscall.SIGKILL

var (
	errThawed = errors.New("the server was thawed")
	errVerb   = errors.New("unknown request")
	errPath   = errors.New("no program to start")
)

// welcome takes the connection of an agent. The newest one counts: whoever was
// there before has been restarted, or hangs.
func (g *guard) welcome() {
	l, err := accept(g.listener)
	if err != nil {
		if !errors.Is(err, syscall.EAGAIN) {
			g.log.fault("connection refused", err)
		}
		return
	}
	if g.link != nil {
		g.drop(errors.New("another agent has connected"))
	}
	if err := g.watch(l.fd, eventReadable); err != nil {
		g.log.fault("connection refused", err)
		l.close()
		return
	}
	g.link, g.heard = l, true
	g.push(g.status(Message{Verb: "hello"}))
}

// listenTo takes in what the agent has sent, and sends on what it was slow to read.
func (g *guard) listenTo(events uint32) {
	l := g.link
	if events&eventWritable != 0 {
		if err := l.flush(); err != nil {
			g.drop(err)
			return
		}
	}
	if events&(eventReadable|eventHangUp) != 0 {
		lines, err := l.receive()
		for _, line := range lines {
			if g.link != l {
				return
			}
			g.hear(line)
		}
		if err != nil && g.link == l {
			g.drop(err)
			return
		}
	}
	g.wantWrites()
}

// wantWrites asks for EPOLLOUT exactly while something waits to be sent.
func (g *guard) wantWrites() {
	l := g.link
	if l == nil || l.waiting == (len(l.out) > 0) {
		return
	}
	l.waiting = !l.waiting
	event := syscall.EpollEvent{Events: eventReadable, Fd: int32(l.fd)}
	if l.waiting {
		event.Events |= eventWritable
	}
	if err := syscall.EpollCtl(g.epoll, syscall.EPOLL_CTL_MOD, l.fd, &event); err != nil {
		g.drop(err)
	}
}

// drop ends the connection. The server runs on; so does the deadline.
func (g *guard) drop(why error) {
	g.log.fault("agent disconnected", why)
	g.unwatch(g.link.fd)
	g.link.close()
	g.link, g.pending = nil, nil
}

func (g *guard) unwatch(fd int) {
	_ = syscall.EpollCtl(g.epoll, syscall.EPOLL_CTL_DEL, fd, nil) // not watched: as wanted
}

// push sends to the agent, if there is one.
func (g *guard) push(m Message) {
	if g.link == nil {
		return
	}
	if err := g.link.send(m); err != nil {
		g.drop(err)
		return
	}
	g.wantWrites()
}

// reply answers one request; one without an id wants no answer.
func (g *guard) reply(id string, m Message, err error) {
	if id == "" {
		return
	}
	if err != nil {
		m = Message{Verb: "error"}.With("text", err.Error())
	}
	g.push(m.With("id", id))
}

// answer answers all requests of a verb that were waiting for it to be done.
func (g *guard) answer(verb string, err error) {
	var rest []pending
	answered := g.pending
	g.pending = nil
	for _, p := range answered {
		if p.verb == verb {
			g.reply(p.id, Message{Verb: "ok"}, err)
		} else {
			rest = append(rest, p)
		}
	}
	g.pending = append(g.pending, rest...)
}

// hear carries one request out.
func (g *guard) hear(line string) {
	m, err := ParseMessage(line)
	if err != nil {
		g.drop(err)
		return
	}
	id, ok := m.Get("id"), Message{Verb: "ok"}
	switch m.Verb {
	case "deadline":
		g.extend(boottime.Instant(m.Int("at")))
	case "cut":
		g.cut(boottime.Instant(m.Int("at")))
	case "keep":
		err = g.keep(m)
	case "status":
		ok = g.status(ok)
	case "start", "adopt":
		err = g.begin(m)
		if err == nil {
			ok = ok.WithInt("pid", int64(g.server.pid)).With("protection", g.server.protection())
		}
	case "giveup":
		g.setGiveUp(time.Duration(m.Int("for")))
	case "end":
		if err = errServer; g.server == nil {
			g.ending, err = true, nil
		}
	case "arm", "disarm", "thaw", "freeze", "kill":
		if err = errNoServer; g.server != nil {
			if err = nil; g.command(m) {
				return // answered when it is done
			}
		}
	default:
		err = errVerb
	}
	g.reply(id, ok, err)
}

// command is what needs a server. It is true when the answer has to wait.
func (g *guard) command(m Message) (later bool) {
	switch m.Verb {
	case "arm":
		g.extend(boottime.Instant(m.Int("at")))
		g.armed = true
	case "disarm":
		g.armed = false
	case "thaw":
		if g.told == OrderFreeze {
			g.told = NoOrder
		}
	case "freeze":
		if g.told == NoOrder {
			g.told = OrderFreeze
		}
		if g.standing == Frozen {
			return false
		}
	case "kill":
		g.told = OrderKill
	}
	if m.Verb != "freeze" && m.Verb != "kill" {
		return false
	}
	if id := m.Get("id"); id != "" {
		g.pending = append(g.pending, pending{id, m.Verb})
	}
	return true
}

// begin gets a server: a new one, or one that runs already.
func (g *guard) begin(m Message) error {
	files := g.link.useFiles()
	defer closeAll(files)
	if g.server != nil {
		return failed("process "+strconv.Itoa(g.server.pid), errServer)
	}
	var s *server
	var frozen bool
	var err error
	if m.Verb == "adopt" {
		s, frozen, err = adopt(int(m.Int("pid")), g.scan)
	} else if m.Get("path") == "" {
		err = errPath
	} else {
		s, err = launch(command{
			path: m.Get("path"), dir: m.Get("dir"), args: m.All("arg"), env: m.All("env"), output: files,
		}, g.scan, g.group, &g.orders)
	}
	if err != nil {
		return err
	}
	g.server, g.told, g.standing, g.slow = s, NoOrder, Running, false
	g.extend(boottime.Instant(m.Int("at")))
	g.armed = m.Bool("armed")
	g.dropRecord(m.Verb)
	if frozen {
		g.standing, g.stopped = Frozen, boottime.Now()
	}
	g.reaper.started()
	if err := g.watch(s.pidfd, eventReadable); err != nil {
		g.log.fault("the postmaster's end will be noticed late", err)
	}
	if c, adopted := s.freeze.(*cgroup); adopted && c != g.group {
		if err := g.watch(c.events, eventExceptional); err != nil {
			g.log.fault("the freezer will be seen late", err)
		}
	}
	if frozen {
		g.push(Message{Verb: "frozen"}.WithInt("at", int64(g.stopped)).With("why", string(FoundFrozen)))
	}
	g.log.say(m.Verb + " " + strconv.Itoa(s.pid) + ": protection " + s.protection() + " by " + s.freeze.method())
	return nil
}

// status adds all that is known.
func (g *guard) status(m Message) Message {
	m = m.WithInt("version", Version).WithInt("guard", int64(syscall.Getpid())).
		WithInt("deadline", int64(g.deadline)).WithInt("giveup", int64(g.giveUp)).
		WithBool("locked", g.orders.locked).WithBool("oom", g.orders.spared).With("priority", g.orders.priority).
		WithInt("freezes", g.past.freezes).WithInt("frozentotal", int64(g.past.frozen)).
		WithInt("late", int64(g.past.lateness)).WithInt("took", int64(g.past.lastTook))
	if g.record != nil {
		m = m.With("kept", string(g.record))
	}
	if g.past.pid != 0 {
		m = m.WithInt("lastpid", int64(g.past.pid)).With("lasthow", g.past.outcome).WithInt("laststatus", int64(g.past.code))
	}
	if g.server == nil {
		return m
	}
	m = m.WithInt("pid", int64(g.server.pid)).With("protection", g.server.protection()).With("method", g.server.freeze.method()).
		WithBool("armed", g.armed).With("standing", g.standing.String())
	if g.standing != Running {
		m = m.WithInt("since", int64(g.stopped))
	}
	return m
}

package sim

// process is one that can be killed and stopped. What reaches it while it is
// stopped waits, as in a socket's buffer, and so do its timers.
type process struct {
	alive   bool
	life    int   // counts its starts and ends
	stopped cause // 0: it is not
	backlog []func()
}

// cause is why a process stands still. There can be several at once.
type cause uint8

const (
	bySignal     cause = 1 << iota // SIGSTOP
	bySuspension                   // of its machine
	byGuard                        // the freezer's
)

// start begins a life. A machine that is suspended starts nothing.
func (p *process) start() {
	p.life++
	p.alive, p.backlog, p.stopped = true, nil, 0
}

func (p *process) end() {
	p.life++
	p.alive, p.backlog, p.stopped = false, nil, 0
}

// runs reports that it is alive and not stopped.
func (p *process) runs() bool { return p.alive && p.stopped == 0 }

// do lets the life of the process that this is for do something: now, or when it
// is no more stopped.
func (p *process) do(life int, something func()) {
	switch {
	case !p.alive || life != p.life:
	case p.stopped != 0:
		p.backlog = append(p.backlog, func() { p.do(life, something) })
	default:
		something()
	}
}

func (p *process) stop(why cause) {
	if p.alive {
		p.stopped |= why
	}
}

// resume takes one cause back. With the last one gone, what has waited happens at
// once, in order.
func (p *process) resume(why cause) {
	if p.stopped&why == 0 {
		return
	}
	if p.stopped &^= why; p.stopped != 0 {
		return
	}
	waiting := p.backlog
	p.backlog = nil
	for i, something := range waiting {
		if p.stopped != 0 { // stopped again by what has happened just now
			p.backlog = append(p.backlog, waiting[i:]...)
			return
		}
		something()
	}
}

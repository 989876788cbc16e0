package sim

// process is one that can be killed and stopped. What reaches it while it is
// stopped waits, as in a socket's buffer, and so do its timers.
type process struct {
	alive   bool
	life    int // counts its starts
	stopped int // by how many causes: SIGSTOP, its machine's suspension
	backlog []func()
}

func (p *process) start() {
	p.life++
	p.alive, p.backlog = true, nil
}

func (p *process) end() {
	p.life++
	p.alive, p.backlog = false, nil
}

// runs reports that it is alive and not stopped.
func (p *process) runs() bool { return p.alive && p.stopped == 0 }

// do lets the life of the process that this is for do something: now, or when it
// is no more stopped.
func (p *process) do(life int, something func()) {
	switch {
	case !p.alive || life != p.life:
	case p.stopped > 0:
		p.backlog = append(p.backlog, func() { p.do(life, something) })
	default:
		something()
	}
}

func (p *process) stop() { p.stopped++ }

// resume takes back one stop. What has waited happens at once, in order.
func (p *process) resume() {
	if p.stopped--; p.stopped > 0 {
		return
	}
	waiting := p.backlog
	p.backlog = nil
	for _, something := range waiting {
		something()
	}
}

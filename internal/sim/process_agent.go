package sim

import (
	"context"
	"iter"
	"time"

	"matriarch/internal/agent"
	"matriarch/internal/dcs"
	"matriarch/internal/ha"
)

// agentProcess is the process of a node's agent: the real agent, whose passes run on
// a coroutine. A pass that waits, for the store or a peer, gives the world back its
// turn and goes on when the answer is there, so that things happen during a pass as
// they do in truth. There is still one thread of control.
type agentProcess struct {
	process
	w *World
	h *host

	agent *agent.Agent
	store *client
	right *right
	hold  keeper
	work  work

	next    func() (struct{}, bool)
	quit    func()
	yield   func(struct{}) bool
	idle    bool // between two passes
	pending bool // something has happened during the pass
	turn    int  // counts the waits; what belongs to an earlier one is void
	why     ha.Reason

	begun               instant // this life
	failures, immediate int
	ended               bool // by itself: its supervisor starts it again
	stopping            bool // it was told to end
}

// killed unwinds a pass whose process has ended.
type killed struct{}

// begin starts the process.
func (p *agentProcess) begin() {
	if p.alive || p.w.machines[p.h.machine].off {
		return
	}
	p.start()
	p.begun = p.w.now
	p.h.stopIfSuspended(&p.process)
	p.ended, p.stopping = false, false
	p.failures, p.immediate = 0, 0
	p.work = work{}
	p.w.tell("%s: agent started", p.h.name)
	p.w.touched()
	p.store = newClient(p.w, p.h, p.wake, p.block)
	p.right = newRight(p)
	p.hold.begin(p)
	p.right.begin()
	p.agent = agent.New(agent.Config{
		Me: ha.Me{
			Name: p.h.name, Tags: p.w.set.Mutant.tags(p.h.tags), Version: "4.1.4", MayBootstrap: true, UseRewind: p.w.rewind, RemoveOnDiverged: true,
			RemoveOnRewindFailure: true,
			ConnURL:               "postgres://" + p.h.name + ":5432/postgres", APIURL: "http://" + p.h.name + ":8008/patroni",
		},
		Dynamic: p.w.dynamic, Store: p.store, Server: hands{p}, Right: p.right, Peers: peers{p},
		Logger: p.w.logger(p.h), Now: p.h.now, Wall: func() time.Time { return epoch.Add(time.Duration(p.w.now)) }, Limit: limit,
	})
	life := p.life
	p.next, p.quit = iter.Pull(func(yield func(struct{}) bool) {
		defer func() {
			if x := recover(); x != nil {
				if _, is := x.(killed); !is {
					panic(x)
				}
			}
		}()
		p.yield = yield
		p.loop()
	})
	p.w.after(time.Millisecond, func() { p.do(life, p.run) })
}

// run gives the coroutine its turn.
func (p *agentProcess) run() {
	if _, goes := p.next(); !goes && p.alive {
		p.exit()
	}
}

// loop makes passes until the agent ends.
func (p *agentProcess) loop() {
	for {
		p.pending = false
		plan, err := p.agent.Step(context.Background(), p.h.now())
		if plan.Why != p.why {
			p.why = plan.Why
			p.w.news(p.h, plan.Why)
		}
		if agent.Ended(err) {
			p.w.tell("%s: agent ended: %v", p.h.name, err)
			return
		}
		p.w.passes++
		if pause := p.pause(plan, err); !p.pending {
			p.rest(pause)
		}
	}
}

// The pauses after a pass, as the agent's Run makes them.
const (
	failPause       = 50 * time.Millisecond
	failPauseMost   = 2 * time.Second
	immediatePasses = 20
)

func (p *agentProcess) pause(plan ha.Plan, err error) time.Duration {
	if err != nil {
		p.failures++
		pause := min(failPause<<min(p.failures, 10), failPauseMost)
		if plan.LookAgain > 0 {
			pause = min(pause, plan.LookAgain)
		}
		return pause
	}
	p.failures = 0
	if plan.LookAgain > 0 {
		p.immediate = 0
		return plan.LookAgain
	}
	if p.immediate++; p.immediate > immediatePasses {
		return failPause
	}
	return 0
}

// passTakes is what a pass costs at least.
const passTakes = 100 * time.Microsecond

// rest waits for the pause to be over, or to be woken.
func (p *agentProcess) rest(pause time.Duration) {
	p.idle = true
	p.resumeAfter(max(pause, passTakes))
	p.suspend()
}

// resumeAfter plans to go on from the present wait.
func (p *agentProcess) resumeAfter(d time.Duration) {
	turn := p.turn
	p.w.afterOf(&p.process, d, func() {
		if turn == p.turn {
			p.goOn()
		}
	})
}

// goOn ends the present wait.
func (p *agentProcess) goOn() {
	p.turn++
	p.idle = false
	p.run()
}

// suspend gives the turn back to the world.
func (p *agentProcess) suspend() {
	if !p.yield(struct{}{}) {
		panic(killed{})
	}
}

// wake makes the agent look again.
func (p *agentProcess) wake() {
	if !p.alive {
		return
	}
	p.pending = true
	if p.idle {
		p.idle = false // once is enough
		p.turn++
		p.resumeAfter(passTakes)
	}
}

// block suspends the pass until done is called.
func (p *agentProcess) block(call func(done func())) {
	turn := p.turn
	finished, inside := false, true
	call(func() {
		if finished || turn != p.turn {
			return
		}
		finished = true
		if !inside {
			p.goOn()
		}
	})
	inside = false
	if !finished {
		p.suspend()
	} else {
		p.turn++
	}
}

// spend lets time pass within a pass.
func (p *agentProcess) spend(d time.Duration) {
	p.resumeAfter(d)
	p.suspend()
}

// kill is SIGKILL.
func (p *agentProcess) kill() {
	if !p.alive {
		return
	}
	p.exit()
	if p.quit != nil {
		p.quit()
	}
}

// exit is the end of the process: its connections are closed by the kernel.
func (p *agentProcess) exit() {
	p.end()
	p.turn++
	p.idle = false
	p.ended = true
	p.w.touched()
	_ = p.store.Close()
	p.h.cutWork(&p.work)
	p.right.closed()
}

// terminate is SIGTERM.
func (p *agentProcess) terminate() {
	if !p.alive {
		return
	}
	p.w.tell("%s: agent told to end", p.h.name)
	p.stopping = true
	life := p.life
	p.do(life, func() {
		p.agent.Stop()
		p.wake()
	})
}

// streamLost tells the right of the end of the standby's stream.
func (p *agentProcess) streamLost(from string) {
	if p.alive {
		p.do(p.life, func() { p.right.lost(from) })
	}
}

// limited is the context of one call in a pass. Its limit is virtual time, which nothing
// but the one who is called counts.
type limited struct {
	context.Context
	most time.Duration
}

func limit(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	return limited{ctx, most}, func() {}
}

// limitOf is the time that a call has.
func limitOf(ctx context.Context) time.Duration {
	if c, ok := ctx.(limited); ok {
		return c.most
	}
	return callTimeout
}

var _ dcs.Store = (*client)(nil)

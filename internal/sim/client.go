package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"matriarch/internal/dcs"
)

// client is the store as one agent sees it, in one of its lives: a mirror fed by a
// watch, a lease, and requests that may be slow, lost, or answered late.
type client struct {
	w       *World
	store   *etcd
	machine int
	owner   *process
	life    int
	clock   func() time.Time
	changed func()
	block   func(func(done func())) // suspends the caller until done is called

	watch   watch
	lag     time.Duration // of the watch
	at      int           // the member that is asked next
	home    int           // the one on the same machine, in the agent: every call begins with it; -1: there is none
	shown   dcs.Snapshot
	base    int64 // what is shown is complete up to this revision
	owns    []ownWrite
	current bool
	lease   dcs.Lease
	closed  bool
}

var _ dcs.Store = (*client)(nil)

func newClient(w *World, h *host, changed func(), block func(func(done func()))) *client {
	c := &client{w: w, store: w.etcd, machine: h.machine, owner: &h.agent.process, life: h.agent.life,
		clock: h.now, changed: changed, block: block}
	c.at = w.lot.IntN(len(w.etcd.members))
	c.home = slices.IndexFunc(w.etcd.members, func(m *member) bool { return m.machine == h.machine })
	if c.home >= 0 {
		c.at = c.home
	}
	c.watch = watch{c: c, at: c.at}
	w.etcd.clients = append(w.etcd.clients, c)
	c.watch.build()
	return c
}

// process lets the agent's process do something, when it can.
func (c *client) process(do func()) { c.owner.do(c.life, do) }

func (c *client) show(s dcs.Snapshot) {
	news := s.Revision != c.shown.Revision
	c.shown = s
	if news {
		c.changed()
	}
}

func (c *client) setCurrent(current bool) {
	if c.current != current {
		c.current = current
		c.changed()
	}
}

// Mirror is the latest snapshot, and whether a watch that stands feeds it.
func (c *client) Mirror() (dcs.Snapshot, bool) { return c.shown, c.current }

// Changed is not used here: the world wakes the agent itself.
func (c *client) Changed() <-chan struct{} { return nil }

// Lease is the lease as last confirmed.
func (c *client) Lease() dcs.Lease { return c.lease }

// errNoAnswer is the cause of an unknown outcome, errNobody that of none.
var (
	errNoAnswer = errors.New("etcd did not answer")
	errNobody   = errors.New("no member of etcd could be reached")
)

const (
	requestTimeout = time.Second     // one request to one member
	callTimeout    = 3 * time.Second // one call, where the agent says nothing else
)

// request is one call: what it does at the store, and where its answer goes.
type request struct {
	do         func() any
	done       func(answer any, err error)
	repeatable bool
	limit      instant
	patience   time.Duration // for one member

	tries int
	over  bool
}

// call makes a request at one member after the other. One that writes goes to
// another member only after proof that it was not applied.
func (c *client) call(r *request) {
	if c.closed {
		c.finish(r, nil, dcs.ErrClosed)
		return
	}
	if c.home >= 0 {
		c.at = c.home
	}
	c.try(r)
}

func (c *client) finish(r *request, answer any, err error) {
	if !r.over {
		r.over = true
		r.done(answer, err)
	}
}

func (c *client) try(r *request) {
	m := c.store.members[c.at]
	w := c.w
	there := w.machineRuns(m.machine) && w.net.joined(c.machine, m.machine)
	r.tries++
	switch {
	case there && !m.alive: // refused: proof
		c.again(r, w.net.delay(c.machine, m.machine)+w.net.delay(m.machine, c.machine))
		return
	case !there && r.tries > len(c.store.members), !there && w.chance(2):
		// No connection stands, and none can be made: proof, after a while.
		c.again(r, min(r.patience, r.limit.sub(w.now)))
		return
	}
	c.send(r, m)
	w.after(min(r.patience, r.limit.sub(w.now)), func() {
		c.process(func() {
			switch {
			case r.over:
			case r.repeatable:
				c.again(r, 0)
			default:
				c.next(m)
				c.finish(r, nil, errNoAnswer)
			}
		})
	})
}

// next moves on from a member that failed.
func (c *client) next(from *member) {
	if c.store.members[c.at] == from {
		c.at = (c.at + 1) % len(c.store.members)
	}
}

// again tries the next member, after a round with a pause.
func (c *client) again(r *request, after time.Duration) {
	m := c.store.members[c.at]
	if r.tries%len(c.store.members) == 0 {
		after += watchPause
	}
	c.w.after(after, func() {
		c.process(func() {
			c.next(m)
			switch {
			case r.over:
			case c.w.now >= r.limit:
				c.finish(r, nil, errNobody)
			default:
				c.try(r)
			}
		})
	})
}

// send carries the request to the member, from there to etcd's leader, and the
// answer back. Whatever becomes of the answer, it may have been applied.
func (c *client) send(r *request, m *member) {
	w, s := c.w, c.store
	w.net.send(c.machine, m.machine, func() {
		m.do(m.life, func() {
			s.propose(m, func() {
				answer := r.do()
				w.after(w.cost(fsync)+s.slow(), func() {
					w.net.send(m.machine, c.machine, func() {
						c.process(func() {
							err, failed := answer.(error)
							if failed {
								answer = nil
							}
							c.finish(r, answer, err)
						})
					})
				})
			})
		})
	})
}

// fsync is until a majority has a write on disk.
const fsync = time.Millisecond

// slow is what a slow disk adds.
func (s *etcd) slow() time.Duration { return s.w.upTo(s.w.etcdSlow) }

// propose brings a request to etcd's leader. While there is none it waits, and is
// carried out after the election or forgotten, as the lot will have it.
func (s *etcd) propose(m *member, do func()) {
	switch {
	case s.works() && s.reach(s.index(m), s.leader):
		s.w.after(s.w.net.delay(m.machine, s.members[s.leader].machine)+s.slow(), func() {
			if s.works() {
				do()
			} else if s.w.chance(2) {
				s.waiting = append(s.waiting, do)
			}
		})
	case !s.works() && s.w.chance(2):
		s.waiting = append(s.waiting, do)
	}
}

func (s *etcd) index(m *member) int {
	for i, other := range s.members {
		if other == m {
			return i
		}
	}
	return none
}

// read is a linearizable read.
func (c *client) read(limit time.Duration, done func(dcs.Snapshot, error)) {
	c.call(&request{repeatable: true, limit: c.w.now.add(limit), patience: min(requestTimeout, limit/2),
		do: func() any { return c.store.snapshot() },
		done: func(answer any, err error) {
			s, _ := answer.(dcs.Snapshot)
			if err == nil {
				c.follow(s)
			}
			done(s, err)
		}})
}

// written is the answer to a transaction.
type written struct {
	revision int64
	err      error
	content  dcs.Snapshot // after it, or what refused it
}

// commit is a transaction.
func (c *client) commit(txn dcs.Txn, limit time.Duration, done func(int64, error)) {
	id := c.lease.ID
	for _, op := range txn.Then {
		if op.Leased && id == 0 {
			done(0, fmt.Errorf("put %s: %w", op.Key, dcs.ErrNoLease))
			return
		}
	}
	c.call(&request{limit: c.w.now.add(limit), patience: min(requestTimeout, limit),
		do: func() any {
			revision, err := c.store.apply(txn, id)
			return written{revision, err, c.store.snapshot()}
		},
		done: func(answer any, err error) {
			if err != nil {
				done(0, fmt.Errorf("commit: %w", err))
				return
			}
			done(c.answered(txn, id, answer.(written)))
		}})
}

// answered brings the mirror up to the answer: a node sees its own writes at once,
// and what refused one.
func (c *client) answered(txn dcs.Txn, id int64, a written) (int64, error) {
	switch {
	case errors.Is(a.err, dcs.ErrNoLease):
		if c.lease.ID == id {
			c.lease = dcs.Lease{}
			c.changed()
		}
	case errors.Is(a.err, dcs.ErrConflict):
		c.follow(a.content)
	case a.err == nil && a.revision > c.base:
		if a.content.Revision == a.revision && c.base == a.revision-1 && len(c.owns) == 0 {
			c.follow(a.content) // nothing was written between
			break
		}
		c.owns = append(c.owns, ownWrite{a.revision, txn, a.content})
		c.show(c.owns[len(c.owns)-1].over(c.shown))
	}
	return a.revision, a.err
}

// ownWrite is a transaction of this node's that the watch has not told of yet.
type ownWrite struct {
	revision int64
	txn      dcs.Txn
	content  dcs.Snapshot // after it
}

// over lays it over what is shown: a late watch goes on hiding what others wrote.
func (o ownWrite) over(shown dcs.Snapshot) dcs.Snapshot {
	values := maps.Clone(shown.Values)
	if values == nil {
		values = map[string]dcs.Value{}
	}
	for _, op := range o.txn.Then {
		if v, there := o.content.Values[op.Key]; there {
			values[op.Key] = v
		} else {
			delete(values, op.Key)
		}
	}
	return dcs.Snapshot{Revision: max(shown.Revision, o.revision), Values: values}.Shared(o.content)
}

// follow takes over the whole content as of a revision, with own writes of later
// ones over it.
func (c *client) follow(s dcs.Snapshot) {
	if s.Revision <= c.base {
		return
	}
	c.base = s.Revision
	owns := c.owns[:0]
	for _, o := range c.owns {
		if o.revision > c.base {
			s = o.over(s)
			owns = append(owns, o)
		}
	}
	c.owns = owns
	c.show(s)
}

// Read, Renew and Commit are the agent's: they suspend its pass.

// Read is a linearizable read.
func (c *client) Read(ctx context.Context) (s dcs.Snapshot, err error) {
	c.block(func(done func()) {
		c.read(limitOf(ctx), func(got dcs.Snapshot, failed error) { s, err = got, failed; done() })
	})
	return s, err
}

// Commit applies a transaction.
func (c *client) Commit(ctx context.Context, txn dcs.Txn) (revision int64, err error) {
	c.block(func(done func()) {
		c.commit(txn, limitOf(ctx), func(at int64, failed error) { revision, err = at, failed; done() })
	})
	return revision, err
}

// Renew extends the lease, or grants one.
func (c *client) Renew(ctx context.Context, ttl time.Duration) (lease dcs.Lease, fresh bool, err error) {
	held, sent := c.lease, c.clock()
	anew := held.ID == 0 || held.TTL != ttl
	c.block(func(done func()) {
		c.call(&request{repeatable: true, limit: c.w.now.add(limitOf(ctx)), patience: min(requestTimeout, limitOf(ctx)),
			do: func() any {
				return dcs.Lease{ID: c.store.keepAlive(held.ID, ttl, anew), Sent: sent, TTL: ttl}
			},
			done: func(answer any, failed error) {
				lease, _ = answer.(dcs.Lease)
				err = failed
				done()
			}})
	})
	if err != nil {
		return dcs.Lease{}, false, fmt.Errorf("renew the lease: %w", err)
	}
	fresh = lease.ID != held.ID
	c.lease = lease
	if fresh {
		c.changed()
	}
	return lease, fresh, nil
}

// Close ends the view. The lease ends by itself.
func (c *client) Close() error {
	c.closed, c.current = true, false
	c.watch.turn++
	for i, other := range c.store.clients {
		if other == c {
			c.store.clients = append(c.store.clients[:i:i], c.store.clients[i+1:]...)
			break
		}
	}
	return nil
}

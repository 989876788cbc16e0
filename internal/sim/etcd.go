package sim

import (
	"maps"
	"time"

	"matriarch/internal/dcs"
	"matriarch/internal/dcs/memory"
)

// etcd is the store: linearizable, with a leader among its members. Nothing is
// applied without a leader that reaches a majority.
type etcd struct {
	w       *World
	members []*member
	leader  int  // among members; none when there is no leader
	ailing  bool // the leader does not reach a majority; an election is under way

	revision int64
	values   map[string]dcs.Value // copied before every change: snapshots share it
	content  dcs.Snapshot
	leases   []*lease // in order of their numbers
	granted  int64
	sweeping bool // a look for ended leases is planned
	waiting  []func()

	clients []*client
	changes int // leaders that were elected
}

// none is the leader of an etcd without one.
const none = -1

// member is one etcd process.
type member struct {
	process
	name    string
	machine int
	has     dcs.Snapshot // what it has applied: it is cut off, or this is the content
}

type lease struct {
	id      int64
	ttl     time.Duration // as granted: whole seconds
	expires instant
}

func newEtcd(w *World) *etcd {
	return &etcd{w: w, revision: 1, values: map[string]dcs.Value{}}
}

// snapshot is the content. All who see the same one share the reading of it.
func (s *etcd) snapshot() dcs.Snapshot {
	if s.content.Revision != s.revision {
		s.content = dcs.Snapshot{Revision: s.revision, Values: s.values}.Shared(s.content)
	}
	return s.content
}

// reach reports that two members can speak to each other.
func (s *etcd) reach(a, b int) bool {
	x, y := s.members[a], s.members[b]
	return x.runs() && y.runs() && s.w.machineRuns(x.machine) && s.w.machineRuns(y.machine) && s.w.net.joined(x.machine, y.machine)
}

// carried reports that a member reaches a majority, itself included.
func (s *etcd) carried(candidate int) bool {
	n := 0
	for i := range s.members {
		if s.reach(candidate, i) {
			n++
		}
	}
	return 2*n > len(s.members)
}

// works reports that the store applies what reaches it now.
func (s *etcd) works() bool { return s.leader != none && !s.ailing }

// Election is etcd's default: a follower that has heard nothing for 1 to 2 s
// stands (--election-timeout=1000, and raft draws up to twice that).
const (
	electionLeast = time.Second
	electionMost  = 2 * time.Second
)

// review looks at the leader again after something has changed.
func (s *etcd) review() {
	well := s.leader != none && s.carried(s.leader)
	switch {
	case well && s.ailing:
		s.ailing = false
		s.serve()
	case !well && !s.ailing:
		s.ailing = true
		s.electLater()
	}
	for _, c := range s.clients {
		c.watch.review()
	}
}

func (s *etcd) electLater() {
	s.w.after(s.w.between(electionLeast, electionMost), func() {
		if s.ailing {
			s.elect()
		}
	})
}

// elect makes one of those who reach a majority the leader, and gives every lease
// its whole life and an election's time anew, as etcd's lessor does when it is
// promoted.
func (s *etcd) elect() {
	from := s.w.lot.IntN(len(s.members))
	for i := range s.members {
		candidate := (from + i) % len(s.members)
		if !s.carried(candidate) {
			continue
		}
		s.leader, s.ailing = candidate, false
		s.changes++
		for _, l := range s.leases {
			l.expires = s.w.now.add(l.ttl + electionLeast)
		}
		s.w.tell("etcd: %s is elected", s.members[candidate].name)
		s.serve()
		return
	}
	s.electLater()
}

// serve carries out what has waited for a leader.
func (s *etcd) serve() {
	waiting := s.waiting
	s.waiting = nil
	for _, do := range waiting {
		do()
	}
	s.sweepLater()
	s.spread()
}

// expiryLag is how long etcd takes to notice the end of a lease: its lessor looks
// every 500 ms, and the revocation goes through the log.
const expiryLag = 400 * time.Millisecond

// sweepLater plans a look at the next end of a lease.
func (s *etcd) sweepLater() {
	if s.sweeping || len(s.leases) == 0 {
		return
	}
	next := s.leases[0].expires
	for _, l := range s.leases {
		next = min(next, l.expires)
	}
	s.sweeping = true
	s.w.when(max(next, s.w.now).add(s.w.about(expiryLag)), func() {
		s.sweeping = false
		if s.works() {
			s.sweep()
			s.sweepLater()
		}
	})
}

// sweep ends leases whose time has come, each with its keys in one revision.
func (s *etcd) sweep() {
	kept := s.leases[:0:0]
	for _, l := range s.leases {
		if s.w.now < l.expires {
			kept = append(kept, l)
			continue
		}
		values := maps.Clone(s.values)
		maps.DeleteFunc(values, func(_ string, v dcs.Value) bool { return v.Lease == l.id })
		if len(values) < len(s.values) {
			s.w.tell("etcd: lease %d has ended", l.id)
			s.values = values
			s.revision++
			s.w.touched()
		}
	}
	s.leases = kept
	s.spread()
}

func (s *etcd) lease(id int64) *lease {
	for _, l := range s.leases {
		if l.id == id {
			return l
		}
	}
	return nil
}

// spread sends the content on its way to every watch.
func (s *etcd) spread() {
	if s.leader != none {
		for i, m := range s.members {
			if s.reach(i, s.leader) {
				m.has = s.snapshot()
			}
		}
	}
	for _, c := range s.clients {
		c.watch.feed()
	}
}

// keepAlive extends a lease, or grants one where there is none of that number.
func (s *etcd) keepAlive(id int64, ttl time.Duration, fresh bool) int64 {
	l := s.lease(id)
	if l == nil || fresh {
		s.granted++
		l = &lease{id: s.granted, ttl: (ttl + time.Second - 1) / time.Second * time.Second}
		s.leases = append(s.leases, l)
	}
	l.expires = s.w.now.add(l.ttl)
	s.sweepLater()
	return l.id
}

// apply carries out a transaction.
func (s *etcd) apply(txn dcs.Txn, leaseID int64) (int64, error) {
	before := s.values
	after, err := memory.Apply(dcs.Snapshot{Revision: s.revision, Values: before}, txn, leaseID, s.lease(leaseID) != nil)
	if err != nil {
		return 0, err
	}
	if after.Revision != s.revision {
		s.values, s.revision = after.Values, after.Revision
		s.w.written(txn, before)
		s.spread()
	}
	return s.revision, nil
}

package permit

import (
	"time"

	"matriarch/internal/boottime"
	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
)

// Hands carry out what a Driver wants. None of them waits for an answer, and none
// calls the Driver from inside: answers come back as later calls of it.
type Hands interface {
	// Send carries a heartbeat to a member. Its answer goes to Driver.Acked; a lost
	// one is told by nothing.
	Send(member string, hb Heartbeat)
	// Commit sends a transaction to the store at once. Its answer goes to
	// Driver.Answered, also when it is Unknown.
	Commit(w Write)
	// Read reads the store from its leader. The outcome goes to Driver.Learned or
	// Driver.ReadFailed.
	Read()
	// Keep stores with the guard what a restarted agent must know, or removes it
	// when this node does not lead. It is stored when nil is returned. It must be
	// fast: the guard is on this host.
	Keep(k Kept, leading bool) error
	// Deadline is the guard's deadline from now on; 0: no permit.
	Deadline(until boottime.Instant)
	// Changed wakes the agent: something by which it decides has changed.
	Changed()
}

// Options of a Driver.
type Options struct {
	Me     string        // this member's name
	Length time.Duration // of the permit, as configured
	TTL    time.Duration // of the lease; the decision loop may take so long over a pass
	Hands  Hands
	// Term is the newest that SaveTerm has stored, in this boot of the host; 0: none.
	Term int64
	// SaveTerm stores a term where a restarted agent finds it: it is called before a
	// newer one is acknowledged, and before the server is promoted in one. It must be
	// fast; the guard's memory is a good place, for a record that outlives the host
	// does no good. Nil: no record, and a restarted agent reads the store before it
	// acknowledges anything.
	SaveTerm func(term int64) error
}

// Sight is what the mirror of the store shows, as far as the right to write goes.
type Sight struct {
	View        View
	Current     bool             // the mirror is up to date, as far as this node knows
	Lease       int64            // this node's lease; 0: none
	LeaseEnd    boottime.Instant // when it ends unless it is renewed
	LeaderLease int64            // the lease that the leader key hangs on; 0: none
	Mixed       bool             // a member of Patroni's is in the scope
}

// sightOf reads a snapshot as the node of that name does.
func sightOf(me string, s dcs.Snapshot, before View, view cluster.View) Sight {
	sight := Sight{View: lookAfter(before, s), LeaderLease: s.Values[dcs.KeyLeader].Lease}
	for _, m := range view.Members {
		// What this node's own key says was left by whoever ran here before.
		if m.Name != me && !m.Permit {
			sight.Mixed = true
		}
	}
	return sight
}

// State is what the agent decides by.
type State struct {
	Leading    bool             // this node holds the leader key for the newest term that it knows
	Term       int64            // its own while it leads, else the newest known
	Permit     boottime.Instant // by then the server must have stopped taking writes; 0: no right to
	MayPromote bool
	Releasing  bool // it gave up, and the store has not confirmed

	Key    int64            // the electorate key's revision: under that all this is so, and Stand is for it
	Free   bool             // Stand would take over now
	FreeAt boottime.Instant // from then, if nothing is heard until then; 0: not under this electorate

	Heard   boottime.Instant // newest acknowledged heartbeat of the present leader; 0: none
	Suspect bool             // since then, evidence that it is gone
	Overdue bool             // the leader is silent for half a permit, or suspect: time to ask for positions
	LedLast bool             // nobody is known to have led since this node did
	Unarmed bool             // the electorate says that its leader's guard may be disarmed

	Mixed          bool // the permit ends with the lease too, for a member of Patroni's may race
	Electorate     Electorate
	Positions      map[string]Position // a leader's: what the members last said of themselves
	LeaderPosition Position            // a member's: what the leader last said of itself
}

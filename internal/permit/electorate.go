package permit

import (
	"encoding/json"
	"slices"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/dcs"
)

// Key is the electorate's key below the cluster's prefix. Patroni ignores it. It
// hangs on no lease.
const Key = "electorate"

// Electorate says who may succeed a leader.
type Electorate struct {
	Leader   string
	Members  []string      // who may take over, sorted; the leader is not among them. Nobody: anyone may (P6)
	Permit   time.Duration // no permit outlasts this, counted from the key's put
	Released bool          // the leader gave up: nobody needs to wait

	// Sole: nobody may take over at all, but this leader itself; there are no members
	// then. It is its own quorum, as one that is alone in Patroni's failsafe key.
	Sole bool

	// Unarmed: the leader's guard is disarmed, or may be, for the cluster was paused when the
	// key was put. It is put before the guard is disarmed, and without this again when the
	// guard is armed: an agent that has ended between the two leaves a server that nothing
	// stops, however long its permit has been over.
	Unarmed bool

	// Timeline is the highest number that a leader has claimed for the timeline of its
	// promotion; 0: none was. Two that were given the same one could not be told apart
	// afterwards (S3), and a leader can be lost between its promotion and the first word
	// of it. So the takeover claims the number that it will use.
	Timeline uint32
}

// electorateJSON is the key's value as it is written.
type electorateJSON struct {
	Leader   string   `json:"leader"`
	Members  []string `json:"members"`
	PermitMS int64    `json:"permit_ms"` // milliseconds
	Released bool     `json:"released,omitempty"`
	Sole     bool     `json:"sole,omitempty"`
	Unarmed  bool     `json:"unarmed,omitempty"`
	Timeline uint32   `json:"timeline,omitempty"`
}

// Encode is the key's value.
func (e Electorate) Encode() []byte {
	return cluster.EncodeJSON(electorateJSON{
		Leader:   e.Leader,
		Members:  append([]string{}, e.Members...), // never null
		PermitMS: e.Permit.Milliseconds(),
		Released: e.Released,
		Sole:     e.Sole,
		Unarmed:  e.Unarmed,
		Timeline: e.Timeline,
	})
}

// ParseElectorate reads the key's value leniently: a field of a wrong type is as
// one that is missing, and a permit that is missing is Default long. False means
// that the value is no object at all, or names no leader.
func ParseElectorate(data []byte) (Electorate, bool) {
	if len(data) > longestElectorate {
		return Electorate{Permit: Default}, false
	}
	raw, err := cluster.Object(data)
	if err != nil {
		return Electorate{Permit: Default}, false
	}
	e := Electorate{Permit: Default}
	ms, members := 0.0, []any{}
	read := func(name string, to any) bool {
		field, there := raw[name]
		return there && json.Unmarshal(field, to) == nil
	}
	read("leader", &e.Leader)
	read("released", &e.Released)
	read("unarmed", &e.Unarmed)
	read("timeline", &e.Timeline)
	if read("members", &members) {
		e.Members = names(members, e.Leader)
	}
	read("sole", &e.Sole)
	e.Sole = e.Sole && len(e.Members) == 0
	if read("permit_ms", &ms) && ms >= 1 {
		e.Permit = time.Duration(min(ms, float64(longestPermit.Milliseconds()))) * time.Millisecond
	}
	return e, e.Leader != ""
}

// longestElectorate, in bytes, has room for a thousand members.
const longestElectorate = 64 << 10

// names are the members in a list that may hold anything, without the leader.
func names(list []any, leader string) (members []string) {
	for _, item := range list {
		if name, ok := item.(string); ok && name != "" && name != leader {
			members = append(members, name)
		}
	}
	slices.Sort(members)
	return slices.Compact(members)
}

// Equal reports whether two electorates would be written alike.
func (e Electorate) Equal(o Electorate) bool {
	return e.Leader == o.Leader && e.Released == o.Released && e.Sole == o.Sole && e.Unarmed == o.Unarmed && e.Timeline == o.Timeline && e.Permit.Milliseconds() == o.Permit.Milliseconds() &&
		slices.Equal(e.Members, o.Members)
}

// anyone reports that whoever wants may take over (P6).
func (e Electorate) anyone() bool { return len(e.Members) == 0 && !e.Sole }

// after is the electorate that a takeover puts: the old members and the old
// leader, less the new one.
func (e Electorate) after(leader string, permit time.Duration) Electorate {
	var members []string
	for _, m := range append([]string{e.Leader}, e.Members...) {
		if m != "" && m != leader {
			members = append(members, m)
		}
	}
	slices.Sort(members)
	return Electorate{Leader: leader, Members: slices.Compact(members), Permit: permit, Timeline: e.Timeline}
}

// View is what the store was seen to hold of the keys that matter here.
type View struct {
	At         int64  // the snapshot's revision
	Leader     string // the leader key's value; empty: absent
	Term       int64  // revision of the leader key's last put; 0: absent
	Stray      int64  // revision of a leader key that nobody leads by; 0: there is none
	Electorate Electorate
	Revision   int64 // revision of the electorate key's last put; 0: absent
	Taken      int64 // revision of the term key's last put; 0: absent
}

// illegible reports that the electorate key holds nothing that a member wrote. It is no
// takeover, and nobody is overthrown for it, but nobody takes over under it either.
func (v *View) illegible() bool { return v.Revision > 0 && v.Electorate.Leader == "" }

// erased reports that somebody has written over the electorate by hand, or deleted it: who
// leads need not be Patroni's for that.
func (v *View) erased() bool { return v.illegible() || v.Revision == 0 && v.Taken > 0 }

// Look finds the keys in a snapshot.
func Look(s dcs.Snapshot) View { return lookAfter(View{}, s) }

// lookAfter does the same for one who has looked at the same store before: an
// electorate that has not been put since is not read again.
func lookAfter(before View, s dcs.Snapshot) View {
	v := View{At: s.Revision, Taken: s.Values[TermKey].Modified}
	if key, ok := s.Values[dcs.KeyLeader]; ok {
		// Whoever leads, Patroni too, puts the key under a lease. What has none was put
		// by hand, by mistake: it makes nobody leader, and demotes nobody.
		if len(key.Data) > 0 && key.Lease != 0 {
			v.Leader, v.Term = string(key.Data), key.Modified
		} else {
			v.Stray = key.Modified
		}
	}
	if key, ok := s.Values[Key]; ok {
		v.Revision = key.Modified
		if v.Revision > 0 && v.Revision == before.Revision {
			v.Electorate = before.Electorate
		} else {
			v.Electorate, _ = ParseElectorate(key.Data)
		}
	}
	return v
}

// same reports whether two views show the same of these keys.
func (v *View) same(o *View) bool {
	return v.Leader == o.Leader && v.Term == o.Term && v.Stray == o.Stray && v.Revision == o.Revision && v.Taken == o.Taken
}

// governed reports whether the present leader key was put by one who keeps the
// electorate: all of ours put both keys in one transaction, so a leader key that
// is newer than the electorate is Patroni's, even under a name of ours. Nobody
// takes over from Patroni but when its key is gone.
func (v *View) governed() bool { return v.Leader == v.Electorate.Leader && v.Term <= v.Revision }

// leaderIs is the condition that the leader key is still as it was seen.
func (v *View) leaderIs() dcs.Condition {
	return noLeader(v.Stray, v.Term)
}

// noLeader is the condition that the leader key is still the stray one, or else of the
// term, or else absent.
func noLeader(stray, term int64) dcs.Condition {
	at := max(stray, term)
	return dcs.Condition{Key: dcs.KeyLeader, Absent: at == 0, Modified: at}
}

// electorateIs is the condition that the electorate key is at a revision (P5).
func electorateIs(revision int64) dcs.Condition {
	return dcs.Condition{Key: Key, Absent: revision == 0, Modified: revision}
}

package ha

import (
	"slices"
	"strings"

	"matriarch/internal/cluster"
)

// quorum is what quorum commit stands on: the key, by which a race is decided, and the
// names, by which commits wait.
//
// A race is won by who sees, with itself, quorum + 1 of the race's members (the key's
// standbys and its leader). A commit is acknowledged once this primary and count of the
// names have it. No acknowledged commit is lost (S2) as long as any such two sets have
// a member in common; every step below keeps that true, so it holds wherever the steps
// break off. The state that is striven for is section 7.5's of compat/behaviour.md.
type quorum struct {
	me        string
	key       cluster.Sync // its standbys are the voters
	names     []string     // in force, the primary itself not among them
	any       bool         // they are written as those of quorum commit
	count     int          // how many of the names a commit waits for
	confirmed []string     // of the names: they have all that was acknowledged before the names were in force
	active    []string     // who should be voters and names
	wanted    int          // synchronous_node_count
	settling  bool         // a new leader gives its standbys time to connect
	waiting   bool         // the names that were written last are not in force yet
}

// quorumStep is the next thing to write. At most one is set.
type quorumStep struct {
	key   *cluster.Sync
	names *cluster.StandbyNames
}

// next is the next step; nothing if the goal is reached, or if the standbys first have
// to catch up.
func (q quorum) next() quorumStep {
	if !strings.EqualFold(q.key.Leader, q.me) {
		return q.succeed()
	}
	if racers := less(q.racers(), []string{q.me}); withoutCommit(racers, q.names, q.count) > q.key.Quorum {
		// Somebody else has changed the names: the key must not promise what they do not keep.
		key, ok := q.keyFor(racers, q.key.Quorum)
		if !ok {
			key.Standbys, key.Quorum = nil, 0
		}
		return quorumStep{key: &key}
	}
	if q.waiting {
		return quorumStep{}
	}
	goal, count := q.active, min(q.wanted, len(q.active))
	if count == 0 {
		goal = nil
	}
	if q.settling && len(less(q.names, goal)) > 0 {
		goal = union(goal, q.names) // B-432
		count = min(q.wanted, len(goal))
	}
	if !q.namesAre(goal, count) && q.namesSafe(goal, count) {
		return q.toNames(goal, count)
	}
	if key, ok := q.keyFor(goal, len(goal)-count); ok && !(same(key.Standbys, q.key.Standbys) && key.Quorum == q.key.Quorum) {
		return quorumStep{key: &key}
	}
	return q.detour(goal, count)
}

// detour is the way when the goal is not to be had in one step: as few more names, or
// as few more confirmations, as the voters need.
func (q quorum) detour(goal []string, count int) quorumStep {
	more := less(q.names, goal)
	for extra := 0; extra <= len(more); extra++ {
		names := union(goal, more[:extra])
		for k := max(count, 1); k <= len(names); k++ {
			switch {
			case !q.namesSafe(names, k):
			case q.namesAre(names, k):
				return quorumStep{}
			default:
				return q.toNames(names, k)
			}
		}
	}
	return quorumStep{}
}

// succeed makes this member the key's leader, and the former one a voter (B-450). The
// same members as before take part in a race, so what they had between them they have.
func (q quorum) succeed() quorumStep {
	voters := less(q.racers(), []string{q.me})
	if count := len(voters) - q.key.Quorum; len(q.names) == 0 && count > 0 && q.namesSafe(voters, count) {
		return q.toNames(voters, count)
	}
	key, ok := q.keyFor(voters, q.key.Quorum)
	if !ok {
		key = cluster.Sync{Leader: q.me, Modified: q.key.Modified}
	}
	return quorumStep{key: &key}
}

func (q quorum) toNames(names []string, count int) quorumStep {
	if len(names) == 0 {
		return quorumStep{names: &cluster.StandbyNames{}}
	}
	return quorumStep{names: &cluster.StandbyNames{Any: true, Count: count, Names: names}}
}

// racers are the members of a race: the voters and the key's leader.
func (q quorum) racers() []string {
	if q.key.Leader == "" {
		return q.key.Standbys
	}
	return union(q.key.Standbys, []string{q.key.Leader})
}

func (q quorum) namesAre(names []string, count int) bool {
	return same(names, q.names) && (len(names) == 0 || q.any && count == q.count)
}

// namesSafe reports that with these names every race of the present key still meets a
// member that has the commits to come. Those acknowledged before lose no member.
func (q quorum) namesSafe(names []string, count int) bool {
	racers := less(q.racers(), []string{q.me})
	return q.key.Quorum >= withoutCommit(racers, names, count)
}

// withoutCommit is how many racers can be without a commit for which count of the names
// were waited for: all but those that had to be among the count.
func withoutCommit(racers, names []string, count int) int {
	return len(racers) - max(0, count-len(less(names, racers)))
}

// keyFor is the key with these voters and a quorum of at least so many, more if the
// voters that lack something could otherwise have a race to themselves. ok is false if
// no quorum would do: then the standbys have to catch up first.
func (q quorum) keyFor(voters []string, quorum int) (key cluster.Sync, ok bool) {
	key = cluster.Sync{Leader: q.me, Standbys: voters, Modified: q.key.Modified}
	if len(voters) == 0 {
		return key, true
	}
	// What was acknowledged before the names were in force has everybody who has
	// confirmed, or every race that could be won by the present key.
	before := len(less(voters, q.confirmed))
	if len(less(voters, q.racers())) == 0 {
		before = min(before, q.key.Quorum)
	}
	key.Quorum = max(quorum, before, withoutCommit(voters, q.names, q.count))
	return key, key.Quorum < len(voters)
}

// The sets are sorted lists of names. PostgreSQL compares names without regard to case
// (B-402).
func compareNames(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) }

func union(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.SortFunc(out, compareNames)
	return slices.CompactFunc(out, strings.EqualFold)
}

func less(a, b []string) []string {
	out := []string{}
	for _, name := range a {
		if !containsName(b, name) {
			out = append(out, name)
		}
	}
	slices.SortFunc(out, compareNames)
	return out
}

func same(a, b []string) bool { return len(less(a, b)) == 0 && len(less(b, a)) == 0 }

func containsName(list []string, name string) bool {
	return slices.ContainsFunc(list, func(n string) bool { return strings.EqualFold(n, name) })
}

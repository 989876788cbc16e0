package ha

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// replicas is a cluster in which commits wait as PostgreSQL lets them: positions, the
// names in force, and the sync key. The rules under test move the last two.
type replicas struct {
	lot     *rand.Rand
	names   []string
	at      map[string]wal.LSN
	up      map[string]bool // it streams from the primary
	primary string
	acked   wal.LSN // everything up to here was acknowledged
	inForce Synchronous
	key     cluster.Sync
	set     cluster.Settings
	led     time.Duration
	story   []string
}

func newReplicas(seed uint64) *replicas {
	r := &replicas{lot: rand.New(rand.NewPCG(seed, 3)), at: map[string]wal.LSN{}, up: map[string]bool{}, primary: "a", set: cluster.DefaultSettings()}
	r.names = strings.Split("a,b,c,d,e", ",")[:3+r.lot.IntN(3)]
	for _, n := range r.names {
		r.at[n], r.up[n] = 100, true
	}
	r.acked, r.led = 100, time.Hour
	r.change()
	return r
}

func (r *replicas) tell(format string, args ...any) {
	r.story = append(r.story, fmt.Sprintf(format, args...))
}

// change is a person's hand on the dynamic configuration.
func (r *replicas) change() {
	r.set.Synchronous = []string{"on", "quorum", "quorum"}[r.lot.IntN(3)]
	r.set.SynchronousNodes = 1 + r.lot.IntN(3)
	r.set.SynchronousStrict = r.lot.IntN(4) == 0
	r.tell("mode %s, %d wanted, strict %v", r.set.Synchronous, r.set.SynchronousNodes, r.set.SynchronousStrict)
}

// waited is up to where commits have had their standbys, by the names in force.
func (r *replicas) waited() wal.LSN {
	names, _ := cluster.ParseStandbyNames(r.inForce.Names)
	var reached []wal.LSN
	for _, n := range r.names {
		if n != r.primary && r.up[n] && (containsName(names.Names, n) || containsName(names.Names, cluster.AnyStandby)) {
			reached = append(reached, r.at[n])
		}
	}
	slices.Sort(reached)
	switch {
	case len(names.Names) == 0:
		return r.at[r.primary]
	case len(reached) < names.Count:
		return 0
	case names.Any || names.Count >= len(names.Names):
		return reached[len(reached)-names.Count]
	}
	return reached[0] // the first of a list: not more than all of them
}

func (r *replicas) observe(me string) Observation {
	o := Observation{Me: Me{Name: me}}
	o.Store.Current, o.Store.Settings = true, r.set
	o.Store.View.Sync, o.Store.View.Leader = r.key, cluster.Leader{Name: r.primary}
	for _, n := range r.names {
		o.Store.View.Members = append(o.Store.View.Members, cluster.Member{Name: n, State: cluster.StateRunning, APIURL: "http://" + n, Permit: true})
	}
	o.Server.Synchronous = r.inForce
	o.Server.End = wal.Point{Timeline: 1, LSN: r.at[me]}
	o.Memory.Led = r.led
	names, _ := cluster.ParseStandbyNames(r.inForce.Names)
	for _, n := range r.names {
		if n == r.primary || !r.up[n] {
			continue
		}
		state := "async"
		switch {
		case containsName(names.Names, n) && names.Any:
			state = "quorum"
		case containsName(names.Names, n):
			state = "sync"
		}
		o.Server.Senders = append(o.Server.Senders, Sender{Application: n, State: "streaming", SyncState: state, Position: r.at[n]})
	}
	return o
}

func (r *replicas) apply(actions []Action) {
	for _, a := range actions {
		switch act := a.(type) {
		case PutSync:
			r.key = act.Sync
			r.key.Modified++
			r.tell("key: %s %d {%s}", r.key.Leader, r.key.Quorum, strings.Join(r.key.Standbys, ","))
		case DropSync:
			r.key = cluster.Sync{}
		case SetStandbyNames:
			r.inForce = Synchronous{Names: act.Value, Told: act.Value, Managed: !act.Users, Since: r.at[r.primary]}
			r.tell("names: %q since %d", act.Value, r.inForce.Since)
		}
		if r.lot.IntN(8) == 0 {
			return // the agent is gone in the middle
		}
	}
}

// winners are the members that could win a race now, whoever of the others is silent.
func (r *replicas) winners() (out []string) {
	for _, n := range r.names {
		if n == r.primary {
			continue
		}
		o := r.observe(n)
		o.Store.View.Leader = cluster.Leader{}
		o.Server.Role = Standby
		if o.excluded() {
			continue
		}
		for _, other := range r.names {
			// Whoever is ahead may be silent, the primary too. Those who are not ahead
			// give it their votes.
			if p := (Peer{Name: other, End: wal.Point{Timeline: 1, LSN: r.at[other]}, Priority: 1}); other != n && r.at[other] <= r.at[n] {
				o.Peers.Answers = append(o.Peers.Answers, p)
			}
		}
		if _, wins := o.fittest(o.opponents()); wins {
			out = append(out, n)
		}
	}
	return out
}

// check holds S2: whoever could win has all that was acknowledged.
func (r *replicas) check() error {
	if r.key.Leader == "" {
		return nil // not active yet: B-401
	}
	for _, n := range r.winners() {
		if r.at[n] < r.acked {
			return fmt.Errorf("%s at %d can win, and %d is acknowledged", n, r.at[n], r.acked)
		}
	}
	return nil
}

func (r *replicas) fail() {
	winners := r.winners()
	if r.key.Leader == "" || len(winners) == 0 {
		return
	}
	winner := winners[r.lot.IntN(len(winners))]
	o := r.observe(winner)
	o.Server.Role = Standby
	o.Server.Synchronous = Synchronous{Managed: true}
	r.primary, r.led = winner, time.Second
	r.tell("%s succeeds at %d", winner, r.at[winner])
	r.inForce = Synchronous{Managed: true, Since: r.at[winner]}
	for _, a := range o.promotionSync() { // all of it, or it is not promoted
		switch act := a.(type) {
		case PutSync:
			r.key = act.Sync
		case SetStandbyNames:
			r.inForce = Synchronous{Names: act.Value, Told: act.Value, Managed: true, Since: r.at[winner]}
		}
	}
	r.tell("names %q, key: %s %d {%s}", r.inForce.Names, r.key.Leader, r.key.Quorum, strings.Join(r.key.Standbys, ","))
	for _, n := range r.names {
		r.at[n] = min(r.at[n], r.at[winner]) // the others are rewound
		r.up[n] = n != winner && r.lot.IntN(3) > 0
	}
}

func (r *replicas) move() {
	n := r.names[r.lot.IntN(len(r.names))]
	switch r.lot.IntN(12) {
	case 0, 1, 2:
		r.at[r.primary]++ // a commit
	case 3, 4, 5:
		if n != r.primary && r.up[n] {
			r.at[n] += wal.LSN(r.lot.Uint64N(uint64(r.at[r.primary]-r.at[n]) + 1))
		}
	case 6:
		if n != r.primary {
			r.up[n] = !r.up[n]
			r.tell("%s up %v", n, r.up[n])
		}
	case 7:
		if r.lot.IntN(20) == 0 {
			r.change()
		}
		r.led += time.Duration(r.lot.Int64N(int64(5 * time.Second)))
	case 8:
		if r.lot.IntN(10) == 0 {
			r.fail()
		}
	default:
		actions, _ := r.observe(r.primary).synchronize()
		r.apply(actions)
	}
	if to := r.waited(); to > r.acked {
		r.acked = to
	}
}

// syncSeeds is how many runs are made; each is 400 moves.
const syncSeeds = 500

// TestNoCommitIsLostInSynchronousMode lets commits, streams, persons and failovers come
// by lot, and asks after every move whether a race could be won without a commit that
// was acknowledged (S2). In the end, when all stream, everybody is taken in.
func TestNoCommitIsLostInSynchronousMode(t *testing.T) {
	failovers, waited := 0, 0
	for seed := range uint64(syncSeeds) {
		r := newReplicas(seed)
		for range 400 {
			r.move()
			if err := r.check(); err != nil {
				t.Fatalf("seed %d: %v\n%s\n%+v", seed, err, strings.Join(r.story, "\n"), r.at)
			}
		}
		for _, line := range r.story {
			if strings.Contains(line, "succeeds") {
				failovers++
			}
		}
		if err := r.calm(); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, strings.Join(r.story, "\n"))
		}
		waited += len(r.key.Standbys)
	}
	if failovers < syncSeeds || waited == 0 {
		t.Errorf("%d failovers, %d synchronous standbys: the lots are drawn badly", failovers, waited)
	}
}

// calm lets everybody stream and catch up: then the goal of the mode is reached.
func (r *replicas) calm() error {
	r.led = time.Hour
	for _, n := range r.names {
		r.up[n] = n != r.primary
	}
	for range 30 {
		for _, n := range r.names {
			r.at[n] = r.at[r.primary]
		}
		actions, steady := r.observe(r.primary).synchronize()
		if len(actions) == 0 && steady {
			break
		}
		r.apply(actions)
		if err := r.check(); err != nil {
			return err
		}
	}
	others := len(r.names) - 1
	names, _ := cluster.ParseStandbyNames(r.inForce.Names)
	want := cluster.Sync{Leader: r.primary, Quorum: max(0, others-r.set.SynchronousNodes)}
	count, voters := min(r.set.SynchronousNodes, others), others
	if r.set.Synchronous == "on" {
		want.Quorum, voters = 0, count
	}
	if r.key.Leader != want.Leader || r.key.Quorum != want.Quorum || len(r.key.Standbys) != voters || names.Count != count || !same(names.Names, r.key.Standbys) {
		return fmt.Errorf("in the end the key is %+v and the names %q, with %d wanted of %d in mode %s", r.key, r.inForce.Names, r.set.SynchronousNodes, others, r.set.Synchronous)
	}
	return nil
}

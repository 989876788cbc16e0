package sim

import (
	"math/rand/v2"
	"time"
)

// Draw makes the settings of a seed's world: mostly what a DBA would choose, and
// every now and then the edges of what is allowed.
func Draw(seed uint64) Settings {
	lot := rand.New(rand.NewPCG(seed, 1<<32))
	pick := func(d ...time.Duration) time.Duration { return d[lot.IntN(len(d))] }
	s := Settings{
		Hosts:    []int{2, 3, 3, 3, 3, 3, 4, 5}[lot.IntN(8)],
		External: lot.IntN(3) == 0,
		Permit:   pick(300*time.Millisecond, 500*time.Millisecond, time.Second, time.Second, time.Second, 2*time.Second),
		TTL:      30, LoopWait: 10, Retry: 10,
		MaxLag: 1048576, RowBytes: 200, Drift: 1000, Latency: 0.9, Rewind: lot.IntN(4) > 0,
	}
	if lot.IntN(3) == 0 { // Patroni's fastest
		s.TTL, s.LoopWait, s.Retry = 20, 1, 3
	}
	if s.Hosts == 2 { // two members of etcd would have no majority without one
		s.External = true
	}
	if lot.IntN(4) == 0 {
		s.NoFail = "n" + string(rune('1'+lot.IntN(s.Hosts)))
	}
	if lot.IntN(4) == 0 {
		s.MaxLag = 20000
	}
	s.Slots = lot.IntN(3) == 0
	if lot.IntN(3) == 0 {
		s.Sync, s.Strict, s.Waits = []string{"on", "quorum"}[lot.IntN(2)], lot.IntN(4) == 0, 1+lot.IntN(2)
	}
	return s
}

// Dense are the settings of a seed under faults that follow on each other.
func Dense(seed uint64, m Mutant) Settings {
	s := Draw(seed)
	s.Dense, s.Mutant, s.Apart = true, m, true
	if m.Name != "" && !m.confirmOff {
		s.Sync = "" // the other rules are for commits that wait for nobody
	}
	if m.tagsOff && s.NoFail == "" {
		s.NoFail = "n1"
	}
	if m.lagOff {
		s.MaxLag, s.RowBytes, s.LoopWait = 20000, 1000, 1
	}
	return s
}

// Timed are the settings of a seed under dense faults that wait for their moment, with
// short permits and many reigns. etcd is on machines of its own, so that a leader can
// be cut off from it alone.
func Timed(seed uint64, m Mutant) Settings {
	s := Dense(seed, m)
	lot := rand.New(rand.NewPCG(seed, 1<<33))
	s.Timed, s.External, s.Hosts = true, true, []int{2, 3, 3, 3, 3, 4}[lot.IntN(6)]
	s.Permit = []time.Duration{300 * time.Millisecond, 500 * time.Millisecond, time.Second}[lot.IntN(3)]
	s.TTL, s.LoopWait, s.Retry = 20, 1, 3
	if s.NoFail != "" && (s.Hosts < 4 || s.NoFail > "n3") {
		s.NoFail = ""
	}
	return s
}

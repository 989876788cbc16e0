package daemon

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"matriarch/internal/agent"
	"matriarch/internal/api"
	"matriarch/internal/api/client"
	"matriarch/internal/cluster"
	"matriarch/internal/wal"
)

// failsafe carries failsafe mode's questions to the other members, and its promises
// to and from the right to write.
type failsafe struct {
	base   context.Context // ends the rounds when the daemon ends
	wait   *sync.WaitGroup
	client *client.Client
	right  *right
	log    *slog.Logger
}

// roundTimeout bounds a round: two tries of each member (B-543), and a little.
const roundTimeout = 5 * time.Second

// Ask asks all members at once, and tells their answers.
func (f *failsafe) Ask(others map[string]string, call cluster.FailsafeCall, answered func([]cluster.FailsafeAnswer)) {
	f.wait.Go(func() {
		ctx, cancel := context.WithTimeout(f.base, roundTimeout)
		defer cancel()
		answers, faults := f.client.Failsafe(ctx, others, call)
		for _, err := range faults {
			f.log.Debug("a member does not accept failsafe mode", "err", err)
		}
		answered(answers)
	})
}

// Abstain promises not to take over before.
func (f *failsafe) Abstain(until time.Time) bool {
	return f.right.runner.Abstain(f.right.clock.Instant(until))
}

// Promised says until when no member of Patroni's takes the lead.
func (f *failsafe) Promised(until time.Time) {
	if until.IsZero() {
		f.right.runner.Promised(0)
		return
	}
	f.right.runner.Promised(f.right.clock.Instant(until))
}

// AcceptFailsafe answers another primary that has lost the store.
func (n *node) AcceptFailsafe(call cluster.FailsafeCall) (wal.LSN, bool) {
	return n.agent.AcceptFailsafe(call)
}

var (
	_ agent.Failsafe = (*failsafe)(nil)
	_ api.Failsafe   = (*node)(nil)
)

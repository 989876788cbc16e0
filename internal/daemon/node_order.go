package daemon

import (
	"context"
	"errors"
	"fmt"

	"matriarch/internal/agent"
	"matriarch/internal/api"
	"matriarch/internal/cluster"
	"matriarch/internal/ha"
)

var (
	_ api.Restarter     = (*node)(nil)
	_ api.Reinitializer = (*node)(nil)
)

// Restart has the agent's passes restart the server.
func (n *node) Restart(ctx context.Context, r api.Restart) error {
	return n.order(ctx, restartOrder(r))
}

func restartOrder(r api.Restart) ha.Order {
	return ha.Order{Task: ha.ToRestart, Timeout: r.Timeout,
		Conditions: ha.Conditions{Role: r.Role, Below: r.Below, Pending: r.Pending}}
}

// Reinitialize has the agent's passes copy the data anew.
func (n *node) Reinitialize(ctx context.Context, r api.Reinitialize) error {
	return n.order(ctx, ha.Order{Task: ha.ToReinitialize, Force: r.Force, FromLeader: r.FromLeader})
}

// order waits for the answer and puts it into the API's words.
func (n *node) order(ctx context.Context, what ha.Order) error {
	answer, err := n.agent.Order(ctx, what)
	var other *agent.Ordered
	switch {
	case errors.As(err, &other):
		return &api.Busy{Action: other.Task.String()}
	case err != nil:
		return fmt.Errorf("wait for the %s: %w", what.Task, err)
	}
	switch answer.Outcome {
	case ha.Done, ha.Begun:
		return nil
	case ha.StillStarting:
		return api.ErrStillStarting
	case ha.StartedInVain:
		return api.ErrRestart
	case ha.NotMet:
		return api.ErrConditions
	case ha.OtherWork:
		return &api.Busy{Action: workName(answer.Work)}
	case ha.NoLeaderSeen:
		return api.ErrNoLeader
	case ha.LeadsItself:
		return api.ErrLeader
	}
	return fmt.Errorf("%s: %s", what.Task, answer.Outcome)
}

// ScheduleRestart keeps the restart for its time. The published moment of the start is
// what tells later whether the server was restarted meanwhile.
func (n *node) ScheduleRestart(_ context.Context, r api.Restart) error {
	at, _, err := cluster.Failover{At: r.At}.Scheduled()
	if err != nil {
		return fmt.Errorf("schedule a restart: %w", err)
	}
	started := n.agent.Latest().Observation.Server.Started
	err = n.agent.Schedule(ha.Schedule{At: at, Started: started, Published: r.Published(started)}, restartOrder(r))
	if errors.Is(err, agent.ErrScheduled) {
		return api.ErrScheduled
	}
	return err
}

// UnscheduleRestart forgets it.
func (n *node) UnscheduleRestart(context.Context) bool { return n.agent.Unschedule() }
